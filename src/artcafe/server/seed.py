"""The operator seed: the secret behind all NATS keys (ADR 1), in a file of mode 0600.

A rotation has three files side by side: the seed in force, the next one, and the old one. Whatever
interrupts it, the seed in force is whole, and the step that was interrupted can be done again.
"""

import contextlib
import os
import secrets
from hashlib import sha256
from pathlib import Path

from artcafe.server.bus.accounts.operator import SEED_BYTES, Operator
from artcafe.server.process import SystemClock
from artcafe.server.settings import Settings

SEED_FILE = "operator.seed"
NEXT_FILE = "operator.seed.next"
OLD_FILE = "operator.seed.old"


class SeedError(Exception):
    """The operator seed cannot be used, or not be changed, and why, in one line for people."""


def load_seed(settings: Settings, *, upcoming: bool = False) -> bytes:
    """The setting, else the file in the data directory, which is made once; or the next seed, of `prepare`.

    Raises SeedError.
    """
    if upcoming:
        _need_files(settings)
        return _read(settings.data_dir / NEXT_FILE)
    if settings.operator_seed is not None:
        return bytes.fromhex(settings.operator_seed.get_secret_value())
    path = settings.data_dir / SEED_FILE
    if not path.exists():
        _make(path)
    return _read(path)


def check_seed(settings: Settings) -> None:
    """Raise SeedError where `load_seed` would, and make nothing."""
    path = settings.data_dir / SEED_FILE
    if settings.operator_seed is None and os.access(path, os.F_OK):
        _read(path)


def operators(settings: Settings) -> dict[str, str]:
    """The public key of the operator that each file stands for, by the file's name. Raises SeedError."""
    _need_files(settings)
    paths = [settings.data_dir / name for name in (SEED_FILE, NEXT_FILE, OLD_FILE)]
    return {path.name: Operator(_read(path), SystemClock()).public for path in paths if path.exists()}


def prepare(settings: Settings) -> Path:
    """Make the next seed, which nothing uses yet, beside the one in force; where it is. Raises SeedError."""
    _need_files(settings)
    current, upcoming = settings.data_dir / SEED_FILE, settings.data_dir / NEXT_FILE
    _read(current)
    _need_absent(upcoming, "there is a rotation under way; `artcafe operator switch` goes on with it")
    _need_absent(settings.data_dir / OLD_FILE, "`artcafe operator forget` ends the rotation before")
    _make(upcoming, like=current)
    return upcoming


def switch(settings: Settings, *, back: bool = False) -> None:
    """Put the next seed in force, and keep the old one; or, `back`, the other way round.

    Processes that run go on with what they read. Raises SeedError, and then nothing changed.
    """
    _need_files(settings)
    current = settings.data_dir / SEED_FILE
    taken, kept = (settings.data_dir / name for name in (NEXT_FILE, OLD_FILE))
    if back:
        taken, kept = kept, taken
    _read(taken)
    _read(current)
    # A link first, so that no moment is without a seed in force. It may be there from an interrupted switch.
    if not (kept.exists() and kept.samefile(current)):
        _need_absent(kept, "`artcafe operator forget` removes it, when nothing uses it any more")
        os.link(current, kept)
    taken.replace(current)
    _keep(settings.data_dir)


def forget(settings: Settings) -> list[Path]:
    """Remove the seeds that are not in force; which these were. Raises SeedError."""
    _need_files(settings)
    _read(settings.data_dir / SEED_FILE)
    gone = [path for name in (NEXT_FILE, OLD_FILE) if (path := settings.data_dir / name).exists()]
    for path in gone:
        path.unlink()
    _keep(settings.data_dir)
    return gone


def _need_files(settings: Settings) -> None:
    if settings.operator_seed is not None:
        raise SeedError(
            "The operator seed comes from ARTCAFE_OPERATOR_SEED: put another one there, 64 hex digits."
        )


def _need_absent(path: Path, hint: str) -> None:
    if path.exists():
        raise SeedError(f"{path} exists: {hint}.")


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_mode & 0o077:
            raise SeedError(f"{path} can be read by others; `chmod 600` it, or make a new installation.")
        seed = bytes.fromhex(path.read_text(encoding="utf-8").strip())
    except OSError as error:
        raise SeedError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError:
        seed = b""
    if len(seed) != SEED_BYTES:
        raise SeedError(f"{path} does not hold {2 * SEED_BYTES} hexadecimal digits.")
    return seed


def _make(path: Path, like: Path | None = None) -> None:
    """Write a new seed, whole or not at all; of several processes that start at once, one wins.

    It gets the owner of the file `like`: root may do this for the user of the servers.
    """
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        if like is not None:
            owner = like.stat()
            os.fchown(handle, owner.st_uid, owner.st_gid)
        file.write(secrets.token_hex(SEED_BYTES) + "\n")
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
    _keep(path.parent)


def _keep(folder: Path) -> None:
    """Have the names of its files on disk, too."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def derived_secret(settings: Settings, seed: bytes, purpose: str) -> bytes:
    """A secret of 32 bytes for one purpose, derived from the secret key that is set, else from the seed."""
    given = settings.secret_key.get_secret_value().encode() if settings.secret_key else seed
    return sha256(f"artcafe {purpose}\n".encode() + given).digest()
