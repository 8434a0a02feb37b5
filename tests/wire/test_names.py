"""Names of fields that are not known."""

from difflib import SequenceMatcher
from typing import Any

import pytest

from artcafe.wire.names import nearest, unknown_fields

KNOWN = ("allow", "deny", "publishers", "max_message_bytes")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("alow", "allow"),
        ("Allow", "allow"),
        ("publisher", "publishers"),
        ("maxMessageBytes", "max_message_bytes"),
        ("zzz", None),
        ("", None),
    ],
)
def test_the_nearest_name_is_told(name: str, meant: str | None) -> None:
    assert nearest(name, KNOWN) == meant


def test_nothing_is_said_where_every_name_is_known() -> None:
    assert unknown_fields(["deny", "allow"], KNOWN) is None
    assert unknown_fields([], KNOWN) is None


def test_a_few_are_told_and_the_others_counted() -> None:
    assert unknown_fields(["allow", "alow"], KNOWN) == "there is no field 'alow', 'allow' is the nearest."
    said = unknown_fields([f"stranger{n}" for n in range(1000)], KNOWN)
    assert said is not None
    assert said.endswith("and 997 more.")
    assert said.count("there is no field") == 3


def test_a_name_of_any_length_and_alphabet_is_a_short_ascii_word() -> None:
    said = unknown_fields(["\ud800\u00e4\n" + "x" * 100_000], KNOWN)
    assert said is not None
    assert said.isascii()
    assert said.isprintable()
    assert len(said) < 100


def test_long_names_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []

    def counted(matcher: Any, text: str) -> None:
        compared.append(text)

    monkeypatch.setattr(SequenceMatcher, "set_seq2", counted)

    assert nearest("allow" * 100_000, KNOWN) is None
    assert compared == []
