"""Processes of `artcafe` that have everything imported when they begin.

One process per test process imports the platform once and forks each of them (a fork server): a start costs
a quarter of what a fresh interpreter needs. What a process does from `main` on is the same, so whoever tests
the start of an interpreter itself uses `platform.artcafe` and `subprocess`.
"""

import atexit
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

import artcafe.client.client
import artcafe.client.rest
import artcafe.server.app
import artcafe.server.main  # noqa: F401 - what is to be there at once
from artcafe.cli.main import main

ROOT = Path(__file__).parents[2]
REQUEST_BYTES = 1024 * 1024


class Preloaded:
    """A process that was forked, with the methods of `subprocess.Popen` that tests use."""

    def __init__(
        self,
        words: Sequence[str],
        env: Mapping[str, str],
        out: IO[bytes],
        err: IO[bytes] | None = None,
        said: IO[bytes] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Begin `artcafe words`; what goes to stderr goes to `out` unless there is `err`, and nothing comes
        from stdin unless there is `said`."""
        self.returncode: int | None = None
        self._status, given = socket.socketpair()
        request = json.dumps([[*words], dict(env), str(cwd or Path.cwd())]).encode()
        with (
            given,
            Path(os.devnull).open("rb") as nothing,
            socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server,
        ):
            server.connect(_fork_server())
            server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, REQUEST_BYTES)
            streams = [(said or nothing).fileno(), out.fileno(), (err or out).fileno()]
            socket.send_fds(server, [request], [*streams, given.fileno()])
        self._read = self._status.makefile("r")
        self.pid = int(self._read.readline())

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, negative for a signal. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._status, selectors.EVENT_READ)
                if not selector.select(timeout):
                    raise subprocess.TimeoutExpired("artcafe", timeout or 0.0)
            self.returncode = int(self._read.readline())
            self._read.close()
            self._status.close()
        return self.returncode

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def send_signal(self, kind: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, kind)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


def run(
    *words: str, env: Mapping[str, str], said: str = "", cwd: Path | None = None, timeout: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """Run `artcafe words` with `said` on stdin to its end. Raises subprocess.TimeoutExpired."""
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        stdin.write(said.encode())
        stdin.seek(0)
        process = Preloaded(words, env, out, err, stdin, cwd)
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
        for written in (out, err):
            written.seek(0)
        return subprocess.CompletedProcess([*words], code, out.read().decode(), err.read().decode())


@cache
def _fork_server() -> str:
    """The address of this process's fork server, which ends with it."""
    address = f"\0artcafe-tests-{os.getpid()}-{os.urandom(4).hex()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen(16)
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "tests.kit.preloaded", f"{listener.fileno()}"],
            stdin=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
            cwd=ROOT,
        )
    atexit.register(process.wait)
    atexit.register(process.kill)
    return address


@dataclass
class Begun:
    """What a new process is to do. `streams` are stdin, stdout and stderr."""

    words: list[str]
    env: dict[str, str]
    cwd: str
    streams: list[int]


class _Forks:
    """The fork server's table: who runs, and who is to be told of its end."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._told: dict[int, socket.socket] = {}

    def next(self) -> Begun | None:
        """Fork for the next request, which is returned in the new process."""
        client, _ = self._listener.accept()
        with client:
            request, fds, _, _ = socket.recv_fds(client, REQUEST_BYTES, 4)
        *streams, given = fds
        status = socket.socket(fileno=given)
        words, env, cwd = json.loads(request)
        pid = os.fork()
        if pid == 0:
            for other in (self._listener, status, *self._told.values()):
                other.close()
            return Begun(words, env, cwd, streams)
        for stream in streams:
            os.close(stream)
        self._told[pid] = status
        status.sendall(f"{pid}\n".encode())
        return None

    def reap(self) -> None:
        """Tell of those that have ended."""
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                with suppress(BrokenPipeError), self._told.pop(pid) as told:
                    told.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _serve(listener: socket.socket) -> Begun:
    """Fork whenever it is asked for; returns in each process that was forked."""
    forks = _Forks(listener)
    woken, wakes = socket.socketpair()
    for end in (woken, wakes):
        end.setblocking(False)
    before = signal.set_wakeup_fd(wakes.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the tests, which end this process.
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is woken:
                    woken.recv(4096)
                    forks.reap()
                elif (begun := forks.next()) is not None:
                    signal.set_wakeup_fd(before)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    signal.signal(signal.SIGINT, signal.default_int_handler)
                    for end in (woken, wakes):
                        end.close()
                    return begun


def _main() -> None:
    gc.freeze()
    begun = _serve(socket.socket(fileno=int(sys.argv[1])))
    for number, stream in enumerate(begun.streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(begun.cwd)
    os.environ.clear()
    os.environ.update(begun.env)
    sys.argv = ["artcafe", *begun.words]
    main()


if __name__ == "__main__":
    _main()
