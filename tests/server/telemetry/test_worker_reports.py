"""Workers report to their parent: on demand, and once more when they end."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from prometheus_client.metrics_core import Metric

from artcafe.server.telemetry import names, worker_reports
from artcafe.server.telemetry.instruments import metric_of, one
from artcafe.server.telemetry.worker_reports import Reporter, WorkerReports
from tests.kit.deadlines import eventually
from tests.kit.metrics import values

PUBLISHED, TENANTS = "artcafe_published_messages_total", "artcafe_connected_tenants"


class StubWorker:
    """A worker that counted some messages and has tenants."""

    def __init__(self, reports: WorkerReports, tasks: asyncio.TaskGroup, published: int) -> None:
        self.published = published
        here, self.there = socket.socketpair()
        self.listening = tasks.create_task(reports.listen(here))
        self.running = tasks.create_task(Reporter(self.there, self.collect).run())

    def collect(self) -> list[Metric]:
        return [metric_of(names.PUBLISHED_MESSAGES, one(self.published)), metric_of(names.TENANTS, one(1))]

    async def end(self) -> None:
        self.running.cancel()
        await asyncio.wait([self.running, self.listening])


@asynccontextmanager
async def two_workers() -> AsyncIterator[tuple[WorkerReports, StubWorker, StubWorker]]:
    reports = WorkerReports(2)
    async with asyncio.TaskGroup() as tasks:
        one_of_them, other = (StubWorker(reports, tasks, count) for count in (3, 4))
        await eventually(lambda: len(reports._sources) == 2, "both are heard")
        yield reports, one_of_them, other
        await one_of_them.end()
        await other.end()


async def found(reports: WorkerReports) -> dict[str, float]:
    return values(await reports.collect())


async def test_all_are_asked_each_time() -> None:
    async with two_workers() as (reports, one_of_them, _):
        expected = {"artcafe_workers": 2, "artcafe_workers_wanted": 2, PUBLISHED: 7, TENANTS: 2}
        assert await found(reports) == expected
        one_of_them.published += 10
        assert (await found(reports))[PUBLISHED] == 17


async def test_what_one_counted_until_its_end_stays_and_its_gauges_are_gone() -> None:
    async with two_workers() as (reports, one_of_them, _):
        await found(reports)
        one_of_them.published += 5  # After the last time that somebody asked.
        await one_of_them.end()
        assert await found(reports) == {
            "artcafe_workers": 1,
            "artcafe_workers_wanted": 2,
            PUBLISHED: 12,
            TENANTS: 1,
        }


async def test_one_that_does_not_answer_counts_as_it_last_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_reports, "ANSWER_SECONDS", 0.05)
    reports = WorkerReports(1)
    here, there = socket.socketpair()
    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(reports.listen(here))
        await eventually(lambda: reports._sources, "it is heard")
        assert (await found(reports))["artcafe_workers"] == 0, "it never said anything"
        there.close()
        await listening
    assert (await found(reports))["artcafe_workers"] == 0


async def test_a_worker_whose_parent_is_gone_ends_its_reports() -> None:
    here, there = socket.socketpair()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(Reporter(there, list).run())
        await asyncio.sleep(0)
        here.close()
        await eventually(running.done)
    assert running.exception() is None
