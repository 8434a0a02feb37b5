"""Clients ask who is online, and follow it, over two processes of one installation."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from artcafe.server.domain.ids import AgentId
from artcafe.server.domain.policy import Grant, Policy
from artcafe.wire.discovery import MAX_FOLLOWED
from tests.kit.deadlines import PATIENCE, eventually
from tests.kit.gateways import House, a_house
from tests.kit.installation import ACME, OTHER
from tests.kit.scripted_peer import ScriptedPeer
from tests.kit.signing import KeyPair

NOON = "2025-11-24T16:00:00.000Z"


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with a_house() as house:
        yield house


@pytest.fixture
async def other(house: House) -> AsyncIterator[House]:
    """Another process of the installation."""
    async with a_house(house.installation, "other") as other:
        other.key = house.key
        yield other


async def make_agent(house: House, agent: str, **fields: Any) -> KeyPair:
    """One more agent of the tenant, with a key of its own."""
    key = KeyPair()
    data = {"name": agent, **fields}
    await house.installation.process.agents.create(house.olivia, agent, key.line, data)
    return key


async def who(peer: ScriptedPeer, **asked: Any) -> dict[str, dict[str, Any]]:
    """Ask, and return the agents by their ids."""
    peer.say(type="who", id="w", **asked)
    answer = await peer.expect("agents", id="w")
    return {agent["id"]: agent for agent in answer["agents"]}


async def test_agents_of_all_processes_are_there_with_what_they_can_and_say(
    house: House, other: House
) -> None:
    key = await make_agent(house, "a2", capabilities=["draw"])
    here, there = await house.enter(), await other.enter("a2", key=key)
    there.say(type="presence", status="busy", metadata={"n": 1})
    there.say(type="ping")
    await there.expect("pong")
    await online(house, "a1", "a2")

    agents = await who(here)
    assert agents["a1"] == {"id": "a1", "since": NOON}
    assert agents["a2"] == {
        "id": "a2", "capabilities": ["draw"], "since": NOON, "status": "busy", "metadata": {"n": 1}
    }  # fmt: skip
    assert set(await who(here, capability="draw")) == {"a2"}
    assert await who(there, capability=["draw", "write"]) == {}
    assert await who(await house.watch()) == agents


async def online(house: House, *agents: str) -> None:
    """Wait until this process knows that these are."""
    async with asyncio.timeout(PATIENCE):
        while set(await house.process.presence.online(ACME)) != set(agents):
            await asyncio.sleep(0.002)


async def test_an_answer_is_followed_over_processes_until_it_is_not(house: House, other: House) -> None:
    key = await make_agent(house, "a2", capabilities=["draw"])
    here = await house.enter()
    await online(house, "a1")
    assert await who(here, follow=True, capability="draw") == {}

    there = await other.enter("a2", key=key)
    joined = await here.expect("agent_changed", id="w", change="joined")
    assert joined["agent"]["id"] == "a2"
    there.say(type="presence", status="busy")
    assert (await here.expect("agent_changed", change="changed"))["agent"]["status"] == "busy"
    more = {"capabilities": ["draw", "write"]}
    await house.installation.process.agents.change(house.olivia, AgentId("a2"), more)
    assert (await here.expect("agent_changed", change="changed"))["agent"]["capabilities"] == [
        "draw",
        "write",
    ]
    there.leave()
    assert (await here.expect("agent_changed", change="left"))["agent"]["id"] == "a2"

    here.say(type="unfollow", who="w", id="u")
    await here.expect("unfollowed", who="w", id="u")
    await other.enter("a2", key=key)
    await online(house, "a1", "a2")
    here.say(type="ping")
    await here.expect("pong")
    assert not [frame for frame in here.unread if frame["type"] == "agent_changed"]
    here.say(type="unfollow", who="w", id="u")
    await here.expect("error", id="u", code="not_found")


async def test_pages_follow_each_other(house: House) -> None:
    peer = await house.enter()
    key = await make_agent(house, "a2")
    await house.enter("a2", key=key)
    await online(house, "a1", "a2")
    peer.say(type="who", id="w", limit=1)
    first = await peer.expect("agents")
    assert ([agent["id"] for agent in first["agents"]], first["next"]) == (["a1"], "a1")
    peer.say(type="who", id="w", limit=1, after=first["next"])
    second = await peer.expect("agents")
    assert ([agent["id"] for agent in second["agents"]], "next" in second) == (["a2"], False)


async def test_agents_of_another_tenant_are_not_there(house: House) -> None:
    nina = await house.installation.make_tenant(OTHER, "nina")
    key = KeyPair()
    await house.installation.process.agents.create(nina, "spy", key.line, {"name": "spy"})
    spy = await house.enter("spy", OTHER, key)
    peer = await house.enter()
    await online(house, "a1")
    assert set(await who(peer)) == {"a1"}
    await eventually(lambda: house.process.presence._told.get(OTHER), "the announcement")
    assert set(await who(spy)) == {"spy"}


async def test_a_connection_follows_so_many_and_no_id_twice(house: House) -> None:
    peer = await house.enter()
    for number in range(MAX_FOLLOWED):
        peer.say(type="who", id=f"w{number}", follow=True)
        await peer.expect("agents", id=f"w{number}")
    peer.say(type="who", id="w0", follow=True)
    await peer.expect("error", id="w0", code="conflict")
    peer.say(type="unfollow", who="w1")
    await peer.expect("unfollowed", who="w1")
    peer.say(type="who", id="w1", follow=True)
    await peer.expect("agents", id="w1")
    peer.say(type="who", id="more", follow=True)
    await peer.expect("error", id="more", code="too_many_subscriptions")
    peer.say(type="who", id="more")
    await peer.expect("agents", id="more")


async def test_who_may_not_hear_of_presence_may_not_ask(house: House) -> None:
    peer = await house.enter()
    peer.say(type="who", id="w", follow=True)
    await peer.expect("agents", id="w")

    denied = {"policy": Policy(subscribe=Grant(deny=["presence.>"]))}
    await house.installation.process.agents.change(house.olivia, AgentId("a1"), denied)

    error = await peer.expect("error", code="forbidden")
    assert error["details"] == {"who": "w"}
    peer.say(type="who", id="w")
    await peer.expect("error", code="forbidden", id="w")


async def test_a_connection_that_ends_follows_nothing(house: House) -> None:
    peer, stays = await house.enter(), await house.enter()
    peer.say(type="who", id="w", follow=True)
    await peer.expect("agents", id="w")
    [roster] = house.gateway._services.rosters._held.values()
    assert len(roster._followers) == 1
    peer.leave()
    await eventually(lambda: not roster._followers)
    stays.leave()
    await eventually(lambda: roster.over)


async def test_a_store_that_is_away_is_an_error_of_the_question(house: House) -> None:
    peer = await house.enter()
    house.login_store.away = True
    peer.say(type="who", id="w")
    await peer.expect("error", id="w", code="unavailable")
    house.login_store.away = False
    peer.say(type="who", id="w")
    await peer.expect("agents", id="w")


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 0}, {"limit": 101}, {"capability": ""}, {"capability": ["x"] * 17}, {"capability": 1},
        {"after": "x" * 64}, {"follow": 1}, {"status": "x" * 65}, {"id": ""},
    ],
)  # fmt: skip
async def test_a_question_out_of_its_bounds_is_refused(house: House, wrong: dict[str, Any]) -> None:
    peer = await house.enter()
    peer.say(**{"type": "who", "id": "w", **wrong})
    await peer.expect("error", code="bad_frame")


async def test_older_dialects_do_not_know_the_frame(house: House) -> None:
    peer = ScriptedPeer((await house.knock(protocols=(), proof=house.proof())).handler)
    peer.say(type="who", id="w")
    await peer.expect("error", code="bad_frame")
