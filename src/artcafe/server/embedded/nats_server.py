"""A nats-server as a child process, with a data directory of its own."""

import asyncio
import fcntl
import json
import os
import re
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

_READY_SECONDS = 60.0
_POLL_SECONDS = 0.01
_LOG_BYTES = 10 * 1024 * 1024

_TAIL_BYTES = 64 * 1024

# `[4711] 2026/11/23 04:20:08.114258 [FTL] `
_PREFIX = re.compile(r"^\[\d+\] \S+ \S+ \[\w+\] ")

_TETHER = Path(__file__).with_name("tether.py")


class NatsServerError(Exception):
    """The nats-server does not run, and why, in one line for people."""


class NatsServer:
    """One nats-server. Start it once; a stopped one is not started again.

    It dies with this process, also when that is killed, and with the thread that called `start`
    (PR_SET_PDEATHSIG counts threads): call it from the main thread.

    The data directory holds `nats.conf` (0600), `nats-server.log`, `lock` and whatever the
    configuration puts there. The lock is held by this process and by the nats-server, so two
    nats-servers never share a directory, not even for the moment in which an orphan ends.
    """

    def __init__(
        self,
        config: str,
        data: Path,
        *,
        binary: Path | None = None,
        stop_seconds: float = 10.0,
        lock_seconds: float = 3.0,
    ) -> None:
        """Take the text of the configuration, and the program when it is not the installed wheel's.

        `stop` kills a nats-server that has not ended after `stop_seconds`. `start` waits
        `lock_seconds` for the nats-server of a process that was killed to end.
        """
        self._config = config
        self._data = data
        self._binary = binary or Path(sysconfig.get_path("scripts")) / "nats-server"
        self._stop_seconds = stop_seconds
        self._lock_seconds = lock_seconds
        self._lock: TextIO | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._addresses: dict[str, list[str]] = {}
        self._log_start = 0
        self._stopping = False

    @property
    def data(self) -> Path:
        """The data directory."""
        return self._data

    @property
    def url(self) -> str:
        """The address for clients: `nats://127.0.0.1:4222`."""
        return self._addresses["nats"][0]

    @property
    def monitor_url(self) -> str | None:
        """The address of the HTTP monitoring, when the configuration enables it."""
        return next(iter(self._addresses.get("monitoring", [])), None)

    @property
    def pid(self) -> int:
        """The process id of the nats-server."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> Path:
        """The log file."""
        return self._data / "nats-server.log"

    async def start(self) -> None:
        """Return when clients can connect. Raises NatsServerError, and then nothing is left running."""
        try:
            self._prepare()
            await self._take_lock()
            self._write()
            await self._spawn()
            await self._ready()
        except OSError as error:
            await self.stop()
            raise NatsServerError(
                f"The NATS data directory {self._data} cannot be used: {_reason(error)}."
            ) from error
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End the nats-server, kindly for a while, then at once, and let go of the directory."""
        self._stopping = True
        process = self._process
        try:
            if process is not None and process.returncode is None:
                process.terminate()
                try:
                    async with asyncio.timeout(self._stop_seconds):
                        await process.wait()
                except TimeoutError:
                    process.kill()
                    await process.wait()
        finally:
            if self._lock is not None:
                self._lock.close()
                self._lock = None

    async def wait(self) -> None:
        """Return after `stop`. Raises NatsServerError as soon as the nats-server ended by itself."""
        assert self._process is not None
        code = await self._process.wait()
        if not self._stopping:
            raise NatsServerError(self._ended(code))

    def _prepare(self) -> None:
        if not self._binary.is_file() or not os.access(self._binary, os.X_OK):
            raise NatsServerError(f"There is no nats-server program at {self._binary}.")
        self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._ports.mkdir(exist_ok=True)

    async def _take_lock(self) -> None:
        lock = (self._data / "lock").open("a+", encoding="utf-8")
        self._lock = lock
        deadline = asyncio.get_running_loop().time() + self._lock_seconds
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                lock.seek(0)
                holder = lock.read().strip()
                # When the process that took the lock is dead, its nats-server is about to follow.
                if _alive(holder) or asyncio.get_running_loop().time() > deadline:
                    raise NatsServerError(
                        f"The NATS data directory {self._data} is in use by process {holder or 'unknown'}."
                    ) from None
            await asyncio.sleep(_POLL_SECONDS)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()

    def _write(self) -> None:
        for stale in self._ports.iterdir():
            stale.unlink()
        self._conf.unlink(missing_ok=True)
        with os.fdopen(
            os.open(self._conf, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as file:
            file.write(self._config)
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES:
            self.log.rename(self.log.with_suffix(".log.1"))

    async def _spawn(self) -> None:
        assert self._lock is not None
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = await asyncio.create_subprocess_exec(
                *self._command(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(self._lock.fileno(),),
                # Ctrl-C in a terminal is for the parent, which ends the nats-server in its turn.
                start_new_session=True,
            )

    def _command(self) -> Sequence[str]:
        tether = [sys.executable, "-I", "-S", str(_TETHER), str(os.getpid())]
        server = [str(self._binary), "-c", str(self._conf), "--ports_file_dir", str(self._ports)]
        return [*tether, *server]

    async def _ready(self) -> None:
        assert self._process is not None
        file = self._ports / f"nats-server_{self._process.pid}.ports"
        try:
            async with asyncio.timeout(_READY_SECONDS):
                while self._process.returncode is None:
                    try:
                        self._addresses = json.loads(file.read_text(encoding="utf-8"))
                    except (FileNotFoundError, ValueError):
                        await asyncio.sleep(_POLL_SECONDS)
                    else:
                        return
        except TimeoutError:
            raise NatsServerError(
                f"nats-server was not ready in {_READY_SECONDS:.0f} seconds; see {self.log}."
            ) from None
        raise NatsServerError(self._ended(self._process.returncode))

    def _ended(self, code: int) -> str:
        how = f"by signal {-code}" if code < 0 else f"with code {code}"
        return f"nats-server ended {how}; the last words of {self.log}: {self._last_words()}"

    def _last_words(self) -> str:
        """The last complaint since the start, or else the last line."""
        with self.log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, size - _TAIL_BYTES))
            lines = [line.strip() for line in log.read().decode(errors="replace").split("\n")]
        complaints = [line for line in lines if "[FTL]" in line]
        last = next(reversed(complaints or [line for line in lines if line]), "none")
        return _PREFIX.sub("", last)

    @property
    def _conf(self) -> Path:
        return self._data / "nats.conf"

    @property
    def _ports(self) -> Path:
        return self._data / "ports"


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
