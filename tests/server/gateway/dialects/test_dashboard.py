"""What a dashboard says and hears, in the words of the clients in the field."""

import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from artcafe.server.domain.tenant import Role
from artcafe.server.gateway.dialects.dashboard import DashboardDialect, PresenceDialect, PreviewDialect
from artcafe.server.gateway.dialects.envelope import EncodedEnvelope
from artcafe.wire import envelopes, frames
from tests.kit.gateways import ADDRESS, House, a_house
from tests.kit.installation import ACME
from tests.kit.scripted_peer import ScriptedPeer
from tests.kit.turns import turns


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with a_house() as house:
        yield house


def said(
    dialect: DashboardDialect, subject: str, sender: str = "a1", data: bytes = b'{"n": 1}'
) -> dict[str, Any]:
    encoded = EncodedEnvelope(frames.encode(envelopes.Envelope(id="m1", timestamp="t1", data=Raw(data))))
    message: dict[str, Any] = json.loads(dialect.message(ACME, subject, sender, encoded))
    return message


@pytest.mark.parametrize("subject", ["channels.acme.tasks", "tenant.acme.channel.tasks.new"])
def test_a_channel_by_its_full_name(subject: str) -> None:
    assert said(DashboardDialect(), subject) == {
        "type": "channel_message",
        "subject": subject,
        "data": {"n": 1},
        "from": "a1",
        "id": "m1",
        "timestamp": "t1",
    }


@pytest.mark.parametrize("subject", ["tasks", "tenant.acme.tasks", "channels.acme-2.x", "agents.a1.x"])
def test_anything_else_is_a_topic(subject: str) -> None:
    assert said(DashboardDialect(), subject) == {
        "type": "message",
        "topic": subject,
        "payload": {"n": 1},
        "from": "a1",
        "id": "m1",
        "timestamp": "t1",
    }


def test_a_preview_tells_the_size() -> None:
    assert said(PreviewDialect(), "tasks", data='"é"'.encode()) == {
        "type": "topic_preview_message",
        "subject": "tasks",
        "topic": "tasks",
        "data": "é",
        "size": 4,
        "from": "a1",
        "id": "m1",
        "timestamp": "t1",
    }


@pytest.mark.parametrize(
    ("sender", "status", "kind"),
    [
        ("sys", "online", "agent.online"),
        ("sys", "offline", "agent.offline"),
        ("sys", "in repair", "agent.presence"),
        ("sys", 7, "agent.presence"),
        ("a1", "online", "agent.presence"),
    ],
)
def test_an_agent_cannot_say_that_the_platform_says_it_is_online(
    sender: str, status: object, kind: str
) -> None:
    data = {"agent_id": "a1", "status": status}
    assert said(PresenceDialect(), "presence.a1", sender, json.dumps(data).encode()) == {
        "type": kind,
        "topic": "presence.a1",
        "data": data,
        "timestamp": "t1",
    }


def test_the_dialects_do_not_share_frames() -> None:
    assert len({dialect.name for dialect in (DashboardDialect(), PreviewDialect(), PresenceDialect())}) == 3


@pytest.mark.parametrize("name", ["subject", "channel", "topic"])
@pytest.mark.parametrize("payload", ["data", "message", "payload"])
def test_what_is_read_generously(name: str, payload: str) -> None:
    def read(**frame: Any) -> list[Any]:
        return [json.loads(frames.encode(one)) for one in DashboardDialect().read(json.dumps(frame).encode())]

    assert read(type="publish", **{name: "x", payload: 1}) == [{"type": "publish", "subject": "x", "data": 1}]
    assert read(type="subscribe", **{name: "x"}) == [{"type": "subscribe", "subject": "x"}]
    assert read(type="unsubscribe", **{name: "x"}) == [{"type": "unsubscribe", "subject": "x"}]


