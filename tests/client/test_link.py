"""Staying connected: what a client does when the server goes away, closes, stalls or refuses."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import pytest
from tests.kit.deadlines import eventually
from tests.kit.scripted_client import client_of
from tests.kit.scripted_server import Peer, Refusal, Script, scripted, stay

from artcafe import ArtcafeError, Backoff, Client, Code, State
from artcafe.wire import frames


def closing(code: int, reason: str = "", *before: frames.Error | frames.Goaway) -> Script:
    """Log the agent in, then say this and close."""

    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.send(*before)
        await peer.close(code, reason)

    return script


async def lose(peer: Peer) -> None:
    await peer.log_in()
    peer.lose()


@pytest.mark.parametrize("code", [1001, 1011, 1012, 1013, 4001, 4002, 4003, 4005, 4006, 4499])
async def test_it_comes_back_after_a_close_that_allows_it(code: int) -> None:
    async with scripted(closing(code), stay) as server, client_of(server) as client:
        await eventually(lambda: client.reconnects == 1, "the return")
        assert client.connected
        assert client.error is None


async def test_it_comes_back_after_a_lost_connection_and_tells_each_state() -> None:
    states: list[State] = []
    async with scripted(lose, lose, stay) as server, client_of(server, on_state=states.append) as client:
        await eventually(lambda: client.reconnects == 2, "the return")
        await client.close()
    assert states == [
        State.connecting,
        State.connected,
        State.reconnecting,
        State.connected,
        State.reconnecting,
        State.connected,
        State.closed,
    ]


@pytest.mark.parametrize(
    ("close", "code"),
    [
        (4500, Code.unauthorized),
        (4501, Code.forbidden),
        (4502, Code.key_revoked),
        (4503, Code.removed),
        (1002, Code.protocol_error),
        (1003, Code.bad_frame),
        (1007, Code.not_utf8),
        (1008, Code.protocol_error),
        (1009, Code.too_large),
        (4999, Code.forbidden),
        (1000, Code.going_away),
    ],
)
async def test_it_stops_after_a_close_that_says_so_and_every_waiting_call_hears_why(
    close: int, code: Code
) -> None:
    ready = asyncio.Event()
    states: list[State] = []

    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.confirm()
        await peer.deliver("n", 1)
        await peer.expect(frames.Publish)
        await peer.expect(frames.Subscribe)
        ready.set()
        await peer.close(close, "A sentence.")

    async with scripted(script) as server:
        client = client_of(server, on_state=states.append)
        await client.connect()
        numbers = await client.subscribe("n")

        async def subscribe() -> None:
            await client.subscribe("other")

        waiting = [asyncio.create_task(call) for call in (client.publish("n", 1), subscribe())]
        await ready.wait()
        assert (await anext(numbers)).data == 1
        with pytest.raises(ArtcafeError, match=r"A sentence\.") as caught:
            await anext(numbers)
        assert caught.value.code is code
        for task in waiting:
            with pytest.raises(ArtcafeError, match=r"A sentence\.") as caught:
                await task
            assert caught.value.code is code
        later: list[Callable[[], Awaitable[object]]] = [
            lambda: client.publish("n", 1),
            subscribe,
            lambda: anext(numbers),
        ]
        for call in later:
            with pytest.raises(ArtcafeError) as caught:
                await call()
            assert caught.value.code is code
        assert client.error is not None
        assert client.error.code is code
        await client.close()
    assert len(server.peers) == 1
    assert states == [State.connecting, State.connected, State.closed]


async def test_a_refused_login_is_raised_by_connect_with_the_words_of_the_error_frame() -> None:
    async def script(peer: Peer) -> None:
        await peer.challenge()
        await peer.socket.recv()
        await peer.send(frames.Error(code="unauthorized", message="This login was refused."))
        await peer.close(4500)

    async with scripted(script) as server:
        with pytest.raises(ArtcafeError, match="This login was refused") as caught:
            await client_of(server).connect()
    assert caught.value.code is Code.unauthorized
    assert len(server.peers) == 1


# How long it waits.


async def gap_after(*scripts: Script, backoff: Backoff) -> float:
    """Seconds between the first handshake and the second."""
    async with scripted(*scripts) as server, client_of(server, backoff=backoff):
        await eventually(lambda: len(server.arrivals) == 2, "the second handshake")
    first, second = server.arrivals[:2]
    return second - first


async def test_goaway_is_left_at_once_and_its_delay_kept_whatever_the_backoff_has_grown_to() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.send(frames.Goaway(reason="restart", reconnect_after_ms=120))
        await peer.until_closed()
        assert peer.closed_with == 1000

    backoff = Backoff(base=60, cap=60, failures=3, draw=lambda: 0.9)
    assert 0.11 < await gap_after(script, stay, backoff=backoff) < 2
    assert backoff.failures == 3


async def test_goaway_waits_for_answers_that_are_due_and_holds_new_calls_for_the_next_connection() -> None:
    states: list[str] = []

    async def first(peer: Peer) -> None:
        await peer.log_in()
        frame = await peer.expect(frames.Publish)
        await peer.send(frames.Goaway(reason="restart", reconnect_after_ms=1))
        await eventually(lambda: not client.connected, "the pause")
        later.append(asyncio.create_task(client.publish("n", 2)))
        await asyncio.sleep(0.01)
        states.append("still open" if peer.closed_with is None else "closed")
        await peer.send(frames.Ack(id=frame.id or "", message_id="m-first"))

    async def second(peer: Peer) -> None:
        await peer.log_in()
        (frame,) = await peer.acknowledge()
        assert bytes(frame.data) == b"2"

    later: list[asyncio.Task[str]] = []
    async with scripted(first, second) as server, client_of(server) as client:
        assert await client.publish("n", 1) == "m-first"
        await eventually(lambda: later, "the later call")
        assert (await later[0]).startswith("m-")
    assert states == ["still open"]


async def test_a_goaway_followed_by_a_close_of_the_server_keeps_its_delay_too() -> None:
    backoff = Backoff(base=60, cap=60, draw=lambda: 0.9)
    script = closing(1012, "", frames.Goaway(reason="restart", reconnect_after_ms=80))
    assert 0.07 < await gap_after(script, stay, backoff=backoff) < 2


async def test_a_goaway_followed_by_a_close_that_says_stop_is_the_end() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.expect(frames.Publish)
        await peer.send(frames.Goaway(reason="restart", reconnect_after_ms=1))
        await peer.close(4503)

    async with scripted(script) as server, client_of(server) as client:
        with pytest.raises(ArtcafeError) as caught:
            await client.publish("n", 1)
        assert caught.value.code is Code.removed
        assert client.state is State.closed


async def test_the_delay_of_an_error_that_closes_is_kept() -> None:
    script = closing(4005, "", frames.Error(code="flooding", message="Too fast.", retry_after_ms=100))
    backoff = Backoff(base=0.001, cap=0.001)
    assert 0.09 < await gap_after(script, stay, backoff=backoff) < 2
    assert backoff.failures == 1


async def test_a_server_that_closes_again_and_again_is_asked_ever_more_seldom() -> None:
    backoff = Backoff(base=0.001, cap=0.008, draw=lambda: 1.0)
    async with scripted(closing(1013)) as server:
        async with client_of(server, backoff=backoff):
            await eventually(lambda: len(server.arrivals) >= 7, "seven handshakes")
    assert backoff.failures >= 6


async def test_a_connection_that_lasted_begins_the_backoff_anew() -> None:
    now = itertools.count(0, 60)
    backoff = Backoff(base=0.001, cap=0.001, failures=9)
    async with (
        scripted(lose, stay) as server,
        client_of(server, backoff=backoff, clock=lambda: float(next(now))) as client,
    ):
        await eventually(lambda: client.reconnects == 1, "the return")
    assert backoff.failures == 1


# The upgrade refused.


@pytest.mark.parametrize(
    ("status", "problem", "code", "says"),
    [
        (401, {"code": "unauthorized", "detail": "No such login."}, Code.unauthorized, "No such login"),
        (401, None, Code.unauthorized, "401"),
        (403, {"code": "removed", "detail": "Suspended."}, Code.removed, "Suspended"),
        (404, None, Code.not_found, "404"),
        (302, None, Code.bad_request, "elsewhere"),
        (200, None, Code.protocol_error, "does not speak"),
    ],
)
async def test_an_upgrade_refused_for_good_is_raised_at_once(
    status: int, problem: dict[str, str] | None, code: Code, says: str
) -> None:
    refusal = Refusal(status, problem, {"Location": "ws://127.0.0.1:1/"} if status == 302 else {})
    async with scripted(refusal) as server:
        with pytest.raises(ArtcafeError, match=says) as caught:
            await client_of(server).connect()
    assert caught.value.code is code
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (503, {"code": "unavailable", "detail": "Starting."}),
        (502, None),
        (500, {"code": "internal", "detail": "A fault."}),
        (429, {"code": "too_many_connections", "detail": "Full."}),
        (429, None),
        (408, None),
    ],
)
async def test_an_upgrade_refused_for_now_is_tried_again(status: int, problem: dict[str, str] | None) -> None:
    async with scripted(Refusal(status, problem), stay) as server, client_of(server) as client:
        assert client.connected
        assert client.reconnects == 0


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal(503, {"code": "unavailable", "detail": "x", "retry_after_ms": 100}),
        Refusal(429, {"code": "too_many_connections", "detail": "x"}, {"Retry-After": "0"}),
        Refusal(503, None, {"Retry-After": "1"}),
    ],
)
async def test_an_upgrade_refused_for_a_time_is_tried_after_it(refusal: Refusal) -> None:
    waited = await gap_after(refusal, stay, backoff=Backoff(base=0.001, cap=0.001))
    told = (refusal.problem or {}).get("retry_after_ms", 0) / 1000 or float(
        refusal.headers.get("Retry-After", 0)
    )
    assert told <= waited < told + 1


async def test_a_server_that_does_not_know_the_protocol_is_not_asked_again() -> None:
    async with scripted(stay, speaks=False) as server:
        with pytest.raises(ArtcafeError, match=r"does not speak artcafe\.v1") as caught:
            await client_of(server).connect()
    assert caught.value.code is Code.protocol_error
    assert len(server.requests) == 1


# Subscriptions over connections.


async def test_every_subscription_is_live_again_before_anything_is_reported_as_connected() -> None:
    order: list[str] = []

    async def first(peer: Peer) -> None:
        await peer.log_in()
        await peer.confirm(3)
        peer.lose()

    async def second(peer: Peer) -> None:
        await peer.log_in()
        taken = [await peer.expect(frames.Subscribe) for _ in range(3)]
        order.extend(f"{frame.subject} {frame.queue}" for frame in taken)
        for frame in taken:
            await asyncio.sleep(0.005)
            order.append("connected" if client.connected else "not yet")
            await peer.send(frames.Subscribed(subject=frame.subject, id=frame.id))
        (published,) = await peer.acknowledge()
        order.append(published.subject)
        await peer.deliver("b", 2)

    async with scripted(first, second) as server, client_of(server) as client:
        for subject, queue in [("a.*", None), ("b", None), ("c", "workers")]:
            await client.subscribe(subject, queue=queue)
        b = await client.subscribe("b")
        await eventually(lambda: not client.connected, "the loss")
        await client.publish("later", None)
        got = await anext(b)
        assert (got.data, got.after_gap, b.gaps) == (2, True, 1)
        assert client.reconnects == 1
    assert order == ["a.* None", "b None", "c workers", "not yet", "not yet", "not yet", "later"]


async def test_the_gap_is_marked_at_its_place_only() -> None:
    async def first(peer: Peer) -> None:
        await peer.log_in()
        await peer.confirm()
        await peer.deliver("n", 1)
        await peer.acknowledge()
        peer.lose()

    async def second(peer: Peer) -> None:
        await peer.log_in()
        await peer.confirm()
        await peer.deliver("n", 2)
        await peer.deliver("n", 3)

    async with scripted(first, second) as server, client_of(server) as client:
        numbers = await client.subscribe("n")
        await client.publish("go", None)
        await eventually(lambda: numbers.pending == 3, "three messages")
        marks = [(got.data, got.after_gap) for got in [await anext(numbers) for _ in range(3)]]
    assert marks == [(1, False), (2, True), (3, False)]


async def test_a_subscription_asked_for_when_the_connection_is_lost_is_asked_for_again() -> None:
    async def first(peer: Peer) -> None:
        await peer.log_in()
        await peer.expect(frames.Subscribe)
        peer.lose()

    async def second(peer: Peer) -> None:
        await peer.log_in()
        await peer.confirm()

    async with scripted(first, second) as server, client_of(server) as client:
        subscription = await client.subscribe("n")
        assert subscription.gaps == 0


async def test_a_subscription_closed_while_away_is_not_restored() -> None:
    async def first(peer: Peer) -> None:
        await peer.log_in()
        await peer.confirm(2)
        peer.lose()

    async def second(peer: Peer) -> None:
        await peer.log_in()
        (frame,) = await peer.confirm()
        assert frame.subject == "kept"
        await peer.acknowledge()

    backoff = Backoff(base=0.05, cap=0.05, draw=lambda: 1.0)
    async with scripted(first, second) as server, client_of(server, backoff=backoff) as client:
        closed = await client.subscribe("closed")
        await client.subscribe("kept")
        await eventually(lambda: not client.connected, "the loss")
        await closed.close()
        await client.publish("n", 1)


async def test_a_subscription_refused_for_good_on_return_ends_alone() -> None:
    async def first(peer: Peer) -> None:
        await peer.log_in()
        await peer.confirm(2)
        peer.lose()

    async def second(peer: Peer) -> None:
        await peer.log_in()
        frame = await peer.expect(frames.Subscribe)
        await peer.send(frames.Error(code="forbidden", message="Not any more.", id=frame.id))
        await peer.confirm()
        await peer.deliver("kept", 1)

    async with scripted(first, second) as server, client_of(server) as client:
        refused = await client.subscribe("refused")
        kept = await client.subscribe("kept")
        assert (await anext(kept)).data == 1
        with pytest.raises(ArtcafeError, match="Not any more"):
            await anext(refused)


async def test_a_subscription_refused_for_now_on_return_is_asked_for_again() -> None:
    async def first(peer: Peer) -> None:
        await peer.log_in()
        await peer.confirm()
        peer.lose()

    async def second(peer: Peer) -> None:
        await peer.log_in()
        frame = await peer.expect(frames.Subscribe)
        assert not client.connected
        await peer.send(frames.Error(code="rate_limited", message="x", id=frame.id, retry_after_ms=20))
        await peer.confirm()
        await peer.deliver("n", 1)

    async with scripted(first, second) as server, client_of(server) as client:
        numbers = await client.subscribe("n")
        assert (await anext(numbers)).data == 1
        await eventually(lambda: client.reconnects == 1, "the return")


# Heartbeats.


async def test_an_idle_client_pings_once_an_interval() -> None:
    pings: list[frames.ClientFrame] = []

    async def script(peer: Peer) -> None:
        await peer.log_in(heartbeat=0.03)
        while len(pings) < 3:
            pings.append(await peer.expect(frames.Ping))
            await peer.send(frames.Pong(timestamp="2026-11-23T03:40:00.000Z"))

    async with scripted(script) as server, client_of(server) as client:
        await eventually(lambda: len(pings) == 3, "three pings")
        assert client.reconnects == 0


async def test_a_server_that_says_nothing_for_two_intervals_is_left() -> None:
    errors: list[ArtcafeError | None] = []

    async def deaf(peer: Peer) -> None:
        await peer.log_in(heartbeat=0.03)
        await peer.until_closed()
        assert peer.closed_with == 1006
        errors.append(client.error)

    async with scripted(deaf, stay) as server, client_of(server) as client:
        await eventually(lambda: client.reconnects == 1, "the return")
        await eventually(lambda: errors, "the loss")
    assert 0.06 <= server.arrivals[1] - server.arrivals[0] < 2


async def test_a_server_that_does_not_even_read_is_left() -> None:
    async def stuck(peer: Peer) -> None:
        await peer.log_in(heartbeat=0.05)
        peer.socket.transport.pause_reading()

    async with scripted(stuck, stay) as server, client_of(server) as client:
        publishing = asyncio.create_task(_flood(client))
        await eventually(lambda: client.reconnects == 1, "the return")
        publishing.cancel()
        await asyncio.wait([publishing])


async def _flood(client: Client) -> None:
    while True:
        try:
            await client.publish("n", "x" * 500_000, ack=False)
        except ArtcafeError:
            return


# Frames that make no sense.


@pytest.mark.parametrize("text", ["not json", "[]", '{"type":"ack"}', '{"type":7}'])
async def test_a_server_that_talks_nonsense_is_left_for_good(text: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.send(text)
        await peer.until_closed()
        assert peer.closed_with == 1002

    async with scripted(script) as server:
        client = client_of(server)
        await client.connect()
        await eventually(lambda: client.state is State.closed, "the end")
        assert client.error is not None
        assert client.error.code is Code.protocol_error
        await client.close()


async def test_a_frame_of_a_newer_protocol_is_passed_over() -> None:
    async def script(peer: Peer) -> None:
        await peer.challenge()
        await peer.socket.recv()
        await peer.send('{"type":"hint","of":"tomorrow"}')
        await peer.welcome()
        await peer.send('{"type":"presence_changed","agent":"x"}')
        await peer.acknowledge()

    async with scripted(script) as server, client_of(server) as client:
        assert await client.publish("n", 1)


async def test_a_frame_larger_than_this_client_takes_ends_it_with_too_large() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.deliver("n", "x" * 2000)

    async with scripted(script) as server:
        client = client_of(server, max_frame_bytes=1500)
        await client.connect()
        await eventually(lambda: client.state is State.closed, "the end")
        assert client.error is not None
        assert client.error.code is Code.too_large
        await client.close()
