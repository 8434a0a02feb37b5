"""The file itself: who may read it, how durable it is, and which files are refused."""

import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from artcafe.server.store import sqlite_file
from artcafe.server.store.item import StoreUnavailable, StoreUnusable
from artcafe.server.store.sqlite_file import MIGRATIONS, connect


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def foreign(path: Path, *statements: str) -> bytes:
    """Make a database by other hands; its bytes."""
    with closing(sqlite3.connect(path)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()
    path.chmod(0o644)
    return path.read_bytes()


class TestDurability:
    def test_commits_are_flushed_to_the_disk(self, path: Path) -> None:
        file = connect(path, 1)
        with closing(file.db) as db:
            assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
            assert db.execute("PRAGMA fullfsync").fetchone() == (1,)
            assert db.execute("PRAGMA busy_timeout").fetchone() == (1000,)

    def test_also_when_the_file_is_opened_again(self, path: Path) -> None:
        connect(path, 1).db.close()
        with closing(connect(path, 1).db) as db:
            assert db.execute("PRAGMA synchronous").fetchone() == (2,)
            assert db.execute("SELECT version FROM artcafe_schema").fetchall() == [(len(MIGRATIONS),)]


class TestMigration:
    def test_counters_of_the_second_version_stay_and_never_end(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as earlier:
            earlier.setattr(sqlite_file, "MIGRATIONS", MIGRATIONS[:2])
            with closing(connect(path, 1).db) as db:
                db.execute("INSERT INTO counters VALUES ('p', 's', 7)")
        with closing(connect(path, 1).db) as db:
            assert db.execute("SELECT pk, sk, n, expires FROM counters").fetchall() == [("p", "s", 7, None)]


class TestPrivacy:
    @pytest.mark.usefixtures("open_umask")
    def test_only_the_owner_may_read_any_of_the_files(self, path: Path) -> None:
        with closing(connect(path, 1).db) as db:
            db.execute("INSERT INTO counters (pk, sk, n) VALUES ('p', 's', 1)")
            files = sorted(path.parent.iterdir())
            assert [file.name for file in files] == ["store.db", "store.db-shm", "store.db-wal"]
            assert [mode(file) for file in files] == [0o600] * 3

    def test_an_existing_file_is_closed_to_others(self, path: Path) -> None:
        connect(path, 1).db.close()
        path.chmod(0o664)
        connect(path, 1).db.close()

        assert mode(path) == 0o600


class TestRefusals:
    def test_a_newer_version_is_refused_and_left_alone(self, path: Path) -> None:
        newer = len(MIGRATIONS) + 1
        before = foreign(
            path,
            "CREATE TABLE artcafe_schema (version INTEGER)",
            f"INSERT INTO artcafe_schema VALUES ({newer})",
        )
        with pytest.raises(StoreUnusable, match=f"version {newer}.*knows {len(MIGRATIONS)}"):
            connect(path, 1)

        assert path.read_bytes() == before
        assert mode(path) == 0o644

    def test_a_database_of_something_else_is_refused_and_left_alone(self, path: Path) -> None:
        before = foreign(path, "CREATE TABLE bookmarks (url TEXT)")
        with pytest.raises(StoreUnusable, match="something else"):
            connect(path, 1)

        assert path.read_bytes() == before
        assert mode(path) == 0o644

    def test_a_file_that_is_no_database_is_refused_and_left_alone(self, path: Path) -> None:
        path.write_text("Dear diary, " * 100)
        with pytest.raises(StoreUnusable, match="not a database"):
            connect(path, 1)

        assert path.read_text() == "Dear diary, " * 100

    def test_a_damaged_file_is_refused(self, path: Path) -> None:
        connect(path, 1).db.close()
        content = bytearray(path.read_bytes())
        content[100:4096] = b"\xff" * 3996  # the root page, after the header
        path.write_bytes(content)
        with pytest.raises(StoreUnusable, match="damaged"):
            connect(path, 1)

    @pytest.mark.parametrize("place", ["missing/store.db", "file/store.db", "directory"])
    def test_a_place_where_no_file_can_be_is_refused(self, tmp_path: Path, place: str) -> None:
        (tmp_path / "file").touch()
        (tmp_path / "directory").mkdir(mode=0o755)
        with pytest.raises(StoreUnusable, match="cannot be"):
            connect(tmp_path / place, 1)

        assert mode(tmp_path / "directory") == 0o755

    def test_a_file_locked_by_another_may_be_tried_again(self, path: Path) -> None:
        connect(path, 1).db.close()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("PRAGMA locking_mode = EXCLUSIVE")
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(StoreUnavailable, match="Another process"):
                connect(path, 0.05)
        connect(path, 1).db.close()

    def test_a_new_file_that_another_begins_is_waited_for(self, path: Path) -> None:
        """SQLite does not wait by itself when the journal's mode changes under somebody's lock."""
        path.touch()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            with pytest.raises(StoreUnavailable, match="Another process"):
                connect(path, 0.1)
        assert time.monotonic() - began >= 0.1
        connect(path, 1).db.close()


class TestTables:
    def test_of_two_that_find_an_empty_file_one_makes_the_tables(self, path: Path) -> None:
        path.touch()
        overtaken: list[str] = []

        def overtake(statement: str) -> None:
            if statement.startswith("BEGIN"):
                connect(path, 1).db.close()
                overtaken.append(statement)

        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.set_trace_callback(overtake)
            sqlite_file._migrate(db)
            assert overtaken
            assert db.execute("SELECT version FROM artcafe_schema").fetchall() == [(len(MIGRATIONS),)]

    def test_nobody_else_writes_while_the_tables_are_made(self, path: Path) -> None:
        path.touch()
        refused: list[str] = []

        def disturb(statement: str) -> None:
            if statement.startswith("CREATE TABLE artcafe_schema"):
                with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
                    try:
                        other.execute("BEGIN IMMEDIATE")
                    except sqlite3.OperationalError as error:
                        refused.append(error.sqlite_errorname)

        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.set_trace_callback(disturb)
            sqlite_file._migrate(db)
            assert refused == ["SQLITE_BUSY"]

    def test_a_file_begun_by_an_opening_that_failed_is_finished(self, path: Path) -> None:
        path.touch()
        with closing(connect(path, 1).db) as db:
            assert db.execute("SELECT count(*) FROM items").fetchone() == (0,)

    def test_the_queries_of_the_store_walk_an_index(self, path: Path) -> None:
        with closing(connect(path, 1).db) as db:
            for select in (
                "SELECT sk FROM items WHERE pk = 'p' AND sk > 'a' ORDER BY sk LIMIT 5",
                "SELECT pk, sk FROM items WHERE expires <= 5 LIMIT 5",
                "SELECT sk FROM counters WHERE pk = 'p' AND sk > 'a' ORDER BY sk LIMIT 5",
                "SELECT pk, sk FROM counters WHERE expires <= 5 LIMIT 5",
            ):
                [(*_, plan)] = db.execute(f"EXPLAIN QUERY PLAN {select}").fetchall()
                assert plan.startswith(("SEARCH items USING", "SEARCH counters USING"))
