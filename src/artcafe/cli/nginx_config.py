"""artcafe nginx-config: writes the configuration of an nginx in front of an installation."""

import re
from collections.abc import Iterable, Sequence
from importlib.resources import files
from ipaddress import ip_network
from string import Template
from typing import Any

import click

MOST_TRIED = 7
"""Servers that are tried in turn with a change; nginx ends a request that is passed on ten times."""


class _Text(click.ParamType[str]):
    """One word of a configuration, which cannot end a directive or begin another."""

    def __init__(self, name: str, pattern: str) -> None:
        self.name = name
        self._pattern = re.compile(pattern)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check it. Raises BadParameter."""
        text = f"{value}"
        if self._pattern.fullmatch(text) is None:
            self.fail(f"{text!r} cannot be used as {self.name}", param, ctx)
        return text


class _Network(click.ParamType[str]):
    name = "network"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check it. Raises BadParameter."""
        try:
            return f"{ip_network(value)}"
        except ValueError:
            self.fail(f"{value!r} is no network like 10.0.0.0/8", param, ctx)


_HOST = r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])"
_NAME = _Text("a server name", r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_UPSTREAM = _Text("an upstream, like 127.0.0.1:8000", rf"{_HOST}:[0-9]{{1,5}}")
_ORIGIN = _Text(
    "an origin, like https://app.example.com", r"https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?"
)
_ADDRESS = _Text("an address to listen on", _HOST)
_PATH = _Text("a path", r"/[A-Za-z0-9._/@+-]+")
_USER = _Text("a user", r"[a-z_][a-z0-9_-]*")
_PORT = click.IntRange(1, 65535)
_COUNT = click.IntRange(1, 1_000_000)


class _Page(Template):
    """nginx has a use of its own for dollars."""

    delimiter = "%"


@click.command()
@click.option(
    "--server-name",
    "names",
    type=_NAME,
    multiple=True,
    required=True,
    help="A name clients use. May be repeated.",
)
@click.option(
    "--upstream",
    "upstreams",
    type=_UPSTREAM,
    multiple=True,
    default=("127.0.0.1:8000",),
    show_default=True,
    help="A server of the installation. May be repeated.",
)
@click.option(
    "--origin",
    "origins",
    type=_ORIGIN,
    multiple=True,
    help="An origin whose pages may call. May be repeated.",
)
@click.option(
    "--certificate",
    type=_PATH,
    help="The certificate and its chain, PEM. [Let's Encrypt's, of the first name]",
)
@click.option("--certificate-key", type=_PATH, help="Its private key, PEM. [the same]")
@click.option(
    "--address",
    "addresses",
    type=_ADDRESS,
    multiple=True,
    default=("0.0.0.0", "[::]"),  # noqa: S104  # nosec B104 - it is a public server
    show_default=True,
    help="Where to listen. May be repeated.",
)
@click.option("--https-port", type=_PORT, default=443, show_default=True, help="The port of the platform.")
@click.option("--http-port", type=_PORT, default=80, show_default=True, help="The port that only redirects.")
@click.option(
    "--balancer",
    "balancers",
    type=_Network(),
    multiple=True,
    help="A network whose X-Forwarded-For is believed: that of a balancer in front. May be repeated.",
)
@click.option(
    "--address-rate", type=_COUNT, default=50, show_default=True, help="Requests per second of one address."
)
@click.option(
    "--address-connections", type=_COUNT, default=1000, show_default=True, help="Connections of one address."
)
@click.option(
    "--answer-seconds",
    type=click.IntRange(1, 3600),
    default=60,
    show_default=True,
    help="How long a server may take to answer a request.",
)
@click.option(
    "--acme-root", type=_PATH, default="/var/www/acme", show_default=True, help="Where ACME puts its answers."
)
@click.option("--log-dir", type=_PATH, default="/var/log/nginx", show_default=True, help="Where logs go.")
@click.option("--user", type=_USER, default="www-data", show_default=True, help="Whom workers run as.")
def nginx_config(
    names: tuple[str, ...],
    upstreams: tuple[str, ...],
    origins: tuple[str, ...],
    certificate: str | None,
    certificate_key: str | None,
    addresses: tuple[str, ...],
    https_port: int,
    http_port: int,
    balancers: tuple[str, ...],
    address_rate: int,
    **as_given: Any,
) -> None:
    """Write a whole nginx.conf to standard output: TLS, WebSockets, CORS, limits, logs without secrets.

    The servers behind it need ARTCAFE_TRUSTED_PROXIES (the address nginx comes from), ARTCAFE_PUBLIC_URL
    (wss://NAME) and, for dashboards of other origins, ARTCAFE_ALLOWED_ORIGINS.

    \b
    Examples:
      artcafe nginx-config --server-name pubsub.example.com > /etc/nginx/nginx.conf
      artcafe nginx-config --server-name api.example.com --server-name ws.example.com \\
        --upstream 10.0.0.1:8000 --upstream 10.0.0.2:8000 --origin https://app.example.com > nginx.conf
    """
    listen = {port: [f"{address}:{port}" for address in addresses] for port in (http_port, https_port)}
    certificates = f"/etc/letsencrypt/live/{names[0]}"
    trusted = [f"set_real_ip_from {network};" for network in balancers]
    if trusted:
        trusted += ["real_ip_header X-Forwarded-For;", "real_ip_recursive on;"]
    page = _Page((files("artcafe.cli") / "nginx.conf.template").read_text(encoding="utf-8"))
    text = page.substitute(
        as_given,
        server_names=" ".join(names),
        rest_servers=_lines(8, (f"server {upstream} max_fails=0;" for upstream in upstreams)),
        websocket_servers=_lines(8, (f"server {upstream} max_fails=0;" for upstream in upstreams)),
        not_sent=_not_sent(upstreams[:MOST_TRIED]),
        origins=_lines(8, (f'"{origin}" 1;' for origin in origins)),
        certificate=certificate or f"{certificates}/fullchain.pem",
        certificate_key=certificate_key or f"{certificates}/privkey.pem",
        catch_all=_lines(8, (f"listen {at} default_server backlog=4096;" for at in listen[http_port]))
        + _lines(8, (f"listen {at} ssl http2 default_server backlog=4096;" for at in listen[https_port])),
        http_listen=_lines(8, (f"listen {at};" for at in listen[http_port])),
        https_listen=_lines(8, (f"listen {at} ssl http2;" for at in listen[https_port])),
        https_port="" if https_port == 443 else f":{https_port}",
        balancers=_lines(4, trusted),
        address_rate=address_rate,
        address_burst=2 * address_rate,
    )
    click.echo(text, nl=False)


def _not_sent(upstreams: Sequence[str]) -> str:
    """Locations that try a server each with a change that no server before was sent."""
    lines: list[str] = []
    for number, upstream in enumerate(upstreams, 1):
        after = f"= @not_sent_{number + 1}" if number < len(upstreams) else "@problem"
        lines += [
            f"location @not_sent_{number} {{",
            "    if ($upstream_bytes_sent ~ [1-9]) {",
            "        return 419;",
            "    }",
            "    proxy_next_upstream off;",
            "    error_page 403 404 405 408 413 429 500 503 @problem;",
            "    error_page 419 =504 @problem;",
            f"    error_page 502 504 {after};",
            f"    proxy_pass http://{upstream};",
            "}",
        ]
    return _lines(8, lines)


def _lines(indent: int, directives: Iterable[str]) -> str:
    return "".join(f"{' ' * indent}{directive}\n" for directive in directives)
