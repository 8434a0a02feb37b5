"""The HTTP side of a WebSocket: the request to upgrade, and the answer (RFC 6455 section 4.2)."""

import base64
import binascii
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qs, unquote, urlsplit

from artcafe.server.domain.addresses import Networks, client_address
from artcafe.server.gateway.websocket.peer import Handler
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.problem import MEDIA_TYPE, document
from artcafe.wire.problem import headers as headers_of

__all__ = ["Accept", "Endpoint", "Networks", "Refuse", "Upgrade", "read_upgrade"]

_MOST_PARAMETERS = 32


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A client asks for a WebSocket; the handshake itself is known to be sound.

    `path` is percent-decoded. `headers` have lower-case names; what came several times is joined by
    ", ". `protocols` are the offered subprotocols, the client's favourite first. `remote` is the
    client's IP address: the one that a trusted proxy vouches for, else the socket's, "" for a Unix
    socket. Headers and query may hold secrets, so they stay out of the repr.
    """

    path: str
    query: Mapping[str, list[str]] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    protocols: Sequence[str]
    remote: str
    host: str

    def parameter(self, name: str) -> str | None:
        """The first of this name in the query, or None."""
        values = self.query.get(name)
        return values[0] if values else None


@dataclass(frozen=True, slots=True)
class Accept:
    """Let the client in. `protocol` is one of those it offered, or None."""

    handler: Handler
    protocol: str | None = None


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer with an HTTP error instead; `problem` is an application/problem+json document."""

    status: int
    problem: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def because(
        cls, error: ArtcafeError, *, status: int | None = None, headers: Mapping[str, str] | None = None
    ) -> "Refuse":
        """The answer that REST gives to the same error (RFC 9457), unless another status is told."""
        status = status or error.code.http
        named = {**headers_of(error, status), **(headers or {})}
        return cls(status, json.dumps(document(error, status)).encode(), named)

    def response(self, defaults: Sequence[tuple[bytes, bytes]] = ()) -> bytes:
        """The whole HTTP/1.1 response, after which the connection closes."""
        lines = [b"HTTP/1.1 %d %b" % (self.status, HTTPStatus(self.status).phrase.encode())]
        lines += [b"%b: %b" % header for header in defaults]
        lines += [f"{name}: {value}".encode("latin-1") for name, value in self.headers.items()]
        lines += [
            b"content-type: " + MEDIA_TYPE.encode(),
            b"content-length: %d" % len(self.problem),
            b"connection: close",
        ]
        return b"\r\n".join([*lines, b"", self.problem])


Endpoint = Callable[[Upgrade], Awaitable[Accept | Refuse]]
"""Decides about a client that wants in, also on paths that nobody serves (not_found).

It may take its time, `SocketLimits.handshake_seconds` at most, and is cancelled when the client leaves.
An ArtcafeError that it raises is a refusal; any other exception is logged and answered with 500.
"""


def read_upgrade(head: bytes, address: str, proxies: Networks = ()) -> Upgrade | Refuse:
    """Read and check a request to upgrade, up to its empty line; `address` is the socket's peer.

    A request that is not a sound handshake (RFC 6455 section 4.2.1) is refused here: 405 for
    another method than GET, 426 for another version than 13, else 400.
    """
    request, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = request.split(" ", 2)
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            name, value = name.lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    unsound = _unsound(method, headers)
    if unsound is not None:
        return unsound
    try:
        path, _, query = _origin_form(target).partition("?")
        parameters = parse_qs(query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        return _bad_request("The target of the request cannot be read, or has too many parameters.")
    offered = (name.strip() for name in headers.get("sec-websocket-protocol", "").split(","))
    return Upgrade(
        path=unquote(path),
        query=parameters,
        headers=headers,
        protocols=tuple(name for name in offered if name),
        remote=client_address(address, (headers.get("x-forwarded-for", ""),), proxies),
        host=headers["host"],
    )


def _unsound(method: str, headers: Mapping[str, str]) -> Refuse | None:
    if method != "GET":
        error = ArtcafeError(Code.method_not_allowed, "A WebSocket starts with GET.")
        return Refuse.because(error, headers={"allow": "GET"})
    if headers.get("sec-websocket-version") != "13":
        error = ArtcafeError(Code.bad_request, "Only version 13 of WebSocket is spoken here.")
        named = {"sec-websocket-version": "13", "upgrade": "websocket"}
        return Refuse.because(error, status=HTTPStatus.UPGRADE_REQUIRED, headers=named)
    try:
        key = base64.b64decode(headers.get("sec-websocket-key", ""), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 16:
        return _bad_request("Sec-WebSocket-Key must be 16 bytes in base64.")
    if "," in headers.get("host", ","):
        return _bad_request("There must be one Host header.")
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        return _bad_request("A request to upgrade has no body.")
    return None


def _bad_request(message: str) -> Refuse:
    return Refuse.because(ArtcafeError(Code.bad_request, message))


def _origin_form(target: str) -> str:
    """Path and query; an absolute target is as good (RFC 9112 section 3.2.2)."""
    if target.startswith("/"):
        return target
    parts = urlsplit(target)
    return f"{parts.path or '/'}?{parts.query}"
