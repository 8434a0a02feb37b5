"""Staying connected: what a client does when the server goes away, closes, stalls or refuses."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import pytest

from artcafe import ArtcafeError, Backoff, Code, State
from artcafe.wire import frames
from tests.kit.deadlines import eventually
from tests.kit.scripted_client import client_of, gap_after
from tests.kit.scripted_server import Peer, Script, message, scripted, stay


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


@pytest.mark.parametrize("call", ["publish", "subscribe"])
async def test_a_call_that_meets_a_closing_connection_goes_to_the_next(call: str) -> None:
    """The close is known before it was acted on: nothing was written, so nothing can be doubled."""

    async def first(peer: Peer) -> None:
        await peer.log_in()
        await peer.confirm()
        text = frames.encode(message("n", "." * 100))
        close = b"\x88\x02" + (1012).to_bytes(2, "big")
        peer.socket.transport.write(b"\x81\x7e" + len(text).to_bytes(2, "big") + text + close)

    async def second(peer: Peer) -> None:
        await peer.log_in()
        await peer.confirm(2 if call == "subscribe" else 1)
        if call == "publish":
            await peer.acknowledge()

    async with scripted(first, second) as server, client_of(server) as client:
        await anext(await client.subscribe("n"))
        assert client.connected
        await (client.publish("n", 1) if call == "publish" else client.subscribe("more"))
        assert client.reconnects == 1
    assert len(server.peers) == 2


# How long it waits.


async def test_goaway_is_left_at_once_and_its_delay_kept_whatever_the_backoff_has_grown_to() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.send(frames.Goaway(reason="restart", reconnect_after_ms=120))
        await peer.until_closed()
        assert peer.closed_with == 1000

    backoff = Backoff(base=60, cap=60, failures=3, draw=lambda: 0.9)
    assert 0.11 < await gap_after(script, stay, backoff=backoff) < 2
    assert backoff.failures == 3


@pytest.mark.parametrize("code", [1001, 1012])
async def test_a_restart_without_a_hint_is_waited_for_a_little_and_nothing_grows(code: int) -> None:
    backoff = Backoff(base=0.001, cap=60, failures=40, draw=lambda: 1.0)
    assert await gap_after(closing(code), stay, backoff=backoff) < 2
    assert backoff.failures == 40


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
    async with scripted(closing(1013)) as server, client_of(server, backoff=backoff):
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
