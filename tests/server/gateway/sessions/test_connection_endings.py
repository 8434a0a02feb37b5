"""Every way in which a connection ends."""

import gc
import json
import weakref

import pytest

from artcafe.server.gateway.dialects.native import NativeDialect
from artcafe.server.gateway.sessions.authentication import Admission, Claim
from artcafe.server.gateway.sessions.connection import Connection
from artcafe.wire import frames
from artcafe.wire.codes import Code
from tests.kit.deadlines import PATIENCE, eventually
from tests.kit.doors import Door, arrive, enter
from tests.kit.turns import turns
from tests.kit.unreliable_bus import AWAY


@pytest.fixture
def door() -> Door:
    return Door()


# The end.


async def test_after_the_end_nothing_is_heard_and_nothing_sent(door: Door) -> None:
    peer = await enter(door)
    door.link.subscribing.shut()
    peer.say(type="subscribe", subject="x")
    published: list[str] = []
    await door.link.inner.subscribe(">", lambda subject, payload: published.append(subject))
    for number in range(3):
        peer.say(type="publish", subject="x", data=number)
    connection = peer.handler
    assert isinstance(connection, Connection)
    connection.end(Code.key_revoked)
    await peer.ended(4502)
    sent = len(peer.got)
    door.link.subscribing.open()
    await turns()
    peer.say(type="publish", subject="x", data=4)
    peer.say(type="ping")
    peer.handler.binary(b"x")
    peer.handler.slow()
    connection.beat()
    connection.go_away(1)
    await turns()
    assert (published, len(peer.got), peer.code) == ([], sent, 4502)
    assert json.loads(peer.got[-1])["code"] == "key_revoked"


async def test_what_waits_when_the_client_leaves_is_not_worked_off(door: Door) -> None:
    peer = await enter(door)
    door.link.subscribing.shut()
    published: list[str] = []
    await door.link.inner.subscribe(">", lambda subject, payload: published.append(subject))
    peer.say(type="subscribe", subject="x")
    peer.say(type="publish", subject="x", data=1)
    await turns()
    connection = peer.handler
    assert isinstance(connection, Connection)
    assert connection._backlog
    peer.leave()
    assert not connection._backlog
    door.link.subscribing.open()
    await eventually(lambda: not door.tasks)
    assert (published, peer.unread) == ([], [])


