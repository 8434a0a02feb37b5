"""Lists in pages: whatever the order and the filter, each record comes once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artcafe.server.domain import listing
from artcafe.server.domain.listing import MOST_UNREADABLE, Page, Query, Source, page_of
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
    heads: int = 0
    singles: int = 0

    async def fetch(self, limit: int, cursor: str | None) -> Page[Thing]:
        assert limit > 0
        self.fetched += 1
        after = [thing for thing in sorted(self.things, key=lambda t: t.id) if thing.id > (cursor or "")]
        shown = after[:limit]
        return Page(shown, shown[-1].id if len(after) > limit else None)

    async def fetch_heads(self, limit: int, cursor: str | None) -> Page[Thing]:
        page = await self.fetch(limit, cursor)
        self.fetched -= 1
        self.heads += 1
        return page

    async def some(self, ids: Sequence[str]) -> Page[Thing]:
        self.singles += len(ids)
        known = {thing.id: thing for thing in self.things}
        return Page([known[which] for which in ids if which in known], None)

    @property
    def source(self) -> Source[Thing]:
        return Source(self.fetch, self.fetch_heads, self.some)


async def everything(
    shelf: Shelf, limit: int, order: str, keep: Callable[[Thing], bool] = lambda _: True
) -> list[Thing]:
    found: list[Thing] = []
    cursor = None
    while True:
        page = await page_of(Query(limit=limit, cursor=cursor, order=order, keep=keep), shelf.source)
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

    page = await page_of(Query(limit=10, keep=lambda thing: thing.name == "y"), shelf.source)

    assert page.items == []
    assert page.cursor is not None
    assert shelf.fetched == listing.MOST_FETCHED


async def test_a_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(ArtcafeError) as refused:
        await page_of(Query(limit=1, cursor="0001", order="name"), Shelf([]).source)

    assert refused.value.code is Code.bad_request


async def test_too_many_to_sort_are_refused_and_still_listed_by_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MOST_SORTED", 3)
    shelf = Shelf([Thing(f"{n}", "x") for n in range(4)])

    with pytest.raises(ArtcafeError) as refused:
        await page_of(Query(limit=1, order="name"), shelf.source)

    assert refused.value.code is Code.quota_exceeded
    assert len(await everything(shelf, 2, "id")) == 4


async def test_a_sorted_page_reads_the_heads_of_all_and_the_whole_of_its_own_records_alone() -> None:
    shelf = Shelf([Thing(f"{n:04}", f"{n % 7}") for n in range(2500)])

    page = await page_of(Query(limit=10, order="-name"), shelf.source)

    assert [thing.name for thing in page.items] == ["6"] * 10
    assert (shelf.heads, shelf.fetched, shelf.singles) == (3, 0, 10)


async def test_a_filter_that_looks_at_the_whole_record_is_given_it() -> None:
    shelf = Shelf([Thing(f"{n:04}", "x") for n in range(5)])

    await page_of(Query(limit=2, order="name", whole=True), shelf.source)

    assert (shelf.heads, shelf.fetched) == (0, 1)


class TestChangesBetweenPages:
    """A walk is no snapshot: what a list promises of records that change while somebody turns its pages."""

    @given(
        things,
        st.integers(1, 3),
        st.sampled_from(["id", "name", "-name"]),
        st.lists(st.lists(st.tuples(st.text("abc", min_size=1, max_size=2), st.sampled_from("wxyz-")))),
    )
    async def test_what_is_there_all_the_time_comes_once_unless_the_order_is_by_what_changes(
        self, kept: list[Thing], limit: int, order: str, changes: list[list[tuple[str, str]]]
    ) -> None:
        """Between two pages things are renamed, made, and (`-`) removed."""
        shelf = Shelf(list(kept))
        stayed, unchanged = ({thing.id for thing in kept} for _ in range(2))
        found: list[Thing] = []
        cursor = None
        for step in range(100):
            page = await page_of(Query(limit=limit, cursor=cursor, order=order), shelf.source)
            found += page.items
            cursor = page.cursor
            if cursor is None:
                break
            for which, name in changes[step] if step < len(changes) else ():
                shelf.things = [thing for thing in shelf.things if thing.id != which]
                unchanged.discard(which)
                if name == "-":
                    stayed.discard(which)
                else:
                    shelf.things.append(Thing(which, name))

        assert cursor is None
        came = [thing.id for thing in found]
        for which in stayed if order == "id" else unchanged:
            assert came.count(which) == 1
        if order == "id":
            assert came == sorted(set(came))

    @pytest.mark.parametrize(
        ("order", "came"),
        [("id", ["a", "b", "c"]), ("name", ["a", "b", "c", "a"]), ("-name", ["c", "a"])],
    )
    async def test_what_moves_in_the_order_comes_twice_or_not_at_all(
        self, order: str, came: list[str]
    ) -> None:
        """As in a walk by `updated_at`: whatever is changed becomes the last one."""
        shelf = Shelf([Thing("a", "1"), Thing("b", "2"), Thing("c", "3")])
        first = await page_of(Query(limit=1, order=order), shelf.source)
        changed = "b" if order == "-name" else "a"
        shelf.things = [Thing(thing.id, "4") if thing.id == changed else thing for thing in shelf.things]

        rest = await page_of(Query(limit=10, cursor=first.cursor, order=order), shelf.source)

        assert [thing.id for thing in (*first.items, *rest.items)] == came


async def test_a_record_that_goes_while_its_page_is_made_is_left_out() -> None:
    shelf = Shelf([Thing(f"{n}", "x") for n in range(3)])

    async def gone(_: Sequence[str]) -> Page[Thing]:
        return Page([], None)

    page = await page_of(Query(limit=2, order="name"), Source(shelf.fetch, shelf.fetch_heads, gone))

    assert page.items == []
    assert page.cursor is not None


async def test_a_page_that_the_store_cuts_short_is_given_as_it_is() -> None:
    """It was cut because it is large: another one is not put on top of it."""
    shelf = Shelf([Thing(f"{n}", "x") for n in range(9)])

    async def short(limit: int, cursor: str | None) -> Page[Thing]:
        return await shelf.fetch(min(limit, 2), cursor)

    page = await page_of(Query(limit=5), Source(short, short, shelf.some))

    assert [thing.id for thing in page.items] == ["0", "1"]
    assert page.cursor == "1"


async def test_what_cannot_be_read_is_named_once_and_in_bounds() -> None:
    """By id each page names its own; in another order each names those of the whole list, so many at most."""
    shelf = Shelf([Thing(f"{n:03}", "x") for n in range(9)])

    async def partly(limit: int, cursor: str | None) -> Page[Thing]:
        page = await shelf.fetch(limit, cursor)
        broken = [thing.id for thing in page.items if int(thing.id) % 2]
        return Page([thing for thing in page.items if thing.id not in broken], page.cursor, tuple(broken))

    source = Source(partly, partly, shelf.some)
    first = await page_of(Query(limit=2), source)
    assert (first.items, first.unreadable) == ([Thing("000", "x")], ("001",))
    page = await page_of(Query(limit=2, order="-name"), source)
    assert [thing.id for thing in page.items] == ["008", "006"]
    assert page.unreadable == ("001", "003", "005", "007")

    async def none(_limit: int, _cursor: str | None) -> Page[Thing]:
        return Page([], None, tuple(f"{n}" for n in range(MOST_UNREADABLE + 1)))

    page = await page_of(Query(limit=2, order="name"), Source(none, none, shelf.some))
    assert len(page.unreadable) == MOST_UNREADABLE
