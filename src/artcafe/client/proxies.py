"""Selects the proxy for an address, by the environment (curl(1), ENVIRONMENT)."""

import ipaddress
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

_OF_SCHEME = {"http": "http", "ws": "http", "https": "https", "wss": "https"}
_USABLE = {"http", "https"}


def proxy_for(url: str) -> str | None:
    """The proxy to use for this http, https, ws or wss address; None for none, as for this machine.

    It is HTTP_PROXY or HTTPS_PROXY, else ALL_PROXY, unless NO_PROXY names the host; a name in lower case
    counts as well. Raises bad_request for a proxy of a kind that is not spoken here, such as SOCKS.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_this_machine(host) or proxy_bypass(host):
        return None
    named = getproxies()
    kind = _OF_SCHEME.get(parts.scheme, "all")
    kind = kind if kind in named else "all"
    proxy = named.get(kind)
    if not proxy:
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    # What it names may hold a password, so only the variable is told.
    scheme = proxy.partition("://")[0]
    if scheme not in _USABLE or not _is_address(proxy):
        raise ArtcafeError(
            Code.bad_request,
            f"The proxy that {kind.upper()}_PROXY names cannot be used: http:// and https:// ones can. "
            f"NO_PROXY={host} goes without.",
        )
    return proxy


def is_this_machine(host: str) -> bool:
    """Whether the host is this machine, which no proxy can reach."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
