"""Pagination: filtered, sorted lists, continued after the last record of the page before.

A walk over the pages is no snapshot. By id, a record that is there all the time comes exactly once, whatever
else is made, changed or removed meanwhile. In another order that is promised of records whose place in the
order does not change; one that is changed meanwhile, in a walk by `updated_at` above all, may come twice or
not at all.
"""

import heapq
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import msgspec

from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

MOST_SORTED = 10_000
"""Records that are sorted by anything but their id: what they are sorted by is read of all of them for every
page."""

MOST_FETCHED = 20
"""Pages of the store that are read to fill one page of what a filter lets through."""

MOST_UNREADABLE = 200
"""Records that a page names because they cannot be read, where it does not end with them."""

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
    when `cursor` is None, not before. `unreadable` are the ids of records that belong here and cannot be
    read; a page in another order names those of the whole list, MOST_UNREADABLE at most."""

    items: list[T]
    cursor: str | None
    unreadable: tuple[str, ...] = ()


Fetch = Callable[[int, str | None], Awaitable[Page[N]]]
"""Gives the page of so many records at most that begins at a cursor, by id."""


@dataclass(frozen=True, slots=True)
class Source(Generic[N]):
    """The source of a list's records: a page of them; a page of their heads, records without their details;
    and some by their ids, in this order, without those that are gone.

    The first two raise bad_request for a cursor that no earlier page gave."""

    page: Fetch[N]
    heads: Fetch[N]
    some: Callable[[Sequence[str]], Awaitable[Page[N]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query(Generic[N]):
    """The part of a list that is asked for. `order` is the name of a field, descending with `-` in front,
    case-insensitive; equal records are ordered by id. `keep` is the filter; `whole` says whether it has to
    see more of a record than its head."""

    limit: int
    cursor: str | None = None
    order: str = "id"
    keep: Callable[[N], bool] = lambda _: True
    whole: bool = False


async def page_of(query: Query[N], source: Source[N]) -> Page[N]:
    """The page that is asked for. What is held in memory is a page of the store and the page that is given.

    By id a page may be short, or empty, and still have a next one. Raises bad_request for a cursor that
    no page of this list gave, quota_exceeded for more than MOST_SORTED records in another order.
    """
    if query.order == "id":
        return await by_id(query, source.page)
    return await _sorted(query, source)


async def by_id(query: Query[N], fetch: Fetch[N]) -> Page[N]:
    """The page that is asked for, by id."""
    found: list[N] = []
    unreadable: list[str] = []
    cursor = query.cursor
    for _ in range(MOST_FETCHED):
        asked = query.limit - len(found)
        page = await fetch(asked, cursor)
        found += [record for record in page.items if query.keep(record)]
        unreadable += page.unreadable
        cursor = page.cursor
        # A page that the store cut short held much: another one is not put on top of it.
        if cursor is None or len(found) == query.limit or (found and len(page.items) < asked):
            break
    return Page(found, cursor, tuple(unreadable))


async def _sorted(query: Query[N], source: Source[N]) -> Page[N]:
    name, backwards = query.order.removeprefix("-"), query.order.startswith("-")

    def place(record: N) -> tuple[str, str]:
        return f"{getattr(record, name)}".casefold(), record.id

    after = None if query.cursor is None else _place(query.cursor)
    first = heapq.nlargest if backwards else heapq.nsmallest
    fetch = source.page if query.whole else source.heads
    best: list[tuple[str, str]] = []  # One more than is shown, to see whether there is more.
    unreadable: list[str] = []
    seen, cursor = 0, None
    while True:
        page = await fetch(_PART, cursor)
        seen += len(page.items)
        if seen > MOST_SORTED:
            raise ArtcafeError(
                Code.quota_exceeded, f"A list of more than {MOST_SORTED} is given by id, in no other order."
            )
        places = (place(record) for record in page.items if query.keep(record))
        if after is not None:
            places = (it for it in places if (it < after if backwards else it > after))
        best = first(query.limit + 1, (*best, *places))
        unreadable += page.unreadable[: MOST_UNREADABLE - len(unreadable)]
        cursor = page.cursor
        if cursor is None:
            break
    shown = best[: query.limit]
    records = await source.some([which for _, which in shown])
    ends = msgspec.json.encode(shown[-1]).decode() if len(best) > len(shown) else None
    return Page(records.items, ends, (*unreadable, *records.unreadable))


def _place(cursor: str) -> tuple[str, str]:
    try:
        return msgspec.json.decode(cursor, type=tuple[str, str])
    except msgspec.MsgspecError:
        raise ArtcafeError(Code.bad_request, "The page token does not belong to this list.") from None
