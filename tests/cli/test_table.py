"""Tables for people, JSON for programs."""

import json

import pytest

from artcafe.cli.table import print_record, print_rows
from artcafe.client.rest import Json

COLUMNS = {"ID": "id", "NAME": "name"}


def test_rows_have_their_columns(capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[Json] = [{"id": "a", "name": "Alpha", "more": 1}, {"id": "b"}]

    print_rows(COLUMNS, rows, as_json=False, empty="none")

    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [["ID", "NAME"], ["─" * 10], ["a", "Alpha"], ["b"]]
    assert all(line == line.rstrip() for line in lines)


def test_brackets_are_text_and_escapes_are_seen(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(COLUMNS, [{"id": "[red]a[/red]", "name": "\x1b[2J"}], as_json=False, empty="none")

    out = capsys.readouterr().out
    assert "[red]a[/red]" in out
    assert "\\x1b[2J" in out
    assert "\x1b" not in out


def test_where_no_terminal_is_no_line_is_broken(capsys: pytest.CaptureFixture[str]) -> None:
    long = "SHA256:" + "x" * 300

    print_rows(COLUMNS, [{"id": long, "name": "n"}], as_json=False, empty="none")
    print_record({"fingerprint": long})

    assert capsys.readouterr().out.count(long) == 2


def test_no_rows_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(COLUMNS, [], as_json=False, empty="No [agents].")

    assert capsys.readouterr().out == "No [agents].\n"


def test_a_record_leaves_out_what_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_record({"id": "a", "last_seen": None, "metadata": {}, "enabled": False, "etag": "x"}, hide={"id"})

    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [["enabled", "no"]]


def test_json_is_the_whole_answer(capsys: pytest.CaptureFixture[str]) -> None:
    record = {"id": "ü", "last_seen": None}

    print_record(record, as_json=True, hide={"id"})
    print_rows(COLUMNS, [], as_json=True, empty="none")

    out = capsys.readouterr().out
    assert out.isascii()
    assert json.loads(out.removesuffix("[]\n")) == record
    assert out.endswith("[]\n")
