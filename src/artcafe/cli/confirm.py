"""The confirmation prompt of irreversible commands."""

import sys

import click

yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


def confirm(question: str, *, yes: bool) -> None:
    """Ask on standard error, unless `yes` is the answer already. Raises Abort for any other answer.

    Raises UsageError where standard input is no terminal: what a program happens to send there is no answer.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked here, since standard input is no terminal: add --yes")
    click.confirm(question, abort=True, err=True)
