"""Who is connected: several processes, what they last said, and when somebody left."""

import asyncio

import pytest

from artcafe.server.core.presence.leases import LEASE_SECONDS
from artcafe.server.domain.ids import AgentId
from artcafe.server.domain.principal import Human
from artcafe.server.store import addresses as at
from artcafe.server.store.item import Put
from artcafe.wire.codes import Code
from tests.kit.contents import contents
from tests.kit.holders import Holder
from tests.kit.installation import ACME, OTHER, Installation, Process
from tests.kit.outcomes import refused

A1, A2 = AgentId("a1"), AgentId("a2")
HERE = Holder()
NOON, A_MINUTE_LATER = "2025-11-24T16:00:00.000Z", "2025-11-24T16:01:00.000Z"


pytestmark = pytest.mark.usefixtures("two_agents")


class TestOneProcess:
    async def test_its_own_connections_are_exact_at_once(self, first: Process) -> None:
        assert await first.presence.online(ACME) == {}

        first.presence.arrived(ACME, A1, HERE)
        first.presence.arrived(ACME, A1, HERE)
        first.presence.arrived(ACME, A2, HERE)
        assert await first.presence.online(ACME) == {A1: 2, A2: 1}
        assert first.presence.here(ACME) == 3

        first.presence.left(ACME, A1, HERE)
        first.presence.left(ACME, A2, HERE)
        assert await first.presence.online(ACME) == {A1: 1}
        assert first.presence.here(ACME) == 1

    async def test_it_does_not_hear_itself_twice(self, first: Process) -> None:
        first.presence.arrived(ACME, A1, HERE)
        await first.presence.announce()

        assert await first.presence.online(ACME) == {A1: 1}

    async def test_asking_writes_nothing(self, installation: Installation, first: Process) -> None:
        first.presence.arrived(ACME, A1, HERE)
        before = contents(installation.memory)

        await first.presence.online(ACME)

        assert contents(installation.memory) == before

    async def test_a_tenant_is_not_another(self, installation: Installation, first: Process) -> None:
        await installation.make_agent(await installation.make_tenant(OTHER, "nina"), A1)
        first.presence.arrived(OTHER, A1, HERE)
        await first.presence.announce()

        assert await first.presence.online(ACME) == {}
        assert first.presence.here(ACME) == 0

    async def test_after_a_kill_it_knows_at_once_that_nobody_is_connected(
        self, installation: Installation, first: Process
    ) -> None:
        """The only process of an embedded installation comes back under the same name."""
        first.presence.arrived(ACME, A1, HERE)
        await first.presence.announce()

        assert await installation.start("p1").presence.online(ACME) == {}


