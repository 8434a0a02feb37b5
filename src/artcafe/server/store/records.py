"""Records in items, of any release. An unreadable record is reported, and does not hide the others."""

from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

import msgspec

from artcafe.server.events import RecordUnreadable, note
from artcafe.server.store.item import Item, Json
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

R = TypeVar("R", bound=msgspec.Struct)

FORMAT: Final = 1
"""The newest format of records that this release reads. A record that says nothing in `v` has the first one.

A release that writes into a record what older ones must not act without, a restriction say, writes the next
number into `v`. What may be overlooked needs none: it is a field with a default, and stays (unknown.py).
"""


def record_in(item: Item, kind: type[R], held: Mapping[str, Json] | None = None) -> R:
    """The record in an item, or in `held`, when more items than this one hold it.

    Raises unreadable_record for one that lacks a field, has a value that this release does not know, or a
    newer format; the log says which record, and what is wrong.
    """
    found = item.data if held is None else held
    version = found.get("v", FORMAT)
    try:
        if not isinstance(version, int) or version > FORMAT:
            raise msgspec.ValidationError(f"Its format is {version}, this release reads {FORMAT}.")
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        note(RecordUnreadable(record=f"{item.pk}/{item.sk}", reason=f"{error}"))
        raise ArtcafeError(
            Code.unreadable_record,
            "This server cannot read the record: it is damaged, or of a newer release.",
        ) from error


def readable(items: Iterable[Item], kind: type[R]) -> tuple[list[R], list[Item]]:
    """The records in these items, and those that cannot be read."""
    records: list[R] = []
    unreadable: list[Item] = []
    for item in items:
        try:
            records.append(record_in(item, kind))
        except ArtcafeError:
            unreadable.append(item)
    return records, unreadable
