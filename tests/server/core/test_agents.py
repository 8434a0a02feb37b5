"""Agents and their keys: quotas, roles, races, and connections that end with a right."""

from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from artcafe.server.domain.agent import MAX_KEYS, Agent
from artcafe.server.domain.ids import AgentId
from artcafe.server.domain.principal import Human
from artcafe.server.domain.revocation import Revocation
from artcafe.server.domain.tenant import Role
from artcafe.wire.codes import Code
from tests.kit.deadlines import eventually
from tests.kit.installation import ACME, OTHER, Installation, acting
from tests.kit.outcomes import race, refused
from tests.kit.signing import KeyPair

A1 = AgentId("a1")
NOON = "2025-11-24T16:00:00.000Z"


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
        item = await installation.memory.get("T#acme", "AGENT#x-y")
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
        assert (await installation.process.agents.list(olivia, 10, None)).items == []

    async def test_the_plan_limits_how_many(self, installation: Installation) -> None:
        olivia = await installation.make_tenant(subscription_tier="free")
        for number in range(3):
            await installation.make_agent(olivia, f"a{number}")

        with refused(Code.quota_exceeded):
            await installation.make_agent(olivia, "a3")

        await installation.process.agents.delete(olivia, AgentId("a0"))
        await installation.make_agent(olivia, "a3")

    async def test_a_tenant_that_was_deleted_meanwhile_is_not_found(
        self, installation: Installation, olivia: Human
    ) -> None:
        await installation.process.tenants.delete(olivia)

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


class TestKeys:
    async def test_an_added_key_is_one_more(self, installation: Installation, olivia: Human) -> None:
        first, second = KeyPair(), KeyPair()
        await installation.make_agent(olivia, "a1", first)

        added = await installation.process.agents.add_key(olivia, A1, second.line)

        assert added.fingerprint == second.fingerprint
        agent = await installation.process.agents.get(olivia, A1)
        assert [key.fingerprint for key in agent.active_keys()] == [first.fingerprint, second.fingerprint]
        with refused(Code.conflict):
            await installation.process.agents.add_key(olivia, A1, second.line)

    async def test_a_revoked_key_stays_listed_and_registers_nowhere_again(
        self, installation: Installation, olivia: Human
    ) -> None:
        key = KeyPair()
        await installation.make_agent(olivia, "a1", key)
        await installation.make_agent(olivia, "a2")
        heard = await installation.revocations()

        revoked = await installation.process.agents.revoke_key(olivia, A1, key.fingerprint)

        assert (revoked.status, revoked.revoked_at) == ("revoked", NOON)
        agent = await installation.process.agents.get(olivia, A1)
        assert (agent.keys, agent.active_keys()) == ([revoked], [])
        await eventually(lambda: heard)
        assert heard == [Revocation(ACME, A1, key.fingerprint)]
        for name in ("a1", "a2"):
            with refused(Code.conflict):
                await installation.process.agents.add_key(olivia, AgentId(name), key.line)

    async def test_revoking_again_tells_the_servers_again_and_keeps_the_first_time(
        self, installation: Installation, olivia: Human
    ) -> None:
        key = KeyPair()
        await installation.make_agent(olivia, "a1", key)
        await installation.process.agents.revoke_key(olivia, A1, key.fingerprint)
        installation.clock.advance(60)
        heard = await installation.revocations()

        again = await installation.process.agents.revoke_key(olivia, A1, key.fingerprint)

        assert again.revoked_at == NOON
        await eventually(lambda: heard)

    async def test_a_removed_key_is_forgotten_and_its_connections_end(
        self, installation: Installation, olivia: Human
    ) -> None:
        key = KeyPair()
        await installation.make_agent(olivia, "a1", key)
        heard = await installation.revocations()

        await installation.process.agents.remove_key(olivia, A1, key.fingerprint)

        await eventually(lambda: heard)
        assert heard == [Revocation(ACME, A1, key.fingerprint)]
        assert (await installation.process.agents.get(olivia, A1)).keys == []
        await installation.make_agent(olivia, "a2", key)

    async def test_a_key_that_the_agent_does_not_have_is_not_found(
        self, installation: Installation, olivia: Human
    ) -> None:
        await installation.make_agent(olivia)
        heard = await installation.revocations()

        with refused(Code.not_found):
            await installation.process.agents.revoke_key(olivia, A1, "SHA256:x")
        with refused(Code.not_found):
            await installation.process.agents.remove_key(olivia, A1, "SHA256:x")
        with refused(Code.not_found):
            await installation.process.agents.add_key(olivia, AgentId("a2"), KeyPair().line)
        assert heard == []

    async def test_an_agent_has_so_many_keys_at_most(self, installation: Installation, olivia: Human) -> None:
        await installation.make_agent(olivia)
        for _ in range(MAX_KEYS - 1):
            await installation.process.agents.add_key(olivia, A1, KeyPair().line)

        with refused(Code.quota_exceeded):
            await installation.process.agents.add_key(olivia, A1, KeyPair().line)


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

    assert (await installation.process.agents.list(olivia, 10, None)).items == [before]


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

    assert (await installation.process.agents.list(olivia, 10, None)).items == [before]


async def test_a_viewer_reads(installation: Installation, olivia: Human) -> None:
    agent = await installation.make_agent(olivia)
    viewer = acting(olivia, Role.viewer)

    assert await installation.process.agents.get(viewer, A1) == agent
    assert (await installation.process.agents.list(viewer, 10, None)).items == [agent]
    assert await installation.process.agents.key_uses(viewer, A1) == {}
