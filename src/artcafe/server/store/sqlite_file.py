"""The file of the SQLite store: private, durable, of the right version, and its errors named."""

import os
import sqlite3
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from artcafe.server.store.item import StoreUnavailable, StoreUnusable, StoreUnwritable

OLDEST_SQLITE: Final = (3, 37, 0)
"""The first with STRICT tables, which refuse a counter that overflows instead of making it a float."""

MIGRATIONS: Final = (
    (
        """
        CREATE TABLE items (
            pk TEXT NOT NULL, sk TEXT NOT NULL, rev TEXT NOT NULL, expires INTEGER, data TEXT NOT NULL,
            PRIMARY KEY (pk, sk)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX items_by_expiry ON items (expires) WHERE expires IS NOT NULL",
        """
        CREATE TABLE counters (
            pk TEXT NOT NULL, sk TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (pk, sk)
        ) STRICT, WITHOUT ROWID
        """,
    ),
    (),  # Records in two rows (split.py): an older release would lose the second one, so it refuses the file.
    (
        "ALTER TABLE counters ADD COLUMN expires INTEGER",
        "CREATE INDEX counters_by_expiry ON counters (expires) WHERE expires IS NOT NULL",
    ),
)
"""Entry n makes version n + 1 from version n. Entries are added, never changed."""

_REASONS: Final = {
    sqlite3.SQLITE_BUSY: "Another process holds the database for too long.",
    sqlite3.SQLITE_LOCKED: "Another process holds the database for too long.",
    sqlite3.SQLITE_FULL: "The disk is full.",
    sqlite3.SQLITE_IOERR: "The database file cannot be read or written.",
    sqlite3.SQLITE_READONLY: "The database file may not be written.",
    sqlite3.SQLITE_PERM: "The database file may not be opened.",
    sqlite3.SQLITE_CANTOPEN: "The database file cannot be opened.",
    sqlite3.SQLITE_CORRUPT: "The database file is damaged; restore a backup.",
    sqlite3.SQLITE_NOTADB: "The file is not a database.",
}
_RETRY_SECONDS: Final = 0.01


ROOM: Final = 1_048_576
"""Bytes that have to be free for others than root, or writing is tried before it is promised."""


def unavailable(error: sqlite3.Error) -> StoreUnavailable:
    """The error that callers get for an error of an open database."""
    exact = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    # A quota that is used up is an error of writing, to SQLite.
    kind = StoreUnwritable if exact in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE} else StoreUnavailable
    translated = kind(_REASONS.get(_code(error), "The database failed."))
    translated.__cause__ = error
    return translated


@dataclass(frozen=True, slots=True)
class File:
    """An open database and the place it was opened at."""

    db: sqlite3.Connection
    path: Path
    identity: tuple[int, int]

    def check_place(self) -> None:
        """Raises StoreUnavailable when the file was deleted, moved or replaced.

        SQLite would go on with a file that has no name any more, and lose it on closing.
        """
        if _identity(self.path) != self.identity:
            raise StoreUnavailable("The database file was moved or deleted; restart with the right one.")

    def has_room(self) -> bool:
        """Whether the file system it is on has room left."""
        room = os.statvfs(self.path.parent)
        return room.f_bavail * room.f_frsize >= ROOM


def connect(path: Path, busy_timeout: float) -> File:
    """Open the store's file, or make it, readable and writable by its owner alone.

    When this returns, commits are durable (WAL, synchronous FULL) and the tables are of this version.
    `busy_timeout` is in seconds. Raises StoreUnavailable when another process keeps the file locked
    and StoreUnusable for everything that time will not heal: the directory may not be written, the
    file is damaged, of a newer version, or something else.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StoreUnusable("This Python comes with a SQLite that is too old; 3.37 is needed.")
    try:
        if not path.exists():
            _create(path)
            _sync(path.parent)
        with ExitStack() as undo:
            # Transactions are written out: BEGIN IMMEDIATE is what makes conditions safe.
            db = sqlite3.connect(_address(path, "rw"), uri=True, timeout=busy_timeout, isolation_level=None)
            undo.callback(db.close)
            _check_version(db)
            _make_private(path)
            _make_durable(db, busy_timeout)
            _migrate(db)
            file = File(db, path.absolute(), _identity(path))
            undo.pop_all()
            return file
    except OSError as error:
        raise StoreUnusable(f"The database file cannot be made or opened: {error.strerror}.") from error
    except sqlite3.Error as error:
        if _code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise unavailable(error) from error
        reason = _REASONS.get(_code(error), "The database cannot be opened.")
        raise StoreUnusable(reason) from error


def reader(file: File, busy_timeout: float) -> File:
    """Another connection to an open database, which changes nothing and waits for nobody who writes.

    A statement reads what was committed before it begins, by any connection (sqlite.org/isolation.html).
    Raises StoreUnavailable.
    """
    try:
        with ExitStack() as undo:
            db = sqlite3.connect(
                _address(file.path, "rw"), uri=True, timeout=busy_timeout, isolation_level=None
            )
            undo.callback(db.close)
            db.execute("PRAGMA query_only = ON")
            undo.pop_all()
            return File(db, file.path, file.identity)
    except sqlite3.Error as error:
        raise unavailable(error) from error


def _code(error: sqlite3.Error) -> int:
    """The primary result code; errors that Python's module raises by itself have none."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def _address(path: Path, mode: str) -> str:
    """A URI, because only there one can say that SQLite shall not make the file."""
    return f"{path.absolute().as_uri()}?mode={mode}"


def _identity(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0)  # no file has this identity
    return (status.st_dev, status.st_ino)


def _make_private(path: Path) -> None:
    """SQLite gives the files beside the database the mode that the database has when it makes them.

    An existing file is never opened here: closing any descriptor of a database drops the locks that
    this process holds on it (sqlite.org/howtocorrupt.html, section 2.2).
    """
    for file in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        if file.exists() and file.stat().st_mode & 0o077:
            file.chmod(0o600)


def _create(path: Path) -> None:
    """Make an empty file for its owner alone; one that somebody else made in this moment is as good.

    It gets its name after it was closed: see `_make_private`.
    """
    descriptor, unnamed = tempfile.mkstemp(prefix=".artcafe-", dir=path.parent)
    os.close(descriptor)
    try:
        path.hardlink_to(unnamed)
    except FileExistsError:
        return
    finally:
        Path(unnamed).unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_version(db: sqlite3.Connection) -> int:
    """The version of the tables, 0 for an empty file. Changes nothing, so that a refusal leaves no trace."""
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return 0
    if "artcafe_schema" not in tables:
        raise StoreUnusable("The file is a database of something else.")
    (version,) = db.execute("SELECT version FROM artcafe_schema").fetchone()
    if version > len(MIGRATIONS):
        raise StoreUnusable(
            f"The database was written by a newer release (version {version}, this release knows"
            f" {len(MIGRATIONS)}). Run that release, or restore a backup made before it."
        )
    return int(version)


def _make_durable(db: sqlite3.Connection, busy_timeout: float) -> None:
    """WAL lets readers and one writer work together; FULL puts every commit on disk before it returns."""
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA fullfsync = ON")  # macOS: through the drive's cache as well
    db.execute("PRAGMA journal_size_limit = 67108864")  # bytes of WAL kept after a burst or a long backup
    give_up = time.monotonic() + busy_timeout
    while True:
        try:
            (mode,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
            break
        except sqlite3.OperationalError as error:
            # SQLite does not wait here by itself when several processes open a new file at once.
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(_RETRY_SECONDS)
    if mode != "wal":
        raise StoreUnusable("The file system does not carry a write-ahead log; use a local disk.")


def _migrate(db: sqlite3.Connection) -> None:
    """Bring the tables to this version, all at once; of several processes one does it."""
    if _check_version(db) == len(MIGRATIONS):
        return
    try:
        db.execute("BEGIN IMMEDIATE")
        version = _check_version(db)
        if version == 0:
            db.execute("CREATE TABLE artcafe_schema (version INTEGER NOT NULL) STRICT")
            db.execute("INSERT INTO artcafe_schema VALUES (0)")
        for migration in MIGRATIONS[version:]:
            for statement in migration:
                db.execute(statement)
        db.execute("UPDATE artcafe_schema SET version = ?", (len(MIGRATIONS),))
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")
