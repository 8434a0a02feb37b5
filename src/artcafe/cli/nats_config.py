"""artcafe nats-config: writes the configuration of the nats-servers of an installation."""

import re
from pathlib import Path
from typing import Any

import click

from artcafe.cli.server_options import server_options, settings_from
from artcafe.server.main import StartError, cluster_configs
from artcafe.server.main import nats_config as render
from artcafe.server.seed import SeedError

_NODE = re.compile(r"([A-Za-z0-9_-]{1,64})=([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}):(\d{1,5}))?")
_CLIENTS, _ROUTES = 4222, 6222
_LEAST = 3


class NodeParameter(click.ParamType[tuple[str, str, str]]):
    """NAME=HOST, or NAME=HOST:PORT:ROUTEPORT."""

    name = "node"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Its name, and where it listens for clients and for the other servers."""
        found = _NODE.fullmatch(value)
        if found is None:
            self.fail(f"{value!r} is not NAME=HOST or NAME=HOST:PORT:ROUTEPORT", param, ctx)
        name, host, port, routes = found.groups()
        return name, f"{host}:{port or _CLIENTS}", f"{host}:{routes or _ROUTES}"


@click.command()
@server_options
@click.option("--listen", default="127.0.0.1:4222", show_default=True, help="Where NATS listens.")
@click.option("--name", default="artcafe", show_default=True, help="The name of the nats-server.")
@click.option(
    "--nats-data-dir",
    # Not looked at: it is on NATS' machine, or closed to whoever writes this.
    type=click.Path(path_type=Path, readable=False),
    default=Path("/var/lib/nats"),
    show_default=True,
    help="Where NATS keeps accounts and streams, on its own machine.",
)
@click.option(
    "--cluster",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write NAME.conf for each --node into this folder, and nothing to standard output.",
)
@click.option(
    "--node",
    "nodes",
    type=NodeParameter(),
    multiple=True,
    metavar="NAME=HOST[:PORT:ROUTEPORT]",
    help="A server of the cluster, three at least. [ports 4222 and 6222]",
)
@click.option("--certificate", type=click.Path(path_type=Path), help="Turns on TLS: its certificate, there.")
@click.option("--certificate-key", type=click.Path(path_type=Path), help="The key of it.")
@click.option("--ca", type=click.Path(path_type=Path), help="Who signed it; of all servers of a cluster.")
@click.option("--next", "upcoming", is_flag=True, help="For the next seed, of `artcafe operator rotate`.")
def nats_config(
    listen: str,
    name: str,
    nats_data_dir: Path,
    cluster: Path | None,
    nodes: tuple[tuple[str, str, str], ...],
    certificate: Path | None,
    certificate_key: Path | None,
    ca: Path | None,
    upcoming: bool,
    **given: Any,
) -> None:
    """Write the configuration of this installation's nats-server, or of each server of a cluster.

    Operator, resolver and system account come from the operator seed: ARTCAFE_OPERATOR_SEED, or the
    file in the data directory, which is made when there is none. Every server of the installation
    needs the same seed. One configuration goes to standard output and holds no secret; those of a
    cluster hold the secret by which its servers know each other, and are files of yours alone.

    \b
    Examples:
      artcafe nats-config > nats.conf
      artcafe nats-config --listen 0.0.0.0:4222 --nats-data-dir /srv/nats > nats.conf
      artcafe nats-config --cluster ./nats --node n1=10.0.0.1 --node n2=10.0.0.2 --node n3=10.0.0.3 \\
        --certificate /etc/nats/node.pem --certificate-key /etc/nats/node.key --ca /etc/nats/ca.pem
    """
    tls = _tls(certificate, certificate_key, ca)
    if (cluster is None) != (not nodes):
        raise click.UsageError("--cluster and --node go together.")
    settings, data_dir = settings_from(given), nats_data_dir.absolute()
    try:
        if cluster is None:
            text = render(settings, listen=listen, data_dir=data_dir, name=name, tls=tls, upcoming=upcoming)
            click.echo(text, nl=False)
            return
        if len(nodes) < _LEAST or len({node[0] for node in nodes}) < len(nodes):
            raise click.UsageError(f"A cluster has {_LEAST} nodes at least, each with a name of its own.")
        configs = cluster_configs(settings, nodes, data_dir=data_dir, tls=tls, upcoming=upcoming)
    except (StartError, SeedError, ValueError) as error:
        raise click.ClickException(f"{error}") from error
    cluster.mkdir(mode=0o700, parents=True, exist_ok=True)
    for node, text in configs.items():
        path = cluster / f"{node}.conf"
        path.touch(mode=0o600)
        path.chmod(0o600)
        path.write_text(text, encoding="utf-8")
        click.echo(f"{path}")


def _tls(certificate: Path | None, key: Path | None, ca: Path | None) -> tuple[Path, Path, Path] | None:
    if certificate is None and key is None and ca is None:
        return None
    if certificate is None or key is None or ca is None:
        raise click.UsageError("--certificate, --certificate-key and --ca go together.")
    return certificate, key, ca
