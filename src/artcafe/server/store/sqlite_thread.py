"""The two threads that own a SQLite connection each, and the sharing of commits.

Reads go to one of them, one by one, and wait for each other only: each sees everything that was committed
when its turn comes. Writes go to the other one. Those that arrive while it is busy share the next
transaction: each runs in a savepoint of its own and fails alone, and all are answered after the one commit,
so that a flush of the disk is paid once for many.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from artcafe.server.store import sqlite_file
from artcafe.server.store.item import InvalidWrite, StoreError, StoreUnavailable, StoreUnwritable

T = TypeVar("T")
Work: TypeAlias = Callable[[sqlite3.Connection, int], T]
"""Something to do on the connection at this time, in whole Unix seconds. May raise StoreError."""

MAX_WAITING: Final = 4096
"""Reads, and writes, that may wait for their thread; one more is refused with StoreUnavailable."""
MAX_BATCH: Final = 256
"""Writes that share one transaction: bounds how long other processes wait for the lock."""


@dataclass(frozen=True, slots=True)
class _Write:
    work: Work[Any]
    answer: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class _Desk:
    """A thread, and the connection that is used in it alone."""

    thread: ThreadPoolExecutor
    file: sqlite_file.File

    def run(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        """Hand over work; it is done when its turn comes, whoever waits for it."""
        return asyncio.get_running_loop().run_in_executor(self.thread, work)


class SqliteThread:
    """Runs work on the database in `path`; every sqlite3 error comes out as StoreUnavailable."""

    def __init__(self, path: Path, clock: Callable[[], float], busy_timeout: float) -> None:
        self._path = path
        self._clock = clock
        self._busy_timeout = busy_timeout
        self._writer: _Desk | None = None
        self._reader: _Desk | None = None
        self._closing = False
        self._failed = False  # the last transaction
        self._reads = 0
        self._waiting: deque[_Write] = deque()
        self._batch: asyncio.Future[list[object]] | None = None  # the transaction in the thread now

    async def open(self) -> None:
        """Start the threads and open the file: see sqlite_file.connect."""
        with ExitStack() as undo:
            writer = await self._desk("artcafe-store", partial(sqlite_file.connect, self._path), undo)
            self._reader = await self._desk(
                "artcafe-store-reader", partial(sqlite_file.reader, writer.file), undo
            )
            undo.pop_all()
        self._writer = writer
        self._closing = False

    async def _desk(self, name: str, connect: Callable[[float], sqlite_file.File], undo: ExitStack) -> _Desk:
        thread = ThreadPoolExecutor(1, name)
        undo.callback(thread.shutdown, wait=False)
        file = await asyncio.get_running_loop().run_in_executor(thread, connect, self._busy_timeout)
        undo.callback(thread.submit, file.db.close)
        return _Desk(thread, file)

    async def close(self) -> None:
        """Take no more work, finish what was taken, close the file and end the threads."""
        self._closing = True
        while self._batch is not None:
            await asyncio.wait([self._batch])
        writer, reader = self._writer, self._reader
        if writer is None or reader is None:
            return
        self._writer = self._reader = None
        # The last connection tidies up the write-ahead log: that is the one that may write.
        read = reader.thread.submit(reader.file.db.close)
        closed = writer.run(partial(_close, read, writer.file))
        reader.thread.shutdown(wait=False)
        writer.thread.shutdown(wait=False)
        await asyncio.shield(closed)

    async def read(self, work: Work[T]) -> T:
        """Run one statement that changes nothing, on what is committed when its turn comes.

        It waits for other reads, and for no write.
        """
        reader, _ = self._admit(self._reads)
        self._reads += 1
        try:
            return await reader.run(partial(_read, reader.file, self._clock, work))
        finally:
            self._reads -= 1

    async def write(self, work: Work[T]) -> T:
        """Run one change, all of it or nothing; returns when it is committed and on disk.

        A caller that is cancelled before its turn takes its change back; later the change stays.
        """
        self._admit(len(self._waiting))
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Write(work, answer))
        self._next_batch()
        return await answer

    async def may_not_write(self) -> bool:
        """Whether writing has to be tried before somebody is told that it works: the last one failed, or the
        disk is nearly full."""
        reader, _ = self._admit(0)
        return self._failed or not await reader.run(reader.file.has_room)

    def _admit(self, waiting: int) -> tuple[_Desk, _Desk]:
        if self._reader is None or self._writer is None or self._closing:
            raise StoreUnavailable("The store is not open.")
        if waiting >= MAX_WAITING:
            raise StoreUnavailable("Too many calls wait for the store.")
        return self._reader, self._writer

    def _next_batch(self) -> None:
        """Hand what waits to the thread, unless it has a batch already: then `_answer` calls again."""
        if self._batch is not None or self._writer is None:
            return
        batch: list[_Write] = []
        while self._waiting and len(batch) < MAX_BATCH:
            write = self._waiting.popleft()
            if not write.answer.cancelled():
                batch.append(write)
        if batch:
            commit = partial(_commit, self._writer.file, self._clock, [write.work for write in batch])
            self._batch = self._writer.run(commit)
            self._batch.add_done_callback(partial(self._answer, batch))

    def _answer(self, batch: list[_Write], done: "asyncio.Future[list[object]]") -> None:
        self._batch = None
        fault = done.exception()
        outcomes = [fault] * len(batch) if fault is not None else done.result()
        self._failed = any(isinstance(outcome, StoreUnwritable) for outcome in outcomes)
        for write, outcome in zip(batch, outcomes, strict=True):
            if write.answer.done():  # its caller left meanwhile
                continue
            if isinstance(outcome, BaseException):
                write.answer.set_exception(outcome)
            else:
                write.answer.set_result(outcome)
        self._next_batch()


# From here on everything runs in one of the threads.


def _close(read: "Future[None]", file: sqlite_file.File) -> None:
    try:
        read.result()
    finally:
        file.db.close()


def _read(file: sqlite_file.File, clock: Callable[[], float], work: Work[T]) -> T:
    try:
        file.check_place()
        return work(file.db, int(clock()))
    except sqlite3.Error as error:
        raise sqlite_file.unavailable(error) from error


def _commit(file: sqlite_file.File, clock: Callable[[], float], batch: list[Work[Any]]) -> list[object]:
    """Do every write in one transaction; for each its result, or the StoreError that it alone met.

    When the transaction fails, all have failed, also those that met a conflict: it may have been
    with a write that is gone now.
    """
    try:
        return _transaction(file, clock, batch)
    except sqlite3.Error as error:
        return [sqlite_file.unavailable(error) for _ in batch]


def _transaction(file: sqlite_file.File, clock: Callable[[], float], batch: list[Work[Any]]) -> list[object]:
    db = file.db
    try:
        db.execute("BEGIN IMMEDIATE")
        now = int(clock())  # after the wait for the lock: nobody wins with what expired meanwhile
        outcomes = [_attempt(db, now, work) for work in batch]
        file.check_place()
        db.execute("COMMIT")
        return outcomes
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _attempt(db: sqlite3.Connection, now: int, work: Work[Any]) -> object:
    outcome: object
    db.execute("SAVEPOINT attempt")
    try:
        outcome = work(db, now)
    except StoreError as error:
        outcome = error
    except sqlite3.IntegrityError:
        outcome = InvalidWrite("A counter would leave the range of 64 bits, or a value has the wrong type.")
    if isinstance(outcome, StoreError):
        db.execute("ROLLBACK TO attempt")
    db.execute("RELEASE attempt")
    return outcome
