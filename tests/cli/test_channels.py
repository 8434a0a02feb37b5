"""`artcafe channels`."""

import json

import pytest

from tests.kit.command_line import CommandLine
from tests.kit.rest_stub import RestStub


def test_the_life_of_a_channel(artcafe: CommandLine, stub: RestStub) -> None:
    made = artcafe("channels", "create", "To do", "--id", "tasks", "--description", "What there is", "--json")
    assert json.loads(made.stdout)["id"] == "tasks"
    assert stub.last().body == {"id": "tasks", "name": "To do", "description": "What there is"}

    assert "To do" in artcafe("channels", "list").stdout
    assert "What there is" in artcafe("channels", "show", "tasks").stdout
    assert artcafe("channels", "delete", "tasks").stdout == "The channel tasks is gone.\n"
    assert stub.channels == {}
    assert "artcafe channels create" in artcafe("channels", "list").stdout


def test_an_object_is_published(artcafe: CommandLine, stub: RestStub) -> None:
    result = artcafe("channels", "publish", "tasks", '{"city": "Zürich"}')

    assert result.stdout == "Published to tasks as m1.\n"
    assert stub.last().path == "/api/v1/channels/tasks/messages"
    assert stub.last().body == {"city": "Zürich"}


def test_it_may_come_from_standard_input(artcafe: CommandLine, stub: RestStub) -> None:
    result = artcafe("channels", "publish", "tasks", "-", "--json", text='{"n": 1}\n')

    assert json.loads(result.stdout)["message_id"] == "m1"
    assert stub.last().body == {"n": 1}


@pytest.mark.parametrize("data", ["[1]", "hello", ""])
def test_anything_else_is_wrong_usage(artcafe: CommandLine, stub: RestStub, data: str) -> None:
    assert artcafe("channels", "publish", "tasks", data).exit_code == 2
    assert stub.asked == []
