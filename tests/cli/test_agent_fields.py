"""What may be set on an agent: how parts of it are put together with what it has."""

import json
from pathlib import Path

import click
import pytest

from artcafe.cli.agent_fields import AgentFields, PolicyFile
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


def policy_in(text: str, folder: Path) -> Json:
    """The policy that a file with this text is read as. Raises BadParameter."""
    file = folder / "policy.json"
    file.write_text(text)
    read: Json = PolicyFile(mapping=True).convert(str(file), None, None)
    return read


def test_a_policy_file_is_read_as_it_is(tmp_path: Path) -> None:
    policies: list[Json] = [HAS["policy"], {}, {"publish": {}}, {"subscribe": {"allow": ["a"]}}]
    for policy in policies:
        assert policy_in(json.dumps(policy), tmp_path) == policy


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"publish": {"alow": ["results.>"]}}', "publish: there is no field 'alow', 'allow' is the nearest"),
        ('{"publsh": {"allow": ["results.>"]}}', "there is no field 'publsh', 'publish' is the nearest"),
        ('{"subscribe": {"Deny": ["secret.>"]}}', "'deny' is the nearest"),
        ('{"policy": {"publish": {}}}', "there is no field 'policy'"),
        ('{"publish": ["results.>"]}', "publish: this is no JSON object"),
        ('{"publish": {"allow": []}, "publish": {}}', "a name stands twice"),
        ('["results.>"]', "this is not a JSON object"),
    ],
)
def test_a_policy_file_with_a_typo_is_refused_and_what_was_meant_is_said(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(click.BadParameter, match=said):
        policy_in(text, tmp_path)
