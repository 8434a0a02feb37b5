"""Records in an ItemStore: typed, and with the errors that the ports promise."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from artcafe.server.domain.change import Change, Kind
from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.listing import Page
from artcafe.server.store import addresses as at
from artcafe.server.store.addresses import Partition
from artcafe.server.store.contention import TRIES, Line, Turns, busy, pause, shard, total
from artcafe.server.store.item import (
    ABSENT,
    MAX_PAGE_ITEMS,
    Check,
    Conflict,
    Delta,
    InvalidCursor,
    InvalidKey,
    InvalidWrite,
    Item,
    ItemPage,
    ItemStore,
    Op,
    Put,
    Rev,
    StoreContended,
    StoreUnavailable,
    StoreUnwritable,
    TooLarge,
)
from artcafe.server.store.partitions import Partitions
from artcafe.server.store.records import readable, record_in
from artcafe.server.store.unknown import with_unknown
from artcafe.server.store.walk import pages
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

R = TypeVar("R", bound=msgspec.Struct)
T = TypeVar("T")


class Counted(msgspec.Struct):
    """How many there are."""

    n: int


@dataclass(frozen=True, slots=True)
class Stored(Generic[R]):
    """A record as it was read: from `item`, and from `second` where it has a second row (split.py)."""

    record: R
    item: Item
    second: Item | None = None

    @property
    def rev(self) -> str:
        """The revision that a write of the record depends on."""
        return self.item.rev

    def changed(self, record: R) -> dict[str, Any]:
        """The row with this record in it; fields that this release does not know stay."""
        return with_unknown(type(self.record), self.item.data, data(record))

    def put(self, record: R) -> Put:
        """The operation that replaces the record that was read, unless it changed; the expiry stays."""
        return Put(self.item.pk, self.item.sk, self.changed(record), Rev(self.rev), self.item.expires)


def data(record: msgspec.Struct) -> dict[str, Any]:
    """A record as an item's data."""
    built: dict[str, Any] = msgspec.to_builtins(record)
    return built


@contextmanager
def translated() -> Iterator[None]:
    """Turn the store's errors into rows of the error table; Conflict is the caller's to read."""
    try:
        yield
    except StoreUnwritable as error:
        raise ArtcafeError(Code.unavailable, f"The store cannot be written. {error}") from error
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


def _refuse(op: Op) -> None:
    """Raises what it means that this operation conflicts, where it means one thing in every room."""
    if at.is_answer(op.sk):
        raise ArtcafeError(Code.conflict, "A request with the same Idempotency-Key was faster.") from None
    if isinstance(op, Check) and op.sk == at.META:
        raise ArtcafeError(Code.not_found, "There is no such tenant.") from None


