"""artcafe check-config: prints the effective settings, or their errors."""

import json
from typing import Any

import click

from artcafe.cli.server_options import server_options, settings_from
from artcafe.server.preflight import faults
from artcafe.server.settings import service_links


@click.command()
@server_options
@click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")
@click.option(
    "--for",
    "command",
    type=click.Choice(["up", "serve"]),
    help="Which command is to run with them. [serve where NATS_URL is set, else up]",
)
def check_config(as_json: bool, command: str | None, **given: Any) -> None:
    """Check the settings and show those in force; secrets are stars.

    What `artcafe up` or `artcafe serve` would refuse at its start is refused here: for this user of this
    machine, and without asking anybody on the network.

    \b
    Examples:
      artcafe check-config
      ARTCAFE_PORT=9000 artcafe check-config --json
      artcafe check-config --for serve
    """
    settings = settings_from(given)
    embedded = settings.nats_url is None if command is None else command == "up"
    if found := faults(settings, embedded=embedded):
        raise click.ClickException("\n".join(found))
    for name in service_links():
        click.echo(f"{name} is ignored: Kubernetes made it, for a Service (enableServiceLinks)", err=True)
    effective = settings.redacted()
    if as_json:
        click.echo(json.dumps(effective, indent=2))
        return
    width = max(map(len, effective))
    for name, value in effective.items():
        click.echo(f"{name:<{width}}  {'-' if value is None else value}")
