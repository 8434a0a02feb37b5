"""The thread: shared commits, writes that fail alone or together, leaving callers, and closing."""

import asyncio
import sqlite3
import struct
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from artcafe.server.store import sqlite_file
from artcafe.server.store.item import (
    ABSENT,
    EXISTS,
    Conflict,
    Delete,
    Delta,
    InvalidWrite,
    Put,
    StoreError,
    StoreUnavailable,
    StoreUnwritable,
)
from artcafe.server.store.sqlite import COUNTED_ROWS, SqliteStore
from artcafe.server.store.sqlite_thread import MAX_BATCH, MAX_WAITING
from tests.kit.stores import SetClock, new_rev

Task = asyncio.Task[object]


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def store(path: Path, clock: SetClock) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(path, clock=clock, new_rev=new_rev)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def other(path: Path, store: SqliteStore) -> Iterator[sqlite3.Connection]:
    """A connection of another process, as far as locks are concerned."""
    db = sqlite3.connect(path, isolation_level=None)
    yield db
    db.close()


def start(*calls: object) -> list[Task]:
    """Begin calls, in this order; each has handed its work over when this task yields once."""
    return [asyncio.get_running_loop().create_task(call) for call in calls]  # type: ignore[arg-type]


def commits(path: Path) -> int:
    """How many commits the write-ahead log holds (sqlite.org/fileformat2.html, section 4.1)."""
    log = path.with_name(path.name + "-wal").read_bytes()
    size = 24 + struct.unpack(">I", log[8:12])[0]
    frames = (log[start : start + 24] for start in range(32, len(log) - size + 1, size))
    current = (frame for frame in frames if frame[8:16] == log[16:24])
    return sum(1 for frame in current if struct.unpack(">I", frame[4:8])[0])


