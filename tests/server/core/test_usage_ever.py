"""The meter: what is counted ever, by agent and by channel, and when a channel had its last message."""

import asyncio

import pytest

from artcafe.server.core.usage import Meter
from artcafe.server.domain.ids import AgentId, ChannelId
from artcafe.server.domain.principal import Human
from artcafe.server.domain.usage import CHANNEL, RECEIVED, SENT
from artcafe.wire.codes import Code
from tests.kit.contents import contents
from tests.kit.installation import ACME, OTHER, Installation
from tests.kit.outcomes import refused
from tests.kit.usage import count_message

A1, A2 = AgentId("a1"), AgentId("a2")
TASKS, JOBS = ChannelId("tasks"), ChannelId("jobs")
NOON, A_MINUTE_LATER = "2025-11-24T16:00:00.000Z", "2025-11-24T16:01:00.000Z"


@pytest.fixture
async def meter(installation: Installation, olivia: Human) -> Meter:
    """Of an installation in which two tenants exist."""
    await installation.make_tenant(OTHER, "zoe")
    return installation.process.meter


@pytest.fixture
async def channels(installation: Installation, olivia: Human) -> None:
    """The channels `tasks` and `jobs`."""
    for name in (TASKS, JOBS):
        await installation.process.channels.create(olivia, name, {"name": name})


async def fail(installation: Installation, meter: Meter, writes_left: int = 0) -> None:
    """Flush while the store takes so many writes more."""
    installation.store.writes_left = writes_left
    with refused(Code.unavailable):
        await meter.flush()
    installation.store.heal()


class TestEver:
    async def test_it_adds_up_over_days_processes_and_flushes(
        self, installation: Installation, meter: Meter
    ) -> None:
        other = installation.start("p2").meter
        for day in range(3):
            count_message(meter, ACME, "a1", [TASKS, JOBS], 5)
            count_message(other, ACME, "a2", [TASKS], 5)
            other.received(ACME, A1, 7)
            installation.clock.advance(86_400)
            if day == 1:
                await asyncio.gather(meter.flush(), other.flush())
        await other.flush()

        # What this process has not written yet is in it, too.
        assert await meter.ever(ACME, SENT) == {"a1": 3, "a2": 3}
        assert await meter.ever(ACME, RECEIVED) == {"a1": 21}
        assert await meter.ever(ACME, CHANNEL) == {"tasks": 6, "jobs": 3}
        assert await meter.ever(OTHER, SENT) == {}

    async def test_a_flush_that_fails_gives_everything_back(
        self, installation: Installation, meter: Meter, channels: None
    ) -> None:
        count_message(meter, ACME, "a1", [TASKS], 5)
        meter.received(ACME, A2, 2)
        # The first write is the time of the last message, the second one the counts.
        for writes_left in (0, 1):
            await fail(installation, meter, writes_left)
            assert await meter.ever(ACME, SENT) == {"a1": 1}
            assert await meter.last_spoken(ACME, [TASKS]) == {TASKS: NOON}

        await meter.flush()
        await meter.flush()

        assert await meter.ever(ACME, SENT) == {"a1": 1}
        assert await meter.ever(ACME, RECEIVED) == {"a2": 2}
        assert await meter.ever(ACME, CHANNEL) == {"tasks": 1}

    async def test_a_deleted_tenant_leaves_nothing_behind(
        self, installation: Installation, olivia: Human, meter: Meter, channels: None
    ) -> None:
        for tenant in (ACME, OTHER):
            count_message(meter, tenant, "a1", [TASKS], 5)
            meter.received(tenant, A1, 1)
        await installation.delete_tenant(olivia)
        meter.forget(ACME)

        assert await meter.last_spoken(ACME, [TASKS]) == {}
        await meter.flush()

        assert not {row for row in contents(installation.memory) if row[2] == "SPOKEN#tasks"}
        left = {row[1] for row in contents(installation.memory) if row[0] == "counter"}
        assert left == {f"USE#{await installation.partition(OTHER)}"}
        assert await meter.ever(OTHER, SENT) == {"a1": 1}


class TestLastSpoken:
    async def test_it_is_told_before_and_after_it_is_written(
        self, installation: Installation, meter: Meter, channels: None
    ) -> None:
        count_message(meter, ACME, "a1", [TASKS], 5)
        assert await meter.last_spoken(ACME, [TASKS, JOBS]) == {TASKS: NOON}
        await meter.flush()
        other = installation.start("p2").meter
        assert await other.last_spoken(ACME, [TASKS, JOBS]) == {TASKS: NOON}

        installation.clock.advance(60)
        count_message(meter, ACME, "a1", [TASKS, JOBS], 5)
        assert await meter.last_spoken(ACME, [TASKS]) == {TASKS: A_MINUTE_LATER}
        assert await meter.last_spoken(ACME, [JOBS]) == {JOBS: A_MINUTE_LATER}
        assert await other.last_spoken(ACME, [JOBS]) == {}
        assert await meter.last_spoken(OTHER, [TASKS]) == {}

    async def test_a_process_that_writes_late_does_not_turn_it_back(
        self, installation: Installation, meter: Meter, channels: None
    ) -> None:
        other = installation.start("p2").meter
        count_message(meter, ACME, "a1", [TASKS], 5)
        installation.clock.advance(60)
        count_message(other, ACME, "a1", [TASKS], 5)

        await other.flush()
        await meter.flush()

        assert await meter.last_spoken(ACME, [TASKS]) == {TASKS: A_MINUTE_LATER}

    async def test_what_is_older_here_than_in_the_store_is_not_told(
        self, installation: Installation, meter: Meter, channels: None
    ) -> None:
        other = installation.start("p2").meter
        count_message(meter, ACME, "a1", [TASKS], 5)
        installation.clock.advance(60)
        count_message(other, ACME, "a1", [TASKS], 5)
        await other.flush()

        assert await meter.last_spoken(ACME, [TASKS]) == {TASKS: A_MINUTE_LATER}

    async def test_a_message_during_a_flush_that_fails_is_not_turned_back(
        self, installation: Installation, meter: Meter, channels: None
    ) -> None:
        count_message(meter, ACME, "a1", [TASKS], 5)
        installation.store.writes_left = 0
        flush = asyncio.create_task(meter.flush())
        await asyncio.sleep(0)
        installation.clock.advance(60)
        count_message(meter, ACME, "a1", [TASKS], 5)
        with refused(Code.unavailable):
            await flush
        installation.store.heal()

        assert await meter.last_spoken(ACME, [TASKS]) == {TASKS: A_MINUTE_LATER}
        await meter.flush()
        assert await meter.last_spoken(ACME, [TASKS]) == {TASKS: A_MINUTE_LATER}

    async def test_a_channel_that_was_deleted_meanwhile_leaves_nothing(
        self, installation: Installation, olivia: Human, meter: Meter, channels: None
    ) -> None:
        count_message(meter, ACME, "a1", [TASKS, JOBS], 5)
        await installation.process.channels.delete(olivia, TASKS)

        await meter.flush()

        assert await meter.last_spoken(ACME, [TASKS, JOBS]) == {JOBS: NOON}
        assert not {row for row in contents(installation.memory) if row[2] == "SPOKEN#tasks"}
