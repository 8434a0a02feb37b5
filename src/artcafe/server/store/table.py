"""Records in an ItemStore: typed, and with the errors that the ports promise."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from artcafe.server.ports import Page
from artcafe.server.store.item import (
    Conflict,
    InvalidCursor,
    InvalidKey,
    InvalidWrite,
    Item,
    ItemStore,
    Op,
    StoreUnavailable,
    TooLarge,
)
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

R = TypeVar("R", bound=msgspec.Struct)

TRIES = 50
"""How often a change is tried again because somebody else was faster."""


@dataclass(frozen=True, slots=True)
class Stored(Generic[R]):
    """A record as it was read."""

    record: R
    rev: str


def data(record: msgspec.Struct) -> dict[str, Any]:
    """A record as an item's data."""
    built: dict[str, Any] = msgspec.to_builtins(record)
    return built


@contextmanager
def translated() -> Iterator[None]:
    """Turn the store's errors into rows of the error table; Conflict is the caller's to read."""
    try:
        yield
    except StoreUnavailable as error:
        raise ArtcafeError(Code.unavailable, "The store does not answer.") from error
    except InvalidCursor as error:
        raise ArtcafeError(Code.bad_request, "The page token does not belong to this list.") from error
    except InvalidKey as error:
        raise ArtcafeError(
            Code.bad_request, "An identifier is too long, or holds characters that none has."
        ) from error
    except TooLarge as error:
        raise ArtcafeError(Code.too_large, f"{error}") from error
    except InvalidWrite as error:
        raise ArtcafeError(Code.validation_failed, f"{error}") from error


class Table:
    """Typed reads and writes over an ItemStore."""

    def __init__(self, store: ItemStore) -> None:
        self.store = store

    async def read(self, pk: str, sk: str, kind: type[R]) -> Stored[R] | None:
        """One record, or None."""
        with translated():
            item = await self.store.get(pk, sk)
        return None if item is None else Stored(msgspec.convert(item.data, kind), item.rev)

    async def write(self, *ops: Op) -> None:
        """All or nothing. Raises Conflict."""
        with translated():
            await self.store.transact(ops)

    async def change(
        self, pk: str, sk: str, kind: type[R], steps: Callable[[Stored[R]], tuple[R, Sequence[Op]]]
    ) -> R:
        """Read a record, write what `steps` makes of it, and do both again when somebody was faster.

        The first of the operations is the one on the record itself; a Conflict of another one is
        the caller's. Raises not_found.
        """
        for _ in range(TRIES):
            stored = await self.read(pk, sk, kind)
            if stored is None:
                raise ArtcafeError(Code.not_found)
            record, ops = steps(stored)
            try:
                await self.write(*ops)
            except Conflict as conflict:
                if conflict.index > 0:
                    raise
            else:
                return record
        raise ArtcafeError(Code.unavailable, "Too many changes at once; try again.")

    async def page(self, pk: str, prefix: str, kind: type[R], limit: int, cursor: str | None) -> Page[R]:
        """A page of records."""
        with translated():
            page = await self.store.query(pk, prefix, limit, cursor)
        return Page([msgspec.convert(item.data, kind) for item in page.items], page.cursor)

    async def items(self, pk: str, prefix: str = "") -> AsyncIterator[Item]:
        """Every item of a partition whose sort key begins with the prefix."""
        cursor = None
        while True:
            with translated():
                page = await self.store.query(pk, prefix, 1000, cursor)
            for item in page.items:
                yield item
            cursor = page.cursor
            if cursor is None:
                return

    async def all(self, pk: str, prefix: str, kind: type[R]) -> list[R]:
        """Every record whose sort key begins with the prefix."""
        return [msgspec.convert(item.data, kind) async for item in self.items(pk, prefix)]
