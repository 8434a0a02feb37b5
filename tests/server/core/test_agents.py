"""Agents and their keys: quotas, roles, races, and connections that end with a right."""

from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from artcafe.server.domain.agent import Agent
from artcafe.server.domain.audit import AuditEntry
from artcafe.server.domain.ids import AgentId
from artcafe.server.domain.listing import Query
from artcafe.server.domain.policy import Grant, Policy
from artcafe.server.domain.principal import Human
from artcafe.server.domain.revocation import Revocation
from artcafe.server.domain.tenant import Role
from artcafe.server.domain.version import tag
from artcafe.server.store.audit import AuditTable
from artcafe.server.store.table import Table
from artcafe.wire.codes import Code
from tests.kit.deadlines import eventually
from tests.kit.installation import ACME, OTHER, Installation, acting
from tests.kit.outcomes import race, refused
from tests.kit.signing import KeyPair

A1 = AgentId("a1")
NOON = "2025-11-24T16:00:00.000Z"


async def audited(installation: Installation) -> list[AuditEntry]:
    """The audit of `acme`, as far as it is about agents, in no order."""
    page = await AuditTable(Table(installation.memory)).list(ACME, 100, None)
    return [entry for entry in page.items if entry.action.startswith("agent.")]


class TestCreate:
    async def test_a_given_key_is_registered_and_no_private_key_is_handed_out(
        self, installation: Installation, olivia: Human
    ) -> None:
        key = KeyPair()

        agent, private_key = await installation.process.agents.create(
            olivia, "a1", f"{key.line} laptop", {"name": "Planner", "capabilities": ["plan"]}
        )

        assert private_key is None
        assert (agent.id, agent.tenant, agent.name, agent.capabilities) == ("a1", ACME, "Planner", ["plan"])
        [known] = agent.keys
        assert (known.fingerprint, known.line, known.comment) == (key.fingerprint, key.line, "laptop")
        assert (known.status, known.created_at) == ("active", NOON)
        assert await installation.process.agents.get(olivia, A1) == agent

    async def test_without_a_key_one_is_made_and_only_its_public_half_is_kept(
        self, installation: Installation, olivia: Human
    ) -> None:
        agent, private_key = await installation.process.agents.create(olivia, None, None, {"name": "X y"})

        assert agent.id == "x-y"
        assert private_key is not None
        assert private_key.startswith("-----BEGIN PRIVATE KEY-----")
        item = await installation.memory.get(f"T#{await installation.partition()}", "AGENT#x-y")
        assert item is not None
        assert "PRIVATE" not in f"{item.data}"
        assert len(agent.keys) == 1

    @pytest.mark.parametrize(
        ("name", "made"),
        [
            ("Presence", "agent-presence"),
            ("U-Boat", "agent-u-boat"),
            ("ACME", "agent-acme"),
            ("sys", "agent-sys"),
        ],
    )
    async def test_a_name_that_means_something_on_the_bus_makes_another_id(
        self, installation: Installation, olivia: Human, name: str, made: str
    ) -> None:
        agent, _ = await installation.process.agents.create(olivia, None, KeyPair().line, {"name": name})

        assert (agent.id, agent.name) == (made, name)

    async def test_a_name_that_is_taken_gets_another_id(
        self, installation: Installation, olivia: Human
    ) -> None:
        ids = {
            (await installation.process.agents.create(olivia, None, None, {"name": "Planner"}))[0].id
            for _ in range(3)
        }

        assert len(ids) == 3
        assert all(name.startswith("planner") for name in ids)

    async def test_a_wanted_id_that_is_taken_is_a_conflict(
        self, installation: Installation, olivia: Human
    ) -> None:
        await installation.make_agent(olivia, "a1")

        with refused(Code.conflict):
            await installation.make_agent(olivia, "a1")

    async def test_a_key_belongs_to_one_agent_of_a_tenant(
        self, installation: Installation, olivia: Human
    ) -> None:
        key = KeyPair()
        await installation.make_agent(olivia, "a1", key)

        with refused(Code.conflict):
            await installation.make_agent(olivia, "a2", key)

        nina = await installation.make_tenant(OTHER, "nina")
        await installation.make_agent(nina, "a1", key)

    @pytest.mark.parametrize("wanted", ["presence", "control", "sys", "u-olivia", "a.b", "acme", "#", "a b"])
    async def test_an_id_that_means_something_on_the_bus_is_refused(
        self, installation: Installation, olivia: Human, wanted: str
    ) -> None:
        with refused(Code.validation_failed):
            await installation.make_agent(olivia, wanted)

    @pytest.mark.parametrize("text", ["", "garbage", "ssh-ed25519", "ssh-dss AAAA", KeyPair().pem])
    async def test_what_is_no_public_key_is_refused_and_not_repeated(
        self, installation: Installation, olivia: Human, text: str
    ) -> None:
        with refused(Code.validation_failed) as refusal:
            await installation.process.agents.create(olivia, "a1", text, {"name": "a1"})

        assert len(text) < 10 or text not in refusal.message
        assert (await installation.process.agents.list(olivia, Query(limit=10))).items == []

    async def test_the_plan_limits_how_many(self, installation: Installation) -> None:
        olivia = await installation.make_tenant(subscription_tier="free")
        for number in range(3):
            await installation.make_agent(olivia, f"a{number}")

        with refused(Code.quota_exceeded):
            await installation.make_agent(olivia, "a3")

        await installation.process.agents.delete(olivia, AgentId("a0"))
        await installation.make_agent(olivia, "a3")

    async def test_the_plan_limits_exactly_whoever_comes_at_once(self, installation: Installation) -> None:
        olivia = await installation.make_tenant(subscription_tier="free")

        outcomes = await race(*(installation.make_agent(olivia, f"a{number}") for number in range(8)))

        assert outcomes.count(Code.quota_exceeded) == 5
        assert await installation.process.agents.count(olivia) == 3

    async def test_a_tenant_that_was_deleted_meanwhile_is_not_found(
        self, installation: Installation, olivia: Human
    ) -> None:
        await installation.delete_tenant(olivia)

        with refused(Code.not_found):
            await installation.make_agent(olivia)

    async def test_of_many_who_create_one_id_at_once_exactly_one_wins(
        self, installation: Installation, olivia: Human
    ) -> None:
        keys = [KeyPair() for _ in range(6)]

        outcomes = await race(*(installation.make_agent(olivia, "a1", key) for key in keys))

        winners = [won for won in outcomes if isinstance(won, Agent)]
        assert len(winners) == 1
        assert outcomes.count(Code.conflict) == len(keys) - 1
        assert await installation.process.agents.get(olivia, A1) == winners[0]

    async def test_of_many_who_register_one_key_at_once_exactly_one_wins(
        self, installation: Installation, olivia: Human
    ) -> None:
        key = KeyPair()

        outcomes = await race(*(installation.make_agent(olivia, f"a{n}", key) for n in range(6)))

        assert sum(isinstance(won, Agent) for won in outcomes) == 1
        assert outcomes.count(Code.conflict) == 5


