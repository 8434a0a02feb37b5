"""Pages of a list, one after the other."""

from dataclasses import dataclass

import pytest

from artcafe.server.store.walk import pages
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.outcomes import refused


@dataclass
class Numbers:
    """A page of one number."""

    number: int
    cursor: str | None


class Reader:
    """Gives pages up to a number; `read` has the cursors that it was asked for."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.read: list[str | None] = []

    async def __call__(self, cursor: str | None) -> Numbers:
        self.read.append(cursor)
        number = int(cursor or "0")
        if number > self.last:
            raise ArtcafeError(Code.unavailable)
        return Numbers(number, f"{number + 1}" if number != self.last else None)


@pytest.mark.parametrize(("begin", "found"), [(None, [0, 1, 2]), ("1", [1, 2]), ("2", [2])])
async def test_every_page_comes_from_the_cursor_to_the_end(begin: str | None, found: list[int]) -> None:
    reader = Reader(2)

    assert [page.number async for page in pages(reader, begin)] == found
    assert len(reader.read) == len(found)


async def test_a_page_is_read_when_the_one_before_was_used() -> None:
    reader = Reader(2)
    walk = pages(reader)

    assert (await anext(walk)).number == 0
    assert reader.read == [None]


async def test_what_reading_raises_ends_the_walk() -> None:
    with refused(Code.unavailable):
        assert [page async for page in pages(Reader(2), "3")]
