"""Every frame, from everybody: what is done is what this page says, and nothing else.

The page is written by hand and not read from domain.access, so that a row flipped there fails here.
"""

from collections.abc import AsyncIterator
from typing import Any, get_args

import msgspec
import pytest

from artcafe.server.domain.access import ALLOWED, Action
from artcafe.server.domain.tenant import Role
from artcafe.server.gateway.dialects import dashboard
from artcafe.wire import frames
from tests.kit.gateways import House, a_house
from tests.kit.scripted_peer import ScriptedPeer

ROLES = ["viewer", "member", "admin", "owner"]
PEOPLE = {"viewer": "vera", "member": "mia", "admin": "adam", "owner": "olivia"}

ANYBODY, NOBODY = "viewer", "nobody"

Frame = dict[str, Any]

HUMANS: dict[str, tuple[Frame, str]] = {
    "publish to a shared subject": ({"type": "publish", "topic": "x", "data": 1}, "member"),
    "publish to an agent": ({"type": "publish", "topic": "agents.a1.do", "data": 1}, "member"),
    "publish to an inbox": ({"type": "publish", "topic": "inbox.a1.r", "data": 1}, "member"),
    "publish as the platform": ({"type": "publish", "topic": "sys.x", "data": 1}, NOBODY),
    "publish as presence": ({"type": "publish", "topic": "presence.a1", "data": 1}, NOBODY),
    "publish abroad": ({"type": "publish", "topic": "channels.acme-2.x", "data": 1}, NOBODY),
    "subscribe to a shared subject": ({"type": "subscribe", "topic": "x.>"}, ANYBODY),
    "subscribe to everything shared": ({"type": "subscribe", "topic": ">"}, ANYBODY),
    "subscribe to presence": ({"type": "subscribe", "topic": "presence.*"}, ANYBODY),
    "subscribe to an agent's own": ({"type": "subscribe", "topic": "agents.a1.>"}, "member"),
    "subscribe to every agent's own": ({"type": "subscribe", "topic": "agents.*.x"}, "member"),
    "subscribe to an inbox": ({"type": "subscribe", "topic": "inbox.a1.>"}, "member"),
    "subscribe abroad": ({"type": "subscribe", "topic": "tenant.acme-2.channel.x"}, NOBODY),
    "unsubscribe": ({"type": "unsubscribe", "topic": "held"}, ANYBODY),
    "a preview": ({"type": "subscribe_topic_preview"}, ANYBODY),
    "no preview": ({"type": "unsubscribe_topic_preview"}, ANYBODY),
    "a request": ({"type": "request", "subject": "x", "data": 1, "timeout_ms": 1}, "member"),
    "a request of the platform": ({"type": "request", "subject": "sys.x", "data": 1}, NOBODY),
    "a cancelled request": ({"type": "cancel", "request": "r1"}, ANYBODY),
    "who is online": ({"type": "who"}, ANYBODY),
    "who is online from now on": ({"type": "who", "follow": True}, ANYBODY),
    "not to follow": ({"type": "unfollow", "who": "asked"}, ANYBODY),
    "open its own inbox": ({"type": "inbox"}, ANYBODY),
    "close its own inbox": ({"type": "close_inbox"}, ANYBODY),
    "acknowledge what it does not have": ({"type": "ack", "delivery": "1"}, ANYBODY),
    "give back what it does not have": ({"type": "nak", "delivery": "1"}, ANYBODY),
    "renew what it does not have": ({"type": "progress", "delivery": "1"}, ANYBODY),
    "terminate what it does not have": ({"type": "term", "delivery": "1"}, ANYBODY),
    "a ping": ({"type": "ping"}, ANYBODY),
    "somebody else's token": ({"type": "auth", "token": "another user's"}, NOBODY),
    "its own newer token": ({"type": "auth", "token": "its own"}, ANYBODY),
}
"""What a dashboard asks for, and the lowest role that gets it."""

