"""The keys of agents: added, revoked for good, removed, and connections that end with them."""

from artcafe.server.domain.agent import MAX_KEYS
from artcafe.server.domain.ids import AgentId
from artcafe.server.domain.principal import Human
from artcafe.server.domain.revocation import Revocation
from artcafe.wire.codes import Code
from tests.kit.deadlines import eventually
from tests.kit.installation import ACME, Installation
from tests.kit.outcomes import refused
from tests.kit.signing import KeyPair

A1 = AgentId("a1")
NOON = "2025-11-24T16:00:00.000Z"


async def test_an_added_key_is_one_more(installation: Installation, olivia: Human) -> None:
    first, second = KeyPair(), KeyPair()
    await installation.make_agent(olivia, "a1", first)

    added = await installation.process.agents.add_key(olivia, A1, second.line)

    assert added.fingerprint == second.fingerprint
    agent = await installation.process.agents.get(olivia, A1)
    assert [key.fingerprint for key in agent.active_keys()] == [first.fingerprint, second.fingerprint]
    with refused(Code.conflict):
        await installation.process.agents.add_key(olivia, A1, second.line)


async def test_a_revoked_key_stays_listed_and_registers_nowhere_again(
    installation: Installation, olivia: Human
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
    installation: Installation, olivia: Human
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
    installation: Installation, olivia: Human
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
    installation: Installation, olivia: Human
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


async def test_an_agent_has_so_many_keys_at_most(installation: Installation, olivia: Human) -> None:
    await installation.make_agent(olivia)
    for _ in range(MAX_KEYS - 1):
        await installation.process.agents.add_key(olivia, A1, KeyPair().line)

    with refused(Code.quota_exceeded):
        await installation.process.agents.add_key(olivia, A1, KeyPair().line)
