"""What a terminal or a program may safely get."""

import pytest

from artcafe.cli.text import cell, compact, plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Grüße, 東京 🚲", "Grüße, 東京 🚲"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("abc\u202ecba", "abc\\u202ecba"),
        ("\ud800", "\\ud800"),
        ("C:\\n", "C:\\n"),
    ],
)
def test_what_could_steer_a_terminal_becomes_visible(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        ("x\x1b", "x\\x1b"),
        ([], ""),
        ({}, ""),
        (["travel", "maps"], "travel, maps"),
        ([1, {"a": "ü"}], '[1, {"a": "ü"}]'),
        ({"team": ["a"]}, '{"team": ["a"]}'),
    ],
)
def test_a_field_for_people(value: object, shown: str) -> None:
    assert cell(value) == shown


def test_a_json_value_for_people_is_one_readable_line() -> None:
    assert compact({"city": "Zürich", "n": [1, 2]}) == '{"city": "Zürich", "n": [1, 2]}'
