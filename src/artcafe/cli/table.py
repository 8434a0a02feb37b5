"""Tables for terminals."""

import sys
from collections.abc import Container, Mapping, Sequence

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from artcafe.cli.text import cell, print_json
from artcafe.client.rest import Json

_UNBROKEN = 10_000


def print_rows(columns: Mapping[str, str], rows: Sequence[Json], *, as_json: bool, empty: str) -> None:
    """One line per row; `columns` gives each title its field. `empty` is said when there is no row.

    As JSON it is the list as the platform gave it, whatever the columns.
    """
    if as_json:
        print_json(rows)
        return
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for title in columns:
        table.add_column(title, overflow="fold")
    for row in rows:
        # Text, not str: rich would read [brackets] in a string as its own markup.
        table.add_row(*(Text(cell(row.get(field))) for field in columns.values()))
    _print(table if rows else Text(empty))


def print_record(record: Json, *, as_json: bool = False, hide: Container[str] = ()) -> None:
    """One line per field that says something, but for the hidden ones; or the whole of it as JSON.

    The tag of its version is for programs.
    """
    if as_json:
        print_json(record)
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in record.items():
        if name != "etag" and name not in hide and (text := cell(value)):
            table.add_row(Text(name.replace("_", " ")), Text(text))
    _print(table)


def _print(table: Table | Text) -> None:
    """Long cells are folded on a terminal; elsewhere lines stay whole, for grep and cut."""
    console = Console(width=None if sys.stdout.isatty() else _UNBROKEN, highlight=False)
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().strip("\n").split("\n"):
        click.echo(line.rstrip())
