"""The stored sign-ins: one file of mode 0600, with tokens by the platform's address."""

import asyncio
import contextlib
import fcntl
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from artcafe.client.sign_in import IssuerEndpoints, SignInRefused, Tokens, refreshed

_FILE = "sign-ins.json"
_OVER = {"invalid_grant", "expired_token"}
"""The words that end a sign-in; any other one says that something else is wrong."""

_EARLY = 60.0
"""Seconds before its end in which an access token is renewed."""


@dataclass(frozen=True, slots=True)
class StoredSignIn:
    """Tokens of one platform. `expires` is in Unix seconds."""

    issuer: IssuerEndpoints
    access: str
    refresh: str | None
    expires: float

    @classmethod
    def of(cls, issuer: IssuerEndpoints, tokens: Tokens, now: float) -> "StoredSignIn":
        """The sign-in made from a token response."""
        return cls(issuer, tokens.access, tokens.refresh, now + tokens.lifetime)


class SignIns:
    """The sign-ins of one user of this machine. Commands that run at once take turns."""

    def __init__(self, data_dir: Path, now: Callable[[], float]) -> None:
        self._path = data_dir / _FILE
        self._now = now

    @classmethod
    def of(cls, data_dir: Path) -> "SignIns":
        """The sign-ins in a data directory, by the clock of this machine."""
        return cls(data_dir, time.time)  # noqa: TID251  # the command line has no other clock

    def keep(self, url: str, issuer: IssuerEndpoints, tokens: Tokens) -> None:
        """Sign in at a platform, in place of who was. Raises ClickException when it cannot be written."""
        with self._turn():
            self._write({**self._read(), url: asdict(StoredSignIn.of(issuer, tokens, self._now()))})

    def forget(self, url: str) -> StoredSignIn | None:
        """Remove the sign-in and return it; None without one."""
        if not self._path.exists():
            return None
        with self._turn():
            held = self._read()
            gone = held.pop(url, None)
            self._write(held)
        return None if gone is None else self._parsed(gone)

    async def token(self, url: str) -> str | None:
        """The access token for a platform, renewed when it is about to end; None without a sign-in.

        Raises SignInRefused when the sign-in is over, which forgets it, and unavailable when the issuer is
        away.
        """
        if not self._path.exists():
            return None
        # Another command may hold the turn while it asks the issuer, so waiting is for a thread.
        async with contextlib.AsyncExitStack() as stack:
            turn = self._turn()
            await asyncio.to_thread(turn.__enter__)
            stack.push(turn.__exit__)
            held = self._read()
            if url not in held:
                return None
            sign_in = self._parsed(held[url])
            if sign_in.expires - _EARLY > self._now():
                return sign_in.access
            try:
                if sign_in.refresh is None:
                    raise SignInRefused("expired_token", "Your sign-in is over; run `artcafe login`.")
                tokens = await refreshed(sign_in.issuer, sign_in.refresh)
            except SignInRefused as refused:
                if refused.error in _OVER:
                    del held[url]
                    self._write(held)
                raise
            renewed = StoredSignIn.of(sign_in.issuer, tokens, self._now())
            self._write({**held, url: asdict(renewed)})
            return renewed.access

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._path.with_suffix(".lock"), os.O_WRONLY | os.O_CREAT, 0o600)
        except OSError as error:
            raise self._fault(error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _read(self) -> dict[str, Any]:
        try:
            status = self._path.lstat()
            if status.st_mode & 0o077 or status.st_uid != os.geteuid():
                raise click.ClickException(f"{self._path} can be opened by others; run chmod go= on it")
            held = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._fault(error) from error
        except ValueError as error:
            raise self._damaged() from error
        if not isinstance(held, dict):
            raise self._damaged()
        return held

    def _parsed(self, held: Any) -> StoredSignIn:
        try:
            issuer = IssuerEndpoints(**{**held["issuer"], "scopes": tuple(held["issuer"]["scopes"])})
            return StoredSignIn(issuer, str(held["access"]), held["refresh"], float(held["expires"]))
        except (KeyError, TypeError, ValueError) as error:
            raise self._damaged() from error

    def _write(self, held: dict[str, Any]) -> None:
        """All of it or nothing: a file beside it takes its place."""
        try:
            descriptor, draft = tempfile.mkstemp(prefix=".sign-ins-", dir=self._path.parent)  # mode 0600
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(held, file)
                file.flush()
                os.fsync(file.fileno())
            Path(draft).replace(self._path)
        except OSError as error:
            raise self._fault(error) from error

    def _damaged(self) -> click.ClickException:
        return click.ClickException(f"{self._path} is damaged; delete it and run `artcafe login`")

    def _fault(self, error: OSError) -> click.ClickException:
        return click.ClickException(f"{self._path}: {error.strerror}")
