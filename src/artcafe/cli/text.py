"""Escapes text for terminals and programs."""

import json
from typing import Any

import click


def plain(text: str) -> str:
    """Text of unknown origin on one line: what could steer a terminal or hide becomes a visible escape.

    Messages, names and errors come from other people, and a terminal obeys what it prints.
    """
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def compact(value: object) -> str:
    """A JSON value for people, on one line."""
    return plain(json.dumps(value, ensure_ascii=False, separators=(", ", ": ")))


def print_json(value: Any, *, lines: bool = False) -> None:
    """A JSON value for programs, indented, or on one line with `lines`. ASCII, so no locale breaks it."""
    click.echo(json.dumps(value, indent=None if lines else 2))


def print_deleted(named: dict[str, Any], sentence: str, *, as_json: bool) -> None:
    """Tell that something is gone: the sentence for people, or its names as JSON."""
    if as_json:
        print_json({**named, "deleted": True})
    else:
        click.echo(sentence)


def cell(value: object) -> str:
    """A field of an answer for people: lists with commas, nothing for null, yes and no."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case str():
            return plain(value)
        case list() if all(isinstance(item, str) for item in value):
            return plain(", ".join(value))
        case dict() if not value:
            return ""
        case _:
            return compact(value)


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON for programs: on stdout, and nothing else there."
)
