"""`artcafe pub`."""

import json
from pathlib import Path

import pytest

from tests.kit.command_line import CommandLine
from tests.kit.rest_stub import RestStub
from tests.kit.ssh_keys import make_key


@pytest.fixture
def planner(tmp_path: Path) -> list[str]:
    """The options of an agent."""
    return ["-t", "acme", "-a", "planner", "-k", str(make_key(tmp_path))]


@pytest.mark.parametrize("data", ['{"city":"Zürich"}', "[1,null]", '"hello"', "1", "null", str(10**30)])
def test_an_agent_publishes_any_json(
    artcafe: CommandLine, stub: RestStub, planner: list[str], data: str
) -> None:
    result = artcafe("pub", "tasks.new", data, *planner)

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "Published to tasks.new as m1.\n"
    assert stub.broker.published == [("planner", "tasks.new", data.encode())]


def test_data_may_come_from_standard_input(artcafe: CommandLine, stub: RestStub, planner: list[str]) -> None:
    result = artcafe("pub", "tasks.new", "-", "--json", *planner, text='{"n": 1}\n')

    assert json.loads(result.stdout) == {"message_id": "m1", "subject": "tasks.new"}
    assert stub.broker.published == [("planner", "tasks.new", b'{"n":1}')]


def test_without_an_agent_it_is_the_human(artcafe: CommandLine, stub: RestStub) -> None:
    result = artcafe("pub", "tasks", '{"n": 1}', "-t", "acme")

    assert result.stdout == "Published to tasks as m1.\n"
    assert stub.last().path == "/api/v1/channels/tasks/messages"
    assert stub.last().headers["x-tenant-id"] == "acme"
    assert stub.broker.logins == []

    assert json.loads(artcafe("pub", "tasks", '{"n": 1}', "--json").stdout)["message_id"] == "m1"


def test_a_human_publishes_objects(artcafe: CommandLine, stub: RestStub) -> None:
    result = artcafe("pub", "tasks", "[1]")

    assert result.exit_code == 2
    assert "JSON object" in result.stderr
    assert stub.asked == []


def test_what_is_not_json_is_wrong_usage(artcafe: CommandLine, planner: list[str]) -> None:
    result = artcafe("pub", "tasks.new", "hello", *planner)

    assert result.exit_code == 2
    assert "a text needs its quotes" in result.stderr


def test_a_subject_that_is_none_is_told(artcafe: CommandLine, planner: list[str]) -> None:
    result = artcafe("pub", "tasks..new", "1", *planner)

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: A subject is")


def test_each_line_of_standard_input_is_a_message(
    artcafe: CommandLine, stub: RestStub, planner: list[str]
) -> None:
    result = artcafe("pub", "tasks.new", "-", "--lines", *planner, text='{"n": 1}\n\n"two"\r\nnull')

    assert result.stdout.splitlines() == [f"Published to tasks.new as m{n}." for n in (1, 2, 3)]
    assert [data for _, _, data in stub.broker.published] == [b'{"n":1}', b'"two"', b"null"]


def test_each_line_may_be_a_text(artcafe: CommandLine, stub: RestStub, planner: list[str]) -> None:
    result = artcafe("pub", "logs", "-", "--text", "--json", *planner, text='a "b"\n\nÜ\n')

    assert [json.loads(line)["message_id"] for line in result.stdout.splitlines()] == ["m1", "m2", "m3"]
    assert [json.loads(data) for _, _, data in stub.broker.published] == ['a "b"', "", "Ü"]


def test_a_line_that_is_no_json_ends_it_and_is_named(
    artcafe: CommandLine, stub: RestStub, planner: list[str]
) -> None:
    result = artcafe("pub", "tasks.new", "-", "--lines", *planner, text="1\noops\n3\n")

    assert result.exit_code == 2
    assert "line 2: this is not JSON" in result.stderr
    assert [data for _, _, data in stub.broker.published] == [b"1"]


@pytest.mark.parametrize("options", [["1", "--lines"], ["-", "--lines", "--text"]])
def test_lines_are_read_from_standard_input_alone(
    artcafe: CommandLine, planner: list[str], options: list[str]
) -> None:
    assert artcafe("pub", "tasks.new", *options, *planner, text="1\n").exit_code == 2


def test_lines_are_published_by_agents(artcafe: CommandLine, stub: RestStub) -> None:
    result = artcafe("pub", "tasks", "-", "--lines", "-t", "acme", text="{}\n")

    assert (result.exit_code, stub.asked) == (2, [])
    assert "--agent" in result.stderr
