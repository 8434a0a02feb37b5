"""Versions: nobody overwrites what somebody else changed."""

import pytest
from msgspec.structs import replace

from artcafe.server.domain.agent import Agent
from artcafe.server.domain.version import require_match, tag
from artcafe.wire.codes import Code
from tests.kit.outcomes import refused
from tests.kit.records import LATER, a_channel, a_member, a_tenant, an_agent

AGENT = an_agent()
CHANGED = replace(AGENT, version=2)
MADE_AGAIN = replace(AGENT, created_at=LATER)
"""Deleted, and another one made under the same id: its version is 1 again."""


@pytest.mark.parametrize("record", [AGENT, a_channel(), a_tenant(), a_member()])
def test_every_kind_of_record_has_a_strong_tag_that_is_legal_in_a_header(record: Agent) -> None:
    text = tag(record)

    assert text[0] == text[-1] == '"'
    assert text[1:-1].replace("-", "").isalnum()
    require_match(record, text)


def test_a_record_that_stayed_as_it_was_keeps_its_tag() -> None:
    assert tag(replace(AGENT)) == tag(AGENT)


def test_the_tag_is_another_one_after_a_change_and_after_deleting_and_making_again() -> None:
    assert len({tag(AGENT), tag(CHANGED), tag(MADE_AGAIN)}) == 3


@pytest.mark.parametrize("now", [CHANGED, MADE_AGAIN])
def test_the_tag_of_what_was_there_before_does_not_match(now: Agent) -> None:
    with refused(Code.precondition_failed):
        require_match(now, tag(AGENT))


@pytest.mark.parametrize("if_match", [None, "*", " * "])
def test_without_a_condition_and_with_a_star_anything_matches(if_match: str | None) -> None:
    require_match(CHANGED, if_match)


@pytest.mark.parametrize("text", ["{0}", '"x", {0}', '{0},"x"', '"x" ,\t{0} , "y"'])
def test_one_of_a_list_is_enough(text: str) -> None:
    require_match(AGENT, text.format(tag(AGENT)))


def test_a_weak_tag_never_matches() -> None:
    """RFC 9110 section 13.1.1: If-Match compares strongly."""
    with refused(Code.precondition_failed):
        require_match(AGENT, f"W/{tag(AGENT)}")


@pytest.mark.parametrize(
    "if_match", ["", ",", '"x"', '"*"', '"x", *', tag(AGENT).strip('"'), tag(AGENT)[:-1]]
)
def test_anything_else_does_not_match(if_match: str) -> None:
    with refused(Code.precondition_failed):
        require_match(AGENT, if_match)