class TestSharing:
    async def test_writes_that_wait_together_share_a_commit(self, store: SqliteStore, path: Path) -> None:
        before = commits(path)
        await asyncio.gather(*(store.put(Put("p", f"{n}", {})) for n in range(MAX_BATCH + 1)))

        # The first goes alone, because nothing else is there yet when it comes.
        assert commits(path) - before == 2

    async def test_a_write_that_comes_alone_has_its_own(self, store: SqliteStore, path: Path) -> None:
        before = commits(path)
        for n in range(5):
            await store.put(Put("p", f"{n}", {}))

        assert commits(path) - before == 5

    async def test_a_conflict_fails_alone(self, store: SqliteStore, path: Path) -> None:
        await store.put(Put("p", "taken", {}))
        before = commits(path)
        outcomes = await asyncio.gather(
            store.put(Put("p", "first", {})),
            store.put(Put("p", "a", {})),
            store.transact([Put("p", "half", {}), Put("p", "taken", {}, ABSENT)]),
            store.put(Put("p", "taken", {}, ABSENT)),
            store.put(Put("p", "b", {})),
            store.put(Put("p", "b", {}, ABSENT)),
            store.delete(Delete("p", "a", EXISTS)),
            return_exceptions=True,
        )

        assert [type(outcome) for outcome in outcomes] == [
            str,
            str,
            Conflict,
            Conflict,
            str,
            Conflict,
            type(None),
        ]
        assert [item.sk for item in (await store.query("p")).items] == ["b", "first", "taken"]
        assert commits(path) - before == 2

    async def test_a_counter_that_overflows_fails_alone_and_whole(
        self, store: SqliteStore, other: sqlite3.Connection
    ) -> None:
        other.execute("INSERT INTO counters (pk, sk, n) VALUES ('p', 'full', ?)", (2**63 - 1,))
        outcomes = await asyncio.gather(
            store.put(Put("p", "first", {})),
            store.put(Put("p", "a", {})),
            store.incr([Delta("p", "a", 1), Delta("p", "full", 1)]),
            store.incr([Delta("p", "b", 1)]),
            return_exceptions=True,
        )

        assert [type(outcome) for outcome in outcomes] == [str, str, InvalidWrite, type(None)]
        assert await store.counters("p") == {"b": 1, "full": 2**63 - 1}
        assert await store.get("p", "a") is not None

    async def test_a_full_disk_fails_all_that_share_and_passes(
        self, store: SqliteStore, clock: SetClock
    ) -> None:
        writer = store._thread._writer
        assert writer is not None
        await store.put(Put("p", "before", {}))
        # The limit on pages makes SQLite meet the very error that a full disk makes.
        await writer.run(lambda: writer.file.db.execute("PRAGMA max_page_count = 20"))
        outcomes = await asyncio.gather(
            *(store.put(Put("p", f"{n}", {"v": "x" * 100_000 if n == 3 else ""})) for n in range(6)),
            return_exceptions=True,
        )

        assert isinstance(outcomes[0], str)
        for outcome in outcomes[1:]:
            assert isinstance(outcome, StoreUnavailable) and "full" in str(outcome)
        assert [item.sk for item in (await store.query("p")).items] == ["0", "before"]
        await writer.run(lambda: writer.file.db.execute("PRAGMA max_page_count = 1000000"))
        await store.put(Put("p", "3", {"v": "x" * 100_000}))

    async def test_a_store_that_cannot_be_written_says_so_when_it_is_asked_until_it_can(
        self, store: SqliteStore
    ) -> None:
        writer = store._thread._writer
        assert writer is not None
        await store.ping()
        await writer.run(lambda: writer.file.db.execute("PRAGMA max_page_count = 7"))
        await store.ping()  # There is room on the disk, and nobody has met the limit yet.
        with pytest.raises(StoreUnwritable, match="disk is full"):
            await store.put(Put("p", "a", {"v": "x" * 100_000}))
        for _ in range(2):
            with pytest.raises(StoreUnwritable, match="disk is full"):
                await store.ping()
        assert (await store.query("p")).items == [], "reads go on"

        await writer.run(lambda: writer.file.db.execute("PRAGMA max_page_count = 1000000"))
        await store.ping()
        assert (await store.rows())[0] == [], "nothing stays of the try"

    async def test_a_disk_that_is_nearly_full_is_tried_before_anybody_meets_it(
        self, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        writer = store._thread._writer
        assert writer is not None
        await writer.run(lambda: writer.file.db.execute("PRAGMA max_page_count = 7"))
        await store.ping()
        monkeypatch.setattr(sqlite_file, "ROOM", 2**80)

        with pytest.raises(StoreUnwritable, match="disk is full"):
            await store.ping()

    async def test_a_fault_reaches_its_callers_and_leaves_nothing_open(
        self, path: Path, store: SqliteStore
    ) -> None:
        hands = iter([ZeroDivisionError])

        def clock() -> float:
            for fault in hands:
                raise fault
            return 1.0

        faulty = SqliteStore(path, clock=clock, new_rev=new_rev)
        await faulty.open()
        with pytest.raises(ZeroDivisionError):
            await faulty.put(Put("p", "s", {}))
        await store.put(Put("p", "s", {}))
        await faulty.put(Put("p", "s", {}, EXISTS))
        await faulty.close()


class TestReading:
    async def test_reads_do_not_wait_for_a_write(self, store: SqliteStore, other: sqlite3.Connection) -> None:
        await store.put(Put("p", "s", {"n": 1}))
        await store.incr([Delta("p", "c", 1)])
        other.execute("BEGIN IMMEDIATE")
        [writing] = start(store.put(Put("p", "s", {"n": 2})))
        await asyncio.sleep(0)
        item = await store.get("p", "s")
        assert item is not None and item.data == {"n": 1}
        assert len((await store.query("p")).items) == 1
        assert await store.counters("p") == {"c": 1}
        assert len((await store.rows())[0]) == 1
        assert not writing.done()
        other.execute("COMMIT")
        await writing

    async def test_a_read_sees_every_write_that_returned_before_it(self, store: SqliteStore) -> None:
        async def work(name: str) -> None:
            for n in range(50):
                rev = await store.put(Put("p", name, {"n": n}))
                await store.incr([Delta(name, "n", 1)])
                item = await store.get("p", name)
                assert item is not None and item.rev == rev
                assert await store.counters(name) == {"n": n + 1}

        await asyncio.gather(*(work(f"{n}") for n in range(8)))

    async def test_others_read_between_the_parts_of_a_long_list_of_counters(self, store: SqliteStore) -> None:
        await store.incr([Delta("p", f"{n:05}", 1) for n in range(20 * COUNTED_ROWS)])
        [listing] = start(store.counters("p"))
        between = 0
        while not listing.done():
            await store.get("p", "s")
            between += 1
        assert between >= 15
        assert len(await store.counters("p")) == 20 * COUNTED_ROWS

    async def test_nothing_can_be_written_where_reads_are_done(self, store: SqliteStore) -> None:
        def write(db: sqlite3.Connection, _now: int) -> None:
            db.execute("DELETE FROM items")

        with pytest.raises(StoreUnavailable):
            await store._thread.read(write)


class TestWaiting:
    async def test_a_lock_held_for_too_long_makes_writes_unavailable_but_not_reads(
        self, path: Path, store: SqliteStore, clock: SetClock, other: sqlite3.Connection
    ) -> None:
        await store.put(Put("p", "s", {"n": 1}))
        hasty = SqliteStore(path, clock=clock, new_rev=new_rev, busy_timeout=0.02)
        await hasty.open()
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="Another process"):
            await hasty.put(Put("p", "s", {"n": 2}))
        item = await hasty.get("p", "s")
        assert item is not None and item.data == {"n": 1}
        other.execute("COMMIT")
        await hasty.put(Put("p", "s", {"n": 2}))
        await hasty.close()

    async def test_the_time_of_a_write_is_that_of_its_lock(self, store: SqliteStore, path: Path) -> None:
        """What expires while a write waits for another process has expired for it: nobody gets it twice."""
        await store.put(Put("p", "challenge", {}, expires=100))
        locked: list[str] = []

        def clock() -> float:
            other = sqlite3.connect(path, timeout=0, isolation_level=None)
            try:
                other.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                locked.append(error.sqlite_errorname)
            finally:
                other.close()
            return 100.0

        late = SqliteStore(path, clock=clock, new_rev=new_rev)
        await late.open()
        with pytest.raises(Conflict):
            await late.delete(Delete("p", "challenge", EXISTS))
        await late.close()

        assert locked == ["SQLITE_BUSY"]

    async def test_only_so_many_may_wait(self, store: SqliteStore, other: sqlite3.Connection) -> None:
        other.execute("BEGIN IMMEDIATE")
        incr = start(*(store.incr([Delta("p", "n", 1)]) for _ in range(MAX_WAITING + 11)))
        await asyncio.sleep(0)
        reads = start(*(store.get("p", "s") for _ in range(MAX_WAITING + 10)))
        await asyncio.sleep(0)
        other.execute("COMMIT")
        for tasks in (incr, reads):
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            refused = [outcome for outcome in outcomes if isinstance(outcome, StoreUnavailable)]
            assert len(refused) == 10
            assert outcomes[-10:] == refused

        # The one in the thread does not wait.
        assert await store.counters("p") == {"n": MAX_WAITING + 1}


