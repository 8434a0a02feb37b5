"""Runs a server in this process, and reports a failed start to people or programs."""

from collections.abc import Callable
from typing import Any

import click

from artcafe.server.main import Running, StartError, report_start_failure, run
from artcafe.server.settings import SettingsError, load, wanted_log_format


def run_server(given: dict[str, Any], *, embedded: bool, ready: Callable[[Running], None]) -> None:
    """Run until a signal ends it. What keeps it from starting is a line of JSON where the log is JSON, else
    a sentence; the exit code is 1."""
    try:
        run(load(**given), embedded=embedded, ready=ready)
    except (SettingsError, StartError) as error:
        if wanted_log_format(given) != "json":
            raise click.ClickException(f"{error}") from error
        report_start_failure(f"{error}")
        raise click.exceptions.Exit(1) from error
