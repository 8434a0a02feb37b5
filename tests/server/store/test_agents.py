"""Agents and the claims on their keys, on every backend."""

import pytest
from msgspec.structs import replace

from artcafe.server.domain.agent import MAX_KEYS, Agent
from artcafe.server.domain.ids import AgentId
from artcafe.server.store.agents import AgentTable
from artcafe.server.store.audit import AuditTable
from artcafe.server.store.item import ItemStore
from artcafe.server.store.presence import PresenceTable
from artcafe.server.store.table import Table
from artcafe.server.store.tenants import TenantTable
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.contents import contents
from tests.kit.outcomes import race, refused
from tests.kit.records import (
    ACME,
    ALIKE,
    AT,
    ENTRY,
    a_key,
    a_member,
    a_tenant,
    an_agent,
    an_entry,
    anyway,
)
from tests.kit.unreliable_store import UnreliableStore

A1, A2 = AgentId("a1"), AgentId("a2")


@pytest.fixture
async def agents(table: Table) -> AgentTable:
    for tenant in (ACME, *ALIKE):
        await TenantTable(table).create(a_tenant(tenant), a_member(tenant=tenant), ENTRY)
    return AgentTable(table)


def with_keys(agent: Agent, *fingerprints: str) -> Agent:
    return replace(agent, keys=[a_key(fingerprint) for fingerprint in fingerprints])


async def audited(table: Table) -> set[str]:
    """The ids of what the audit has; the fixture's own is among them."""
    return {entry.id for entry in (await AuditTable(table).list(ACME, 10, None)).items}


class TestCreate:
    async def test_what_is_created_is_read(self, agents: AgentTable) -> None:
        agent = replace(
            an_agent("a1", "SHA256:x", "SHA256:y"),
            enabled=False,
            capabilities=["plan"],
            capability_definitions={"plan": {"in": [1, None]}},
            metadata={"owner": "é"},
        )
        await agents.create(agent, None, ENTRY)

        assert await agents.get(ACME, A1) == agent
        assert await agents.get(ACME, A2) is None

    async def test_a_taken_id_is_a_conflict_and_leaves_the_first_as_it_was(self, agents: AgentTable) -> None:
        await agents.create(an_agent("a1", "SHA256:x"), None, ENTRY)

        with refused(Code.conflict) as refusal:
            await agents.create(replace(an_agent("a1", "SHA256:y"), name="second"), None, ENTRY)

        assert "id" in refusal.message
        assert await agents.get(ACME, A1) == an_agent("a1", "SHA256:x")
        # The second one's key was not claimed by the way.
        await agents.create(an_agent("a2", "SHA256:y"), None, ENTRY)

    async def test_a_taken_key_is_a_conflict_and_makes_no_agent(self, agents: AgentTable) -> None:
        await agents.create(an_agent("a1", "SHA256:x"), None, ENTRY)

        with refused(Code.conflict) as refusal:
            await agents.create(an_agent("a2", "SHA256:y", "SHA256:x"), None, ENTRY)

        assert "key" in refusal.message
        assert await agents.get(ACME, A2) is None
        await agents.create(an_agent("a3", "SHA256:y"), None, ENTRY)

    async def test_the_same_id_and_key_in_another_tenant_are_others(self, agents: AgentTable) -> None:
        for tenant in (ACME, *ALIKE):
            await agents.create(an_agent("a1", "SHA256:x", tenant=tenant), None, ENTRY)

        for tenant in (ACME, *ALIKE):
            assert await agents.get(tenant, A1) == an_agent("a1", "SHA256:x", tenant=tenant)

    async def test_an_agent_without_a_tenant_is_not_found(self, table: Table, backend: ItemStore) -> None:
        with refused(Code.not_found):
            await AgentTable(table).create(an_agent("a1", "SHA256:x"), None, ENTRY)

        assert contents(backend) == set()

    async def test_of_many_who_create_one_id_at_once_exactly_one_wins(self, agents: AgentTable) -> None:
        keys = [f"SHA256:{number}" for number in range(8)]

        outcomes = await race(*(agents.create(an_agent("a1", key), None, ENTRY) for key in keys))

        assert outcomes.count(Code.conflict) == len(keys) - 1
        assert await agents.get(ACME, A1) == an_agent("a1", keys[outcomes.index(None)])

    async def test_of_many_who_claim_one_key_at_once_exactly_one_wins(self, agents: AgentTable) -> None:
        names = [f"agent-{number}" for number in range(8)]

        outcomes = await race(*(agents.create(an_agent(name, "SHA256:x"), None, ENTRY) for name in names))

        assert outcomes.count(Code.conflict) == len(names) - 1
        page = await agents.listed(ACME).page(10, None)
        assert [agent.id for agent in page.items] == [names[outcomes.index(None)]]


