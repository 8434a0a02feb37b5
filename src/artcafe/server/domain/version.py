"""Versions of records, for optimistic concurrency (RFC 9110 section 13.1.1)."""

from typing import Protocol
from zlib import crc32

from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError


class Versioned(Protocol):
    """A record that counts its changes."""

    @property
    def version(self) -> int:
        """Goes up with every change."""
        ...

    @property
    def created_at(self) -> str:
        """Tells a record from an earlier one of the same id."""
        ...


def tag(record: Versioned) -> str:
    """The entity tag of a record as it is now, quotes included."""
    return f'"{record.version}-{crc32(record.created_at.encode()):08x}"'


def require_match(record: Versioned, if_match: str | None) -> None:
    """Raises precondition_failed unless the value of If-Match, where there is one, names the record as
    it is."""
    if if_match is None or if_match.strip() == "*":
        return
    if tag(record) not in (word.strip() for word in if_match.split(",")):
        raise ArtcafeError(Code.precondition_failed, "Somebody else changed it meanwhile; read it again.")
