"""Processes that die, stand still, and come back: who was connected to them is right in the end, and told."""

from collections.abc import Mapping, Sequence

import pytest

from artcafe.server.core.presence.leases import LEASE_SECONDS, RENEW_SECONDS
from artcafe.server.core.presence.presence import Presence
from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.server.store import addresses as at
from artcafe.server.store.item import Item, ItemPage, ItemStore, Op, Put
from artcafe.server.store.leases import LeaseTable
from artcafe.server.store.presence import PresenceTable
from artcafe.server.store.table import Table
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.contents import contents
from tests.kit.holders import Holder
from tests.kit.installation import ACME, OTHER, Installation, Process
from tests.kit.issuers import StoppedClock
from tests.kit.outcomes import refused
from tests.kit.unreliable_store import UnreliableStore

A1, A2 = AgentId("a1"), AgentId("a2")
HERE = Holder()
DEATH = 5 * RENEW_SECONDS
"""How long after a kill every other process knows at the latest."""

pytestmark = pytest.mark.usefixtures("two_agents")


class Told:
    """What is told to tenants, in order."""

    def __init__(self) -> None:
        self.news: list[tuple[TenantId, AgentId, bool]] = []
        self.failure: ArtcafeError | None = None

    async def tell(self, tenant: TenantId, news: Mapping[AgentId, bool]) -> None:
        """presence.Tell."""
        self.news += [(tenant, agent, online) for agent, online in news.items()]
        if self.failure is not None:
            raise self.failure

    def heard(self) -> list[tuple[TenantId, AgentId, bool]]:
        """What was told since this was last asked."""
        news, self.news = self.news, []
        return news


@pytest.fixture
def told() -> Told:
    return Told()


async def act(presence: Presence, told: Told) -> None:
    """What a process does when it hears that something is due."""
    await presence.announce(told.tell)
    for lease, tenants in await presence.taken_over():
        for held in tenants:
            await presence.clear(lease, held, told.tell)
        await presence.forget(lease)


async def live(installation: Installation, told: Told, seconds: float, *living: Presence) -> None:
    """Let time pass, in which these processes live."""
    for _ in range(round(seconds / RENEW_SECONDS)):
        installation.clock.advance(RENEW_SECONDS)
        for presence in living:
            await presence.hold()
            if presence.due:
                await act(presence, told)


async def connect(presence: Presence, told: Told, *agents: AgentId) -> None:
    for agent in agents:
        presence.arrived(ACME, agent, HERE)
    await presence.announce(told.tell)


