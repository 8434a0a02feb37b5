"""One listening socket of several, and its worker process: started, watched, replaced, stopped."""

import asyncio
import contextlib
import logging
import math
import secrets
import signal
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

LOG = logging.getLogger("artcafe")

REPLACED = signal.SIGUSR1
"""What a worker is sent when another one accepts on its socket: it accepts nobody more, and then stops."""

SILENCE_SECONDS = 20.0
"""A worker whose event loop does not turn for so long is killed."""

_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.2, 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """How long a worker is waited for, in seconds, before it is killed: until it answers, while it is silent,
    and until it ended when it was asked to.

    One that lived for `steady` did not fail at its start: the next pause is a short one again.
    """

    start: float = 60.0
    silence: float = SILENCE_SECONDS
    leave: float = 10.0
    steady: float = 30.0

    @property
    def look(self) -> float:
        """The interval at which a slot checks its workers."""
        return min(1.0, self.silence / 10)


class Worker:
    """A process that was started. `changed` is called when it first answers, and when it ended."""

    def __init__(
        self,
        name: str,
        process: asyncio.subprocess.Process,
        ear: socket.socket,
        deadlines: Deadlines,
        changed: Callable[[], None],
    ) -> None:
        """`ear` is the socket on which it tells how it is (sd_notify(3)); it is closed when that ended."""
        self.name = name
        self.process = process
        self.ready = self.ended = False
        self._leaving = self._killed = False
        self._deadlines = deadlines
        self._left = deadlines.start
        self._changed = changed
        self._ear = ear
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._loop.add_reader(ear.fileno(), self._hear)

    @property
    def age(self) -> float:
        """Seconds since it was started."""
        return self._loop.time() - self._began

    async def watch(self) -> None:
        """Wait until it ended."""
        await self.process.wait()
        self._loop.remove_reader(self._ear.fileno())
        self._ear.close()
        self.ended = True
        self._changed()

    def leave(self, how: signal.Signals) -> None:
        """Ask it to send its clients away and to end; nothing happens when it was asked."""
        if not self._leaving:
            self._leaving = True
            self._left = self._deadlines.leave
            self._send(how)

    def kill(self) -> None:
        """End it at once."""
        self._leaving = self._killed = True
        self._send(signal.SIGKILL)

    def waited(self, seconds: float, slot: int) -> None:
        """Count these seconds, in which it was listened to; when it was given no more, it is killed."""
        self._left -= seconds
        if self._left > 0 or self._killed or self.ended:
            return
        if self._leaving:
            LOG.error("worker %d did not end in time, and is killed", slot)
        else:
            LOG.error("worker %d stands still, and is killed", slot)
        self.kill()

    def _send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                said = self._ear.recv(4096)
                if not self.ready and b"READY=1" in said.splitlines():
                    self.ready = True
                    self._changed()
                if self.ready and not self._leaving:
                    self._left = self._deadlines.silence


Start = Callable[[str, Callable[[], None]], Awaitable[Worker]]
"""Start a worker of this name, which calls that when something about it changed. Raises OSError."""


