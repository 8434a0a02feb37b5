"""Parses the head of a request strictly (RFC 9112); a head that two parsers could read differently is
refused.

The body's length, the host and the upgrade are decided here, on the bytes of the whole head. httptools
then parses the same bytes again and has to agree.
"""

import re
from typing import NamedTuple, NoReturn

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
_FIELD = re.compile(rb"([^:]++):[ \t]*+([^\r]*+)\r\n")
_FRAMING = frozenset({b"host", b"content-length", b"transfer-encoding", b"upgrade", b"connection"})
_UPGRADE_LINES = re.compile(rb"^upgrade:[^\r]*+\r\n", re.IGNORECASE | re.MULTILINE)
_HOST = re.compile(rb"(?:[A-Za-z0-9._~%!$&'()*+;=-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_LENGTH = re.compile(rb"[0-9]{1,%d}" % MOST_DIGITS)
_ABSOLUTE = re.compile(rb"https?://[^/?]+", re.IGNORECASE)
_BARE_LF = re.compile(rb"(?<!\r)\n")
_FIRST_BYTES = frozenset(b"!#$%&'*+.^_`|~-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


Fields = list[tuple[bytes, bytes]]


class Head(NamedTuple):
    """A sound head. `length` is that of the body in bytes, None for a chunked one.

    `path` and `query` are as they were sent; `fields` have their names in lower case. Offers to upgrade
    are ignored (RFC 9110 section 7.8), and stand neither in `fields` nor in `raw`, the head's bytes. With
    `websocket` the client asks to speak WebSocket from here on; whether its handshake is sound is not
    decided here.
    """

    method: bytes
    path: bytes
    query: bytes
    minor: int
    length: int | None
    websocket: bool
    fields: Fields
    raw: bytes


def read_head(raw: bytes, most_fields: int) -> Head:
    """Read a whole head, its empty line included.

    Raises ArtcafeError: headers_too_large for more fields, else bad_request.
    """
    if raw.count(b"\n") - 2 > most_fields:
        raise ArtcafeError(Code.headers_too_large, f"A request has {most_fields} header fields at most.")
    match = _HEAD.fullmatch(raw)
    if match is None:
        _refuse("The head of the request breaks RFC 9112.")
    method, target, version, lines = match.groups()
    minor = 1 if version == b"1" else 0
    fields = [(name.lower(), value.rstrip(b" \t")) for name, value in _FIELD.findall(lines)]
    named: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        if name in _FRAMING:
            named.setdefault(name, []).append(value)
    _check_host(named.get(b"host", []), minor)
    length = _length(named, minor)
    offers = named.get(b"upgrade")
    websocket = False
    if offers is not None:
        # An offer over HTTP/1.0 has no meaning (RFC 9110 section 7.8).
        asked = minor == 1 and b"upgrade" in _tokens(named.get(b"connection", []))
        websocket = asked and b"websocket" in _tokens(offers)
        if not websocket:
            fields = [field for field in fields if field[0] != b"upgrade"]
            raw = raw[: match.start(4)] + _UPGRADE_LINES.sub(b"", lines) + b"\r\n"
    if method == b"CONNECT":
        _refuse("There is no tunnel here.")
    path, _, query = _origin_form(target).partition(b"?")
    return Head(method, path, query, minor, length, websocket, fields, raw)


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
