"""artcafe up: runs the whole platform on this machine."""

from textwrap import indent
from typing import Any

import click

from artcafe.cli.banner import who_may_come
from artcafe.cli.server_options import server_options
from artcafe.cli.server_process import run_server
from artcafe.server.main import Running


@click.command()
@server_options
@click.option("--nats-server", metavar="FILE", help="The nats-server program to run. [ARTCAFE_NATS_SERVER]")
@click.option(
    "--adopt-bus",
    metavar="MARK",
    help="Take over the bus with this mark, once; see docs/operating.md, Restore. [ARTCAFE_ADOPT_BUS]",
)
def up(**given: Any) -> None:
    """Run the whole platform on this machine: its own nats-server, its store, REST and WebSockets.

    Ctrl-C stops it; what it acknowledged is there again at the next start.

    \b
    Examples:
      artcafe up
      artcafe up --port 9000 --data-dir ./second     one more, beside the first
    """
    run_server(given, embedded=True, ready=_banner)


def _banner(running: Running) -> None:
    sign_in = "artcafe open" if running.local_sign_in else "artcafe login, at your OIDC issuer"
    click.echo(
        f"""
  ArtCafe PubSub runs at {click.style(running.url, bold=True)}

    data      {running.data_dir}
    console   {running.url}/console/
    sign in   {sign_in}
    try       artcafe demo
              artcafe tenants create "Acme" --id acme
              artcafe agents create planner --tenant acme --key ~/.ssh/id_ed25519.pub
    health    {running.url}/health
    API       {running.url}/docs

  Ctrl-C stops it.
""",
    )
    if said := who_may_come(running):
        click.echo(indent(said, "  ") + "\n")
