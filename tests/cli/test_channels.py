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
    assert artcafe("channels", "delete", "tasks", "--yes").stdout == "The channel tasks is gone.\n"
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


RULES = [
    "--subject",
    "orders.*",
    "--max-message-bytes",
    "10",
    "--publisher",
    "shop",
    "--publisher",
    "role:admin",
]
RULED = {"subject": "orders.*", "max_message_bytes": 10, "publishers": ["shop", "role:admin"]}


def test_a_channel_is_made_with_rules(artcafe: CommandLine, stub: RestStub) -> None:
    result = artcafe("channels", "create", "orders", *RULES, "--subscriber", "role:viewer")

    assert result.exit_code == 0, result.stderr
    assert stub.last().body == {"name": "orders", **RULED, "subscribers": ["role:viewer"]}
    assert "publishers         shop, role:admin" in result.stdout


def test_only_what_is_named_is_changed_and_null_clears(artcafe: CommandLine, stub: RestStub) -> None:
    stub.channels["orders"] = {"id": "orders"}

    artcafe("channels", "update", "orders", *RULES)
    assert stub.last().body == RULED
    artcafe("channels", "update", "orders", "--name", "O", "--clear", "publishers", "--clear", "subject")
    assert (stub.last().method, stub.last().path) == ("PUT", "/api/v1/channels/orders")
    assert stub.last().body == {"name": "O", "publishers": None, "subject": None}


@pytest.mark.parametrize(
    ("words", "durability"),
    [
        (["--durable"], {}),
        (["--keep-bytes", "100000"], {"max_bytes": 100_000}),
        (
            ["--keep-seconds", "3600", "--keep-messages", "7", "--when-full", "refuse"],
            {"max_age_seconds": 3600, "max_messages": 7, "when_full": "refuse"},
        ),
        (["--clear", "durability"], None),
    ],
)
def test_how_messages_are_stored_is_named_as_a_whole(
    artcafe: CommandLine, stub: RestStub, words: list[str], durability: object
) -> None:
    stub.channels["orders"] = {"id": "orders"}

    artcafe("channels", "update", "orders", *words)

    assert stub.last().body == {"durability": durability}


@pytest.mark.parametrize(
    "words", [[], ["--clear", "name"], ["--clear", "subject", "--subject", "a"], ["--max-message-bytes", "0"]]
)
def test_a_change_that_is_none_is_wrong_usage(artcafe: CommandLine, stub: RestStub, words: list[str]) -> None:
    assert artcafe("channels", "update", "orders", *words).exit_code == 2
    assert stub.asked == []


def test_a_message_may_name_its_subject_and_be_the_platforms(artcafe: CommandLine, stub: RestStub) -> None:
    result = artcafe("channels", "publish", "orders", "{}", "--subject", "orders.new", "--as-system")

    assert result.stdout == "Published to orders.new as m1.\n"
    assert stub.last().query == {"subject": "orders.new", "as": "system"}


def test_channels_are_searched_and_sorted(artcafe: CommandLine, stub: RestStub) -> None:
    result = artcafe("channels", "list", "--search", "task", "--order", "-name")

    assert stub.last().query == {"q": "task", "order": "-name"}
    assert result.stdout == "No such channels.\n"


STORED = {
    "seq": 41,
    "timestamp": "2026-11-23T12:34:56.789Z",
    "subject": "tasks.new",
    "from": "planner",
    "data": {"n": 1},
}


def test_what_a_durable_channel_stores_is_a_table(artcafe: CommandLine, stub: RestStub) -> None:
    stub.stored = [STORED]

    result = artcafe("channels", "history", "tasks")

    assert result.exit_code == 0, result.stderr
    assert all(word in result.stdout for word in ("41", "tasks.new", "planner", "n"))
    assert stub.last().path == "/api/v1/channels/tasks/messages"
    assert json.loads(artcafe("channels", "history", "tasks", "--json").stdout) == [STORED]


def test_the_page_that_is_asked_for_is_named(artcafe: CommandLine, stub: RestStub) -> None:
    place = ["--since", "1h", "--subject", "tasks.*", "--from", "planner", "-n", 7]

    result = artcafe("channels", "history", "tasks", *place)

    assert result.stdout == "Nothing is stored there.\n"
    assert stub.last().query == {"since": "1h", "subject": "tasks.*", "from": "planner", "limit": "7"}


@pytest.mark.parametrize("words", [["--after", "-1"], ["--before", "0"], ["--limit", "201"]])
def test_a_page_that_cannot_be_is_wrong_usage(artcafe: CommandLine, stub: RestStub, words: list[str]) -> None:
    assert artcafe("channels", "history", "tasks", *words).exit_code == 2
    assert stub.asked == []
