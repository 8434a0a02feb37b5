"""The near cache: what is held, for how long, and who reads."""

import asyncio
from collections import Counter

import pytest
from msgspec.structs import replace

from artcafe.server.domain.agent import Agent
from artcafe.server.domain.change import Change, Kind
from artcafe.server.domain.channel import ChannelRule
from artcafe.server.domain.ids import AgentId, ChannelId, TenantId
from artcafe.server.domain.policy import Grant, Policy
from artcafe.server.store.agents import AgentTable
from artcafe.server.store.channels import ChannelTable
from artcafe.server.store.item import Item, ItemPage
from artcafe.server.store.memory import MemoryStore
from artcafe.server.store.near import MAX_ENTRIES, TTL_SECONDS, NearCache
from artcafe.server.store.table import Table
from artcafe.server.store.tenants import TenantTable
from artcafe.wire.codes import Code
from tests.kit.issuers import StoppedClock
from tests.kit.outcomes import outcome, race, refused
from tests.kit.records import ACME, ALIKE, ENTRY, a_channel, a_member, a_tenant, an_agent, anyway, rules_of
from tests.kit.stores import new_rev
from tests.kit.tenants import delete_tenant
from tests.kit.turns import turns
from tests.kit.unreliable_store import UnreliableStore

A1, A2 = AgentId("a1"), AgentId("a2")
AGENT_CHANGED = Change(ACME, Kind.agent, A1)


class CountedStore(UnreliableStore):
    """Counts reads. An answer that was read waits while the gate is closed."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.reads: Counter[str] = Counter()
        self.gate = asyncio.Event()
        self.gate.set()

    async def get(self, pk: str, sk: str) -> Item | None:
        """See ItemStore."""
        self.reads[sk] += 1
        item = await super().get(pk, sk)
        await self.gate.wait()
        return item

    async def query(self, pk: str, prefix: str = "", limit: int = 100, cursor: str | None = None) -> ItemPage:
        """See ItemStore."""
        self.reads[prefix] += 1
        page = await super().query(pk, prefix, limit, cursor)
        await self.gate.wait()
        return page


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
async def store(clock: StoppedClock) -> CountedStore:
    memory = MemoryStore(clock=clock.now, new_rev=new_rev)
    await memory.open()
    table = Table(memory)
    for tenant in (ACME, ALIKE[0]):
        await TenantTable(table).create(a_tenant(tenant), a_member(tenant=tenant), ENTRY)
        await AgentTable(table).create(an_agent("a1", tenant=tenant), None, ENTRY)
        await ChannelTable(table).create(a_channel("tasks", tenant), None, ENTRY)
    return CountedStore(memory)


@pytest.fixture
async def near(store: CountedStore, clock: StoppedClock) -> NearCache:
    table = Table(store)
    for tenant in (ACME, ALIKE[0]):
        await table.partition(tenant)
    store.reads.clear()
    return NearCache(TenantTable(table), AgentTable(table), ChannelTable(table), clock)


async def deny(store: CountedStore) -> None:
    """Change the agent's rules, without a word to anybody."""
    await AgentTable(Table(store.store)).change(ACME, A1, denied, ENTRY)


def denied(agent: Agent) -> Agent:
    return replace(agent, policy=Policy(publish=Grant(deny=["new"])))


async def denials(near: NearCache) -> list[str]:
    agent = await near.agent(ACME, A1)
    assert agent is not None
    return agent.policy.publish.deny