@pytest.mark.parametrize("kind", ["presence", "heartbeat", "unknown", "topic_preview_message"])
def test_what_is_not_of_a_dashboard_is_not_read(kind: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        DashboardDialect().read(json.dumps({"type": kind, "status": "x"}).encode())


async def exchange(house: House, peer: ScriptedPeer, script: str) -> None:
    """Say the C> lines, word for word, and compare the S> lines; `…` stands for anything.

    At A+ the agent `a1` comes in, and says the A> lines.
    """
    agent: ScriptedPeer | None = None
    for line in filter(None, map(str.strip, script.splitlines())):
        side, _, text = line.partition(" ")
        if side == "C>":
            peer.handler.text(text.encode())
        elif side == "A>":
            assert agent is not None
            agent.handler.text(text.encode())
        elif side == "A+":
            agent = await house.enter()
        else:
            wanted = json.loads(text)
            got = await peer.expect(wanted["type"])
            assert list(got) == list(wanted)
            assert got | {name: "…" for name, value in wanted.items() if value == "…"} == wanted


async def test_the_recorded_exchanges(house: House) -> None:
    """compat: the dashboards of the original service."""
    peer = await house.look(token=house.tokens.give("olivia"))
    await exchange(
        house,
        peer,
        """
        S> {"type":"connected","tenant_id":"acme","tenant":"acme","user_id":"olivia","role":"owner"}
        C> {"type":"subscribe","topic":"tenant.acme.channel.tasks"}
        S> {"type":"subscribed","topic":"tenant.acme.channel.tasks"}
        C> {"type":"subscribe","topic":"channels.acme.news"}
        S> {"type":"subscribed","topic":"channels.acme.news"}
        C> {"type":"subscribe","topic":"x"}
        S> {"type":"subscribed","topic":"x"}
        A+
        S> {"type":"agent.online","topic":"presence.a1","data":"…","timestamp":"…"}
        A> {"type":"publish","subject":"tasks","data":{"n":1}}
        S> {"type":"channel_message","subject":"tenant.acme.channel.tasks","data":{"n":1},"from":"a1",\
            "id":"…","timestamp":"…"}
        A> {"type":"publish","subject":"news","data":[2]}
        S> {"type":"channel_message","subject":"channels.acme.news","data":[2],"from":"a1",\
            "id":"…","timestamp":"…"}
        A> {"type":"publish","subject":"x","data":"three"}
        S> {"type":"message","topic":"x","payload":"three","from":"a1",\
            "id":"…","timestamp":"…"}
        C> {"type":"unsubscribe","topic":"x"}
        S> {"type":"unsubscribed","topic":"x"}
        A> {"type":"publish","subject":"x","data":"unheard"}
        C> {"type":"ping"}
        S> {"type":"pong","timestamp":"…"}
        C> {"type":"subscribe_topic_preview"}
        S> {"type":"subscribed","topic":"topic_preview"}
        A> {"type":"publish","subject":"x","data":{"n": 4}}
        S> {"type":"topic_preview_message","subject":"x","topic":"x","data":{"n":4},"size":8,"from":"a1",\
            "id":"…","timestamp":"…"}
        C> {"type":"unsubscribe_topic_preview"}
        S> {"type":"unsubscribed","topic":"topic_preview"}
        A> {"type":"publish","subject":"x","data":"unheard"}
        A> {"type":"presence","status":"busy","metadata":{"job":7}}
        S> {"type":"agent.presence","topic":"presence.a1",\
            "data":{"agent_id":"a1","status":"busy","metadata":{"job":7}},\
            "timestamp":"…"}
        """,
    )
    await turns()
    assert peer.unread == []
    assert peer.remote == ADDRESS


async def test_an_unknown_type_is_a_bad_frame(house: House) -> None:
    await house.join("vera", Role.viewer)
    peer = await house.watch("vera")
    peer.say(type="presence", status="online", id="p")
    await peer.expect("error", code="bad_frame", id="p")
