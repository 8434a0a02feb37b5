"""artcafe serve: one server against an external NATS."""

from typing import Any

import click

from artcafe.cli.banner import who_may_come
from artcafe.cli.server_options import server_options
from artcafe.cli.server_process import run_server
from artcafe.server.main import Running


@click.command()
@server_options
@click.option("--nats-url", metavar="URL", help="The NATS to use. [NATS_URL]")
@click.option(
    "--adopt-bus",
    metavar="MARK",
    help="Take over the bus with this mark, once; see docs/operating.md, Restore. [ARTCAFE_ADOPT_BUS]",
)
def serve(**given: Any) -> None:
    """Run one server of an installation, against a NATS that `artcafe nats-config` configured.

    \b
    Examples:
      artcafe nats-config --nats-data-dir /var/lib/nats > nats.conf
      nats-server -c nats.conf &
      NATS_URL=nats://127.0.0.1:4222 artcafe serve
    """
    run_server(given, embedded=False, ready=_banner)


def _banner(running: Running) -> None:
    click.echo(f"ArtCafe PubSub runs at {running.url}, on {running.nats_url}. Ctrl-C stops it.")
    if said := who_may_come(running):
        click.echo(said)
