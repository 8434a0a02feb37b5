"""artcafe check-config: what the settings come to."""

import json
from typing import Any

import click

from artcafe.cli.server_options import server_options, settings_from


@click.command()
@server_options
@click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")
def check_config(as_json: bool, **given: Any) -> None:
    """Check the settings and show those in force; secrets are stars.

    \b
    Examples:
      artcafe check-config
      ARTCAFE_PORT=9000 artcafe check-config --json
    """
    effective = settings_from(given).redacted()
    if as_json:
        click.echo(json.dumps(effective, indent=2))
        return
    width = max(map(len, effective))
    for name, value in effective.items():
        click.echo(f"{name:<{width}}  {'-' if value is None else value}")