class TestChange:
    async def test_no_change_is_lost_when_many_come_at_once(self, agents: AgentTable) -> None:
        await agents.create(an_agent("a1"), None, ENTRY)

        def edit(agent: Agent) -> Agent:
            return replace(agent, version=agent.version + 1)

        await race(*(agents.change(ACME, A1, edit, ENTRY) for _ in range(8)))

        agent = await agents.get(ACME, A1)
        assert agent is not None
        assert agent.version == 9

    async def test_an_added_key_is_claimed_and_a_removed_one_is_free(self, agents: AgentTable) -> None:
        await agents.create(an_agent("a1", "SHA256:x"), None, ENTRY)

        changed = await agents.change(ACME, A1, lambda agent: with_keys(agent, "SHA256:y"), ENTRY)

        assert await agents.get(ACME, A1) == changed == an_agent("a1", "SHA256:y")
        await agents.create(an_agent("a2", "SHA256:x"), None, ENTRY)
        with refused(Code.conflict):
            await agents.create(an_agent("a3", "SHA256:y"), None, ENTRY)

    async def test_a_key_of_another_agent_is_a_conflict_and_changes_nothing(self, agents: AgentTable) -> None:
        await agents.create(an_agent("a1", "SHA256:x"), None, ENTRY)
        await agents.create(an_agent("a2", "SHA256:y"), None, ENTRY)

        with refused(Code.conflict) as refusal:
            await agents.change(ACME, A2, lambda agent: with_keys(agent, "SHA256:y", "SHA256:x"), ENTRY)

        assert "another agent" in refusal.message
        assert await agents.get(ACME, A2) == an_agent("a2", "SHA256:y")

    async def test_of_two_agents_who_add_one_key_at_once_exactly_one_wins(self, agents: AgentTable) -> None:
        await agents.create(an_agent("a1"), None, ENTRY)
        await agents.create(an_agent("a2"), None, ENTRY)

        outcomes = await race(
            *(
                agents.change(ACME, name, lambda agent: with_keys(agent, "SHA256:x"), ENTRY)
                for name in (A1, A2)
            )
        )

        assert sum(outcome is Code.conflict for outcome in outcomes) == 1
        holders = [agent.id for agent in (await agents.listed(ACME).page(10, None)).items if agent.keys]
        assert len(holders) == 1

    async def test_as_many_keys_as_an_agent_may_have_change_in_one_step(self, agents: AgentTable) -> None:
        keys = [f"SHA256:{number:02}" for number in range(MAX_KEYS)]
        await agents.create(an_agent("a1", *keys), None, ENTRY)

        await agents.change(ACME, A1, with_keys, ENTRY)

        await agents.create(an_agent("a2", *keys), None, ENTRY)
        assert await agents.count(ACME) == 2

    async def test_changing_what_is_not_there_is_not_found(self, agents: AgentTable) -> None:
        await agents.create(an_agent("a1", tenant="acme-2"), None, ENTRY)

        with refused(Code.not_found):
            await agents.change(ACME, A1, lambda agent: agent, ENTRY)


class TestDelete:
    async def test_nothing_of_the_agent_is_left_and_its_key_is_free(
        self, table: Table, agents: AgentTable, backend: ItemStore
    ) -> None:
        sightings = PresenceTable(table)
        for other in ("a10", "a", "a1-"):
            await agents.create(an_agent(other, f"SHA256:{other}"), None, ENTRY)
            sightings.used(ACME, AgentId(other), f"SHA256:{other}", AT)
            await sightings.flush()
            await sightings.announce(ACME, "p1", {}, {AgentId(other): AT})
        others = contents(backend)
        await agents.create(an_agent("a1", "SHA256:x", "SHA256:y"), None, ENTRY)
        for fingerprint in ("SHA256:x", "SHA256:y"):
            sightings.used(ACME, A1, fingerprint, AT)
        await sightings.flush()
        await sightings.announce(ACME, "p1", {}, {A1: AT})

        await agents.delete(ACME, A1, anyway, ENTRY)

        assert contents(backend) == others
        await agents.create(an_agent("a2", "SHA256:x"), None, ENTRY)

    async def test_deleting_what_is_not_there_is_not_found(self, agents: AgentTable) -> None:
        await agents.create(an_agent("a1", tenant="acme-2"), None, ENTRY)

        with refused(Code.not_found):
            await agents.delete(ACME, A1, anyway, ENTRY)

        assert await agents.get(ALIKE[0], A1) is not None

    async def test_of_two_who_delete_at_once_one_finds_nothing(self, agents: AgentTable) -> None:
        await agents.create(an_agent("a1", "SHA256:x"), None, ENTRY)

        outcomes = await race(agents.delete(ACME, A1, anyway, ENTRY), agents.delete(ACME, A1, anyway, ENTRY))

        assert an_agent("a1", "SHA256:x") in outcomes
        assert Code.not_found in outcomes

    async def test_what_is_changed_meanwhile_is_deleted_as_it_is_then(self, agents: AgentTable) -> None:
        await agents.create(an_agent("a1", "SHA256:x"), None, ENTRY)

        outcomes = await race(
            agents.delete(ACME, A1, anyway, ENTRY),
            agents.change(ACME, A1, lambda agent: replace(with_keys(agent, "SHA256:y"), name="new"), ENTRY),
        )

        assert isinstance(outcomes[0], Agent)
        assert outcomes[0].name == "new" or outcomes[1] is Code.not_found
        assert await agents.get(ACME, A1) is None
        await agents.create(an_agent("a2", "SHA256:x", "SHA256:y"), None, ENTRY)

    async def test_what_the_check_refuses_is_not_deleted(self, agents: AgentTable) -> None:
        await agents.create(an_agent("a1", "SHA256:x"), None, ENTRY)

        def check(agent: Agent) -> None:
            assert agent == an_agent("a1", "SHA256:x")
            raise ArtcafeError(Code.precondition_failed)

        with refused(Code.precondition_failed):
            await agents.delete(ACME, A1, check, ENTRY)

        assert await agents.get(ACME, A1) is not None
        assert await agents.count(ACME) == 1


