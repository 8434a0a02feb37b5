"""What a human sees: subscriptions, a preview of everything, and agents coming and going."""

from collections.abc import AsyncIterator

import pytest

from artcafe.server.domain.ids import UserId
from artcafe.server.domain.principal import Human
from artcafe.server.domain.tenant import Role
from artcafe.server.gateway.dialects.dashboard import DashboardDialect
from artcafe.server.gateway.sessions.dashboard_session import RENEWALS_AT_ONCE, DashboardSession
from artcafe.wire.codes import Code
from tests.kit.deadlines import eventually
from tests.kit.gateways import House, a_house, gone
from tests.kit.installation import ACME
from tests.kit.scripted_peer import ScriptedPeer
from tests.kit.sessions import a_table, errors
from tests.kit.turns import turns
from tests.kit.unreliable_bus import AWAY


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with a_house() as house:
        await house.join("mia", Role.member)
        await house.join("vera", Role.viewer)
        yield house


async def preview(house: House, user: str) -> ScriptedPeer:
    peer = await house.watch(user)
    peer.say(type="subscribe_topic_preview", id="p")
    await peer.expect("subscribed", topic="topic_preview", id="p")
    return peer


async def an_agent(house: House, *witnesses: ScriptedPeer) -> ScriptedPeer:
    agent = await house.enter()
    for witness in witnesses:
        await witness.expect("agent.online", topic="presence.a1")
    return agent


async def test_a_message_in_a_preview_and_a_subscription_comes_once_for_each(house: House) -> None:
    mia = await preview(house, "mia")
    agent = await an_agent(house, mia)
    for topic in ("x", "channels.acme.x", "*"):
        mia.say(type="subscribe", topic=topic)
        await mia.expect("subscribed", topic=topic)
    agent.say(type="publish", subject="x", data=1)
    await eventually(lambda: len(mia.unread) == 2)
    await turns()
    assert sorted(frame["type"] for frame in mia.unread) == ["message", "topic_preview_message"]


async def test_a_preview_shows_what_is_said_to_agents_to_who_manages_them(house: House) -> None:
    mia, vera = await preview(house, "mia"), await preview(house, "vera")
    agent = await an_agent(house, mia, vera)
    for subject in ("agents.a1.do", "agents.presence.x", "inbox.a1.reply"):
        agent.say(type="publish", subject=subject, data=1)
    agent.say(type="publish", subject="last", data=1)
    for subject in ("agents.a1.do", "agents.presence.x", "last"):
        await mia.expect("topic_preview_message", subject=subject)
    for subject in ("agents.presence.x", "last"):
        await vera.expect("topic_preview_message", subject=subject)
    await turns()
    assert (mia.unread, vera.unread) == ([], [])


async def test_a_preview_hides_what_a_channel_hides(house: House) -> None:
    channels = house.installation.process.channels
    await channels.create(house.olivia, "secrets", {"name": "s", "subscribers": ["role:member"]})
    mia, vera = await preview(house, "mia"), await preview(house, "vera")
    agent = await an_agent(house, mia, vera)
    for subject in ("secrets", "open"):
        agent.say(type="publish", subject=subject, data=1)
    await mia.expect("topic_preview_message", subject="secrets")
    await vera.expect("topic_preview_message", subject="open")
    vera.say(type="subscribe", topic="secrets", id="s")
    await vera.expect("error", code="forbidden", id="s")


async def test_a_human_publishes_as_itself_where_its_role_lets_it(house: House) -> None:
    mia, vera, agent = await house.watch("mia"), await house.watch("vera"), await house.enter()
    agent.say(type="subscribe", subject="x")
    await agent.expect("subscribed")
    for peer in (mia, vera):
        await peer.expect("agent.online")
        peer.say(type="publish", channel="x", payload={"n": 1}, id="p")
    await mia.expect("ack", id="p")
    await vera.expect("error", code="forbidden", id="p")
    vera.say(type="publish", channel="x", payload={"n": 1})
    await vera.expect("error", code="forbidden")
    await agent.expect("message", subject="x", data={"n": 1}, **{"from": "u-mia"})
    mia.say(type="publish", topic="presence.a1", data={"status": "offline"}, id="forged")
    await mia.expect("error", code="forbidden", id="forged")
    await turns()
    assert agent.unread == []


