"""What may be set on an agent: how parts of it are put together with what it has."""

import click
import pytest

from artcafe.cli.agent_fields import AgentFields
from artcafe.client.rest import Json

HAS: Json = {
    "metadata": {"team": "x", "tags": ["old"]},
    "policy": {
        "publish": {"allow": ["results.>"], "deny": []},
        "subscribe": {"allow": None, "deny": ["secret.>"]},
    },
}


def test_a_new_agent_gets_what_was_said() -> None:
    wanted = AgentFields({"type": "llm"}, ["eu"], {("allow", "publish"): ["a"]})

    assert wanted.body({}) == {
        "type": "llm",
        "metadata": {"tags": ["eu"]},
        "policy": {"publish": {"allow": ["a"]}, "subscribe": {}},
    }


def test_one_that_is_there_keeps_the_rest() -> None:
    wanted = AgentFields({}, ["eu"], {("deny", "publish"): ["a", "b"]})

    assert wanted.partial
    assert wanted.body(HAS) == {
        "metadata": {"team": "x", "tags": ["eu"]},
        "policy": {
            "publish": {"allow": ["results.>"], "deny": ["a", "b"]},
            "subscribe": {"allow": None, "deny": ["secret.>"]},
        },
    }
    assert HAS["policy"]["publish"]["deny"] == []


def test_whole_metadata_need_no_agent() -> None:
    wanted = AgentFields({"metadata": {"n": 1}}, ["eu"])

    assert not wanted.partial
    assert wanted.body(HAS) == {"metadata": {"n": 1, "tags": ["eu"]}}


def test_what_is_cleared_is_empty() -> None:
    wanted = AgentFields().cleared(["capabilities", "tags"], policy=True)

    assert wanted.body(HAS) == {
        "capabilities": [],
        "metadata": {"team": "x", "tags": []},
        "policy": {},
    }
    assert AgentFields().cleared(["metadata"], policy=False).body(HAS) == {"metadata": {}}


@pytest.mark.parametrize(
    ("given", "clear", "policy"),
    [
        (AgentFields({"capabilities": ["a"]}), ["capabilities"], False),
        (AgentFields(tags=["a"]), ["tags"], False),
        (AgentFields({"policy": {}}), [], True),
        (AgentFields(rules={("deny", "publish"): ["a"]}), [], True),
    ],
)
def test_nothing_is_given_and_cleared_at_once(given: AgentFields, clear: list[str], policy: bool) -> None:
    with pytest.raises(click.UsageError):
        given.cleared(clear, policy=policy)
