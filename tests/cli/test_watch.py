"""`artcafe watch`."""

import json

import pytest

from tests.kit.command_line import CommandLine
from tests.kit.rest_stub import TOKEN, RestStub

TIME = "2026-11-24T12:34:56.789Z"
ONLINE = {
    "type": "agent.online",
    "topic": "presence.planner",
    "data": {"agent_id": "planner", "status": "online"},
    "timestamp": TIME,
}
BUSY = {"type": "agent.presence", "topic": "presence.planner", "data": {"status": "busy"}, "timestamp": TIME}
PREVIEW = {
    "type": "topic_preview_message",
    "subject": "tasks",
    "topic": "tasks",
    "data": {"city": "Zürich\x1b[2J"},
    "from": "planner",
    "timestamp": TIME,
}
MESSAGE = {"type": "message", "topic": "tasks", "payload": [1], "from": "u-ada", "timestamp": TIME}
CHANNEL = {"type": "channel_message", "subject": "tasks", "data": None, "from": "sys", "timestamp": TIME}


def test_everything_is_shown_on_one_line_each(artcafe: CommandLine, stub: RestStub) -> None:
    stub.events = [ONLINE, BUSY, PREVIEW, MESSAGE, CHANNEL]

    result = artcafe("watch", "-t", "acme", "--count", "5")

    assert result.exit_code == 0, result.stderr
    assert stub.heard[0] == {"type": "auth", "token": TOKEN, "tenant_id": "acme"}
    assert [said["type"] for said in stub.heard[1:]] == ["subscribe_topic_preview"]
    assert result.stdout.splitlines() == [
        "12:34:56.789  planner is online",
        "12:34:56.789  planner is busy",
        '12:34:56.789  tasks  planner  {"city": "Zürich\\u001b[2J"}',
        "12:34:56.789  tasks  u-ada  [1]",
        "12:34:56.789  tasks  sys  null",
    ]
    assert result.stderr == "Watching acme; Ctrl-C ends.\n"


def test_as_json_each_line_is_an_event(artcafe: CommandLine, stub: RestStub) -> None:
    stub.events = [ONLINE, PREVIEW]

    result = artcafe("watch", "-t", "acme", "-n", "2", "--json")

    assert [json.loads(line) for line in result.stdout.splitlines()] == [ONLINE, PREVIEW]


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["--channel", "orders"], ["orders.*"]),
        (["--subject", "a.>", "--channel", "orders"], ["a.>", "orders.*"]),
        (["--subject", "a", "--preview"], ["a", None]),
    ],
)
def test_only_what_is_named_comes(
    artcafe: CommandLine, stub: RestStub, words: list[str], asked: list[str | None]
) -> None:
    stub.channels["orders"] = {"id": "orders", "subject": "orders.*"}
    stub.subscriptions, stub.events = len(asked), [MESSAGE]

    result = artcafe("watch", "-t", "acme", "-n", "1", *words)

    assert result.exit_code == 0, result.stderr
    assert [said.get("topic") for said in stub.heard[1:]] == asked
    assert "u-ada" in result.stdout


def test_without_preview_nothing_is_asked_for(artcafe: CommandLine, stub: RestStub) -> None:
    stub.subscriptions, stub.events = 0, [ONLINE]

    result = artcafe("watch", "-t", "acme", "--no-preview", "-n", "1")

    assert result.stdout == "12:34:56.789  planner is online\n"


def test_what_is_no_event_goes_to_stderr_and_the_end_is_an_error(
    artcafe: CommandLine, stub: RestStub
) -> None:
    stub.events = [{"type": "goaway", "reason": "restart", "reconnect_after_ms": 10}]

    result = artcafe("watch", "-t", "acme", "--json")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "restart" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("Error: ")


def ended(subject: str) -> dict[str, object]:
    """What a dashboard is sent when a right is gone."""
    return {"type": "error", "code": "forbidden", "message": "Not you.", "details": {"subject": subject}}


def test_when_nothing_that_was_named_is_heard_any_more_it_ends(artcafe: CommandLine, stub: RestStub) -> None:
    """It waited for ever, and said so in JSON."""
    stub.channels["orders"] = {"id": "orders", "subject": "orders.*"}
    stub.subscriptions, stub.events = 2, [ended("orders.*"), MESSAGE, ended("b"), ended("a"), ONLINE]

    result = artcafe("watch", "-t", "acme", "--channel", "orders", "--subject", "a")

    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 1
    first, other, last = result.stderr.splitlines()[1:]
    assert first == "orders.* is not heard any more: Not you."
    assert other.startswith("The platform says: ")
    assert last == "Error: a is not heard any more: Not you."


def test_what_else_was_asked_for_still_comes(artcafe: CommandLine, stub: RestStub) -> None:
    stub.subscriptions, stub.events = 2, [ended("a"), PREVIEW]

    result = artcafe("watch", "-t", "acme", "--subject", "a", "--preview", "-n", "1")

    assert result.exit_code == 0, result.stderr
    assert "a is not heard any more: Not you." in result.stderr


def test_an_unknown_channel_is_the_servers_word(artcafe: CommandLine, stub: RestStub) -> None:
    result = artcafe("watch", "-t", "acme", "--channel", "none")

    assert (result.exit_code, stub.heard) == (1, [])
    assert result.stderr == "Error: No such thing in this tenant.\n"


def test_what_cannot_be_read_is_a_line_like_every_other(artcafe: CommandLine, stub: RestStub) -> None:
    """One message that the platform had acknowledged ended every `artcafe watch` of the tenant."""
    poison = json.dumps(MESSAGE).replace("[1]", "1e999")
    broken = '{"type":"message","payload":' + "[" * 5000 + "]" * 5000 + "}"
    stub.events = [poison, broken, PREVIEW]

    result = artcafe("watch", "-t", "acme", "-n", "3")

    assert result.exit_code == 0, result.stderr
    one, two, three = result.stdout.splitlines()
    assert one == "12:34:56.789  tasks  u-ada  cannot be read: 1e999"
    assert two.startswith('a frame cannot be read: {"type":"message"')
    assert len(two) < 300
    assert three.startswith("12:34:56.789  tasks  planner  {")


def test_as_json_what_cannot_be_read_is_text(artcafe: CommandLine, stub: RestStub) -> None:
    stub.events = ['{"type":"message","topic":"tasks","payload":1e999,"from":"planner"}', PREVIEW]

    result = artcafe("watch", "-t", "acme", "-n", "2", "--json")

    first, second = [json.loads(line) for line in result.stdout.splitlines()]
    assert (first["payload"], first["undecodable"]) == (None, {"payload": "1e999"})
    assert second == PREVIEW