AGENT: dict[str, tuple[Frame, bool]] = {
    "publish to a shared subject": ({"type": "publish", "subject": "x", "data": 1}, True),
    "publish to itself": ({"type": "publish", "subject": "agents.a1.do", "data": 1}, True),
    "publish to another agent": ({"type": "publish", "subject": "agents.a2.do", "data": 1}, True),
    "publish to an inbox": ({"type": "publish", "subject": "inbox.a2.r", "data": 1}, True),
    "publish as the platform": ({"type": "publish", "subject": "sys.x", "data": 1}, False),
    "publish as presence": ({"type": "publish", "subject": "presence.a2", "data": 1}, False),
    "publish abroad": ({"type": "publish", "subject": "channels.acme-2.x", "data": 1}, False),
    "subscribe to a shared subject": ({"type": "subscribe", "subject": "x.>"}, True),
    "subscribe to everything shared": ({"type": "subscribe", "subject": ">"}, True),
    "subscribe to presence": ({"type": "subscribe", "subject": "presence.*"}, True),
    "subscribe to its own": ({"type": "subscribe", "subject": "agents.a1.>"}, True),
    "subscribe to its inbox": ({"type": "subscribe", "subject": "inbox.a1.>"}, True),
    "subscribe to another's": ({"type": "subscribe", "subject": "agents.a2.>"}, False),
    "subscribe to everybody's": ({"type": "subscribe", "subject": "agents.*.x"}, False),
    "subscribe to another's inbox": ({"type": "subscribe", "subject": "inbox.a2.>"}, False),
    "subscribe abroad": ({"type": "subscribe", "subject": "tenant.acme-2.channel.x"}, False),
    "unsubscribe": ({"type": "unsubscribe", "subject": "held"}, True),
    "presence": ({"type": "presence", "status": "busy"}, True),
    "who is online": ({"type": "who"}, True),
    "who is online from now on": ({"type": "who", "follow": True}, True),
    "not to follow": ({"type": "unfollow", "who": "asked"}, True),
    "store for an agent": ({"type": "publish", "subject": "agents.a2.do", "data": 1, "store": True}, True),
    "store for a human": ({"type": "publish", "subject": "inbox.u-ada.x", "data": 1, "store": True}, True),
    "open its own inbox": ({"type": "inbox"}, True),
    "close its own inbox": ({"type": "close_inbox"}, True),
    "a ping": ({"type": "ping"}, True),
    "request": ({"type": "request", "subject": "x", "data": 1, "timeout_ms": 1}, True),
    "request of the platform": ({"type": "request", "subject": "sys.x", "data": 1}, False),
    "request abroad": ({"type": "request", "subject": "tenant.acme-2.channel.x", "data": 1}, False),
    "cancel": ({"type": "cancel", "request": "r1"}, True),
    "reply to what nobody asked": ({"type": "reply", "to": f"inbox._{'p' * 16}.{'t' * 24}", "data": 1}, True),
    "subscribe to replies": ({"type": "subscribe", "subject": "inbox.*.>"}, False),
    "ack of what nobody delivered": ({"type": "ack", "delivery": "x.1"}, True),
    "nak of what nobody delivered": ({"type": "nak", "delivery": "x.1"}, True),
    "progress of what nobody delivered": ({"type": "progress", "delivery": "x.1"}, True),
    "term of what nobody delivered": ({"type": "term", "delivery": "x.1"}, True),
    "share abroad": (
        {"type": "subscribe", "subject": "tenant.acme-2.channel.x", "durable": "d"},
        False,
    ),
    "share another's": ({"type": "subscribe", "subject": "agents.a2.>", "durable": "d"}, False),
}
"""What an agent without a policy asks for, and whether it gets it."""


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with a_house() as house:
        for role in ROLES[:-1]:
            await house.join(PEOPLE[role], Role(role))
        yield house


UNDONE = {"no_responders", "timeout", "not_found"}
"""What becomes of a request that nobody answers, and of cancelling one that there is not."""


async def refused(peer: ScriptedPeer, frame: Frame) -> bool:
    """Whether the answer to a frame is `forbidden`; anything but that and its own answer is a fault."""
    peer.say(**frame, id="asked")
    if frame["type"] == "presence":  # It is answered only when it is refused.
        peer.say(type="ping", id="asked")
    while True:
        answer = await peer.receive()
        if answer.get("id") == "asked":
            code = answer["code"] if answer["type"] == "error" else None
            assert code in {None, "forbidden", *UNDONE}, answer
            return bool(code == "forbidden")


async def watching(house: House, role: str) -> ScriptedPeer:
    """A dashboard of somebody in this role, with one subscription."""
    peer = await house.watch(PEOPLE[role])
    peer.say(type="subscribe", topic="held")
    await peer.expect("subscribed")
    return peer


def spoken(house: House, role: str, frame: Frame) -> Frame:
    """The frame with a real token where it brings one."""
    if frame["type"] != "auth":
        return frame
    others = frame["token"] == "another user's"
    return {**frame, "token": house.tokens.give("zoe" if others else PEOPLE[role], seconds=7200)}


async def mistakes(house: House, peer: ScriptedPeer, role: str) -> list[str]:
    """What is done and should not be, and the other way round."""
    found = []
    for name, (frame, lowest) in HUMANS.items():
        may = lowest != NOBODY and ROLES.index(role) >= ROLES.index(lowest)
        if await refused(peer, spoken(house, role, frame)) == may:
            found.append(name)
    return found


@pytest.mark.parametrize("role", ROLES)
async def test_what_a_dashboard_may(house: House, role: str) -> None:
    assert await mistakes(house, await watching(house, role), role) == []


async def test_what_an_agent_may(house: House) -> None:
    agent = await house.enter()
    agent.say(type="subscribe", subject="held")
    await agent.expect("subscribed")

    found = [name for name, (frame, may) in AGENT.items() if await refused(agent, frame) == may]

    assert found == []


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("action", ["publish", "manage_agents"])
async def test_a_flipped_row_of_the_table_is_noticed(
    house: House, monkeypatch: pytest.MonkeyPatch, role: str, action: str
) -> None:
    peer = await watching(house, role)
    monkeypatch.setitem(ALLOWED, Role(role), ALLOWED[Role(role)] ^ {Action(action)})

    assert await mistakes(house, peer, role)


def test_every_kind_of_frame_is_on_this_page() -> None:
    def tags(*kinds: type) -> set[str]:
        return {f"{msgspec.inspect.type_info(kind).tag}" for kind in kinds}  # type: ignore[attr-defined]

    common = tags(*get_args(frames.ClientFrame))
    more = tags(dashboard.Preview, dashboard.EndPreview, dashboard.Renew)
    assert {frame["type"] for frame, _ in AGENT.values()} == common
    assert {frame["type"] for frame, _ in HUMANS.values()} == ((common | more) - {"presence", "reply"})
