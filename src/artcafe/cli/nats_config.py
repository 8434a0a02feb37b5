"""artcafe nats-config: what a nats-server needs to be this installation's bus."""

from pathlib import Path
from typing import Any

import click

from artcafe.cli.server_options import server_options, settings_from
from artcafe.server.main import StartFailed
from artcafe.server.main import nats_config as render


@click.command()
@server_options
@click.option("--listen", default="127.0.0.1:4222", show_default=True, help="Where NATS listens.")
@click.option("--name", default="artcafe", show_default=True, help="The name of the nats-server.")
@click.option(
    "--nats-data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("/var/lib/nats"),
    show_default=True,
    help="Where NATS keeps accounts and streams, on its own machine.",
)
def nats_config(listen: str, name: str, nats_data_dir: Path, **given: Any) -> None:
    """Write the nats-server configuration of this installation to standard output; it holds no secret.

    Operator, resolver and system account come from the operator seed: ARTCAFE_OPERATOR_SEED, or the
    file in the data directory, which is made when there is none. Every server of the installation
    needs the same seed.

    \b
    Examples:
      artcafe nats-config > nats.conf
      artcafe nats-config --listen 0.0.0.0:4222 --nats-data-dir /srv/nats > nats.conf
    """
    try:
        text = render(settings_from(given), listen=listen, data_dir=nats_data_dir.absolute(), name=name)
    except StartFailed as error:
        raise click.ClickException(f"{error}") from error
    click.echo(text, nl=False)
