"""Header blocks of NATS messages: docs.nats.io, "Client Protocol", HPUB and HMSG."""

import re
from collections.abc import Mapping

_VERSION = b"NATS/1.0"
_NAME = re.compile(r"[!-9;-~]+")
_VALUE = re.compile(r"[^\x00-\x1f\x7f]*")


def encode_headers(headers: Mapping[str, str]) -> bytes:
    """Returns the header block with the blank line that ends it; empty for no headers.

    Raises ValueError for a name that is not printable ASCII without a colon, and for a value with a control
    character: either could add a header, or end the block.
    """
    if not headers:
        return b""
    lines = [_VERSION]
    for name, value in headers.items():
        if _NAME.fullmatch(name) is None or _VALUE.fullmatch(value) is None:
            raise ValueError(f"not a header of a NATS message: {name!r}")
        lines.append(f"{name}: {value}".encode())
    return b"\r\n".join((*lines, b"", b""))


def status_of(headers: bytes) -> int:
    """Returns the status in the first line of a header block (`NATS/1.0 503`), and 0 where there is none."""
    words = headers.partition(b"\r\n")[0].split()
    if len(words) < 2 or words[0] != _VERSION or not words[1].isdigit() or len(words[1]) > 3:
        return 0
    return int(words[1])
