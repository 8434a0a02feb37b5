"""Addresses of nats-servers, and the pool of those that a link tries, in order."""

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

_PORT = 4222


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """The address of a nats-server. With `secure`, nothing is sent to it without TLS."""

    host: str
    port: int
    secure: bool
    name: str
    """The name its certificate has to hold."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def server_address(url: str) -> ServerAddress:
    """Read `nats://host:port` or `tls://host:port`. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in {"nats", "tls"} or not parts.hostname:
        raise ValueError(f"not the address of a NATS server: {url}")
    return ServerAddress(parts.hostname, parts.port or _PORT, parts.scheme == "tls", parts.hostname)


class ServerPool:
    """The configured servers, always, and those that the cluster announces, while it does."""

    def __init__(
        self, urls: Sequence[str], draw: Callable[[], float], others: Iterable[ServerAddress] = ()
    ) -> None:
        """Begin in an order by `draw`, from [0, 1), so that processes spread; behind them come the `others`,
        of which somebody else was told. Raises ValueError."""
        self._configured = [server_address(url) for url in urls]
        if len(self._configured) > 1:
            self._configured.sort(key=lambda _: draw())
        places = {(each.host, each.port) for each in self._configured}
        self._known = [*self._configured, *(each for each in others if (each.host, each.port) not in places)]

    def __len__(self) -> int:
        return len(self._known)

    def order(self) -> tuple[ServerAddress, ...]:
        """Returns the servers in the order in which they are tried."""
        return tuple(self._known)

    def failed(self, server: ServerAddress) -> None:
        """Try this server after all others next time."""
        if server in self._known:
            self._known.remove(server)
            self._known.append(server)

    def learn(self, source: ServerAddress, addresses: Sequence[str]) -> None:
        """Take the `connect_urls` of a server's INFO: host:port of every server of its cluster.

        As secure as the one that told it. An address without a name has to prove the teller's.
        An address that cannot be read is not used.
        """
        told: list[ServerAddress] = []
        for address in addresses:
            try:
                parts = urlsplit(f"//{address}")
                host, port = parts.hostname, parts.port
            except ValueError:
                continue
            if host and port:
                told.append(ServerAddress(host, port, source.secure, source.name if _is_ip(host) else host))
        places = {(each.host, each.port) for each in told}
        configured = {(each.host, each.port) for each in self._configured}
        self._known = [
            each for each in self._known if (each.host, each.port) in places or each in self._configured
        ]
        known = configured | {(each.host, each.port) for each in self._known}
        self._known += [each for each in told if (each.host, each.port) not in known]


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