class TestKilled:
    """One of three processes dies, with agents that nobody else has."""

    async def test_its_agents_are_offline_for_everybody_and_told_so_once(
        self, installation: Installation, first: Process, second: Process, told: Told
    ) -> None:
        third = installation.start("p3")
        others = (second.presence, third.presence)
        await connect(first.presence, told, A1, A2)
        await live(installation, told, 10, first.presence, *others)
        assert told.heard() == [(ACME, A1, True), (ACME, A2, True)]

        await live(installation, told, DEATH, *others)

        assert sorted(told.heard()) == [(ACME, A1, False), (ACME, A2, False)]
        for presence in others:
            assert await presence.online(ACME) == {}
        await live(installation, told, 60, *others)
        assert told.heard() == []

    async def test_nothing_of_it_is_left_but_when_its_agents_were_seen_last(
        self, installation: Installation, first: Process, second: Process, told: Told
    ) -> None:
        await live(installation, told, 1, second.presence)
        before = contents(installation.memory)
        await connect(first.presence, told, A1)
        await live(installation, told, 10, first.presence, second.presence)
        await live(installation, told, DEATH, second.presence)

        rows = contents(installation.memory) - before
        assert {row[2].partition("~")[0] for row in rows} == {at.seen(A1), f"{at.HOLDS}p2"}
        assert await second.presence.last_seen(ACME, [A1]) == {A1: "2025-11-24T16:00:11.000Z"}

    async def test_who_is_connected_elsewhere_is_not_told_to_be_gone(
        self, installation: Installation, first: Process, second: Process, told: Told
    ) -> None:
        await connect(first.presence, told, A1, A2)
        await connect(second.presence, told, A2)
        await live(installation, told, 3, first.presence, second.presence)
        told.heard()

        await live(installation, told, DEATH, second.presence)

        assert told.heard() == [(ACME, A1, False)]
        assert await second.presence.online(ACME) == {A2: 1}

    async def test_agents_of_every_tenant_are_told(
        self, installation: Installation, first: Process, second: Process, told: Told
    ) -> None:
        await installation.make_agent(await installation.make_tenant(OTHER, "nina"), A1)
        first.presence.arrived(OTHER, A1, HERE)
        await connect(first.presence, told, A1)
        await live(installation, told, 1, first.presence, second.presence)
        told.heard()

        await live(installation, told, DEATH, second.presence)

        assert sorted(told.heard()) == [(ACME, A1, False), (OTHER, A1, False)]

    async def test_one_that_comes_back_under_its_name_knows_at_once(
        self, installation: Installation, first: Process, told: Told
    ) -> None:
        """Nobody else has its name while it runs."""
        await connect(first.presence, told, A1)
        told.heard()
        again = installation.start("p1").presence

        await again.hold()
        assert again.due
        await act(again, told)

        assert told.heard() == [(ACME, A1, False)]
        await again.hold()
        assert not again.due

    async def test_all_that_were_killed_at_once_are_cleared_by_who_comes_next(
        self, installation: Installation, first: Process, second: Process, told: Told
    ) -> None:
        await connect(first.presence, told, A1)
        await connect(second.presence, told, A2)
        installation.clock.advance(86_400)
        told.heard()
        later = installation.start("later").presence
        await later.hold()
        assert await later.online(ACME) == {}

        await live(installation, told, DEATH, later)

        assert sorted(told.heard()) == [(ACME, A1, False), (ACME, A2, False)]

    async def test_what_could_not_be_told_is_told_later(
        self, installation: Installation, first: Process, second: Process, told: Told
    ) -> None:
        await connect(first.presence, told, A1)
        await live(installation, told, 1, first.presence, second.presence)
        told.heard()
        told.failure = ArtcafeError(Code.unavailable)
        with refused(Code.unavailable):
            await live(installation, told, DEATH, second.presence)
        assert told.heard() == [(ACME, A1, False)]
        told.failure = None

        await live(installation, told, 1, second.presence)

        assert told.heard() == [(ACME, A1, False)]
        assert await LeaseTable(Table(installation.memory)).held("p1~start000001") == []

    async def test_when_who_is_to_tell_dies_as_well_another_one_tells(
        self, installation: Installation, first: Process, second: Process, told: Told
    ) -> None:
        third = installation.start("p3").presence
        await connect(first.presence, told, A1)
        await live(installation, told, 1, first.presence, second.presence, third)
        told.heard()
        while not second.presence.due:
            installation.clock.advance(RENEW_SECONDS)
            for presence in (second.presence, third):
                await presence.hold()
        assert len(await second.presence.taken_over()) == 1
        assert await third.taken_over() == []
        assert await third.online(ACME) == {}

        await live(installation, told, DEATH, third)

        assert told.heard() == [(ACME, A1, False)]


class TestStalled:
    """A process stands still for longer than its lease, and goes on."""

    @pytest.mark.parametrize("leaves", [True, False])
    async def test_it_learns_that_it_lost_its_lease_and_its_agents_are_online_again(
        self, installation: Installation, first: Process, second: Process, told: Told, *, leaves: bool
    ) -> None:
        await connect(first.presence, told, A1, *([A2] if leaves else []))
        await live(installation, told, 3, first.presence, second.presence)
        await live(installation, told, 10, second.presence)
        if leaves:
            first.presence.left(ACME, A2, HERE)
        told.heard()

        await live(installation, told, 1, first.presence, second.presence)

        assert told.heard() == [(ACME, A1, True)]
        assert await second.presence.online(ACME) == await first.presence.online(ACME) == {A1: 1}
        await live(installation, told, 20, first.presence, second.presence)
        assert told.heard() == []

    async def test_it_takes_nobody_for_dead_whom_it_did_not_watch(
        self, installation: Installation, first: Process, second: Process, told: Told
    ) -> None:
        await connect(first.presence, told, A1)
        await live(installation, told, 3, first.presence, second.presence)
        told.heard()
        await live(installation, told, 20, first.presence)

        await second.presence.hold()

        assert not second.presence.due
        assert await second.presence.online(ACME) == {A1: 1}

    async def test_a_store_that_was_away_from_all_costs_nobody_his_lease(
        self, installation: Installation, first: Process, second: Process, told: Told
    ) -> None:
        await connect(first.presence, told, A1)
        await live(installation, told, 3, first.presence, second.presence)
        told.heard()
        installation.store.away = True
        for _ in range(20):
            installation.clock.advance(RENEW_SECONDS)
            for process in (first, second):
                with refused(Code.unavailable):
                    await process.presence.hold()
        installation.store.heal()

        await live(installation, told, 10, second.presence, first.presence)

        assert told.heard() == []
        assert await second.presence.online(ACME) == {A1: 1}

    async def test_what_it_wrote_late_is_cleared(
        self, installation: Installation, first: Process, second: Process, told: Told
    ) -> None:
        """Its last write was under way when it stood still, and came after its rows were cleared."""
        await connect(first.presence, told, A1)
        await live(installation, told, 3, first.presence, second.presence)
        await live(installation, told, DEATH, second.presence)
        before = contents(installation.memory)
        await PresenceTable(Table(installation.memory)).announce(ACME, "p1~start000001", {A2: 1}, {})
        assert await second.presence.online(ACME) == {}

        await live(installation, told, 3, first.presence, second.presence)

        assert not {row for row in contents(installation.memory) - before if "p1~start000001" in "".join(row)}

    async def test_one_that_leaves_is_not_missed(
        self, installation: Installation, first: Process, second: Process, told: Told
    ) -> None:
        await connect(first.presence, told, A1)
        await live(installation, told, 3, first.presence, second.presence)
        first.presence.left(ACME, A1, HERE)
        await first.presence.announce(told.tell)
        told.heard()

        await first.presence.leave()
        await live(installation, told, DEATH, second.presence)

        assert told.heard() == []
        assert not {row for row in contents(installation.memory) if row[1] == at.LEASES}