class TestChange:
    async def test_it_sets_what_is_given_and_nothing_else(
        self, installation: Installation, olivia: Human
    ) -> None:
        before = await installation.make_agent(olivia)
        installation.clock.advance(60)
        heard = await installation.revocations()

        changed = await installation.process.agents.change(olivia, A1, {"metadata": {"owner": "é"}})

        assert changed == replace(
            before, metadata={"owner": "é"}, version=2, updated_at="2025-11-24T16:01:00.000Z"
        )
        assert heard == []

    async def test_disabling_ends_the_connections(self, installation: Installation, olivia: Human) -> None:
        await installation.make_agent(olivia)
        heard = await installation.revocations()

        await installation.process.agents.change(olivia, A1, {"enabled": False})

        await eventually(lambda: heard)
        assert heard == [Revocation(ACME, A1)]

    async def test_deleting_ends_the_connections_and_frees_id_and_key(
        self, installation: Installation, olivia: Human
    ) -> None:
        key = KeyPair()
        await installation.make_agent(olivia, "a1", key)
        heard = await installation.revocations()

        await installation.process.agents.delete(olivia, A1)

        await eventually(lambda: heard)
        assert heard == [Revocation(ACME, A1)]
        with refused(Code.not_found):
            await installation.process.agents.get(olivia, A1)
        await installation.make_agent(olivia, "a1", key)

    async def test_only_as_it_was_read_is_it_changed_or_deleted(
        self, installation: Installation, olivia: Human
    ) -> None:
        agents = installation.process.agents
        first = await installation.make_agent(olivia)
        heard = await installation.revocations()
        second = await agents.change(olivia, A1, {"name": "x"}, tag(first))

        with refused(Code.precondition_failed):
            await agents.change(olivia, A1, {"name": "y", "enabled": False}, tag(first))
        with refused(Code.precondition_failed):
            await agents.delete(olivia, A1, tag(first))

        assert await agents.get(olivia, A1) == second
        assert heard == []
        await agents.delete(olivia, A1, tag(second))
        assert await agents.count(olivia) == 0

    async def test_of_many_who_read_the_same_exactly_one_changes_it(
        self, installation: Installation, olivia: Human
    ) -> None:
        read = tag(await installation.make_agent(olivia))

        outcomes = await race(
            *(installation.process.agents.change(olivia, A1, {"name": f"n{n}"}, read) for n in range(6))
        )

        [won] = [agent for agent in outcomes if isinstance(agent, Agent)]
        assert outcomes.count(Code.precondition_failed) == 5
        assert await installation.process.agents.get(olivia, A1) == won


