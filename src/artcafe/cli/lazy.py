"""A group whose commands are imported when they are run, not when they are listed.

This is the pattern of click's documentation ("Lazily Loading Subcommands"), with the short help kept
in the table, so that `--help` imports nothing either.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from artcafe.wire.ssh import is_private_key


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """The location of a command, as `module:attribute`, and its line in the list of commands."""

    target: str
    help: str


def load(target: str) -> Any:
    """Import what `module:attribute` names. Raises ClickException when it needs a package that is missing."""
    module, _, attribute = target.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "artcafe":
            raise
        raise click.ClickException(
            f"this needs the Python package {error.name}: pip install 'artcafe-pubsub[server]'"
        ) from error


class LazyGroup(click.Group):
    """Commands by section, in the order of the table."""

    def __init__(self, *args: Any, sections: Mapping[str, Mapping[str, LazyCommand]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sections = sections

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See click. A private key that was pasted into the line is not repeated, whatever else is wrong."""
        if any(is_private_key(argument) for argument in args):
            raise click.UsageError(
                "there is a private key in this line, and so in your shell's history now: make a new one; "
                "what is asked for is the public key, the .pub file"
            )
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, section by section."""
        return [name for commands in self.sections.values() for name in commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command; None for a name that is not in the table."""
        for commands in self.sections.values():
            if cmd_name in commands:
                command: click.Command = load(commands[cmd_name].target)
                return command
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list from the table alone."""
        width = max(len(name) for name in self.list_commands(ctx))
        for title, commands in self.sections.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), entry.help) for name, entry in commands.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete from the table alone, too: a key press should not wait for imports."""
        names = [
            CompletionItem(name, help=entry.help)
            for commands in self.sections.values()
            for name, entry in commands.items()
            if name.startswith(incomplete)
        ]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]