class TestSeveralProcesses:
    async def test_what_one_announced_the_other_adds_to_its_own(
        self, first: Process, second: Process
    ) -> None:
        first.presence.arrived(ACME, A1, HERE)
        first.presence.arrived(ACME, A2, HERE)
        second.presence.arrived(ACME, A1, HERE)
        assert await second.presence.online(ACME) == {A1: 1}

        await first.presence.announce()
        assert await second.presence.online(ACME) == {A1: 2, A2: 1}

        first.presence.left(ACME, A1, HERE)
        await first.presence.announce()
        assert await second.presence.online(ACME) == {A1: 1, A2: 1}

    async def test_a_process_that_stops_renewing_is_believed_for_so_long(
        self, installation: Installation, first: Process, second: Process
    ) -> None:
        first.presence.arrived(ACME, A1, HERE)
        await first.presence.announce()
        await second.presence.hold()
        for _ in range(2):
            installation.clock.advance(LEASE_SECONDS / 3)
            await second.presence.hold()
            assert await second.presence.online(ACME) == {A1: 1}
        installation.clock.advance(LEASE_SECONDS / 3)
        await second.presence.hold()
        assert await second.presence.online(ACME) == {}

    async def test_a_process_that_goes_on_renewing_is_believed_without_an_end(
        self, installation: Installation, first: Process, second: Process
    ) -> None:
        first.presence.arrived(ACME, A1, HERE)
        await first.presence.announce()
        for _ in range(20):
            installation.clock.advance(1)
            await first.presence.hold()
            await second.presence.hold()
            assert await second.presence.online(ACME) == {A1: 1}

    @pytest.mark.parametrize("seconds", [86_400, 60, -60, -86_400])
    async def test_a_clock_that_is_set_shows_nobody_offline_who_is_there(
        self, installation: Installation, first: Process, second: Process, seconds: float
    ) -> None:
        first.presence.arrived(ACME, A1, HERE)
        await first.presence.announce()
        await second.presence.hold()
        installation.clock.set(seconds)
        for _ in range(20):
            await second.presence.hold()
            assert await second.presence.online(ACME) == {A1: 1}
            installation.clock.advance(1)
            await first.presence.hold()

    @pytest.mark.parametrize("seconds", [86_400, 60, -60, -86_400])
    async def test_a_clock_that_is_set_shows_nobody_online_who_is_gone(
        self, installation: Installation, first: Process, second: Process, seconds: float
    ) -> None:
        first.presence.arrived(ACME, A1, HERE)
        await first.presence.announce()
        await second.presence.hold()
        installation.clock.set(seconds)
        for _ in range(3):
            installation.clock.advance(LEASE_SECONDS / 3)
            await second.presence.hold()
        assert await second.presence.online(ACME) == {}

    async def test_one_that_was_just_started_believes_no_lease_that_is_long_over(
        self, installation: Installation, first: Process
    ) -> None:
        first.presence.arrived(ACME, A1, HERE)
        await first.presence.announce()
        installation.clock.advance(LEASE_SECONDS)
        later = installation.start("later")

        assert await later.presence.online(ACME) == {}

        await first.presence.hold()
        assert await later.presence.online(ACME) == {A1: 1}

    async def test_rows_of_an_older_release_count_until_they_end(
        self, installation: Installation, first: Process, second: Process
    ) -> None:
        """A process of it that was killed and came back under its name as one of this release left some."""
        pk, ends = at.tenant(await installation.partition()), int(installation.clock.now()) + 90
        await installation.memory.put(Put(pk, at.online("p1") + "0", {"agents": {A1: 1}}, expires=ends))

        assert await first.presence.online(ACME) == {}
        assert await second.presence.online(ACME) == {A1: 1}
        installation.clock.advance(90)
        assert await second.presence.online(ACME) == {}

    async def test_agents_are_written_when_they_change_alone(
        self, installation: Installation, first: Process
    ) -> None:
        first.presence.arrived(ACME, A1, HERE)
        await first.presence.announce()
        installation.store.writes_left = 0

        installation.clock.advance(86_400)
        await first.presence.announce()

        first.presence.arrived(ACME, A2, HERE)
        with refused(Code.unavailable):
            await first.presence.announce()