class Slot:
    """One socket's worker. All that happens to it is decided in one task (`run`), from the state it finds:
    nothing is started, replaced or given up anywhere else.

    At most one worker serves and at most one is coming; any number may be leaving. A worker that ends unasked
    is replaced under its name, after a pause that grows while that goes on.
    """

    def __init__(
        self, number: int, name: str, start: Start, deadlines: Deadlines, jitter: Callable[[], float]
    ) -> None:
        """`name` is its first worker's; `jitter` is from [0, 1)."""
        self.running: set[Worker] = set()
        """Its processes, those that leave included."""
        self.serving: Worker | None = None
        self._number = number
        self._name = name
        self._start = start
        self._deadlines = deadlines
        self._jitter = jitter
        self._coming: Worker | None = None
        self._wanted: asyncio.Future[bool] | None = None
        self._renewal: asyncio.Future[bool] | None = None
        self._failures = 0
        self._again: float | None = None
        """When the next worker is started in place of one that ended, by the loop's clock."""
        self._served = self._stopped = False
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()

    def renew(self) -> asyncio.Future[bool]:
        """Start a worker, in place of the one that serves, if any: True once it serves alone, False when it
        does not come up. Then the one that served goes on. Ask again only when it is answered."""
        self._wanted = asyncio.get_running_loop().create_future()
        self._wake.set()
        return self._wanted

    def stop(self) -> None:
        """Begin to stop: `run` returns when no worker is left."""
        self._stopped = True
        self._wake.set()

    async def run(self) -> None:
        """Do what is asked and what is needed, until it is stopped. It starts nothing before `renew`."""
        looked = self._loop.time()
        async with asyncio.TaskGroup() as watching:
            while not self._stopped or self.running:
                self._wake.clear()
                # Seconds in which this process itself was frozen or starved say nothing about a worker.
                now = self._loop.time()
                listened, looked = min(now - looked, self._deadlines.look), now
                for worker in self.running:
                    worker.waited(listened, self._number)
                await self._step(watching)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(self._deadlines.look, self._until_next(now))):
                        await self._wake.wait()
        self._renewal = self._renewal or self._wanted
        self._answer(came_up=False)

    async def _step(self, watching: asyncio.TaskGroup) -> None:
        for worker in [worker for worker in self.running if worker.ended]:
            self.running.discard(worker)
            self._gone(worker)
        if self._stopped:
            self._again = None
            for worker in self.running:
                worker.leave(signal.SIGTERM)
            return
        if self._coming is not None and self._coming.ready:
            if self.serving is not None:
                self.serving.leave(REPLACED)
            self.serving, self._coming = self._coming, None
            self._name, self._served = self.serving.name, True
        if self._wanted is not None:
            self._renewal, self._wanted = self._wanted, None
            if self._coming is not None:  # It started before it was asked for.
                self._coming.kill()
                self._coming = None
            # Old and new ones are there together, so they have names of their own.
            beside = f"{self._name.partition('+')[0]}+{secrets.token_hex(4)}"
            await self._begin(self._name if self.serving is None else beside, watching)
        elif self._again is not None and self._loop.time() >= self._again:
            await self._begin(self._name, watching)
        if self.serving is not None and self.running == {self.serving}:
            self._answer(came_up=True)

    async def _begin(self, name: str, watching: asyncio.TaskGroup) -> None:
        self._again = None
        try:
            worker = await self._start(name, self._wake.set)
        except OSError as error:
            LOG.error("worker %d cannot be started: %s", self._number, error.strerror)
            self._answer(came_up=False)
            self._plan_the_next(0.0)
            return
        self._coming = worker
        self.running.add(worker)
        watching.create_task(worker.watch())

    def _gone(self, worker: Worker) -> None:
        """A worker ended: perhaps it was to, perhaps another one has to take its place."""
        if worker is self._coming:
            self._coming = None
            self._answer(came_up=False)
        elif worker is self.serving:
            self.serving = None
        else:
            return
        if self._served and self.serving is None and not self._stopped:
            LOG.error(
                "worker %d ended with %d; another one takes its place",
                self._number,
                worker.process.returncode,
            )
        self._plan_the_next(worker.age)

    def _plan_the_next(self, lived: float) -> None:
        """Start another worker after a pause, where one served and none does now, nor is coming."""
        if not self._served or self.serving is not None or self._coming is not None:
            return
        self._failures = 1 if lived > self._deadlines.steady else self._failures + 1
        self._again = self._loop.time() + pause_after(self._failures) * (0.5 + self._jitter())

    def _until_next(self, now: float) -> float:
        return math.inf if self._again is None else max(self._again - now, 0.0)

    def _answer(self, *, came_up: bool) -> None:
        """Resolve the pending renewal."""
        if self._renewal is not None and not self._renewal.done():
            self._renewal.set_result(came_up)
        self._renewal = None


def pause_after(failures: int) -> float:
    """Seconds until the next start, after so many workers that failed one after the other."""
    return min(_PAUSE_SECONDS * 2.0 ** min(failures - 1, 10), _LONGEST_PAUSE_SECONDS)