class TestPolicy:
    GIVEN = Policy(publish=Grant(allow=["tenant.acme.tasks.*"]), subscribe=Grant(deny=["channels.acme.x"]))
    STORED = Policy(publish=Grant(allow=["tasks.*"]), subscribe=Grant(deny=["x"]))

    async def test_it_is_stored_in_short_form(self, installation: Installation, olivia: Human) -> None:
        agents = installation.process.agents
        made, _ = await agents.create(olivia, "a1", None, {"name": "A", "policy": self.GIVEN})
        assert made.policy == self.STORED

        await agents.change(olivia, A1, {"policy": Policy()})
        changed = await agents.change(olivia, A1, {"policy": self.GIVEN})
        assert changed.policy == (await agents.get(olivia, A1)).policy == self.STORED

    @pytest.mark.parametrize(
        ("pattern", "code"), [("a b", Code.invalid_subject), ("tenant.acme-2.x", Code.forbidden)]
    )
    async def test_a_pattern_that_is_none_changes_nothing(
        self, installation: Installation, olivia: Human, pattern: str, code: Code
    ) -> None:
        agents = installation.process.agents
        before = await installation.make_agent(olivia)
        fields = {"name": "x", "policy": Policy(publish=Grant(deny=[pattern]))}

        with refused(code):
            await agents.change(olivia, A1, fields)
        with refused(code):
            await agents.create(olivia, "a2", None, fields)

        assert (await agents.list(olivia, Query(limit=10))).items == [before]


