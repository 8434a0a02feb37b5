"""What the SQLite store promises beyond ItemStore: durability, several processes, sweeping."""

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from artcafe.server.store.item import ABSENT, Delta, ItemStore, Put, StoreUnavailable
from artcafe.server.store.sqlite import SWEEP_ROWS, SqliteStore
from tests.kit.stores import SetClock, new_rev

ROOT = Path(__file__).parents[3]


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a store, with %20 and ?#.db"


@pytest.fixture
async def store(path: Path, clock: SetClock) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(path, clock=clock, new_rev=new_rev)
    await opened.open()
    yield opened
    await opened.close()


def process(*words: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.kit.store_process", *words],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def rows(path: Path, select: str) -> list[tuple[object, ...]]:
    db = sqlite3.connect(path)
    try:
        return db.execute(select).fetchall()
    finally:
        db.close()


async def every(store: ItemStore, pk: str) -> set[str]:
    found: set[str] = set()
    cursor = None
    while True:
        page = await store.query(pk, limit=1000, cursor=cursor)
        found |= {item.sk for item in page.items}
        cursor = page.cursor
        if cursor is None:
            return found


class TestLife:
    async def test_what_was_written_is_there_after_opening_again(self, path: Path, clock: SetClock) -> None:
        store = SqliteStore(path, clock=clock, new_rev=new_rev)
        await store.open()
        rev = await store.put(Put("p", "s", {"n": 1}))
        await store.incr([Delta("p", "s", 3)])
        await store.close()
        await store.close()

        with pytest.raises(StoreUnavailable):
            await store.get("p", "s")
        await store.open()
        item = await store.get("p", "s")
        assert item is not None and item.rev == rev
        assert await store.counters("p") == {"s": 3}
        await store.close()

    async def test_it_answers_only_while_it_is_open(self, path: Path, clock: SetClock) -> None:
        store = SqliteStore(path, clock=clock, new_rev=new_rev)
        await store.close()
        for _ in range(2):
            for call in (
                store.ping(),
                store.put(Put("p", "s", {})),
                store.sweep(),
            ):
                with pytest.raises(StoreUnavailable):
                    await call
            await store.open()
            await store.ping()
            await store.close()

    async def test_an_acknowledged_write_is_in_the_files(self, store: SqliteStore, path: Path) -> None:
        """What a copy of the files holds is what a crashed process would leave behind."""
        await store.put(Put("p", "s", {"n": 1}))
        copy = path.with_name("copy.db")
        for suffix in ("", "-wal"):
            # Another process copies: closing a database's descriptor in this one would drop its locks.
            subprocess.run(["cp", f"{path}{suffix}", f"{copy}{suffix}"], check=True)

        assert rows(copy, "SELECT sk, data FROM items") == [("s", '{"n":1}')]


class TestSweep:
    async def test_it_removes_what_expired_and_nothing_else(
        self, store: SqliteStore, path: Path, clock: SetClock
    ) -> None:
        now = int(clock.now)
        for n in range(10):
            await store.put(Put("p", f"{n}", {}, expires=None if n == 0 else now + n))
        clock.now = now + 5

        assert await store.sweep() == 5
        assert rows(path, "SELECT sk FROM items ORDER BY sk") == [("0",), ("6",), ("7",), ("8",), ("9",)]
        assert await store.sweep() == 0

    async def test_counters_that_ended_go_too(self, store: SqliteStore, path: Path, clock: SetClock) -> None:
        now = int(clock.now)
        many = SWEEP_ROWS + 3
        await store.incr([Delta("p", f"{n}", 1, expires=now + 1) for n in range(many)])
        await store.incr([Delta("p", "later", 1, expires=now + 2), Delta("p", "ever", 1)])
        clock.now = now + 1

        assert await store.sweep() == many
        assert rows(path, "SELECT sk FROM counters ORDER BY sk") == [("ever",), ("later",)]

    async def test_it_works_through_any_number_in_bounded_steps(
        self, store: SqliteStore, path: Path, clock: SetClock
    ) -> None:
        many = 2 * SWEEP_ROWS + 1
        await asyncio.gather(*(store.put(Put("p", f"{n}", {}, expires=1)) for n in range(many)))

        assert await store.sweep() == many
        assert rows(path, "SELECT count(*) FROM items") == [(0,)]


class TestSeveralProcesses:
    def test_claims_are_unique_and_counts_exact(self, path: Path) -> None:
        """Two that meet in the middle, on a file that neither found there when it began."""
        numbers = 600
        names = ["up", "down"]
        running = [process("claim", str(path), name, str(numbers)) for name in names]
        for child in running:
            assert child.stdout is not None and child.stdout.readline() == b"ready\n"
        for child in running:
            assert child.stdin is not None
            child.stdin.write(b"go\n")
            child.stdin.flush()
        won = {
            name: {int(line) for line in child.communicate(timeout=60)[0].split()}
            for name, child in zip(names, running, strict=True)
        }

        assert [child.returncode for child in running] == [0, 0]
        assert 0 in won["up"] and numbers - 1 in won["down"]
        assert won["up"].isdisjoint(won["down"])
        assert won["up"] | won["down"] == set(range(numbers))
        stored = rows(path, "SELECT sk, data FROM items")
        assert set(stored) == {
            (f"{kind}#{n:05}", f'{{"by":"{name}"}}')
            for kind in ("CLAIM", "PAIR")
            for name in names
            for n in won[name]
        }
        counted = rows(path, "SELECT sk, n FROM counters")
        assert set(counted) == {("attempts", 2 * numbers), ("up", numbers), ("down", numbers)}

    async def test_a_write_of_one_is_seen_by_the_next_read_of_another(
        self, store: SqliteStore, path: Path, clock: SetClock
    ) -> None:
        other = SqliteStore(path, clock=clock, new_rev=new_rev)
        await other.open()
        for n in range(50):
            writer, reader = (store, other) if n % 2 else (other, store)
            rev = await writer.put(Put("p", "s", {"n": n}))
            item = await reader.get("p", "s")
            assert item is not None and item.rev == rev
        await other.close()

    async def test_many_that_open_a_new_file_at_once_all_succeed(self, path: Path, clock: SetClock) -> None:
        stores = [SqliteStore(path, clock=clock, new_rev=new_rev) for _ in range(6)]
        await asyncio.gather(*(store.open() for store in stores))
        outcomes = await asyncio.gather(
            *(store.put(Put("p", "s", {}, ABSENT)) for store in stores), return_exceptions=True
        )
        await asyncio.gather(*(store.close() for store in stores))

        assert len([outcome for outcome in outcomes if isinstance(outcome, str)]) == 1
        assert not list(path.parent.glob(".artcafe-*"))


class TestKill:
    def test_what_was_acknowledged_survives_and_nothing_is_half(self, path: Path) -> None:
        """kill -9 in the middle of writes. It keeps the page cache: test_sqlite_file has the rest."""
        acknowledged: set[str] = set()
        for _ in range(5):
            child = process("write", str(path))
            assert child.stdout is not None
            for _ in range(random.randint(1, 150)):
                line = child.stdout.readline()
                assert line.endswith(b"\n")
                acknowledged.add(line.decode().strip())
            os.kill(child.pid, signal.SIGKILL)
            rest = child.stdout.read().splitlines(keepends=True)
            acknowledged |= {line.decode().strip() for line in rest if line.endswith(b"\n")}
            child.stdout.close()
            assert child.stdin is not None
            child.stdin.close()
            assert child.wait(timeout=10) == -signal.SIGKILL

            assert rows(path, "PRAGMA integrity_check") == [("ok",)]
            first = {sk for (sk,) in rows(path, "SELECT sk FROM items WHERE pk = 'a'")}
            second = {sk for (sk,) in rows(path, "SELECT sk FROM items WHERE pk = 'b'")}
            assert first == second
            assert acknowledged <= first
            for run, n in rows(path, "SELECT sk, n FROM counters"):
                counted = [sk for sk in acknowledged if sk.startswith(f"{run}-")]
                assert isinstance(n, int) and n >= len(counted)
