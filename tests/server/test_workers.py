"""The one that starts, renews and stops all workers, over workers that do as they are told."""

import asyncio
import logging
from pathlib import Path

import pytest

from artcafe.server.workers import Order, WorkersFailed
from tests.kit.deadlines import eventually
from tests.kit.stub_workers import SECONDS, House, serving

RENEWED = "all workers are renewed"


async def test_it_is_ready_when_all_are_and_stops_with_all(tmp_path: Path) -> None:
    async with serving(House(tmp_path, ready=True, beat=10)) as house:
        assert house.names == ["embedded-0", "embedded-1"]
        started = [worker.process for worker in house.running]
    assert house.events == ["ready", "stopping"]
    assert [process.returncode for process in started] == [0, 0]


async def test_all_are_renewed_one_after_the_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "artcafe")
    async with serving(House(tmp_path, ready=True, beat=10)) as house:
        before = house.pids
        house.workers.renew()
        await eventually(lambda: RENEWED in caplog.messages, "the end of the renewal", SECONDS)
        assert not set(house.pids) & set(before)
        assert [worker.process.pid for worker in house.running] == house.pids, "the old ones ended"
        names = house.names[2:]
        assert [name.partition("+")[0] for name in names] == ["embedded-0", "embedded-1"]
        assert len(set(house.names)) == 4, "old and new are there together, so they have names of their own"


async def test_the_old_ones_stay_when_new_ones_do_not_come_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(House(tmp_path, ready=True, beat=10)) as house:
        before = house.pids
        house.does.update(end=3, ready=False)
        house.workers.renew()
        await eventually(lambda: caplog.messages, "a word about it", SECONDS)
        assert (len(house.names), house.pids) == (3, before)
    assert caplog.messages == ["a new worker does not come up, so the old ones stay"]


async def test_a_renewal_that_is_asked_for_during_the_start_follows_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "artcafe")
    house = House(tmp_path, ready=True, beat=10)
    house.workers.renew()
    async with serving(house):
        await eventually(lambda: RENEWED in caplog.messages, "the end of the renewal", SECONDS)
        assert (len(house.names), len(house.running)) == (4, 2)


async def test_a_start_that_fails_ends_what_came_up(tmp_path: Path) -> None:
    house = House(tmp_path, end=3)
    with pytest.raises(WorkersFailed):
        await house.serve()
    assert (house.names, house.events) == (["embedded-0"], ["stopping"])


async def test_a_stop_in_the_middle_of_the_start(tmp_path: Path) -> None:
    house = House(tmp_path)  # Never ready.
    running = asyncio.get_running_loop().create_task(house.serve())
    await eventually(lambda: house.names, "the first one", SECONDS)
    house.workers.stop()
    await running
    assert (house.running, house.events) == ([], ["stopping"])


def test_who_is_told_how_a_worker_is() -> None:
    order = Order(settings={}, port=1, nats_url="", seed="", embedded=False, ear="x")
    assert order.supervision == {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "10000000"}
