"""Faults at one chosen write of a store, and the same operation with a fault at each of its writes in turn.

    store = FaultyStore(backend, Fault.lost, at=2)        # the second write is done, its answer is lost
    ...                                                   # any use of `store`: it is a Backend like the other
    assert store.struck                                   # the fault happened

    store.arm(Fault.held)                                 # from now on: the next write waits
    async with asyncio.TaskGroup() as both:
        both.create_task(table.delete(...))
        await store.reached.wait()                        # the write has come, and is not done
        ...                                               # what others do meanwhile, on `backend`
        store.let_go()

    writes = await every_cut(delete_the_tenant, nothing_is_left_over, prepared_store)

Writes are put, delete, transact, incr, drop_counters, restore and discard. Where the process died (Fault.cut)
every later call raises, reads too: what comes after it goes on with another FaultyStore over the same
backend.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from enum import Enum

from artcafe.server.store.item import Backend, RawItem, StoreError, StoreUnavailable
from artcafe.wire.errors import ArtcafeError
from tests.kit.unreliable_store import UnreliableStore


class Fault(Enum):
    """What happens at a write."""

    refused = "it is not done, and raises StoreUnavailable"
    lost = "it is done, and raises StoreUnavailable"
    cut = "it is done, and it and every later call raise StoreUnavailable, as when the process died there"
    held = "it waits for let_go, and then is done"
    late = "it is done, and answers after let_go"


class FaultyStore(UnreliableStore):
    """A Backend in front of another, with a fault at the `at`-th write, counted from 1, or without one.

    `writes` is how many have come, `struck` whether the fault has happened, `reached` is set when it happens.
    """

    store: Backend

    def __init__(self, store: Backend, fault: Fault | None = None, at: int = 1) -> None:
        super().__init__(store)
        self.writes = 0
        self.dead = False
        self.arm(fault, at)

    def arm(self, fault: Fault | None, at: int = 1) -> None:
        """From now on, a fault at the `at`-th write that comes. Whoever waited for let_go goes on waiting for
        the one of before."""
        self._fault = fault
        self._left = at
        self.struck = False
        self.reached = asyncio.Event()
        self._gate = asyncio.Event()

    def let_go(self) -> None:
        """Let the write go on that is held."""
        self._gate.set()

    async def open(self) -> None:
        """See Backend."""
        await self.store.open()

    async def close(self) -> None:
        """See Backend."""
        await self.store.close()

    async def ping(self) -> None:
        """See Backend."""
        await self._read()
        await self.store.ping()

    async def sweep(self) -> int:
        """See Backend."""
        await self._read()
        return await self.store.sweep()

    async def rows(self, cursor: str | None = None) -> tuple[list[RawItem], str | None]:
        """See Backend."""
        await self._read()
        return await self.store.rows(cursor)

    async def restore(self, rows: Sequence[RawItem]) -> None:
        """See Backend."""
        async with self._write():
            await self.store.restore(rows)

    async def discard(self, rows: Sequence[RawItem]) -> None:
        """See Backend."""
        async with self._write():
            await self.store.discard(rows)

    async def _read(self) -> None:
        await super()._read()
        self._alive()

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[None]:
        async with super()._write():
            self._alive()
            self.writes += 1
            self._left -= 1
            if self._fault is None or self._left != 0:
                yield
                return
            fault, gate = self._fault, self._gate
            self.struck = True
            self.reached.set()
            if fault is Fault.refused:
                raise StoreUnavailable("The store did not take this write, as the test wants it.")
            if fault is Fault.held:
                await gate.wait()
            yield
            if fault is Fault.late:
                await gate.wait()
            elif fault is not Fault.held:
                self.dead = fault is Fault.cut
                raise StoreUnavailable("The answer to this write is lost, as the test wants it.")

    def _alive(self) -> None:
        if self.dead:
            raise StoreUnavailable("The process of this store died, as the test wants it.")


async def every_cut(
    operation: Callable[[FaultyStore], Awaitable[object]],
    check: Callable[[FaultyStore], Awaitable[object]],
    fresh: Callable[[], AbstractAsyncContextManager[Backend]],
    fault: Fault = Fault.cut,
    most: int = 300,
) -> int:
    """Run an operation with a fault at its first write, at its second, and so on, until it meets none.

    Each time `fresh` opens a store with all that the operation needs. `operation` is given it with the fault,
    and may fail with what a use case raises once the fault happened (its answers over HTTP are its own to
    judge). `check` is given the same store without a fault, as the next process finds it; the last time,
    nothing failed, and it must hold then too. Returns how many writes the operation has; one with more than
    `most` is taken for one that never ends. What fails says at which write.
    """
    for at in range(1, most + 2):
        async with fresh() as backend:
            store = FaultyStore(backend, fault, at)
            try:
                await _once(operation, store)
                await check(FaultyStore(backend))
            except BaseException as error:
                error.add_note(
                    f"with {fault} at write {at}, {'which' if store.struck else 'but it never'} came"
                )
                raise
            if not store.struck:
                return store.writes
    raise AssertionError(f"the operation does not end: {most} writes are not all of it")


async def _once(operation: Callable[[FaultyStore], Awaitable[object]], store: FaultyStore) -> None:
    try:
        await operation(store)
    except (StoreError, ArtcafeError):
        if not store.struck:
            raise
