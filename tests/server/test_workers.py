"""The one that starts, watches, renews and stops workers, over workers that do as they are told."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from artcafe.server.workers import Order, Workers, WorkersFailed
from tests.kit import worker_stub
from tests.kit.deadlines import eventually

SECONDS = 10.0


class House:
    """Two workers, and what became of them."""

    def __init__(self, folder: Path, **does: Any) -> None:
        self._log = folder / "names"
        self._log.touch()
        self.events: list[str] = []
        order = Order(settings={"log": str(self._log), **does}, port=1, nats_url="", seed="", embedded=True)
        self.sockets = [socket.socket() for _ in range(2)]
        self.workers = Workers(
            order,
            self.sockets,
            0.0,
            lambda: self.events.append("ready"),
            lambda: self.events.append("stopping"),
            lambda: 0.0,
            program=[worker_stub.__file__],
            silence_seconds=0.5,
        )

    @property
    def names(self) -> list[str]:
        """Of the workers that were started."""
        return self._log.read_text().split()

    @property
    def pids(self) -> list[int]:
        """Of those that serve."""
        return [worker.process.pid for _, worker in sorted(self.workers._current.items())]


@asynccontextmanager
async def serving(folder: Path, **does: Any) -> AsyncIterator[House]:
    """Workers that serve until the end of the block."""
    house = House(folder, **does)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(house.workers.serve(house.sockets))
        await eventually(lambda: house.events == ["ready"], "all are ready", SECONDS)
        yield house
        house.workers.stop()
    for each in house.sockets:
        each.close()


async def test_it_is_ready_when_all_are_and_stops_with_all(tmp_path: Path) -> None:
    async with serving(tmp_path, ready=True, beat=10) as house:
        assert house.names == ["embedded-0", "embedded-1"]
        started = [worker.process for worker in house.workers._running]
    assert house.events == ["ready", "stopping"]
    assert [process.returncode for process in started] == [0, 0]


async def test_a_worker_that_was_killed_is_replaced_under_its_name(tmp_path: Path) -> None:
    async with serving(tmp_path, ready=True, beat=10) as house:
        before = house.pids
        house.workers._current[1].kill()
        await eventually(lambda: len(house.names) == 3, "another one", SECONDS)
        assert house.names[2] == "embedded-1"
        assert house.pids[0] == before[0]


async def test_a_worker_that_stands_still_is_killed_and_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path, ready=True) as house:  # They beat once a second: too seldom.
        await eventually(lambda: len(house.names) >= 4, "others", SECONDS)
    assert "worker 0 stands still, and is killed" in [record.message for record in caplog.records]


async def test_all_are_renewed_one_after_the_other(tmp_path: Path) -> None:
    async with serving(tmp_path, ready=True, beat=10) as house:
        before = house.pids
        house.workers.renew()
        await eventually(lambda: not set(house.pids) & set(before), "new ones", SECONDS)
        await eventually(lambda: len(house.workers._running) == 2, "the old ones' end", SECONDS)
        names = house.names[2:]
        assert [name.partition("+")[0] for name in names] == ["embedded-0", "embedded-1"]
        assert len(set(house.names)) == 4, "old and new are there together, so they have names of their own"


async def test_the_old_ones_stay_when_new_ones_do_not_come_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path, ready=True, beat=10) as house:
        before = house.pids
        house.workers._order.settings["end"] = 3
        house.workers._order.settings["ready"] = False
        house.workers.renew()
        await eventually(lambda: len(house.names) == 3, "a new one", SECONDS)
        await eventually(lambda: caplog.records, "a word about it", SECONDS)
        assert house.pids == before
    assert [record.message for record in caplog.records] == [
        "a new worker does not come up, so the old ones stay"
    ]


async def test_a_start_that_fails_ends_what_came_up(tmp_path: Path) -> None:
    house = House(tmp_path, end=3)
    with (
        contextlib.closing(house.sockets[0]),
        contextlib.closing(house.sockets[1]),
        pytest.raises(WorkersFailed),
    ):
        async with asyncio.timeout(SECONDS):
            await house.workers.serve(house.sockets)
    assert (house.names, house.events) == (["embedded-0"], ["stopping"])


async def test_a_stop_in_the_middle_of_the_start(tmp_path: Path) -> None:
    house = House(tmp_path)  # Never ready.
    with contextlib.closing(house.sockets[0]), contextlib.closing(house.sockets[1]):
        serving = asyncio.get_running_loop().create_task(house.workers.serve(house.sockets))
        await eventually(lambda: house.names, "the first one", SECONDS)
        house.workers.stop()
        async with asyncio.timeout(SECONDS):
            await serving
    assert not house.workers._running


def test_who_is_told_how_a_worker_is() -> None:
    order = Order(settings={}, port=1, nats_url="", seed="", embedded=False, ear="x")
    assert order.supervision == {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "10000000"}
