"""One socket: the login, and the order of its frames."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from artcafe.server.gateway.dialects.legacy import LegacyDialect
from artcafe.server.gateway.sessions.connection import OWED_AT_ONCE, Connection
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.frames import encode
from tests.kit.deadlines import eventually
from tests.kit.doors import PLANNER, QUESTION, Door, arrive, enter
from tests.kit.turns import turns

RATE = 200
"""Messages a second of the door's sessions."""

REFUSED = ArtcafeError(Code.unauthorized)


@pytest.fixture
def door() -> Door:
    return Door()


@contextmanager
def one_fault(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Exactly one fault is logged, with its traceback and the connection's id."""
    with caplog.at_level(logging.INFO):
        yield
    [record] = [record for record in caplog.records if record.name == "artcafe.gateway"]
    assert record.message == "fault in connection c1"
    assert record.exc_info


# The login.


async def test_the_login_in_band(door: Door) -> None:
    peer = arrive(door)
    assert await peer.expect("challenge") == json.loads(encode(QUESTION))
    peer.say(type="auth", signature="sealed")
    assert await peer.expect("welcome") == {
        "type": "welcome",
        "tenant": "acme",
        "agent": "planner",
        "connection": "c1",
        "server_time": "2025-11-24T16:00:00.000Z",
        "heartbeat_seconds": 25.0,
        "limits": {"max_payload_bytes": 1000, "messages_per_second": 200, "subscriptions": 8},
    }
    assert door.answers == [b'{"type":"auth","signature":"sealed"}']
    assert not peer.paused
    assert peer.is_admitted
    peer.leave()
    assert door.events == ["opened", "closed"]


async def test_who_was_proven_by_the_url_gets_a_welcome_and_no_challenge(door: Door) -> None:
    peer = arrive(door, authenticated=PLANNER)
    await peer.expect("welcome", agent="planner")
    assert door.answers == []


async def test_legacy_clients_get_no_welcome_and_are_heard_from_the_first_frame(door: Door) -> None:
    door.admitting.shut()
    peer = arrive(door, authenticated=PLANNER, dialect=LegacyDialect())
    peer.say(type="subscribe", subject="tasks")
    await turns()
    assert peer.unread == []
    door.admitting.open()
    await peer.expect("subscribed", subject="tasks")
    assert len(peer.got) == 1


async def test_frames_before_the_welcome_are_worked_off_after_it(door: Door) -> None:
    door.proving.shut()
    peer = arrive(door)
    await peer.expect("challenge")
    peer.say(type="auth", signature="x")
    peer.say(type="subscribe", subject="tasks")
    peer.say(type="publish", subject="tasks", data=1)
    await turns()
    assert (peer.unread, peer.paused) == ([], True)
    door.proving.open()
    for kind in ("welcome", "subscribed", "message"):
        await peer.expect(kind)
    assert not peer.paused


async def test_a_refused_answer_is_the_only_try(door: Door) -> None:
    door.proving.failure = REFUSED
    peer = arrive(door)
    await peer.expect("challenge")
    for _ in range(3):
        peer.say(type="auth", signature="x")
    await peer.expect("error", code="unauthorized", message=REFUSED.message)
    await peer.ended(4500)
    await turns()
    assert (door.proving.calls, door.admitting.calls, peer.unread) == (1, 0, [])


@pytest.mark.parametrize(
    ("code", "close"),
    [(Code.unauthorized, 4500), (Code.too_many_connections, 4006), (Code.unavailable, 1013)],
)
@pytest.mark.parametrize("by_url", [True, False])
async def test_who_is_not_admitted_hears_why(door: Door, code: Code, close: int, *, by_url: bool) -> None:
    door.admitting.failure = ArtcafeError(code, "The reason.")
    peer = arrive(door, authenticated=PLANNER) if by_url else arrive(door)
    if not by_url:
        await peer.expect("challenge")
        peer.say(type="auth", signature="x")
    peer.say(type="publish", subject="x", data=1)
    await peer.expect("error", code=code.name, message="The reason.")
    await peer.ended(close)
    assert peer.reason == "The reason."
    await turns()
    assert peer.unread == []


async def test_a_second_auth_is_a_frame_that_nobody_knows(door: Door) -> None:
    peer = await enter(door)
    peer.say(type="auth", signature="x", id="again")
    await peer.expect("error", code="bad_frame", id="again")
    assert (door.proving.calls, peer.closed) == (1, False)


async def test_who_is_not_admitted_is_kept_to_what_a_login_needs(door: Door) -> None:
    peer = arrive(door)
    assert not peer.is_admitted
    door.admitting.failure = REFUSED
    peer.say(type="auth", signature="x")
    await peer.ended(Code.unauthorized.close)
    assert not peer.is_admitted


async def test_who_leaves_during_the_login_is_sent_nothing_and_admitted_to_nothing(door: Door) -> None:
    door.proving.shut()
    door.proving.failure = REFUSED
    peer = arrive(door)
    await peer.expect("challenge")
    peer.say(type="auth", signature="x")
    peer.say(type="publish", subject="x", data=1)
    await turns()
    peer.leave()
    door.proving.open()
    await eventually(lambda: not door.tasks)
    assert peer.unread == []
    assert door.events == ["opened", "closed"]


async def test_a_door_that_sends_away_at_once_hears_no_more() -> None:
    class Closing(Door):
        def opened(self, connection: Connection) -> None:
            connection.go_away(100)

    closing = Closing()
    for authenticated in (None, PLANNER):
        peer = arrive(closing, authenticated)
        await turns()
        assert (peer.code, peer.got) == (1012, [])
    assert closing.admitting.calls == 0


# In order.


async def test_subscribe_and_publish_in_one_go_and_the_own_message_comes(door: Door) -> None:
    peer = await enter(door)
    door.link.subscribing.shut()
    peer.say(type="subscribe", subject="tasks", id="s")
    peer.say(type="publish", subject="tasks", data="mine", id="p")
    peer.say(type="unsubscribe", subject="tasks", id="u")
    peer.say(type="publish", subject="tasks", data="not mine any more")
    peer.say(type="ping", id="z")
    await turns()
    assert (peer.unread, peer.paused) == ([], True)
    door.link.subscribing.open()
    await peer.expect("subscribed", id="s")
    await eventually(lambda: len(peer.unread) == 4)
    assert [frame["type"] for frame in peer.unread if frame["type"] != "ack"] == [
        "message",
        "unsubscribed",
        "pong",
    ]
    assert not peer.paused


async def test_while_one_frame_waits_nothing_is_read_and_then_it_is_again(door: Door) -> None:
    peer = await enter(door)
    for number in range(3):
        door.link.subscribing.shut()
        peer.say(type="subscribe", subject=f"s.{number}")
        assert peer.paused
        peer.say(type="subscribe", subject=f"s.{number}.more")
        await turns()
        door.link.subscribing.open()
        await peer.expect("subscribed")
        await peer.expect("subscribed")
        await turns()
        assert not peer.paused
    peer.say(type="publish", subject="x", data=1)
    assert not peer.paused, "what does not wait does not pause"


async def test_a_fault_in_work_ends_this_connection_and_says_so_in_the_log(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    peer = await enter(door)
    door.link.subscribing.failure = ZeroDivisionError("a fault")
    with one_fault(caplog):
        peer.say(type="subscribe", subject="x", id="s")
        peer.say(type="publish", subject="x", data=1)
        await peer.expect("error", code="internal", id=None)
        await peer.ended(1011)
        await turns()
    assert "a fault" not in repr(peer.got)
    assert (peer.unread, peer.paused) == ([], False)


async def test_a_fault_in_a_frame_that_waited_ends_the_connection_too(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    """It escaped, and the socket stayed open and paused: nothing was heard from it any more."""
    peer = await enter(door)
    door.link.subscribing.shut()
    peer.say(type="subscribe", subject="x")
    door.link.refusal = ZeroDivisionError()
    peer.say(type="publish", subject="x", data=1)
    await turns()
    with one_fault(caplog):
        door.link.subscribing.open()
        await peer.expect("subscribed")
        await peer.expect("error", code="internal")
        await peer.ended(1011)
        await turns()
    assert not peer.paused


async def test_the_fault_of_one_is_not_the_other_ones(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    """Two wait for the same subscription; the one who opened it has the fault, the other an answer."""
    opener, waiter = await enter(door), await enter(door)
    door.link.subscribing.shut()
    door.link.subscribing.failure = ZeroDivisionError()
    for peer in (opener, waiter):
        peer.say(type="subscribe", subject="x", id="s")
        await turns()
    with one_fault(caplog):
        door.link.subscribing.open()
        await opener.ended(1011)
        await waiter.expect("error", code="internal", id="s")
    assert not waiter.closed
    door.link.subscribing.failure = None
    waiter.say(type="subscribe", subject="x", id="again")
    await waiter.expect("subscribed", id="again")
    assert not waiter.paused


async def test_who_publishes_faster_than_the_bus_takes_it_is_not_read_from_for_a_while(door: Door) -> None:
    peer = await enter(door)
    published: list[str] = []
    await door.link.inner.subscribe(">", lambda subject, payload: published.append(subject))
    door.link.crowded = True
    door.link.making_room.shut()
    peer.say(type="publish", subject="x", data=1)
    peer.say(type="publish", subject="y", data=2)
    await turns()
    assert (published, peer.paused) == (["m.planner.x"], True)
    door.link.crowded = False
    door.link.making_room.open()
    await turns()
    assert (published, peer.paused) == (["m.planner.x", "m.planner.y"], False)


async def test_a_flood_is_worked_off_in_portions_and_read_from_with_pauses(door: Door) -> None:
    peer = await enter(door)
    said = 5 * RATE
    for _ in range(said):
        peer.handler.text(b'{"type":"ping"}')
    assert len(peer.unread) == RATE + OWED_AT_ONCE
    assert peer.paused
    await eventually(lambda: len(peer.unread) == said)
    await eventually(lambda: not peer.paused)


async def test_a_frame_that_waits_for_the_bus_is_done_before_its_sender_is_held(door: Door) -> None:
    peer = await enter(door)
    for _ in range(RATE + OWED_AT_ONCE - 1):
        peer.handler.text(b'{"type":"ping"}')
    peer.say(type="subscribe", subject="tasks")
    peer.say(type="ping")
    await eventually(lambda: not peer.paused)
    assert [frame["type"] for frame in peer.unread[-2:]] == ["subscribed", "pong"]


async def test_a_client_that_leaves_while_it_is_held_is_forgotten(door: Door) -> None:
    peer = await enter(door)
    for _ in range(5 * RATE):
        peer.handler.text(b'{"type":"ping"}')
    peer.leave()
    await eventually(lambda: not door.tasks)
    assert door.events == ["opened", "closed"]
    assert len(peer.unread) == RATE + OWED_AT_ONCE
