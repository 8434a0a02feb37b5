"""Network addresses as proxies and browsers write them: the client's IP address, the page's origin."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Networks = Sequence[IPv4Network | IPv6Network]

MAX_PROXIES = 32
"""How many trusted proxies may stand in a row; what is further left is not read."""

_HOST_BITS = 64

_MAX_TEXT = 64  # characters; an IPv6 address with brackets and port has at most 53

_DEFAULT_PORTS = {"http": "80", "https": "443"}


def client_address(peer: str, forwarded_for: Sequence[str], proxies: Networks) -> str:
    """The IP address of the client: the rightmost address that is no trusted proxy's.

    `peer` is the socket's other end; `forwarded_for` are the values of all X-Forwarded-For lines, in their
    order. Each proxy appends who called it, on the last line or on a line of its own, so the header is
    believed from the right, and only as far as trusted proxies wrote it: the rest is whatever the client
    made up. An element is an IPv4 or IPv6 address, with or without a port and brackets; reading stops at
    one that is neither, and the last trusted proxy counts as the client. IPv4-mapped addresses are given
    as IPv4, zones of link-local addresses are left out. A `peer` that is no IP address (a Unix socket's)
    is given back as it is.
    """
    ip = _address(peer)
    if ip is None:
        return peer
    elements = ",".join(forwarded_for).rsplit(",", MAX_PROXIES)[-MAX_PROXIES:]
    while elements and any(ip in network for network in proxies):
        before = _address(elements.pop())
        if before is None:
            break
        ip = before
    return str(ip)


def network_of(address: str) -> str:
    """The network that one client is assumed to own: an IPv4 address itself, the /64 of an IPv6 one. Other
    texts stay.

    Whatever is counted by address is counted by this.
    """
    if ":" not in address:
        return address
    ip = _address(address)
    if not isinstance(ip, IPv6Address):
        return address if ip is None else str(ip)
    return str(IPv6Network((int(ip) >> _HOST_BITS << _HOST_BITS, 128 - _HOST_BITS)))


def is_own_origin(origin: str, host: str) -> bool:
    """Whether a page of this origin (RFC 6454 section 7) was served under this Host header.

    A port that is left out is the default one of the origin's scheme.
    """
    scheme, separator, authority = origin.partition("://")
    if not separator or not authority:
        return False
    default = _DEFAULT_PORTS.get(scheme.lower(), "")
    return _host_and_port(authority, default) == _host_and_port(host, default)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    text = text.strip()
    if len(text) > _MAX_TEXT:
        return None
    if text.startswith("["):
        text, bracket, rest = text[1:].partition("]")
        if not bracket or not (rest == "" or (rest.startswith(":") and _is_port(rest[1:]))):
            return None
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if not _is_port(port):
            return None
    try:
        ip = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) <= 65_535


def _host_and_port(authority: str, default: str) -> tuple[str, str]:
    host, colon, port = authority.lower().rpartition(":")
    if colon and port.isdigit():
        return host, port
    return authority.lower().removesuffix(":"), default
