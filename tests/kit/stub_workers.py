"""Two workers that do as they are told (worker_stub.py), under the real one that starts and watches them."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from artcafe.server.slot import Deadlines, Worker
from artcafe.server.workers import Order, Workers
from tests.kit import worker_stub
from tests.kit.deadlines import eventually

SECONDS = 20.0

PATIENT = Deadlines(start=60.0, silence=20.0, leave=20.0)
"""Nobody is killed by accident on a busy machine."""


class House:
    """Two workers, and what became of them. `does` is what they are told (`worker_stub`)."""

    def __init__(self, folder: Path, deadlines: Deadlines = PATIENT, pause: float = 0.1, **does: Any) -> None:
        """`pause` are the seconds before a worker that ended for the first time is replaced."""
        self._log = folder / "names"
        self._log.touch()
        self.events: list[str] = []
        self.does: dict[str, Any] = {"log": str(self._log), **does}
        self.sockets = [socket.socket() for _ in range(2)]
        self.workers = Workers(
            Order(settings=self.does, port=1, nats_url="", seed="", embedded=True),
            self.sockets,
            deadlines,
            lambda: self.events.append("ready"),
            lambda: self.events.append("stopping"),
            lambda: pause / 0.2 - 0.5,
            program=[worker_stub.__file__],
        )

    @property
    def names(self) -> list[str]:
        """Of the workers that were started."""
        return self._log.read_text().split()

    @property
    def running(self) -> list[Worker]:
        """All there are, slot by slot."""
        return [worker for slot in self.workers.slots for worker in slot.running]

    @property
    def pids(self) -> list[int]:
        """Of those that serve, slot by slot."""
        return [slot.serving.process.pid for slot in self.workers.slots if slot.serving is not None]

    def serving(self, slot: int) -> Worker:
        """Who serves there."""
        worker = self.workers.slots[slot].serving
        assert worker is not None
        return worker

    def signal(self, number: signal.Signals) -> None:
        """Send this to all."""
        for worker in self.running:
            worker.process.send_signal(number)

    async def serve(self) -> None:
        """Until it is stopped; then the sockets are closed."""
        try:
            async with asyncio.timeout(SECONDS * 3):
                await self.workers.serve(self.sockets)
        finally:
            for each in self.sockets:
                each.close()


@asynccontextmanager
async def serving(house: House) -> AsyncIterator[House]:
    """Workers that serve until the end of the block."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(house.serve())
        await eventually(lambda: house.events == ["ready"], "all are ready", SECONDS)
        yield house
        house.workers.stop()