async def test_an_ack_for_a_client_that_left_goes_nowhere(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    gone, stays = await enter(door), await enter(door)
    door.link.flushing.shut()
    gone.say(type="publish", subject="x", data=1, id="gone")
    stays.say(type="publish", subject="x", data=1, id="stays")
    await turns()
    gone.leave()
    door.link.flushing.open()
    await stays.expect("ack", id="stays")
    assert (gone.unread, caplog.records) == ([], [])


async def test_binary_messages_end_it(door: Door) -> None:
    for peer in (arrive(door), await enter(door)):
        peer.handler.binary(b"{}")
        await peer.ended(1003)
        assert json.loads(peer.got[-1])["code"] == "bad_frame"


async def test_a_slow_client_is_told_and_closed(door: Door) -> None:
    peer = await enter(door)
    peer.handler.slow()
    await peer.expect("error", code="slow_consumer")
    await peer.ended(4002)


async def test_a_socket_that_is_kept_for_the_close_alone_is_in_no_group(door: Door) -> None:
    """What its group sent it until the client hung up was lost, though acknowledged."""
    closed, stays = await enter(door), await enter(door)
    for peer in (closed, stays):
        peer.say(type="subscribe", subject="jobs", queue="q", id="1")
        await peer.expect("subscribed")
    closed.handler.binary(b"x")
    for number in range(10):
        stays.say(type="publish", subject="jobs", data=number)
    await turns()
    assert [frame["data"] for frame in stays.unread] == list(range(10))
    assert door.events.count("closed") == 0, "its socket is gone"


async def test_who_is_sent_away_gets_what_its_group_had_sent(door: Door) -> None:
    peer = await enter(door)
    peer.say(type="subscribe", subject="jobs", queue="q", id="1")
    await peer.expect("subscribed")
    connection = peer.handler
    assert isinstance(connection, Connection)
    closing = door.link.closing.shut()
    connection.go_away(1)
    await turns()
    await door.link.inner.subscribe("m.>", lambda *_: closing.set())
    peer.say(type="publish", subject="jobs", data="on its way")
    await peer.expect("message", data="on its way")
    await peer.expect("goaway")
    await peer.ended(1012)
    assert door.link.open["m.*.jobs"] == 0


async def test_what_is_on_its_way_when_the_client_is_sent_away_is_acknowledged(door: Door) -> None:
    """It was read and dropped: nobody knew what had become of it."""
    peer = await enter(door)
    connection = peer.handler
    assert isinstance(connection, Connection)
    connection.go_away(1, PATIENCE)
    connection.go_away(2, PATIENCE)
    await peer.expect("goaway", reconnect_after_ms=1)
    peer.say(type="publish", subject="jobs", data=1, id="late")
    await peer.expect("ack", id="late")
    assert not peer.closed
    peer.leave()
    await eventually(lambda: not door.tasks)
    assert peer.unread == []


async def test_who_is_sent_away_is_closed_when_what_it_published_is_acknowledged(door: Door) -> None:
    peer = await enter(door)
    connection = peer.handler
    assert isinstance(connection, Connection)
    flushing = door.link.flushing.shut()
    peer.say(type="publish", subject="jobs", data=1, id="late")
    await eventually(lambda: door.link.flushing.calls == 1)
    connection.go_away(1, 0.01)
    await peer.expect("goaway")
    await eventually(lambda: bool(door.hub.acknowledgements._waiting))
    door.link.flushing.let_pass()
    flushing.set()
    await peer.expect("ack", id="late")
    await peer.ended(1012)


async def test_who_is_sent_away_does_not_wait_for_a_bus_that_hangs(door: Door) -> None:
    peer = await enter(door)
    peer.say(type="subscribe", subject="jobs", queue="q", id="1")
    await peer.expect("subscribed")
    connection = peer.handler
    assert isinstance(connection, Connection)
    door.link.closing.shut()
    door.link.flushing.shut()
    connection.go_away(1, 0.01)
    await peer.expect("goaway")
    await peer.ended(1012)
    door.link.closing.open()


@pytest.mark.parametrize("fault", [AWAY, RuntimeError("a fault of ours")])
@pytest.mark.parametrize("moment", [0.0, 0.01])
async def test_a_fault_on_the_bus_keeps_nobody_from_being_sent_away(
    door: Door, fault: Exception, moment: float
) -> None:
    peer = await enter(door)
    peer.say(type="subscribe", subject="jobs", queue="q", id="1")
    await peer.expect("subscribed")
    connection = peer.handler
    assert isinstance(connection, Connection)
    door.link.closing.failure = door.link.flushing.failure = fault
    connection.go_away(1, moment)
    await peer.expect("goaway")
    await peer.ended(1012)


async def test_who_is_being_sent_away_joins_no_group(door: Door) -> None:
    """It would take its share with it."""
    peer = await enter(door)
    connection = peer.handler
    assert isinstance(connection, Connection)
    connection.go_away(1, 0.05)
    await peer.expect("goaway")
    peer.say(type="subscribe", subject="jobs", queue="q", id="1")
    await peer.expect("error", code="unavailable", id="1")
    peer.say(type="subscribe", subject="jobs", id="2")
    await peer.expect("subscribed", id="2")
    await peer.ended(1012)


async def test_going_away_says_when_to_come_back(door: Door) -> None:
    peer, stranger = await enter(door), arrive(door)
    for one in (peer, stranger):
        assert isinstance(one.handler, Connection)
        one.handler.go_away(1234)
    await peer.expect("goaway", reason="restart", reconnect_after_ms=1234)
    await peer.ended(1012)
    await stranger.expect("challenge")
    await stranger.ended(1012)
    assert (peer.unread, stranger.unread) == ([], [])


async def test_a_connection_that_is_gone_is_freed_at_once(door: Door) -> None:
    """Not when the collector comes: a gateway has tens of thousands of them."""
    peer = await enter(door)
    peer.say(type="subscribe", subject="x")
    await peer.expect("subscribed")
    peer.say(type="publish", subject="x", data=1, id="p")
    await eventually(lambda: len(peer.unread) == 2)
    connection = peer.handler
    assert isinstance(connection, Connection)
    session = connection.session
    assert session is not None
    watched: list[weakref.ref[object]] = [weakref.ref(connection), weakref.ref(session)]
    peer.leave()
    await door.hub.leave(session.subscriber)
    await eventually(lambda: not door.tasks)
    gc.disable()
    try:
        del connection, session
        assert [ref() for ref in watched] == [None, None]
    finally:
        gc.enable()


# Heartbeats.


async def test_silent_once_is_asked_and_silent_twice_is_closed(door: Door) -> None:
    peer = await enter(door)
    connection = peer.handler
    assert isinstance(connection, Connection)
    connection.beat()
    assert peer.pings == 0
    peer.speaks = False
    connection.beat()
    assert (peer.pings, peer.closed) == (1, False)
    peer.speaks = True
    connection.beat()
    peer.speaks = False
    connection.beat()
    assert (peer.pings, peer.closed) == (2, False)
    connection.beat()
    await peer.expect("error", code="heartbeat_lost")
    await peer.ended(4003)
    connection.beat()
    assert peer.pings == 2


async def test_who_is_not_read_from_is_not_called_silent(door: Door) -> None:
    """The bus was away for longer than two heartbeats, and whoever subscribed then was closed for it."""
    peer = await enter(door)
    connection = peer.handler
    assert isinstance(connection, Connection)
    door.link.subscribing.shut()
    peer.say(type="subscribe", subject="x", id="s")
    for _ in range(5):
        connection.beat()
    assert (peer.pings, peer.closed) == (0, False)
    door.link.subscribing.failure = AWAY
    door.link.subscribing.open()
    await peer.expect("error", code="unavailable", id="s")
    await turns()
    connection.beat()
    assert not peer.closed


async def test_before_there_is_a_socket_nothing_is_done_to_it(door: Door) -> None:
    admission, claim = Admission(NativeDialect(), door), Claim("websocket")
    connection = Connection(door, admission, claim, connection_id="c1", remote="192.0.2.1", since=0.0)
    connection.beat()
    connection.end(Code.removed)
    connection.go_away(1)
    connection.send(frames.Pong(timestamp="t"))
    connection.deliver(b"\x81\x00")
    assert not connection.gone()
    assert door.events == []
