"""`artcafe sub`."""

import json
from pathlib import Path

import pytest

from artcafe.cli.sub import next_message
from artcafe.client.message import Message
from artcafe.client.subscription import Subscription
from tests.kit.agent_stub import TIME, message
from tests.kit.command_line import CommandLine
from tests.kit.rest_stub import RestStub
from tests.kit.ssh_keys import make_key


@pytest.fixture
def worker(tmp_path: Path) -> list[str]:
    """The options of an agent."""
    return ["-t", "acme", "-a", "worker", "-k", str(make_key(tmp_path))]


def test_messages_are_lines_for_people(artcafe: CommandLine, stub: RestStub, worker: list[str]) -> None:
    stub.broker.backlog = [
        message("tasks.new", '{"city": "Zürich"}'),
        message("tasks.done", '{\n  "n": 1\n}', sender="u-ann"),
    ]

    result = artcafe("sub", "tasks.*", "-n", 2, *worker)

    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines() == [
        '12:34:56.789  tasks.new  planner  {"city": "Zürich"}',
        '12:34:56.789  tasks.done  u-ann  {   "n": 1 }',
    ]
    assert result.stderr == "Subscribed to tasks.*; Ctrl-C ends.\n"


def test_what_others_write_does_not_steer_the_terminal(
    artcafe: CommandLine, stub: RestStub, worker: list[str]
) -> None:
    """The bytes 0xC2 0x9B are a control sequence to some terminals, and legal in JSON."""
    stub.broker.backlog = [message("tasks.new", '"\x9b2J\u202e"')]

    assert "\\x9b2J\\u202e" in artcafe("sub", "tasks.*", "-n", 1, *worker).stdout


def test_messages_are_one_json_line_each_for_programs(
    artcafe: CommandLine, stub: RestStub, worker: list[str]
) -> None:
    data = '{"city": "Zürich 🚲\x9b",\r\n\t"n": 1.10, "big": 123456789012345678901234567890, "s": "a\\nb"}'
    stub.broker.backlog = [
        message("tasks.new", data),
        message("tasks.new", "1", headers={"trace": "x"}, reply_to="inbox.planner.r1"),
    ]

    result = artcafe("sub", "tasks.*", "-n", 2, "--json", *worker)

    first, second = result.stdout.splitlines()
    assert first.isascii()
    assert json.loads(first) == {
        "subject": "tasks.new",
        "from": "planner",
        "id": "m1",
        "timestamp": TIME,
        "data": json.loads(data),
    }
    assert '"n": 1.10,' in first
    assert json.loads(second)["headers"] == {"trace": "x"}
    assert json.loads(second)["reply_to"] == "inbox.planner.r1"


def test_it_ends_after_the_count(artcafe: CommandLine, stub: RestStub, worker: list[str]) -> None:
    stub.broker.backlog = [message("tasks.new", str(number)) for number in range(5)]

    result = artcafe("sub", "tasks.*", "--count", 3, "--json", *worker)

    assert [json.loads(line)["data"] for line in result.stdout.splitlines()] == [0, 1, 2]


def test_a_queue_is_asked_for(artcafe: CommandLine, stub: RestStub, worker: list[str]) -> None:
    stub.broker.backlog = [message("tasks.new", "1")]

    artcafe("sub", "tasks.*", "-n", 1, "--queue", "workers", *worker)

    assert stub.broker.subscribed == [("worker", "tasks.*", "workers")]


async def nothing(_: Subscription) -> None:
    """What a subscription that stands alone asks of its client."""


async def test_what_is_missing_is_told_where_it_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    async def publish(*_: object, **__: object) -> str:
        return "m1"

    messages = Subscription("tasks.*", queue=None, buffer=2, opener=nothing, closer=nothing, drainer=nothing)
    messages.open()
    for number in range(5):
        messages.push(Message(message("tasks.new", str(number)), "tasks.new", publish))

    assert [(await next_message(messages)).data for _ in range(2)] == [3, 4]  # type: ignore[union-attr]
    assert capsys.readouterr().err == "3 messages are missing here: they came too fast.\n"

    messages.away()
    messages.push(Message(message("tasks.new", "5"), "tasks.new", publish))

    assert (await next_message(messages)).data == 5  # type: ignore[union-attr]
    assert "The connection was lost for a while" in capsys.readouterr().err

    await messages.close()
    assert await next_message(messages) is None


def test_a_pattern_that_is_none_is_told(artcafe: CommandLine, worker: list[str]) -> None:
    result = artcafe("sub", "tasks.>.x", *worker)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: A pattern is")


def test_what_cannot_be_read_is_a_line_like_every_other(
    artcafe: CommandLine, stub: RestStub, worker: list[str]
) -> None:
    stub.broker.backlog = [message("tasks.new", "1e999"), message("tasks.new", '"fine"')]

    result = artcafe("sub", "tasks.*", "-n", 2, *worker)

    assert result.stdout.splitlines() == [
        "12:34:56.789  tasks.new  planner  1e999",
        '12:34:56.789  tasks.new  planner  "fine"',
    ]


def test_for_programs_what_cannot_be_read_is_text(
    artcafe: CommandLine, stub: RestStub, worker: list[str]
) -> None:
    stub.broker.backlog = [message("tasks.new", "1e999"), message("tasks.new", '"fine"')]

    first, second = artcafe("sub", "tasks.*", "-n", 2, "--json", *worker).stdout.splitlines()

    assert json.loads(first) | {"data": None, "undecodable": "1e999"} == json.loads(first)
    assert json.loads(second)["data"] == "fine"


def test_it_begins_with_what_is_stored_where_that_is_asked(
    artcafe: CommandLine, stub: RestStub, worker: list[str]
) -> None:
    stub.broker.backlog = [message("tasks.new", "1")]

    result = artcafe("sub", "tasks.*", "--since", "1h", "-n", 1, *worker)

    assert result.exit_code == 0, result.stderr
    assert stub.broker.since == ["1h"]


def test_a_place_that_is_none_is_told(artcafe: CommandLine, stub: RestStub, worker: list[str]) -> None:
    result = artcafe("sub", "tasks.*", "--since", "yesterday", *worker)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: ")
    assert stub.broker.since == []
