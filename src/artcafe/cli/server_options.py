"""The options of the commands that run or describe a server. Each has its variable in docs/settings.md."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from artcafe.cli.parameters import with_options
from artcafe.server.settings import Settings, SettingsError, load

Command = Callable[..., Any]

_OPTIONS = (
    click.option("--host", metavar="ADDRESS", help="Address to listen on. [ARTCAFE_HOST; 127.0.0.1]"),
    click.option("--port", type=click.IntRange(0, 65535), help="Port; 0 takes any. [ARTCAFE_PORT; 8000]"),
    click.option(
        "--workers",
        type=click.IntRange(1, 64),
        help="Processes that serve the port together. [ARTCAFE_WORKERS; 1]",
    ),
    click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False),
        help="Where everything is kept. [ARTCAFE_DATA_DIR; ~/.artcafe]",
    ),
    click.option(
        "--log-level",
        type=click.Choice(["debug", "info", "warning", "error"]),
        help="How much is logged. [ARTCAFE_LOG_LEVEL; info]",
    ),
    click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        help="Lines for people, or JSON. [ARTCAFE_LOG_FORMAT; text]",
    ),
)


def server_options(command: Command) -> Command:
    """Give a command the options of a server."""
    return with_options(_OPTIONS)(command)


def settings_from(given: dict[str, Any]) -> Settings:
    """The settings in force: options, then the environment, then defaults. Ends with one line per fault."""
    try:
        return load(**given)
    except SettingsError as error:
        raise click.ClickException(f"{error}") from error
