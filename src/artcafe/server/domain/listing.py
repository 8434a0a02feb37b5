"""Lists in pages: filtered, sorted, and continued where the page before ended."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import msgspec

from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

MOST_SORTED = 10_000
"""Records that are sorted by anything but their id: all of them are read for every page."""

MOST_FETCHED = 20
"""Pages of the store that are read to fill one page of what a filter lets through."""

_PART = 1000


class Named(Protocol):
    """A record with an id."""

    @property
    def id(self) -> str:
        """Unique in its list."""
        ...


T = TypeVar("T")
N = TypeVar("N", bound=Named)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Part of a list, in byte order of the ids unless another order was asked for. The end is reached
    when `cursor` is None, not before."""

    items: list[T]
    cursor: str | None


Fetch = Callable[[int, str | None], Awaitable[Page[N]]]
"""Gives the page of so many records at most that begins at a cursor, by id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query(Generic[N]):
    """What part of a list is asked for. `order` is the name of a field, with `-` in front the other way
    round, great and small letters alike; records that are equal in it stand by id. `keep` tells what is
    in the list at all."""

    limit: int
    cursor: str | None = None
    order: str = "id"
    keep: Callable[[N], bool] = lambda _: True


async def page_of(query: Query[N], fetch: Fetch[N]) -> Page[N]:
    """The page that is asked for.

    By id a page may be short, or empty, and still have a next one. Raises bad_request for a cursor that
    no page of this list gave, quota_exceeded for more than MOST_SORTED records in another order.
    """
    if query.order == "id":
        return await _by_id(query, fetch)
    return await _sorted(query, fetch)


async def _by_id(query: Query[N], fetch: Fetch[N]) -> Page[N]:
    found: list[N] = []
    cursor = query.cursor
    for _ in range(MOST_FETCHED):
        page = await fetch(query.limit - len(found), cursor)
        found += [record for record in page.items if query.keep(record)]
        cursor = page.cursor
        if cursor is None or len(found) == query.limit:
            break
    return Page(found, cursor)


async def _sorted(query: Query[N], fetch: Fetch[N]) -> Page[N]:
    name, backwards = query.order.removeprefix("-"), query.order.startswith("-")

    def place(record: N) -> tuple[str, str]:
        return f"{getattr(record, name)}".casefold(), record.id

    records: list[N] = []
    cursor = None
    while True:
        page = await fetch(_PART, cursor)
        records += page.items
        if len(records) > MOST_SORTED:
            raise ArtcafeError(
                Code.quota_exceeded, f"A list of more than {MOST_SORTED} is given by id, in no other order."
            )
        cursor = page.cursor
        if cursor is None:
            break
    records = sorted(filter(query.keep, records), key=place, reverse=backwards)
    if query.cursor is not None:
        after = _place(query.cursor)
        records = [
            record for record in records if (place(record) < after if backwards else place(record) > after)
        ]
    shown = records[: query.limit]
    more = len(records) > len(shown)
    return Page(shown, msgspec.json.encode(place(shown[-1])).decode() if more else None)


def _place(cursor: str) -> tuple[str, str]:
    try:
        return msgspec.json.decode(cursor, type=tuple[str, str])
    except msgspec.MsgspecError:
        raise ArtcafeError(Code.bad_request, "The page token does not belong to this list.") from None
