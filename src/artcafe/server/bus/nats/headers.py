"""Header blocks of NATS messages: docs.nats.io, "Client Protocol", HPUB and HMSG."""

import re
from collections.abc import Mapping

NO_RESPONDERS = 503
"""The status of the server's own answer to what nobody subscribes to."""

_VERSION = b"NATS/1.0"
_NAME = re.compile(r"[!-9;-~]+")
_VALUE = re.compile(r"[^\x00-\x1f\x7f]*")


def encode_headers(headers: Mapping[str, str]) -> bytes:
    """Returns the header block with the blank line that ends it; empty for no headers.

    Raises ValueError for a name that is not printable ASCII without a colon, and for a value with a control
    character: either could add a header, or end the block.
    """
    return header_block(header_lines(headers)) if headers else b""


def header_lines(headers: Mapping[str, str]) -> bytes:
    """Returns the lines of headers, each with its end: parts of a block, in any order. Raises ValueError as
    encode_headers."""
    lines = []
    for name, value in headers.items():
        if _NAME.fullmatch(name) is None or _VALUE.fullmatch(value) is None:
            raise ValueError(f"not a header of a NATS message: {name!r}")
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines).encode()


def header_block(lines: bytes) -> bytes:
    """Returns the header block of such lines."""
    return b"%b\r\n%b\r\n" % (_VERSION, lines)


def value_of(headers: bytes, name: bytes) -> bytes | None:
    """Returns the value of the first header of that name, as it is spelled; None where there is none."""
    start = headers.find(b"\r\n%b: " % name)
    if start < 0:
        return None
    start += len(name) + 4
    return headers[start : headers.find(b"\r\n", start)]


def status_of(headers: bytes) -> int:
    """Returns the status in the first line of a header block (`NATS/1.0 503`), and 0 where there is none."""
    words = headers.partition(b"\r\n")[0].split()
    if len(words) < 2 or words[0] != _VERSION or not words[1].isdigit() or len(words[1]) > 3:
        return 0
    return int(words[1])
