"""The platform's address and the caller's identity: the options that commands share, and their defaults."""

import functools
import ipaddress
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import urlsplit

import click

from artcafe.cli.parameters import home_path, with_options
from artcafe.wire.environment import is_service_link

DEFAULT_URL = "http://127.0.0.1:8000"

_KNOCK_SECONDS = 5.0
_RUN_FILE = "run.json"
_SECRET_FILE = Path("issuer", "secret")

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Target:
    """The parsed shared options. `chosen` tells that the caller named a place, by URL or port."""

    url: str
    chosen: bool
    data_dir: Path
    tenant: str | None
    token: str | None = None

    def secret(self) -> str | None:
        """The secret of the platform that runs on this machine; None when there is none to use.

        It opens every tenant of that platform, so it is never offered to another machine.
        """
        if not is_local(self.url):
            return None
        try:
            return (self.data_dir / _SECRET_FILE).read_text(encoding="utf-8").strip() or None
        except FileNotFoundError:
            return None
        except OSError as error:
            raise click.ClickException(f"{self.data_dir / _SECRET_FILE}: {error.strerror}") from error

    def named_tenant(self) -> str:
        """The tenant, for what cannot do without. Raises UsageError."""
        if self.tenant is None:
            raise click.UsageError("an agent belongs to a tenant: give --tenant")
        return self.tenant

    def knock(self) -> None:
        """Raise unless something listens there.

        An address elsewhere is not tried: there may be a proxy in between, which only the SDK knows.
        """
        if is_local(self.url):
            parts = urlsplit(self.url)
            address = (parts.hostname, parts.port or (443 if parts.scheme in {"https", "wss"} else 80))
            try:
                socket.create_connection(address, timeout=_KNOCK_SECONDS).close()
            except OSError as error:
                raise self.nothing_answers() from error

    def nothing_answers(self) -> click.ClickException:
        """The error to raise when nothing listens there."""
        advice = "; start the platform with `artcafe up`" if is_local(self.url) else ""
        return click.ClickException(f"nothing answers at {self.url}{advice}")


def is_local(url: str) -> bool:
    """Tell whether a URL names this machine, and a port that a URL can name."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def resolve(
    *, url: str | None, port: int | None, data_dir: Path, tenant: str | None, token: str | None = None
) -> Target:
    """The URL given, else this port of this machine, else what the running platform wrote down.

    The port 0 means any free one, so it says nothing about where a platform is.
    """
    data_dir = home_path(data_dir)
    if url is None and port:
        url = f"http://127.0.0.1:{port}"
    return Target(
        url=(url or running(data_dir) or DEFAULT_URL).rstrip("/"),
        chosen=url is not None,
        data_dir=data_dir,
        tenant=tenant,
        token=token.strip() if token else None,
    )


def running(data_dir: Path) -> str | None:
    """The URL that the platform of this data directory wrote down; None when none has."""
    path = data_dir / _RUN_FILE
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from error
    except ValueError:
        written = None
    url = written.get("url") if isinstance(written, dict) else None
    if not isinstance(url, str) or not url:
        raise click.ClickException(f"{path} is not what a running platform writes; delete it")
    return url


class PortOption(click.Option):
    """A port that the environment may name, unless it is what Kubernetes made of a Service called artcafe."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """The value of the variable; None with a line on stderr for one of Kubernetes'."""
        value = super().resolve_envvar_value(ctx)
        if value is not None and is_service_link("ARTCAFE_PORT", value):
            if not ctx.resilient_parsing:
                click.echo("ARTCAFE_PORT is ignored: Kubernetes made it, for a Service.", err=True)
            return None
        return value


_PLACE = (
    click.option(
        "--tenant", "-t", metavar="ID", envvar="ARTCAFE_TENANT", show_envvar=True, help="The tenant's id."
    ),
    click.option(
        "--url",
        metavar="URL",
        envvar="ARTCAFE_URL",
        show_envvar=True,
        help=f"The platform's address. [default: the one running here, or {DEFAULT_URL}]",
    ),
    click.option(
        "--port",
        cls=PortOption,
        type=click.IntRange(0, 65535),
        metavar="PORT",
        envvar="ARTCAFE_PORT",
        show_envvar=True,
        help="The platform's port on this machine, in place of --url.",
    ),
    click.option(
        "--data-dir",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        default="~/.artcafe",
        show_default=True,
        envvar="ARTCAFE_DATA_DIR",
        show_envvar=True,
        help="Where the platform of this machine keeps its data.",
    ),
)

_TOKEN = click.option(
    "--token",
    envvar="ARTCAFE_TOKEN",
    show_envvar=True,
    help="Your token. [default: one of the platform on this machine]",
)


def reaches(command: Callable[Concatenate[Target, P], R]) -> Callable[..., R]:
    """Give a command the options that say where the platform is; it gets a Connection."""

    @functools.wraps(command)
    def connected(
        *args: Any, url: str | None, port: int | None, data_dir: Path, tenant: str | None, **rest: Any
    ) -> R:
        token = rest.pop("token", None)
        connection = resolve(url=url, port=port, data_dir=data_dir, tenant=tenant, token=token)
        return command(connection, *args, **rest)

    return with_options(_PLACE)(connected)


def signs_in(command: Callable[Concatenate[Target, P], R]) -> Callable[..., R]:
    """Give a command the options of `reaches` and those that say who the human is."""
    return _TOKEN(reaches(command))