class TestLeaving:
    async def test_a_write_whose_caller_left_before_its_turn_is_not_done(
        self, store: SqliteStore, other: sqlite3.Connection
    ) -> None:
        other.execute("BEGIN IMMEDIATE")
        tasks = start(*(store.put(Put("p", f"{n}", {})) for n in range(4)))
        await asyncio.sleep(0)
        tasks[2].cancel()
        other.execute("COMMIT")
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)

        assert isinstance(outcomes[2], asyncio.CancelledError)
        assert [item.sk for item in (await store.query("p")).items] == ["0", "1", "3"]

    async def test_a_write_whose_caller_left_later_is_done_whole(
        self, store: SqliteStore, other: sqlite3.Connection
    ) -> None:
        other.execute("BEGIN IMMEDIATE")
        [task] = start(store.transact([Put("p", "a", {}), Put("p", "b", {})]))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        other.execute("COMMIT")

        await store.put(Put("p", "c", {}))
        assert [item.sk for item in (await store.query("p")).items] == ["a", "b", "c"]

    async def test_when_all_that_waited_have_left_the_next_write_still_goes(
        self, store: SqliteStore, other: sqlite3.Connection
    ) -> None:
        other.execute("BEGIN IMMEDIATE")
        tasks = start(*(store.put(Put("p", f"{n}", {})) for n in range(4)))
        await asyncio.sleep(0)
        for task in tasks[1:]:
            task.cancel()
        other.execute("COMMIT")
        await asyncio.gather(*tasks, return_exceptions=True)

        await store.put(Put("p", "last", {}))
        assert [item.sk for item in (await store.query("p")).items] == ["0", "last"]


class TestClosing:
    async def test_what_was_taken_is_finished_and_nothing_more_is_taken(
        self, store: SqliteStore, path: Path, other: sqlite3.Connection
    ) -> None:
        other.execute("BEGIN IMMEDIATE")
        taken = start(*(store.put(Put("p", f"{n}", {})) for n in range(2 * MAX_BATCH)), store.get("p", "0"))
        await asyncio.sleep(0)
        [closing] = start(store.close())
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailable, match="not open"):
            await store.put(Put("p", "late", {}))
        other.execute("COMMIT")
        await closing

        outcomes = await asyncio.gather(*taken, return_exceptions=True)
        assert not [outcome for outcome in outcomes if isinstance(outcome, StoreError)]
        assert other.execute("SELECT count(*) FROM items").fetchone() == (2 * MAX_BATCH,)

    async def test_closing_can_be_left_and_taken_up_again(
        self, store: SqliteStore, other: sqlite3.Connection
    ) -> None:
        other.execute("BEGIN IMMEDIATE")
        writing, closing = start(store.put(Put("p", "s", {})), store.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        other.execute("COMMIT")
        await store.close()

        assert isinstance(await writing, str)


class TestPlace:
    @pytest.mark.parametrize("replaced", [False, True])
    async def test_nothing_is_acknowledged_into_a_file_that_is_gone(
        self, store: SqliteStore, path: Path, replaced: bool
    ) -> None:
        await store.put(Put("p", "s", {}))
        path.rename(path.with_name("moved.db"))
        if replaced:
            path.touch()
        for call in (store.put(Put("p", "t", {})), store.get("p", "s"), store.ping()):
            with pytest.raises(StoreUnavailable, match="moved"):
                await call

        path.with_name("moved.db").replace(path)
        assert await store.get("p", "s") is not None
        assert await store.get("p", "t") is None
        await store.put(Put("p", "t", {}))