class TestAudit:
    async def test_what_was_refused_is_not_in_the_audit(self, table: Table, agents: AgentTable) -> None:
        for name in ("a1", "a2"):
            await agents.create(an_agent(name, f"SHA256:{name}"), None, an_entry(name))
        refusal = an_entry("refused")

        def refuse(_: Agent) -> Agent:
            raise ArtcafeError(Code.precondition_failed)

        outcomes = await race(
            agents.create(an_agent("a1"), None, refusal),
            agents.create(an_agent("a3"), 2, refusal),
            agents.create(an_agent("a3", "SHA256:a1"), None, refusal),
            agents.create(an_agent("a3", tenant="nowhere"), None, refusal),
            agents.change(ACME, A2, refuse, refusal),
            agents.change(ACME, A2, lambda agent: with_keys(agent, "SHA256:a1"), refusal),
            agents.change(ACME, AgentId("a3"), lambda agent: agent, refusal),
            agents.delete(ACME, AgentId("a3"), anyway, refusal),
        )

        assert all(isinstance(outcome, Code) for outcome in outcomes)
        assert await audited(table) == {ENTRY.id, "a1", "a2"}

    async def test_each_change_is_in_the_audit(self, table: Table, agents: AgentTable) -> None:
        await agents.create(an_agent("a1"), None, an_entry("made"))
        await agents.change(ACME, A1, lambda agent: agent, an_entry("changed"))
        await agents.delete(ACME, A1, anyway, an_entry("deleted"))

        assert await audited(table) == {ENTRY.id, "made", "changed", "deleted"}


class TestList:
    async def test_pages_are_in_order_of_the_ids_and_of_one_tenant(self, agents: AgentTable) -> None:
        for name in ("b", "a", "B", "a-1", "_"):
            await agents.create(an_agent(name), None, ENTRY)
            await agents.create(an_agent(f"{name}x", tenant="acme-2"), None, ENTRY)

        first = await agents.listed(ACME).page(3, None)
        second = await agents.listed(ACME).page(3, first.cursor)

        assert [agent.id for agent in [*first.items, *second.items]] == ["B", "_", "a", "a-1", "b"]
        assert second.cursor is None
        assert await agents.count(ACME) == 5

    async def test_a_page_token_leads_into_no_other_tenant(self, agents: AgentTable) -> None:
        for tenant in ("acme", "acme-2"):
            for name in ("a1", "a2"):
                await agents.create(an_agent(name, tenant=tenant), None, ENTRY)
        theirs = (await agents.listed(ALIKE[0]).page(1, None)).cursor

        page = await agents.listed(ACME).page(5, theirs)

        assert [(agent.tenant, agent.id) for agent in page.items] == [("acme", "a2")]

    async def test_a_page_token_of_nothing_is_a_bad_request(self, agents: AgentTable) -> None:
        with refused(Code.bad_request):
            await agents.listed(ACME).page(5, "garbage")


async def test_a_store_that_is_away_is_unavailable(agents: AgentTable, unreliable: UnreliableStore) -> None:
    unreliable.away = True

    with refused(Code.unavailable):
        await agents.get(ACME, A1)
    with refused(Code.unavailable):
        await agents.create(an_agent("a1"), None, ENTRY)
    with refused(Code.unavailable):
        await agents.change(ACME, A1, lambda agent: agent, ENTRY)
    with refused(Code.unavailable):
        await agents.delete(ACME, A1, anyway, ENTRY)
    with refused(Code.unavailable):
        await agents.listed(ACME).page(5, None)
    with refused(Code.unavailable):
        await agents.count(ACME)


async def test_an_agent_over_the_limit_of_an_item_is_too_large(agents: AgentTable) -> None:
    with refused(Code.too_large):
        await agents.create(replace(an_agent("a1"), metadata={"blob": "x" * 300_000}), None, ENTRY)
