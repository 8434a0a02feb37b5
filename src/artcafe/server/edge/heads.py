"""The head of a request, read strictly (RFC 9112): what two parsers could read differently is refused.

The body's length, the host and the upgrade are decided here, on the bytes of the whole head. httptools
then parses the same bytes again and has to agree.
"""

import re
from dataclasses import dataclass, field
from typing import NoReturn

from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

HEAD_END = b"\r\n\r\n"

MOST_DIGITS = 18
"""Of a Content-Length: what 64 bits hold for certain."""

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
# Possessive: each byte is looked at once, whatever is sent. A fragment is not a part of a target.
_HEAD = re.compile(
    rb"(%b) ([!\"$-~]++) HTTP/1\.([01])\r\n((?:%b:[\t -~\x80-\xff]*+\r\n)*+)\r\n" % (_TOKEN, _TOKEN)
)
_FIELDS = re.compile(
    rb"^(host|content-length|transfer-encoding|upgrade|connection):([^\r]*+)\r$", re.IGNORECASE | re.MULTILINE
)
_UPGRADE_LINES = re.compile(rb"^upgrade:[^\r]*+\r\n", re.IGNORECASE | re.MULTILINE)
_HOST = re.compile(rb"(?:[A-Za-z0-9._~%!$&'()*+;=-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_LENGTH = re.compile(rb"[0-9]{1,%d}" % MOST_DIGITS)
_ABSOLUTE = re.compile(rb"https?://[^/?]+", re.IGNORECASE)
_BARE_LF = re.compile(rb"(?<!\r)\n")
_FIRST_BYTES = frozenset(b"!#$%&'*+.^_`|~-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


@dataclass(frozen=True, slots=True)
class Head:
    """A sound head. `length` is that of the body in bytes, None for a chunked one.

    `path` and `query` are as they were sent. `raw` is the head without offers to upgrade, which are
    ignored (RFC 9110 section 7.8). With `websocket` the client asks to speak WebSocket from here on;
    whether its handshake is sound is not decided here.
    """

    method: bytes
    path: bytes
    query: bytes
    minor: int
    length: int | None
    websocket: bool
    raw: bytes = field(repr=False)


def read_head(raw: bytes, most_fields: int) -> Head:
    """Read a whole head, its empty line included.

    Raises ArtcafeError: headers_too_large for more fields, else bad_request.
    """
    if raw.count(b"\n") - 2 > most_fields:
        raise ArtcafeError(Code.headers_too_large, f"A request has {most_fields} header fields at most.")
    match = _HEAD.fullmatch(raw)
    if match is None:
        _refuse("The head of the request breaks RFC 9112.")
    method, target, version, fields = match.groups()
    minor = 1 if version == b"1" else 0
    named: dict[bytes, list[bytes]] = {}
    for name, value in _FIELDS.findall(fields):
        named.setdefault(name.lower(), []).append(value.strip(b" \t"))
    _check_host(named.get(b"host", []), minor)
    length = _length(named, minor)
    offers = named.get(b"upgrade")
    websocket = False
    if offers is not None:
        # An offer over HTTP/1.0 has no meaning (RFC 9110 section 7.8).
        asked = minor == 1 and b"upgrade" in _tokens(named.get(b"connection", []))
        websocket = asked and b"websocket" in _tokens(offers)
        raw = raw if websocket else raw[: match.start(4)] + _UPGRADE_LINES.sub(b"", fields) + b"\r\n"
    if method == b"CONNECT":
        _refuse("There is no tunnel here.")
    path, _, query = _origin_form(target).partition(b"?")
    return Head(method, path, query, minor, length, websocket, raw)


def is_hopeless(start: bytes | bytearray, since: int) -> bool:
    """Tell whether this beginning of a head cannot become a sound one; all before `since` was asked already.

    It finds early what would otherwise wait for its deadline: TLS on a plain port, lines that end in LF.
    """
    if start[0] not in _FIRST_BYTES:
        return True
    return _BARE_LF.search(start, max(since, 1)) is not None


def _check_host(hosts: list[bytes], minor: int) -> None:
    """RFC 9112 section 3.2: one, and nothing else but a host and a port."""
    if len(hosts) > 1 or (minor == 1 and not hosts):
        _refuse("There must be one Host header.")
    if hosts and _HOST.fullmatch(hosts[0]) is None:
        _refuse("The Host header is not a host with a port.")


def _length(named: dict[bytes, list[bytes]], minor: int) -> int | None:
    """Bytes of the body, None for chunked (RFC 9112 section 6.3). Whatever is ambiguous is refused."""
    codings = named.get(b"transfer-encoding")
    lengths = named.get(b"content-length")
    if codings is not None:
        if lengths is not None:
            _refuse("Transfer-Encoding and Content-Length exclude each other.")
        if minor == 0:
            _refuse("There is no Transfer-Encoding in HTTP/1.0.")
        if len(codings) > 1 or codings[0].lower() != b"chunked":
            _refuse("The only transfer coding here is chunked.")
        return None
    if lengths is None:
        return 0
    if len(lengths) > 1 or _LENGTH.fullmatch(lengths[0]) is None:
        _refuse("There must be one Content-Length, in digits.")
    return int(lengths[0])


def _tokens(values: list[bytes]) -> set[bytes]:
    return {token.strip(b" \t").lower() for value in values for token in value.split(b",")}


def _origin_form(target: bytes) -> bytes:
    """Path and query; an absolute target is as good (RFC 9112 section 3.2.2)."""
    if target.startswith(b"/"):
        return target
    authority = _ABSOLUTE.match(target)
    if authority is None:
        _refuse("The target of the request must be a path, or an http:// address.")
    rest = target[authority.end() :]
    return rest if rest.startswith(b"/") else b"/" + rest


def _refuse(why: str) -> NoReturn:
    raise ArtcafeError(Code.bad_request, why)