class OtherClock(StoppedClock):
    """The clock of another machine: as fast, and so far ahead."""

    def __init__(self, clock: StoppedClock, ahead: float) -> None:
        super().__init__()
        self._clock, self._ahead = clock, ahead

    def now(self) -> float:
        """See ports.clock."""
        return self._clock.now() + self._ahead

    def monotonic(self) -> float:
        """Since another start."""
        return self._clock.monotonic() + 777


@pytest.mark.parametrize("ahead", [3600.0, -3600.0])
async def test_machines_whose_clocks_differ_believe_each_other(
    installation: Installation, first: Process, told: Told, ahead: float
) -> None:
    table = Table(installation.store)
    clock = OtherClock(installation.clock, ahead)
    apart = Presence(
        PresenceTable(table), LeaseTable(table), installation.bus, clock, "apart", installation.new_start
    )
    await first.presence.hold()
    await connect(apart, told, A1)
    await connect(first.presence, told, A2)
    both = {A1: 1, A2: 1}
    assert await first.presence.online(ACME) == both
    await live(installation, told, 1, first.presence, apart)
    for _ in range(10):
        await live(installation, told, 1, first.presence, apart)
        assert await first.presence.online(ACME) == await apart.online(ACME) == both
    told.heard()

    await live(installation, told, DEATH, first.presence)

    assert told.heard() == [(ACME, A1, False)]
    assert await first.presence.online(ACME) == {A2: 1}


class CountingStore(UnreliableStore):
    """Counts operations that write, and calls that read."""

    def __init__(self, store: ItemStore) -> None:
        super().__init__(store)
        self.writes = self.reads = 0

    async def put(self, op: Put) -> str:
        """See ItemStore."""
        self.writes += 1
        return await super().put(op)

    async def transact(self, ops: Sequence[Op]) -> list[str | None]:
        """See ItemStore."""
        self.writes += len(ops)
        return await super().transact(ops)

    async def get(self, pk: str, sk: str) -> Item | None:
        """See ItemStore."""
        self.reads += 1
        return await super().get(pk, sk)

    async def query(self, pk: str, prefix: str = "", limit: int = 100, cursor: str | None = None) -> ItemPage:
        """See ItemStore."""
        self.reads += 1
        return await super().query(pk, prefix, limit, cursor)


@pytest.mark.parametrize(("tenants", "agents"), [(1, 1), (5, 1), (5, 40)])
async def test_a_process_writes_and_reads_once_a_second_however_many_are_connected_to_it(
    installation: Installation, told: Told, tenants: int, agents: int
) -> None:
    store = CountingStore(installation.memory)
    presence = installation.start("p3", store=store).presence
    for number in range(tenants):
        tenant = TenantId(f"tenant-{number}")
        await installation.make_tenant(tenant, f"owner-{number}")
        for agent in range(agents):
            presence.arrived(tenant, AgentId(f"a{agent}"), HERE)
    await presence.announce(told.tell)
    assert len(told.heard()) == tenants * agents
    store.writes = store.reads = 0

    for _ in range(60):
        await live(installation, told, RENEW_SECONDS, presence)
        await act(presence, told)

    assert (store.writes, store.reads) == (60, 60)


async def test_a_process_without_agents_has_no_lease(
    installation: Installation, first: Process, told: Told
) -> None:
    installation.store.writes_left = 0

    await live(installation, told, 10, first.presence)

    assert LEASE_SECONDS > 2 * RENEW_SECONDS
    assert not {row for row in contents(installation.memory) if row[1] == at.LEASES}
