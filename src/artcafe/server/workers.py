"""The processes that serve one port together, and the one that starts, watches, renews and stops them."""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from artcafe.server.embedded import tether

LOG = logging.getLogger("artcafe")

REPLACED = signal.SIGUSR1
"""What a worker is sent when another one accepts on its socket: it accepts nobody more, and then stops."""

START_SECONDS = 60.0
"""How long a worker may take until it answers."""

SILENCE_SECONDS = 20.0
"""A worker whose event loop does not turn for so long is killed."""

STEADY_SECONDS = 30.0
"""A worker that lived so long did not fail at its start: the next pause is a short one again."""

_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.2, 10.0
_LOOK_SECONDS = 1.0
_FAREWELL_SECONDS = 10.0
"""What a worker has, beyond its drain time, to write what it counted and to end."""


class WorkersFailed(Exception):
    """The workers do not come up, and why, in one line for people."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is to do. `descriptor` is the listening socket, `name` its own among all processes,
    `ear` the abstract address (unix(7)) where it is heard."""

    settings: dict[str, Any]
    port: int
    nats_url: str
    seed: str
    embedded: bool
    descriptor: int = -1
    name: str = ""
    ear: str = ""

    @property
    def supervision(self) -> dict[str, str]:
        """Where the worker tells how it is, as variables of sd_notify(3)."""
        return {"NOTIFY_SOCKET": f"@{self.ear}", "WATCHDOG_USEC": f"{SILENCE_SECONDS / 2 * 1e6:.0f}"}


