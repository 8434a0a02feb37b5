"""Lists in pages: whatever the order and the filter, each record comes once."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artcafe.server.domain import listing
from artcafe.server.domain.listing import Page, Query, page_of
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError


@dataclass(frozen=True)
class Thing:
    id: str
    name: str


@dataclass
class Shelf:
    """A store of things, by id."""

    things: list[Thing]
    fetched: int = 0

    async def fetch(self, limit: int, cursor: str | None) -> Page[Thing]:
        assert limit > 0
        self.fetched += 1
        after = [thing for thing in sorted(self.things, key=lambda t: t.id) if thing.id > (cursor or "")]
        shown = after[:limit]
        return Page(shown, shown[-1].id if len(after) > limit else None)


async def everything(
    shelf: Shelf, limit: int, order: str, keep: Callable[[Thing], bool] = lambda _: True
) -> list[Thing]:
    found: list[Thing] = []
    cursor = None
    while True:
        page = await page_of(Query(limit=limit, cursor=cursor, order=order, keep=keep), shelf.fetch)
        assert len(page.items) <= limit
        found += page.items
        cursor = page.cursor
        if cursor is None:
            return found


things = st.lists(
    st.builds(Thing, st.text("abc", min_size=1, max_size=4), st.sampled_from(["x", "X", "y", "ä"])),
    unique_by=lambda thing: thing.id,
    max_size=12,
)


@given(things, st.integers(1, 5), st.sampled_from(["id", "name", "-name"]))
async def test_every_record_comes_once_in_its_order(kept: list[Thing], limit: int, order: str) -> None:
    found = await everything(Shelf(kept), limit, order)

    place = {
        "id": sorted(kept, key=lambda t: t.id),
        "name": sorted(kept, key=lambda t: (t.name.lower(), t.id)),
        "-name": sorted(kept, key=lambda t: (t.name.lower(), t.id), reverse=True),
    }
    assert found == place[order]


@given(things, st.integers(1, 5), st.sampled_from(["id", "name"]))
async def test_a_filter_hides_what_it_does_not_keep(kept: list[Thing], limit: int, order: str) -> None:
    found = await everything(Shelf(kept), limit, order, lambda thing: thing.name == "x")

    assert sorted(found, key=lambda t: t.id) == sorted(
        (thing for thing in kept if thing.name == "x"), key=lambda t: t.id
    )


async def test_a_filter_that_keeps_little_reads_on_but_not_for_ever() -> None:
    shelf = Shelf([Thing(f"{n:04}", "x") for n in range(500)] + [Thing("9999", "y")])

    page = await page_of(Query(limit=10, keep=lambda thing: thing.name == "y"), shelf.fetch)

    assert page.items == []
    assert page.cursor is not None
    assert shelf.fetched == listing.MOST_FETCHED


async def test_a_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(ArtcafeError) as refused:
        await page_of(Query(limit=1, cursor="0001", order="name"), Shelf([]).fetch)

    assert refused.value.code is Code.bad_request


async def test_too_many_to_sort_are_refused_and_still_listed_by_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MOST_SORTED", 3)
    shelf = Shelf([Thing(f"{n}", "x") for n in range(4)])

    with pytest.raises(ArtcafeError) as refused:
        await page_of(Query(limit=1, order="name"), shelf.fetch)

    assert refused.value.code is Code.quota_exceeded
    assert len(await everything(shelf, 2, "id")) == 4
