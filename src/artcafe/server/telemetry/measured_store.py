"""A store whose calls are timed and whose failures are counted."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from artcafe.server.store import item
from artcafe.server.store.item import Backend, Delete, Delta, Item, ItemPage, Op, Put, RawItem
from artcafe.server.telemetry import names
from artcafe.server.telemetry.instruments import Instruments


class MeasuredStore:
    """Another backend, with the same promises; `monotonic` gives seconds."""

    def __init__(self, store: Backend, instruments: Instruments, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._monotonic = monotonic
        self._seconds = instruments.histogram(names.STORE_SECONDS)
        self._errors = instruments.counter(names.STORE_ERRORS)

    @contextmanager
    def _measured(self, operation: str) -> Iterator[None]:
        began = self._monotonic()
        try:
            yield
        except item.StoreError as error:
            self._errors.labels(operation, _kind(error)).inc()
            raise
        finally:
            self._seconds.labels(operation).observe(self._monotonic() - began)

    async def get(self, pk: str, sk: str) -> Item | None:
        """As ItemStore."""
        with self._measured("get"):
            return await self._store.get(pk, sk)

    async def get_many(self, keys: Sequence[tuple[str, str]]) -> list[Item | None]:
        """As ItemStore."""
        with self._measured("get_many"):
            return await self._store.get_many(keys)

    async def put(self, op: Put) -> str:
        """As ItemStore."""
        with self._measured("put"):
            return await self._store.put(op)

    async def delete(self, op: Delete) -> None:
        """As ItemStore."""
        with self._measured("delete"):
            await self._store.delete(op)

    async def transact(self, ops: Sequence[Op]) -> list[str | None]:
        """As ItemStore."""
        with self._measured("transact"):
            return await self._store.transact(ops)

    async def query(self, pk: str, prefix: str = "", limit: int = 100, cursor: str | None = None) -> ItemPage:
        """As ItemStore."""
        with self._measured("query"):
            return await self._store.query(pk, prefix, limit, cursor)

    async def incr(self, deltas: Sequence[Delta]) -> None:
        """As ItemStore."""
        with self._measured("incr"):
            await self._store.incr(deltas)

    async def counters(self, pk: str, first: str = "", last: str | None = None) -> dict[str, int]:
        """As ItemStore."""
        with self._measured("counters"):
            return await self._store.counters(pk, first, last)

    async def drop_counters(self, pk: str) -> None:
        """As ItemStore."""
        with self._measured("drop_counters"):
            await self._store.drop_counters(pk)

    async def open(self) -> None:
        """As Backend."""
        await self._store.open()

    async def close(self) -> None:
        """As Backend."""
        await self._store.close()

    async def ping(self) -> None:
        """As Backend."""
        await self._store.ping()

    async def sweep(self) -> int:
        """As Backend."""
        with self._measured("sweep"):
            return await self._store.sweep()

    async def rows(self, cursor: str | None = None) -> tuple[list[RawItem], str | None]:
        """As Backend."""
        return await self._store.rows(cursor)

    async def restore(self, rows: Sequence[RawItem]) -> None:
        """As Backend."""
        await self._store.restore(rows)

    async def discard(self, rows: Sequence[RawItem]) -> None:
        """As Backend."""
        await self._store.discard(rows)


def _kind(error: item.StoreError) -> str:
    """One of the few words for it; a kind comes before the one that it is a kind of."""
    kinds = {
        item.StoreContended: "contended",
        item.StoreUnwritable: "unwritable",
        item.StoreUnavailable: "unavailable",
        item.Conflict: "conflict",
    }
    return next((word for kind, word in kinds.items() if isinstance(error, kind)), "other")
