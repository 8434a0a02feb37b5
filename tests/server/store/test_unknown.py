"""What a kind has no field for stays, beside its fields and inside of them."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, structs

from artcafe.server.domain.agent import Agent, AgentKey
from artcafe.server.domain.audit import AuditEntry
from artcafe.server.domain.channel import Channel
from artcafe.server.domain.invitation import Invitation
from artcafe.server.domain.legal import Acceptance
from artcafe.server.domain.tenant import Member, Tenant
from artcafe.server.store.table import data
from artcafe.server.store.unknown import IDENTITIES, beside, inside, with_unknown
from tests.kit.records import an_agent

AGENT = data(an_agent("a1", "SHA256:1", "SHA256:2"))


def test_a_field_of_another_release_stays_and_known_ones_are_the_new_ones() -> None:
    before = {**AGENT, "name": "before", "labels": {"a": 1}}

    assert with_unknown(Agent, before, AGENT) == {**AGENT, "labels": {"a": 1}}
    assert inside(Agent, before, AGENT) == AGENT
    assert beside(Agent, before) == {"labels": {"a": 1}}


def test_free_json_is_known_as_a_whole() -> None:
    before = {**AGENT, "metadata": {"gone": 1}}

    assert with_unknown(Agent, before, {**AGENT, "metadata": {"new": 2}})["metadata"] == {"new": 2}


def test_an_element_of_a_list_keeps_its_own_wherever_it_stands() -> None:
    first, second = AGENT["keys"]
    before = {**AGENT, "keys": [{**first, "note": 1}, {**second, "note": 2}]}
    third = {**first, "fingerprint": "SHA256:3"}

    merged = with_unknown(Agent, before, {**AGENT, "keys": [third, second]})

    assert merged["keys"] == [third, {**second, "note": 2}]


@pytest.mark.parametrize("none", [{}, {"policy": None}])
def test_a_part_that_was_not_there_takes_nothing(none: dict[str, Any]) -> None:
    before = {name: value for name, value in AGENT.items() if name != "policy"} | none

    assert with_unknown(Agent, before, AGENT) == AGENT


@given(
    st.dictionaries(
        st.sampled_from(["new", "v", "other"]), st.integers() | st.lists(st.integers(), max_size=2)
    )
)
def test_what_stays_is_not_read_and_does_not_hinder(unknown: dict[str, Any]) -> None:
    before = {**AGENT, **unknown, "policy": {**AGENT["policy"], **unknown}}

    merged = with_unknown(Agent, before, AGENT)

    assert msgspec.convert(merged, Agent) == msgspec.convert(AGENT, Agent)
    assert {name: merged[name] for name in unknown} == unknown
    assert merged["policy"] == {**AGENT["policy"], **unknown}


@pytest.mark.parametrize("kind", [Agent, Channel, Tenant, Member, Invitation, AuditEntry, Acceptance])
def test_every_list_of_records_in_a_record_has_an_identity(kind: type[Struct]) -> None:
    """Without one, a change of the record meets an error."""
    lists = [
        inner
        for field in structs.fields(kind)
        if getattr(field.type, "__origin__", None) is list
        for inner in field.type.__args__
        if isinstance(inner, type) and issubclass(inner, Struct)
    ]

    assert {*lists} <= {listed for listed, _ in IDENTITIES}
    assert all(name in {field.name for field in structs.fields(listed)} for listed, name in IDENTITIES)
    assert lists == ([AgentKey] if kind is Agent else [])