class Table:
    """Typed reads and writes over an ItemStore, one of these in a process.

    `chance` gives numbers from 0 to 1, without 1, that spread those who compete; `wait` lets so many seconds
    pass.
    """

    def __init__(
        self,
        store: ItemStore,
        *,
        chance: Callable[[], float] = random.random,
        wait: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.store = store
        self.partitions = Partitions(store)
        self.chance = chance
        self._wait = wait
        self._turns = Turns()

    def forget(self, change: Change) -> None:
        """Look anew where a tenant's rows stand that was changed, made or deleted."""
        if change.kind is Kind.tenant:
            self.partitions.forget(change.tenant)

    async def partition(self, tenant: TenantId) -> Partition:
        """The tenant's partition, as far as this process knows; of one that does not exist, NOWHERE."""
        with translated():
            return await self.partitions.of(tenant)

    async def find(self, tenant: TenantId, read: Callable[[Partition], Awaitable[T | None]]) -> T | None:
        """The result of `read` in the tenant's partition, or None: the first read of a tenant goes through
        this, since it shows whether this process still knows the right partition."""
        with translated():
            return await self.partitions.find(tenant, read)

    async def read(self, pk: str, sk: str, kind: type[R]) -> Stored[R] | None:
        """One record, or None. Raises unreadable_record."""
        with translated():
            item = await self.store.get(pk, sk)
        return None if item is None else Stored(record_in(item, kind), item)

    async def write(self, *ops: Op) -> None:
        """All or nothing. Raises Conflict."""
        with translated():
            await self.store.transact(ops)

    async def change(
        self, pk: str, sk: str, kind: type[R], steps: Callable[[Stored[R]], tuple[R, Sequence[Op]]]
    ) -> R:
        """Read a record, write what `steps` makes of it, and retry both after a conflicting write.

        The first of the operations is the one on the record itself; a Conflict of another one is
        the caller's. Raises not_found.
        """

        async def attempt() -> tuple[R, Sequence[Op]]:
            stored = await self.read(pk, sk, kind)
            if stored is None:
                raise ArtcafeError(Code.not_found)
            return steps(stored)

        return await self.again(attempt)

    async def again(
        self,
        attempt: Callable[[], Awaitable[tuple[T, Sequence[Op]]]],
        contested: int = 1,
        *,
        line: Line | None = None,
    ) -> T:
        """Write what `attempt` makes, made anew after each conflicting write.

        The first `contested` of its operations are those that others compete for; a Conflict of a later one
        is the caller's. Where many of this process compete, `line` names what for, by owner and prefix:
        they come one after the other. What no later attempt would change is told at once: where the tenant
        that the write depends on (partitions.live) is gone it raises not_found, and conflict where an answer
        is kept under the same Idempotency-Key already; unavailable when the line is too long, or others were
        faster every time.
        """
        async with nullcontext() if line is None else self._turns.turn(line):
            for tried in range(TRIES):
                if tried:
                    await self._wait(pause(tried, self.chance()))
                result, ops = await attempt()
                try:
                    await self.write(*ops)
                except Conflict as conflict:
                    if conflict.index >= 0:
                        _refuse(ops[conflict.index])
                    if conflict.index >= contested:
                        raise
                except ArtcafeError as error:
                    if not isinstance(error.__cause__, StoreContended):
                        raise
                else:
                    return result
        raise busy()

    async def count(self, pk: str, prefix: str, step: int, limit: int | None = None) -> Op:
        """The operation that counts `step` records more, or less, of those with this prefix.

        Without a limit it goes to one of several counters, and conflicts with nothing. With one it raises
        quota_exceeded when there are `limit` of them, exactly: it conflicts with every other one that has a
        limit, and whoever writes it makes it anew then. The first one ever conflicts with all others.
        """
        stored, before = await self._first_count(pk, prefix)
        if limit is None and stored is not None:
            return Delta(pk, shard(at.count(prefix), self.chance()), step)
        # Read after the row: what others with a limit add meanwhile changes the row, the rest only lowers it.
        if limit is not None and before + await self._added(pk, prefix) + step > limit:
            raise ArtcafeError(Code.quota_exceeded, f"There may be {limit} of them.")
        after = Counted(before + step)
        return stored.put(after) if stored else Put(pk, at.count(prefix), data(after), ABSENT)

    async def counted(self, pk: str, prefix: str) -> int:
        """How many records there are with this prefix."""
        return (await self._first_count(pk, prefix))[1] + await self._added(pk, prefix)

    async def _first_count(self, pk: str, prefix: str) -> tuple[Stored[Counted] | None, int]:
        """The row that says how many there are without what the counters say, and that number.

        Older releases kept all of it here. What was never counted is counted once: nobody adds to the
        counters before that is written.
        """
        stored = await self.read(pk, at.count(prefix), Counted)
        if stored is not None:
            return stored, stored.record.n
        return None, sum([1 async for _ in self.items(pk, prefix)])

    async def _added(self, pk: str, prefix: str) -> int:
        with translated():
            return total(await self.store.counters(pk, at.count(prefix)), at.count(prefix))

    async def page(self, pk: str, prefix: str, kind: type[R], limit: int, cursor: str | None) -> Page[R]:
        """A page of records; of those that cannot be read, what follows the prefix in their sort keys."""
        with translated():
            page = await self.store.query(pk, prefix, limit, cursor)
        records, unreadable = readable(page.items, kind)
        return Page(records, page.cursor, tuple(item.sk.removeprefix(prefix) for item in unreadable))

    def pages(self, pk: str, prefix: str = "") -> AsyncIterator[ItemPage]:
        """The same, a page of the store's after the other."""

        async def read(cursor: str | None) -> ItemPage:
            with translated():
                return await self.store.query(pk, prefix, MAX_PAGE_ITEMS, cursor)

        return pages(read)

    async def items(self, pk: str, prefix: str = "") -> AsyncIterator[Item]:
        """Every item of a partition whose sort key begins with the prefix."""
        async for page in self.pages(pk, prefix):
            for item in page.items:
                yield item

    async def all(self, pk: str, prefix: str, kind: type[R]) -> list[R]:
        """Every record that can be read whose sort key begins with the prefix."""
        return readable([item async for item in self.items(pk, prefix)], kind)[0]
