"""A program to measure: how it is started, where it answers, how it ends."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from benchmarks.dialect import Dialect
from benchmarks.measure import pinned

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"

TOOLS = ROOT / ".bench"
"""Where `make bench` installs the peers."""

HOST = "127.0.0.1"
_START_SECONDS = 60.0
_STOP_SECONDS = 15.0

Place = dict[str, Any]
"""Where a peer answers, and what a client needs besides: `host`, `port`, and the peer's own."""


class Failed(Exception):
    """A peer does not run, and why."""


class Peer(Protocol):
    """One program beside which the platform is measured, or the platform itself."""

    name: str
    title: str

    def missing(self) -> str | None:
        """What is not installed here; None when it can be started."""
        ...

    def start(self, folder: Path, core: int | None) -> tuple["Server", Place]:
        """Start it with its files in `folder`. Raises Failed."""
        ...

    def dialect(self, place: Place) -> Dialect:
        """How to talk to it."""
        ...


class Server:
    """A peer's running process, in a session of its own."""

    def __init__(
        self, command: list[str], folder: Path, core: int | None, environment: Mapping[str, str] | None = None
    ) -> None:
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                pinned(command, core),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id; its children are part of it."""
        return self._process.pid

    def until_it_listens(self, port: int) -> None:
        """Return when somebody answers at the port. Raises Failed when it ends first, or not in time."""
        self.until(lambda: _listens(port))

    def until(self, there: Callable[[], bool]) -> None:
        """Return when `there()` is true. Raises Failed when it ends first, or not in time."""
        deadline = time.monotonic() + _START_SECONDS
        while not there():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise Failed(f"it did not start: {self.last_words()}")
            time.sleep(0.02)

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace").strip()[-300:]

    def stop(self) -> None:
        """End it, kindly for a while, then the whole session at once."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def place(port: int, **more: Any) -> Place:
    """A place on this machine."""
    return {"host": HOST, "port": port, **more}


def address(where: Place) -> str:
    """Its host and port."""
    return f"{where['host']}:{where['port']}"


def encoded(value: Any) -> bytes:
    """JSON without spaces."""
    return json.dumps(value, separators=(",", ":")).encode()


def _listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1.0).close()
    except OSError:
        return False
    return True
