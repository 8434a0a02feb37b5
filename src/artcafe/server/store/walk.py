"""Walks through the pages of a list, from its beginning or a cursor to its end."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeVar


class Paged(Protocol):
    """A page: the next one follows its cursor, and None says that it is the last one."""

    @property
    def cursor(self) -> str | None:
        """Where the next page begins."""


P = TypeVar("P", bound=Paged)


async def pages(read: Callable[[str | None], Awaitable[P]], cursor: str | None = None) -> AsyncIterator[P]:
    """Every page that `read` gives for a cursor, in order; each is read when the one before was used.

    Raises what `read` raises.
    """
    while True:
        page = await read(cursor)
        yield page
        cursor = page.cursor
        if cursor is None:
            return
