"""The server's name in challenges, and the proxies trusted for clients' addresses."""

from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network

from artcafe.server.process import Place
from artcafe.server.settings import LOOPBACK, Settings


def server_name(settings: Settings, place: Place) -> Callable[[str], str]:
    """The server name that agents sign: never one that a client made up, so a login cannot be relayed.

    Without a public address, a loopback name with the right port is as good as the place itself.
    """

    ours = {f"{name}:{place.port}" for name in LOOPBACK}

    def name(host: str) -> str:
        if settings.public_url is not None:
            return settings.public_url
        if host in ours:
            return f"ws://{host}"
        return place.url.replace("http://", "ws://", 1)

    return name


def trusted_proxies(settings: Settings) -> list[IPv4Network | IPv6Network]:
    """The networks whose X-Forwarded-For is believed."""
    networks = settings.trusted_proxies.split(",")
    return [ip_network(network.strip()) for network in networks if network.strip()]