class Worker:
    """One process that was started."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, ear: socket.socket) -> None:
        self.name = name
        self.process = process
        self.leaving = False
        self._loop = asyncio.get_running_loop()
        self._ear = ear
        self._began = self._heard = self._loop.time()
        self._settled = asyncio.Event()
        self.ready = False
        self._loop.add_reader(ear.fileno(), self._hear)

    @property
    def age(self) -> float:
        """Seconds since it was started."""
        return self._loop.time() - self._began

    @property
    def silent(self) -> float:
        """Seconds since it was heard."""
        return self._loop.time() - self._heard

    async def answers(self) -> bool:
        """Wait until it does; False when it ended first."""
        await self._settled.wait()
        return self.ready

    async def ended(self) -> int:
        """Wait until it ended, and give its exit code."""
        code = await self.process.wait()
        self._loop.remove_reader(self._ear.fileno())
        self._ear.close()
        self._settled.set()
        return code

    def leave(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to send its clients away and to end."""
        self.leaving = True
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(how)

    def kill(self) -> None:
        """End it at once."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                said = self._ear.recv(4096)
                self._heard = self._loop.time()
                if b"READY=1" in said.splitlines():
                    self.ready = True
                    self._settled.set()


class Workers:
    """As many workers as there are listening sockets, each on its own.

    A worker that ends unasked, or whose event loop stands still, is replaced, after a pause that grows
    while that goes on. The sockets stay open here, so nobody who connects meanwhile is refused: he
    waits. Workers end with this process, also when it is killed. Call it from the main thread.
    """

    def __init__(
        self,
        order: Order,
        listeners: Sequence[socket.socket],
        leave_seconds: float,
        ready: Callable[[], None],
        stopping: Callable[[], None],
        jitter: Callable[[], float],
        *,
        program: Sequence[str] = ("-m", "artcafe.server.worker"),
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        """`ready` is called once all of them answer, `stopping` when they are sent away.

        `leave_seconds` is what a worker may take to send its clients away; `jitter` is from [0, 1);
        `program` is what Python runs; a worker that is silent for `silence_seconds` is killed.
        """
        self.fault: Exception | None = None
        """Why it stops, where somebody found a reason."""
        self._order = order
        self._listeners = listeners
        self._leave_seconds = leave_seconds
        self._ready = ready
        self._stopping = stopping
        self._jitter = jitter
        self._program = program
        self._silence_seconds = silence_seconds
        self._current: dict[int, Worker] = {}
        self._running: set[Worker] = set()
        self._failures: dict[int, int] = {}
        self._stop = asyncio.Event()
        self._renew = asyncio.Event()

    def stop(self, _: int = 0) -> None:
        """Begin to stop."""
        self._stop.set()

    def renew(self) -> None:
        """Replace all workers, one after the other: the next one when the one before is replaced."""
        self._renew.set()

    async def serve(self, sockets: Sequence[socket.socket]) -> None:
        """Run until `stop`. Raises WorkersFailed when one does not come up at the start."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            chores = [tasks.create_task(chore) for chore in (self._begin(), self._look(), self._renewing())]
            await self._stop.wait()
            self._stopping()
            for chore in chores:
                chore.cancel()
            await self._end(self._running)
        if self.fault is not None:
            raise self.fault

    async def _begin(self) -> None:
        # The first one makes what is missing in the data directory, alone.
        for slots in ([0], range(1, len(self._listeners))):
            for slot in slots:
                await self._start(
                    slot, f"{'embedded' if self._order.embedded else secrets.token_hex(8)}-{slot}"
                )
            for slot in slots:
                if not await self._current[slot].answers():
                    self.fault = WorkersFailed("A worker did not come up; what it logged says why.")
                    self.stop()
                    return
        self._ready()

    async def _start(self, slot: int, name: str) -> Worker:
        worker = await self._spawn(slot, name)
        self._current[slot] = worker
        self._tasks.create_task(self._mind(slot, worker))
        return worker

    async def _spawn(self, slot: int, name: str) -> Worker:
        descriptor = self._listeners[slot].fileno()
        ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = f"artcafe-{secrets.token_hex(16)}"
        ear.setblocking(False)
        ear.bind(f"\0{address}")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(tether.__file__)),
            f"{os.getpid()}",
            sys.executable,
            *self._program,
            stdin=asyncio.subprocess.PIPE,
            pass_fds=[descriptor],
            start_new_session=True,  # Ctrl-C is for this process, which ends it.
        )
        order = msgspec.structs.replace(self._order, descriptor=descriptor, name=name, ear=address)
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(order, enc_hook=str) + b"\n")
        with contextlib.suppress(ConnectionError):  # It ended already; that is seen where it is minded.
            await process.stdin.drain()
            process.stdin.close()
        worker = Worker(name, process, ear)
        self._running.add(worker)
        if self._stop.is_set():
            worker.leave()
        return worker

    async def _mind(self, slot: int, worker: Worker) -> None:
        """Wait until a worker ended; unless that was wanted, another one takes its place and name."""
        code = await worker.ended()
        self._running.discard(worker)
        if worker.leaving or self._stop.is_set() or self._current.get(slot) is not worker:
            return
        if not self._failures.get(slot) and not worker.ready:
            return  # It never came up; `_begin` says so.
        self._failures[slot] = 1 if worker.age > STEADY_SECONDS else self._failures.get(slot, 0) + 1
        pause = min(_PAUSE_SECONDS * 2 ** (self._failures[slot] - 1), _LONGEST_PAUSE_SECONDS)
        LOG.error("worker %d ended with %d; another one takes its place", slot, code)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause * (0.5 + self._jitter())):
                await self._stop.wait()
        if not self._stop.is_set():
            await self._start(slot, worker.name)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for slot, worker in self._current.items():
                if worker.silent > (self._silence_seconds if worker.ready else START_SECONDS):
                    LOG.error("worker %d stands still, and is killed", slot)
                    worker.kill()

    async def _renewing(self) -> None:
        while True:
            await self._renew.wait()
            self._renew.clear()
            for slot in range(len(self._listeners)):
                if not await self._replace(slot):
                    break
            else:
                LOG.info("all workers are renewed")

    async def _replace(self, slot: int) -> bool:
        """Let another worker listen beside the old one, and then send that away; whether that worked."""
        old = self._current[slot]
        new = await self._spawn(slot, f"{old.name.partition('+')[0]}+{secrets.token_hex(4)}")
        minding = self._tasks.create_task(self._mind(slot, new))
        if not await new.answers():
            LOG.error("a new worker does not come up, so the old ones stay")
            await minding
            return False
        self._current[slot] = new
        await self._end([old], REPLACED)
        return True

    async def _end(self, some: Iterable[Worker], how: signal.Signals = signal.SIGTERM) -> None:
        """Send workers away; who does not go in time is killed."""
        workers = list(some)
        for worker in workers:
            worker.leave(how)
        waiting = [self._tasks.create_task(worker.process.wait()) for worker in workers]
        if waiting:
            await asyncio.wait(waiting, timeout=self._leave_seconds + _FAREWELL_SECONDS)
        for worker in workers:
            if worker.process.returncode is None:
                LOG.error("a worker did not end in time, and is killed")
                worker.kill()