async def test_agents_own_subjects_are_for_who_manages_agents(house: House) -> None:
    mia, vera = await house.watch("mia"), await house.watch("vera")
    for topic in ("agents.a1.>", "inbox.a1.>"):
        for peer in (mia, vera):
            peer.say(type="subscribe", topic=topic, id="s")
        await mia.expect("subscribed", topic=topic, id="s")
        await vera.expect("error", code="forbidden", id="s")


async def test_every_dashboard_hears_agents_come_and_go(house: House) -> None:
    vera = await house.watch("vera")
    one, two = await an_agent(house, vera), await house.enter()
    one.leave()
    two.say(type="presence", status="busy")
    said = await vera.expect("agent.presence", topic="presence.a1")
    assert said["data"] == {"agent_id": "a1", "status": "busy", "metadata": {}}
    two.leave()
    told = await vera.expect("agent.offline", topic="presence.a1")
    assert told["data"] == {"agent_id": "a1", "status": "offline", "timestamp": told["timestamp"]}


async def test_nothing_comes_before_the_word_that_it_is_in(house: House) -> None:
    agent = await house.enter()
    await eventually(lambda: house.process.presence._told.get(ACME), "the announcement")
    [link] = house.bus.links.values()
    link.confirming.shut()
    vera = await house.look(token=house.tokens.give("vera"))
    await eventually(lambda: link.confirming.calls)
    agent.say(type="presence", status="early")
    await turns()
    link.confirming.open()
    await vera.expect("connected")
    agent.say(type="presence", status="busy")
    told = await vera.expect("agent.presence")
    assert told["data"]["status"] == "busy"


async def test_what_it_hears_of_presence_is_no_subscription_of_its_own(house: House) -> None:
    vera = await house.watch("vera")
    vera.say(type="unsubscribe", topic="presence.*", id="u")
    await vera.expect("error", code="not_found", id="u")
    for number in range(8):
        vera.say(type="subscribe", topic=f"x.{number}")
        await vera.expect("subscribed")
    vera.say(type="subscribe", topic="x.8", id="ninth")
    await vera.expect("error", code="too_many_subscriptions", id="ninth")


async def test_without_the_bus_nobody_gets_in(house: House) -> None:
    first = await house.watch("vera")
    first.leave()
    await gone(house)
    [link] = house.bus.links.values()
    link.subscribing.failure = AWAY
    peer = await house.look(token=house.tokens.give("vera"))
    await peer.expect("error", code="unavailable")
    await peer.ended(Code.unavailable.close)
    peer.leave()
    await gone(house)


async def test_who_leaves_while_a_preview_begins_leaves_nothing_behind(house: House) -> None:
    """The second half of the preview was subscribed to after the connection was cleaned up."""
    mia = await house.watch("mia")
    [link] = house.bus.links.values()
    link.subscribing.shut()
    mia.say(type="subscribe_topic_preview")
    await eventually(lambda: link.subscribing.calls == 2)
    mia.leave()
    await turns()
    link.subscribing.open()
    await gone(house)
    await eventually(lambda: +link.open == {}, f"no subscription, not {link.open},")


async def test_stopping_and_gaps_concern_dashboards_too(house: House) -> None:
    mia = await house.watch("mia")
    [link] = house.bus.links.values()
    link.gaps += 1
    await mia.expect("error", code="unavailable")
    await mia.ended(1013)
    mia.leave()
    again = await house.watch("mia")
    again.speaks = False
    house.installation.clock.advance(1)
    await eventually(lambda: again.pings)
    await house.gateway.stop(0.01)
    await again.expect("goaway", reason="restart")
    await again.ended(1012)


async def test_newer_tokens_are_few_however_many_frames_a_client_may_send() -> None:
    human = Human(ACME, UserId("mia"), Role.member)
    table = await a_table(human, dialect=DashboardDialect(), kind=DashboardSession)
    for _ in range(RENEWALS_AT_ONCE):
        [renewed] = await table.say(type="auth", token="x")
        assert renewed["type"] == "renewed"
    assert errors(Code.rate_limited, id="r", retry_after_ms=10_000)(
        await table.say(type="auth", token="x", id="r")
    )
    assert table.client.renewing.calls == RENEWALS_AT_ONCE
    table.clock.advance(10.001)
    [renewed] = await table.say(type="auth", token="x")
    assert renewed["type"] == "renewed"
