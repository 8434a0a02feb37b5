"""What becomes of one socket's worker, over workers that do as they are told."""

import asyncio
import logging
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from artcafe.server.slot import pause_after
from tests.kit.deadlines import eventually
from tests.kit.stub_workers import PATIENT, SECONDS, House, serving

RENEWED = "all workers are renewed"
STAYS = "a new worker does not come up, so the old ones stay"
KILLED = "worker 0 ended with -9; another one takes its place"


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What is logged."""
    caplog.set_level(logging.INFO, "artcafe")
    return caplog


async def until_said(said: pytest.LogCaptureFixture, line: str) -> None:
    await eventually(lambda: line in said.messages, line, SECONDS)


# It ended, or stands still.


async def test_a_worker_that_was_killed_is_replaced_under_its_name(tmp_path: Path) -> None:
    async with serving(House(tmp_path, ready=True, beat=10)) as house:
        before = house.pids
        house.serving(1).kill()
        await eventually(lambda: len(house.names) == 3, "another one", SECONDS)
        assert house.names[2] == "embedded-1"
        await eventually(lambda: len(house.pids) == 2, "its turn", SECONDS)
        assert house.pids[0] == before[0]
        assert house.pids[1] != before[1]


async def test_a_worker_that_stands_still_is_killed_and_replaced(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    async with serving(House(tmp_path, replace(PATIENT, silence=1.0), ready=True, beat=20)) as house:
        still = house.serving(0).process
        still.send_signal(signal.SIGSTOP)
        await until_said(said, KILLED)
        assert still.returncode == -signal.SIGKILL
        await eventually(lambda: len(house.pids) == 2, "another one", SECONDS)
    assert "worker 0 stands still, and is killed" in said.messages


async def test_after_a_freeze_of_all_of_them_nobody_is_killed(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    async with serving(House(tmp_path, replace(PATIENT, silence=2.0), ready=True, beat=20)) as house:
        before = house.pids
        # As `docker pause` does it, the one that watches included.
        house.signal(signal.SIGSTOP)
        time.sleep(2.2)  # On purpose in the event loop: it stands still.
        house.signal(signal.SIGCONT)
        await asyncio.sleep(0.5)  # It looks twice.
        assert house.pids == before
    assert said.messages == []


async def test_a_worker_that_does_not_leave_is_killed(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    deadlines = replace(PATIENT, leave=0.2)
    async with serving(House(tmp_path, deadlines, ready=True, beat=10, deaf=True)):
        pass
    assert sorted(said.messages) == [f"worker {n} did not end in time, and is killed" for n in range(2)]


def test_the_pause_before_the_next_start_grows_up_to_a_bound() -> None:
    assert [pause_after(failures) for failures in (1, 2, 3, 7, 100_000)] == [0.2, 0.4, 0.8, 10.0, 10.0]


@contextmanager
def no_files() -> Iterator[None]:
    """This process opens nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_worker_that_cannot_be_started_is_tried_again(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    async with serving(House(tmp_path, ready=True, beat=10)) as house:
        with no_files():
            house.serving(0).kill()
            await until_said(said, "worker 0 cannot be started: Too many open files")
        await eventually(lambda: len(house.pids) == 2, "another one", SECONDS)
        assert house.names[2] == "embedded-0"


# It is renewed.


async def test_a_renewal_while_a_worker_is_missing_starts_one_at_once_and_no_second_one(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    pause = 1.0
    async with serving(House(tmp_path, pause=pause, ready=True, beat=10)) as house:
        house.serving(0).kill()
        await until_said(said, KILLED)
        missing = time.monotonic()
        house.workers.renew()
        await until_said(said, RENEWED)
        await asyncio.sleep(max(missing + pause + 0.3 - time.monotonic(), 0))  # Nothing comes of it later.
        assert [worker.process.pid for worker in house.running] == house.pids
        assert len(house.names) == 4
        assert house.names[2] == "embedded-0", "it takes the dead one's place"
        house.workers.renew()
        await eventually(lambda: said.messages.count(RENEWED) == 2, "another renewal", SECONDS)
        assert (len(house.names), len(house.running)) == (6, 2)


async def test_a_new_worker_that_hangs_at_its_start_is_given_up(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    # Long enough for two that do not hang, on a busy machine.
    async with serving(House(tmp_path, replace(PATIENT, start=3.0), ready=True, beat=10)) as house:
        before = house.pids
        house.does["ready"] = False
        house.workers.renew()
        await until_said(said, STAYS)
        assert house.pids == before
        house.does["ready"] = True
        house.workers.renew()
        await until_said(said, RENEWED)
        assert not set(house.pids) & set(before)
        assert len(house.running) == 2


async def test_a_worker_that_ends_while_it_is_replaced_has_one_successor(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    async with serving(House(tmp_path, ready=True, beat=10)) as house:
        house.does["ready"] = False
        house.workers.renew()
        await eventually(lambda: len(house.names) == 3, "the new one", SECONDS)
        house.does["ready"] = True
        old = house.serving(0)
        old.kill()
        await until_said(said, KILLED)
        await asyncio.sleep(0.4)  # Longer than the pause before it would be replaced otherwise.
        assert len(house.names) == 3
        (new,) = house.workers.slots[0].running
        new.process.send_signal(signal.SIGUSR2)
        await until_said(said, RENEWED)
        assert house.serving(0) is new
        assert (len(house.names), len(house.running)) == (4, 2)


async def test_a_stop_during_a_renewal_ends_old_and_new(tmp_path: Path) -> None:
    async with serving(House(tmp_path, ready=True, beat=10)) as house:
        house.does["ready"] = False
        house.workers.renew()
        await eventually(lambda: len(house.names) == 3, "the new one", SECONDS)
        started = [worker.process for worker in house.running]
    assert len(started) == 3
    assert [process.returncode for process in started] == [0, 0, 0]