class TestAudit:
    async def test_every_change_is_told_with_who_and_what_and_no_values(
        self, installation: Installation, olivia: Human
    ) -> None:
        agents, key = installation.process.agents, KeyPair()
        human = Human(olivia.tenant, olivia.user, olivia.role, olivia.email, "192.0.2.7", "r1")
        await installation.make_agent(human)
        await agents.change(human, A1, {"name": "a secret", "enabled": True})
        await agents.add_key(human, A1, key.line)
        await agents.revoke_key(human, A1, key.fingerprint)
        await agents.remove_key(human, A1, key.fingerprint)
        await agents.delete(human, A1)

        entries = await audited(installation)
        assert {entry.action: entry.fields for entry in entries} == {
            "agent.create": ["name"],
            "agent.update": ["enabled", "name"],
            "agent.add_key": [key.fingerprint],
            "agent.revoke_key": [key.fingerprint],
            "agent.remove_key": [key.fingerprint],
            "agent.delete": [],
        }
        assert len({entry.id for entry in entries}) == 6
        assert {(e.actor, e.email, e.target, e.at, e.remote, e.request) for e in entries} == {
            ("olivia", "olivia@example.com", "a1", NOON, "192.0.2.7", "r1")
        }
        assert "secret" not in f"{entries}"

    async def test_what_was_refused_is_not_told(self, installation: Installation, olivia: Human) -> None:
        agents = installation.process.agents
        await installation.make_agent(olivia)
        before = await audited(installation)

        outcomes = await race(
            installation.make_agent(olivia),
            agents.change(olivia, A1, {"name": "x"}, '"other"'),
            agents.delete(olivia, A1, '"other"'),
            agents.add_key(olivia, AgentId("a2"), KeyPair().line),
            agents.delete(acting(olivia, Role.viewer), A1),
        )

        assert all(isinstance(outcome, Code) for outcome in outcomes)
        assert await audited(installation) == before


Act = Callable[[Installation, Human], Awaitable[object]]

WRITES: dict[str, Act] = {
    "create": lambda i, h: i.process.agents.create(h, "a2", None, {"name": "a2"}),
    "change": lambda i, h: i.process.agents.change(h, A1, {"name": "x"}),
    "delete": lambda i, h: i.process.agents.delete(h, A1),
    "add_key": lambda i, h: i.process.agents.add_key(h, A1, KeyPair().line),
    "revoke_key": lambda i, h: i.process.agents.revoke_key(h, A1, "SHA256:x"),
    "remove_key": lambda i, h: i.process.agents.remove_key(h, A1, "SHA256:x"),
}


@pytest.mark.parametrize("act", WRITES.values(), ids=WRITES)
async def test_a_viewer_changes_nothing(installation: Installation, olivia: Human, act: Act) -> None:
    before = await installation.make_agent(olivia)

    with refused(Code.forbidden):
        await act(installation, acting(olivia, Role.viewer))

    assert (await installation.process.agents.list(olivia, Query(limit=10))).items == [before]


@pytest.mark.parametrize("act", WRITES.values(), ids=WRITES)
async def test_nothing_reaches_into_another_tenant(
    installation: Installation, olivia: Human, act: Act
) -> None:
    before = await installation.make_agent(olivia)
    nina = await installation.make_tenant(OTHER, "nina")

    if act is WRITES["create"]:
        await act(installation, nina)
    else:
        with refused(Code.not_found):
            await act(installation, nina)

    assert (await installation.process.agents.list(olivia, Query(limit=10))).items == [before]


async def test_a_viewer_reads(installation: Installation, olivia: Human) -> None:
    agent = await installation.make_agent(olivia)
    viewer = acting(olivia, Role.viewer)

    assert await installation.process.agents.get(viewer, A1) == agent
    assert (await installation.process.agents.list(viewer, Query(limit=10))).items == [agent]
    assert await installation.process.agents.key_uses(viewer, A1) == {}
    assert await installation.process.agents.count(viewer) == 1


async def test_the_list_is_filtered_and_sorted_as_asked(installation: Installation, olivia: Human) -> None:
    for name in ("a1", "a2", "a3"):
        await installation.make_agent(olivia, name)
    await installation.process.agents.change(olivia, AgentId("a2"), {"enabled": False})
    query: Query[Agent] = Query(limit=10, order="-id", keep=lambda agent: agent.enabled)

    page = await installation.process.agents.list(olivia, query)

    assert [agent.id for agent in page.items] == ["a3", "a1"]