class TestHeld:
    async def test_what_is_asked_for_again_is_not_read_again(
        self, near: NearCache, store: CountedStore
    ) -> None:
        for _ in range(3):
            assert await near.tenant(ACME) == rules_of(a_tenant())
            assert await near.agent(ACME, A1) == rules_of(an_agent())
            assert (await near.rules(ACME)).channels == (rules_of(a_channel()),)

        assert store.reads == {"META": 1, "AGENT#a1": 1, "CHAN#": 1}

    async def test_that_there_is_none_is_held_too(self, near: NearCache, store: CountedStore) -> None:
        for _ in range(3):
            assert await near.tenant(TenantId("nowhere")) is None
            assert await near.agent(ACME, A2) is None
            assert (await near.rules(TenantId("nowhere"))).channels == ()

        assert store.reads == {"nowhere": 2, "AGENT#a2": 1, "CHAN#": 1}

    async def test_each_tenant_has_its_own(self, near: NearCache) -> None:
        for tenant in (ACME, ALIKE[0], ACME):
            assert await near.tenant(tenant) == rules_of(a_tenant(tenant))
            assert await near.agent(tenant, A1) == rules_of(an_agent(tenant=tenant))
            assert (await near.rules(tenant)).channels == (rules_of(a_channel("tasks", tenant)),)

    async def test_rules_are_made_once_and_shared_until_a_channel_changes(
        self, near: NearCache, store: CountedStore, clock: StoppedClock
    ) -> None:
        first = await near.rules(ACME)
        assert await near.rules(ACME) is first
        clock.advance(TTL_SECONDS + 1)
        assert await near.rules(ACME) is first, "read anew, and no different"
        channels = ChannelTable(Table(store.store))
        await channels.create(a_channel("a"), None, ENTRY)
        clock.advance(TTL_SECONDS + 1)
        changed = await near.rules(ACME)
        assert changed is not first
        assert len(changed.channels) == 2

    async def test_all_channels_are_had_however_many_pages_they_take(
        self, near: NearCache, store: CountedStore
    ) -> None:
        channels = ChannelTable(Table(store.store))
        names = {f"c{number:04}" for number in range(1001)}
        for name in names:
            await channels.create(a_channel(name), None, ENTRY)

        assert {channel.id for channel in (await near.rules(ACME)).channels} == {*names, "tasks"}
        assert store.reads == {"CHAN#": 2}

    async def test_without_a_word_it_is_believed_for_so_long(
        self, near: NearCache, store: CountedStore, clock: StoppedClock
    ) -> None:
        await near.agent(ACME, A1)
        await deny(store)

        clock.advance(TTL_SECONDS - 0.001)
        assert await denials(near) == []
        clock.advance(0.001)
        assert await denials(near) == ["new"]

    async def test_so_much_is_held_and_what_was_not_asked_for_longest_goes_first(
        self, near: NearCache, store: CountedStore
    ) -> None:
        await near.agent(ACME, A1)
        await near.agent(ACME, A2)
        for number in range(MAX_ENTRIES - 2):
            await near.agent(ACME, AgentId(f"b{number}"))
        await near.agent(ACME, A1)

        await near.agent(ACME, AgentId("one too many"))
        await near.agent(ACME, A1)
        await near.agent(ACME, A2)

        assert (store.reads["AGENT#a1"], store.reads["AGENT#a2"]) == (1, 2)


class TestForget:
    @pytest.mark.parametrize(
        ("change", "read"),
        [
            (AGENT_CHANGED, {"AGENT#a1"}),
            (Change(ACME, Kind.channel, "tasks"), {"CHAN#"}),
            (Change(ACME, Kind.channel, "other"), {"CHAN#"}),
            (Change(ACME, Kind.tenant, ACME), {"META", "AGENT#a1", "CHAN#"}),
            (Change(ACME, Kind.agent, "a2"), set()),
            (Change(ACME, Kind.member, "a1"), set()),
            (Change(ALIKE[0], Kind.agent, "a1"), set()),
            (Change(ALIKE[0], Kind.tenant, ALIKE[0]), set()),
        ],
        ids=lambda given: "-".join(sorted(given)) if isinstance(given, set) else f"{given.kind}-{given.id}",
    )
    async def test_only_what_changed_is_read_again(
        self, near: NearCache, store: CountedStore, change: Change, read: set[str]
    ) -> None:
        for turn in range(2):
            await near.tenant(ACME)
            await near.agent(ACME, A1)
            await near.rules(ACME)
            if turn == 0:
                store.reads.clear()
                near.forget(change)

        assert set(store.reads) == read

    @pytest.mark.parametrize("asking", [0, 2])
    async def test_where_changes_were_told_unheard_nothing_held_or_being_read_is_kept(
        self, near: NearCache, store: CountedStore, asking: int
    ) -> None:
        await near.tenant(ACME)
        await near.rules(ACME)
        store.reads.clear()
        store.gate.clear()
        before = asyncio.create_task(denials(near))
        await turns()
        await deny(store)
        near.forget_all()
        after = [asyncio.create_task(denials(near)) for _ in range(asking)]
        await turns()
        store.gate.set()

        assert await before == []
        assert await asyncio.gather(*after) == [["new"]] * asking
        assert await denials(near) == ["new"]
        await near.tenant(ACME)
        await near.rules(ACME)
        assert store.reads == {"AGENT#a1": 2, "META": 1, "CHAN#": 1}

    async def test_what_was_changed_deleted_and_made_is_seen_at_once(
        self, near: NearCache, store: CountedStore
    ) -> None:
        table = Table(store.store)
        agents, channels = AgentTable(table), ChannelTable(table)
        agent = Change(ACME, Kind.agent, A1)
        assert await denials(near) == []
        await agents.change(ACME, A1, denied, ENTRY)
        near.forget(agent)
        assert await denials(near) == ["new"]
        await agents.delete(ACME, A1, anyway, ENTRY)
        near.forget(agent)
        assert await near.agent(ACME, A1) is None
        await agents.create(an_agent("a1"), None, ENTRY)
        near.forget(agent)
        assert await denials(near) == []

        def names(found: object) -> list[str]:
            assert isinstance(found, tuple)
            return [channel.id for channel in found if isinstance(channel, ChannelRule)]

        assert names((await near.rules(ACME)).channels) == ["tasks"]
        await channels.create(a_channel("a"), None, ENTRY)
        near.forget(Change(ACME, Kind.channel, "a"))
        assert names((await near.rules(ACME)).channels) == ["a", "tasks"]
        await channels.delete(ACME, ChannelId("tasks"), anyway, ENTRY)
        near.forget(Change(ACME, Kind.channel, "tasks"))
        assert names((await near.rules(ACME)).channels) == ["a"]

        await delete_tenant(table, ACME)
        near.forget(Change(ACME, Kind.tenant, ACME))
        assert (await near.tenant(ACME), await near.agent(ACME, A1)) == (None, None)
        assert (await near.rules(ACME)).channels == ()

    @pytest.mark.parametrize("asking", [0, 2])
    @pytest.mark.parametrize(
        "change", [AGENT_CHANGED, Change(ACME, Kind.tenant, ACME)], ids=["agent", "tenant"]
    )
    async def test_what_was_being_read_during_a_change_is_not_kept(
        self, near: NearCache, store: CountedStore, change: Change, asking: int
    ) -> None:
        store.gate.clear()
        before = [asyncio.create_task(denials(near)) for _ in range(2)]
        await turns()
        await deny(store)
        near.forget(change)
        after = [asyncio.create_task(denials(near)) for _ in range(asking)]
        await turns()
        store.gate.set()

        # Who asked before the change may have what was true then; who asked after it may not.
        assert await asyncio.gather(*before) == [[], []]
        assert await asyncio.gather(*after) == [["new"]] * asking
        assert await denials(near) == ["new"]
        assert store.reads == {"AGENT#a1": 2}