class TestLastSeen:
    async def test_the_time_somebody_left_is_kept(
        self, installation: Installation, first: Process, second: Process
    ) -> None:
        first.presence.arrived(ACME, A1, HERE)
        installation.clock.advance(60)
        first.presence.left(ACME, A1, HERE)
        installation.clock.advance(60)
        await first.presence.announce()

        assert await second.presence.last_seen(ACME, [A1, A2]) == {A1: A_MINUTE_LATER}

    async def test_the_last_time_counts(self, installation: Installation, first: Process) -> None:
        for _ in range(2):
            first.presence.arrived(ACME, A1, HERE)
            first.presence.left(ACME, A1, HERE)
            await first.presence.announce()
            installation.clock.advance(60)

        assert await first.presence.last_seen(ACME, [A1]) == {A1: A_MINUTE_LATER}

    async def test_one_of_two_connections_that_ends_is_not_leaving(self, first: Process) -> None:
        first.presence.arrived(ACME, A1, HERE)
        first.presence.arrived(ACME, A1, HERE)
        first.presence.left(ACME, A1, HERE)
        await first.presence.announce()

        assert await first.presence.last_seen(ACME, [A1]) == {}

    @pytest.mark.parametrize("writes", range(2))
    async def test_a_failed_announcement_is_made_again_with_all_it_had(
        self, installation: Installation, first: Process, second: Process, writes: int
    ) -> None:
        first.presence.arrived(ACME, A1, HERE)
        first.presence.arrived(ACME, A2, HERE)
        await first.presence.announce()
        first.presence.left(ACME, A1, HERE)
        installation.store.writes_left = writes
        with refused(Code.unavailable):
            await first.presence.announce()
        installation.store.heal()
        installation.clock.advance(60)
        first.presence.left(ACME, A2, HERE)

        await first.presence.announce()

        assert await second.presence.online(ACME) == {}
        assert await second.presence.last_seen(ACME, [A1, A2]) == {A1: NOON, A2: A_MINUTE_LATER}

    async def test_who_came_back_and_left_again_before_the_next_try_left_the_second_time(
        self, installation: Installation, first: Process
    ) -> None:
        first.presence.arrived(ACME, A1, HERE)
        first.presence.left(ACME, A1, HERE)
        installation.store.away = True
        with refused(Code.unavailable):
            await first.presence.announce()
        installation.store.heal()
        installation.clock.advance(60)
        first.presence.arrived(ACME, A1, HERE)
        first.presence.left(ACME, A1, HERE)

        await first.presence.announce()

        assert await first.presence.last_seen(ACME, [A1]) == {A1: A_MINUTE_LATER}

    async def test_who_left_again_while_it_failed_left_the_second_time(
        self, installation: Installation, first: Process
    ) -> None:
        first.presence.arrived(ACME, A1, HERE)
        first.presence.left(ACME, A1, HERE)
        announcing = asyncio.create_task(first.presence.announce())
        await asyncio.sleep(0)
        installation.clock.advance(60)
        first.presence.arrived(ACME, A1, HERE)
        first.presence.left(ACME, A1, HERE)
        installation.store.away = True
        with refused(Code.unavailable):
            await announcing
        installation.store.heal()

        await first.presence.announce()

        assert await first.presence.last_seen(ACME, [A1]) == {A1: A_MINUTE_LATER}

    async def test_one_tenants_failure_keeps_no_other_tenants_from_being_told(
        self, installation: Installation, first: Process, second: Process
    ) -> None:
        await installation.make_agent(await installation.make_tenant(OTHER, "nina"), A1)
        first.presence.arrived(ACME, A1, HERE)
        first.presence.arrived(OTHER, A1, HERE)
        installation.store.writes_left = 1
        with refused(Code.unavailable):
            await first.presence.announce()
        installation.store.heal()

        await first.presence.announce()

        assert await second.presence.online(ACME) == await second.presence.online(OTHER) == {A1: 1}

    async def test_a_cancelled_announcement_is_made_again(
        self, installation: Installation, first: Process, second: Process
    ) -> None:
        first.presence.arrived(ACME, A1, HERE)
        first.presence.left(ACME, A1, HERE)
        announcing = asyncio.create_task(first.presence.announce())
        await asyncio.sleep(0)
        announcing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await announcing

        await first.presence.announce()

        assert await second.presence.last_seen(ACME, [A1]) == {A1: NOON}


async def test_who_comes_back_while_its_leaving_is_written_is_still_counted(
    installation: Installation, first: Process, second: Process
) -> None:
    """Two announcements at once: the first, of an empty tenant, must not forget what came meanwhile."""
    first.presence.arrived(ACME, A1, HERE)
    await first.presence.announce()
    first.presence.left(ACME, A1, HERE)
    slow = asyncio.create_task(first.presence.announce())
    await asyncio.sleep(0)
    first.presence.arrived(ACME, A1, HERE)
    await asyncio.gather(slow, first.presence.announce())

    assert first.presence.here(ACME) == 1
    assert await first.presence.online(ACME) == {A1: 1}
    first.presence.left(ACME, A1, HERE)
    assert first.presence.here(ACME) == 0


async def test_what_is_told_after_the_tenant_was_deleted_leaves_nothing(
    installation: Installation, olivia: Human, first: Process
) -> None:
    first.presence.arrived(ACME, A1, HERE)
    await first.presence.announce()
    await installation.delete_tenant(olivia)
    first.presence.left(ACME, A1, HERE)

    await first.presence.announce()

    assert {row[1] for row in contents(installation.memory)} == {
        at.DELETIONS, at.INSTALLATION_LOG, at.LEASES
    }  # fmt: skip
