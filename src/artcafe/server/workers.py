"""The processes that serve one port together, and their parent, which starts, replaces and stops them: each
in a slot (slot.py)."""

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from artcafe.server.embedded import tether
from artcafe.server.slot import SILENCE_SECONDS, Deadlines, Slot, Worker
from artcafe.server.telemetry.worker_reports import WorkerReports

LOG = logging.getLogger("artcafe")

FAREWELL_SECONDS = 10.0
"""What a worker has, beyond its drain time, to write what it counted and to end."""


class WorkersFailed(Exception):
    """The workers do not come up, and why, in one line for people."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """The order to a worker. `descriptor` is the listening socket, `name` its own among all processes, `ear`
    the abstract address (unix(7)) of its notifications, `metrics` the socket of its reports, where they are
    wanted (telemetry.worker_reports)."""

    settings: dict[str, Any]
    port: int
    nats_url: str
    seed: str
    embedded: bool
    descriptor: int = -1
    metrics: int = -1
    name: str = ""
    ear: str = ""

    @property
    def supervision(self) -> dict[str, str]:
        """The address for the worker's notifications, as variables of sd_notify(3)."""
        return {"NOTIFY_SOCKET": f"@{self.ear}", "WATCHDOG_USEC": f"{SILENCE_SECONDS / 2 * 1e6:.0f}"}


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
        deadlines: Deadlines,
        ready: Callable[[], None],
        stopping: Callable[[], None],
        jitter: Callable[[], float],
        *,
        program: Sequence[str] = ("-m", "artcafe.server.worker"),
        reports: WorkerReports | None = None,
    ) -> None:
        """`ready` is called once all of them answer, `stopping` when they are sent away.

        `deadlines` is what each worker may take; `jitter` is from [0, 1); `program` is what Python runs.
        `reports` takes their metrics.
        """
        self.fault: Exception | None = None
        """Why it stops, where somebody found a reason."""
        self.slots = [
            Slot(
                number,
                f"{'embedded' if order.embedded else secrets.token_hex(8)}-{number}",
                partial(self._start, listener.fileno()),
                deadlines,
                jitter,
            )
            for number, listener in enumerate(listeners)
        ]
        self._order = order
        self._deadlines = deadlines
        self._ready = ready
        self._stopping = stopping
        self._program = program
        self._reports = reports
        self._tasks = asyncio.TaskGroup()
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
        async with self._tasks as tasks:
            for slot in self.slots:
                tasks.create_task(slot.run())
            asking = tasks.create_task(self._ask())
            await self._stop.wait()
            self._stopping()
            asking.cancel()
            for slot in self.slots:
                slot.stop()
        if self.fault is not None:
            raise self.fault

    async def _ask(self) -> None:
        """Ask the slots for their first workers, and for others whenever that is wanted."""
        # The first one makes what is missing in the data directory, alone.
        for slots in (self.slots[:1], self.slots[1:]):
            for answer in asyncio.as_completed([slot.renew() for slot in slots]):
                if not await answer:
                    self.fault = WorkersFailed("A worker did not come up; what it logged says why.")
                    self.stop()
                    return
        self._ready()
        while True:
            await self._renew.wait()
            self._renew.clear()
            for slot in self.slots:
                if not await slot.renew():
                    LOG.error("a new worker does not come up, so the old ones stay")
                    break
            else:
                LOG.info("all workers are renewed")

    async def _start(self, descriptor: int, name: str, changed: Callable[[], None]) -> Worker:
        ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = f"artcafe-{secrets.token_hex(16)}"
        here, there = (None, None) if self._reports is None else socket.socketpair()
        metrics = -1 if there is None else there.fileno()
        try:
            ear.setblocking(False)
            ear.bind(f"\0{address}")
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                str(Path(tether.__file__)),
                f"{os.getpid()}",
                sys.executable,
                *self._program,
                stdin=asyncio.subprocess.PIPE,
                pass_fds=[descriptor] if there is None else [descriptor, metrics],
                start_new_session=True,  # Ctrl-C is for this process, which ends it.
            )
        except OSError:
            ear.close()
            if here is not None:
                here.close()
            raise
        finally:
            if there is not None:
                there.close()
        if self._reports is not None and here is not None:
            self._tasks.create_task(self._reports.listen(here))
        order = msgspec.structs.replace(
            self._order, descriptor=descriptor, metrics=metrics, name=name, ear=address
        )
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(order, enc_hook=str) + b"\n")
        with contextlib.suppress(ConnectionError):  # It ended already; that is seen where it is watched.
            await process.stdin.drain()
            process.stdin.close()
        return Worker(name, process, ear, self._deadlines, changed)