class TestReading:
    async def test_however_many_ask_at_once_one_reads(self, near: NearCache, store: CountedStore) -> None:
        store.gate.clear()
        asking = [asyncio.create_task(near.agent(ACME, A1)) for _ in range(20)]
        asking += [asyncio.create_task(near.agent(ACME, A2)) for _ in range(20)]
        await turns()
        store.gate.set()

        assert await asyncio.gather(*asking) == [rules_of(an_agent())] * 20 + [None] * 20
        assert store.reads == {"AGENT#a1": 1, "AGENT#a2": 1}

    async def test_a_first_one_who_goes_away_takes_nothing_with_it(
        self, near: NearCache, store: CountedStore
    ) -> None:
        store.gate.clear()
        first = asyncio.create_task(near.agent(ACME, A1))
        await turns()
        others = [asyncio.create_task(near.agent(ACME, A1)) for _ in range(5)]
        await turns()
        first.cancel()
        await turns()
        store.gate.set()

        assert await asyncio.gather(*others) == [rules_of(an_agent())] * 5
        assert first.cancelled()
        assert store.reads == {"AGENT#a1": 2}

    async def test_one_of_many_who_goes_away_leaves_the_reading_to_the_others(
        self, near: NearCache, store: CountedStore
    ) -> None:
        store.gate.clear()
        asking = [asyncio.create_task(near.agent(ACME, A1)) for _ in range(3)]
        await turns()
        asking[1].cancel()
        await turns()
        store.gate.set()

        assert await asking[0] == await asking[2] == rules_of(an_agent())
        assert store.reads == {"AGENT#a1": 1}

    async def test_lookups_are_counted_by_kind_and_by_whether_it_was_held(self, near: NearCache) -> None:
        for _ in range(3):
            await near.agent(ACME, A1)
        await near.rules(ACME)
        found = Counter({(Kind.agent, False): 1, (Kind.agent, True): 2, (Kind.channel, False): 1})
        assert near.lookups == found

    async def test_a_store_that_was_away_for_the_first_one_is_asked_again_for_the_others(
        self, near: NearCache, store: CountedStore
    ) -> None:
        store.away = True
        first = asyncio.create_task(outcome(near.agent(ACME, A1)))
        others = [asyncio.create_task(near.agent(ACME, A1)) for _ in range(5)]
        first.add_done_callback(lambda _: store.heal())

        assert await first is Code.unavailable
        assert await asyncio.gather(*others) == [rules_of(an_agent())] * 5

    async def test_while_the_store_is_away_nobody_waits_and_nothing_of_it_is_held(
        self, near: NearCache, store: CountedStore
    ) -> None:
        store.away = True
        assert await race(*(near.agent(ACME, A1) for _ in range(5))) == [Code.unavailable] * 5
        with refused(Code.unavailable):
            await near.rules(ACME)
        store.heal()

        assert await near.agent(ACME, A1) == rules_of(an_agent())
        assert (await near.rules(ACME)).channels == (rules_of(a_channel()),)

    async def test_what_is_held_is_given_while_the_store_is_away(
        self, near: NearCache, store: CountedStore
    ) -> None:
        await near.agent(ACME, A1)
        store.away = True

        assert await near.agent(ACME, A1) == rules_of(an_agent())
