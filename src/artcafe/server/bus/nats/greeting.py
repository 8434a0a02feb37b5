"""The handshake of a connection: the server's INFO, and the client's CONNECT."""

import re

import msgspec

from artcafe.server.bus.nats.credentials import NatsCredentials
from artcafe.server.bus.nats.parser import PAYLOAD_BYTES

# NATS has it signed as it is. What does not look like one could be a text with a meaning elsewhere.
_NONCE = re.compile(r"[A-Za-z0-9_-]{8,64}")


MAX_SERVERS = 1024
"""The most addresses that a server may announce: more than a cluster has."""

MAX_ADDRESS = 512
"""The most characters of one address: more than the longest host name has."""


class Info(msgspec.Struct, frozen=True):
    """The INFO line (docs.nats.io, "Client Protocol"). The server repeats it when something changed."""

    max_payload: int = 1024 * 1024
    headers: bool = False
    tls_required: bool = False
    nonce: str = ""
    connect_urls: list[str] = []
    ldm: bool = False
    """Lame duck mode: the server is going to stop, and clients are to leave it."""


def read_info(line: bytes) -> Info:
    """Read an INFO line. Raises ValueError, also for values that no nats-server has."""
    try:
        info = msgspec.json.decode(line.removeprefix(b"INFO"), type=Info)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"no INFO that can be read: {error}") from None
    if not 1 <= info.max_payload <= PAYLOAD_BYTES:
        raise ValueError(f"an INFO with a max_payload that no nats-server has: {info.max_payload}")
    if len(info.connect_urls) > MAX_SERVERS or any(len(url) > MAX_ADDRESS for url in info.connect_urls):
        raise ValueError("an INFO with more, or longer, addresses than a cluster has")
    return info


def connect_line(info: Info, credentials: NatsCredentials, name: str, *, echo: bool) -> bytes:
    """Returns the CONNECT line with the JWT and the signed nonce; with `echo`, the server sends the client's
    own messages to its subscriptions, too.

    Raises ValueError rather than sign what is no nonce.
    """
    if _NONCE.fullmatch(info.nonce) is None:
        raise ValueError("the server asks for the signature of something that is no nonce")
    options = {
        "verbose": False,
        "pedantic": False,
        "lang": "python",
        "version": "1",
        "protocol": 1,
        "echo": echo,
        "headers": info.headers,
        "no_responders": info.headers,  # They are told by a header.
        "name": name,
        "jwt": credentials.jwt().decode(),
        "sig": credentials.sign(info.nonce).decode(),
    }
    return b"CONNECT %b\r\n" % msgspec.json.encode(options)
