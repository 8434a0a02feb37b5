"""The buffer between the network and a loop."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from artcafe.client.errors import SlowSubscriptionError
from artcafe.client.message import Message
from artcafe.client.subscription import Subscription
from artcafe.wire import frames
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.scripted_client import client_of
from tests.kit.scripted_server import Peer, message, scripted


async def no_reply(subject: str, data: Any, *, headers: Mapping[str, str] | None = None) -> str:
    raise AssertionError(subject)


class Desk:
    """Opens and closes, and keeps count."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def open(self, subscription: Subscription) -> None:
        self.calls.append("open")
        subscription.open()

    async def close(self, _subscription: Subscription) -> None:
        self.calls.append("close")

    async def drain(self, subscription: Subscription) -> None:
        self.calls.append("drain")
        subscription.push(numbered(7))


def made(desk: Desk | None = None, buffer: int = 3) -> Subscription:
    desk = desk or Desk()
    return Subscription(
        "n", queue=None, buffer=buffer, opener=desk.open, closer=desk.close, drainer=desk.drain
    )


def numbered(number: int) -> Message:
    return Message(message("n", number), "n", no_reply)


async def numbers(subscription: Subscription, count: int) -> list[int]:
    return [(await anext(subscription)).data for _ in range(count)]


async def test_it_is_opened_and_closed_once_however_it_is_used() -> None:
    desk = Desk()
    subscription = made(desk)
    async with await subscription as same, same:
        assert same is subscription
        subscription.push(numbered(1))
        assert await numbers(subscription, 1) == [1]
    await subscription.close()
    assert desk.calls == ["open", "close"]


async def test_a_full_buffer_drops_the_oldest_and_says_so_where_they_are_missing() -> None:
    subscription = await made(buffer=3)
    for number in range(5):
        subscription.push(numbered(number))
    with pytest.raises(SlowSubscriptionError) as caught:
        await anext(subscription)
    assert (caught.value.dropped, caught.value.details) == (2, {"dropped": 2})
    assert await numbers(subscription, 3) == [2, 3, 4]
    subscription.push(numbered(5))
    assert await numbers(subscription, 1) == [5]


async def test_each_loss_is_told_once_with_its_own_number() -> None:
    subscription = await made(buffer=1)
    told = []
    for burst in (3, 2):
        for number in range(burst):
            subscription.push(numbered(number))
        with pytest.raises(SlowSubscriptionError) as caught:
            await anext(subscription)
        told.append(caught.value.dropped)
        await anext(subscription)
    assert told == [2, 1]


async def test_several_loops_share_the_messages() -> None:
    subscription = await made(buffer=100)
    got: list[int] = []

    async def loop() -> None:
        got.extend([one.data async for one in subscription])

    async with asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(loop())
        for number in range(20):
            subscription.push(numbered(number))
            await asyncio.sleep(0)
        subscription.end(None)
    assert sorted(got) == list(range(20))


async def test_the_end_comes_after_what_is_held() -> None:
    for error in (None, ArtcafeError(Code.removed)):
        subscription = await made()
        subscription.push(numbered(1))
        subscription.end(error)
        subscription.end(ArtcafeError(Code.internal))  # the first end is the one that counts
        assert await numbers(subscription, 1) == [1]
        for _ in range(2):
            with pytest.raises(StopAsyncIteration if error is None else ArtcafeError) as caught:
                await anext(subscription)
            if isinstance(caught.value, ArtcafeError):
                assert caught.value.code is Code.removed
                assert caught.value is not error


async def test_an_end_wakes_a_loop_that_waits() -> None:
    subscription = await made()
    waiting = asyncio.create_task(anext(subscription, None))
    await asyncio.sleep(0)
    await subscription.close()
    assert await waiting is None


async def test_a_gap_marks_the_next_message_only_and_counts_only_what_was_live() -> None:
    subscription = made()
    subscription.away()
    await subscription
    subscription.away()
    for number in range(2):
        subscription.push(numbered(number))
    assert [(await anext(subscription)).after_gap for _ in range(2)] == [True, False]
    assert subscription.gaps == 1


# Subscribing at a server.


async def test_three_ways_to_subscribe() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        for _ in range(2):
            await peer.confirm()
            await peer.deliver("a.b", 1)
            await peer.expect(frames.Unsubscribe)
        await peer.confirm()
        await peer.deliver("a.b", 3)

    async with scripted(script) as server, client_of(server) as client:
        async with await client.subscribe("a.*") as awaited:
            assert (await anext(awaited)).data == 1
        async with client.subscribe("a.*") as entered:
            assert (await anext(entered)).data == 1
        async for got in client.subscribe("a.*"):
            assert got.data == 3
            break


async def test_a_refused_subscription_raises_and_can_be_tried_again() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        frame = await peer.expect(frames.Subscribe)
        await peer.send(frames.Error(code="forbidden", message="Not yours.", id=frame.id))
        await peer.confirm()

    async with scripted(script) as server, client_of(server) as client:
        with pytest.raises(ArtcafeError, match="Not yours"):
            await client.subscribe("agents.other.*")
        async with client.subscribe("agents.other.*"):
            assert client.connected


async def test_a_pattern_or_group_that_breaks_the_grammar_is_refused_at_once() -> None:
    client = client_of("ws://127.0.0.1:1")
    with pytest.raises(ArtcafeError) as caught:
        client.subscribe("a..b")
    assert caught.value.code is Code.invalid_subject
    for options in ({"queue": "no dots."}, {"buffer": 0}):
        with pytest.raises(ArtcafeError) as caught:
            client.subscribe("a", **options)
        assert caught.value.code is Code.validation_failed


async def test_a_subscription_that_is_not_confirmed_in_time_is_given_up() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.expect(frames.Subscribe)
        gone = await peer.expect(frames.Unsubscribe)
        assert gone.subject == "a"
        await peer.confirm()

    async with scripted(script) as server, client_of(server) as client:
        with pytest.raises(ArtcafeError, match="did not confirm") as caught:
            await client.subscribe("a", timeout=0.03)
        assert caught.value.code is Code.unavailable
        await client.subscribe("b")


async def test_one_pattern_twice_is_one_subscription_at_the_server() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.confirm()
        await peer.acknowledge()
        await peer.deliver("a.b", 1)
        # The first close says nothing to the server: the next frame is the second's.
        await peer.expect(frames.Unsubscribe)

    async with scripted(script) as server, client_of(server) as client, client.subscribe("a.*") as one:
        async with client.subscribe("a.*") as other:
            await client.publish("go", None)
            assert [(await anext(one)).data, (await anext(other)).data] == [1, 1]
        assert client.connected


async def test_overlapping_subscriptions_each_get_the_message_in_their_own_form() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.confirm(4)
        await peer.deliver("tasks.new", 1)

    async with scripted(script) as server, client_of(server) as client:
        patterns = ["tasks.*", ">", "tenant.acme.channel.tasks.new", "others.>"]
        subscriptions = [await client.subscribe(pattern) for pattern in patterns]
        got = [(await anext(subscription)).subject for subscription in subscriptions[:3]]
        assert got == ["tasks.new", "tasks.new", "tenant.acme.channel.tasks.new"]
        assert [subscription.pending for subscription in subscriptions] == [0, 0, 0, 0]


async def test_a_queue_group_that_overlaps_is_refused_because_it_could_not_share() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.confirm(2)

    async with scripted(script) as server, client_of(server) as client:
        await client.subscribe("tasks.*")
        await client.subscribe("jobs.*", queue="workers")
        for pattern, queue in [("tasks.new", "workers"), ("jobs.>", None), ("jobs.*", "others")]:
            with pytest.raises(ArtcafeError, match="second client") as caught:
                await client.subscribe(pattern, queue=queue)
            assert caught.value.code is Code.conflict


async def test_a_slow_loop_hears_how_much_it_lost_and_nobody_else_loses_anything() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.confirm(2)
        for number in range(25):
            await peer.deliver("n", number)

    async with scripted(script) as server, client_of(server) as client:
        slow = await client.subscribe("*", buffer=10)
        quick = await client.subscribe("n")
        assert [(await anext(quick)).data for _ in range(25)] == list(range(25))
        with pytest.raises(SlowSubscriptionError) as caught:
            await anext(slow)
        assert (caught.value.dropped, caught.value.code) == (15, Code.slow_consumer)
        assert [(await anext(slow)).data for _ in range(10)] == list(range(15, 25))


async def test_a_burst_does_not_drown_a_loop_that_keeps_up() -> None:
    """One read of the socket holds thousands of small messages; they came faster than loops had a turn."""
    burst = b"".join(_text_frame(frames.encode(message("n", [number, "." * 50]))) for number in range(5000))

    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.confirm()
        peer.socket.transport.write(burst)

    async with scripted(script) as server, client_of(server) as client:
        subscription = await client.subscribe("n", buffer=4)
        assert [(await anext(subscription)).data[0] for _ in range(5000)] == list(range(5000))


def _text_frame(payload: bytes) -> bytes:
    assert 126 <= len(payload) < 65536
    return b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload


async def test_a_loop_that_is_cancelled_loses_nothing() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.confirm()
        await peer.acknowledge()
        await peer.deliver("n", 1)

    async with scripted(script) as server, client_of(server) as client, client.subscribe("n") as numbers:
        waiting = asyncio.create_task(anext(numbers))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await client.publish("go", None)
        assert (await anext(numbers)).data == 1


async def test_draining_takes_what_is_on_its_way_and_then_closes() -> None:
    desk = Desk()
    numbers = await made(desk)
    numbers.push(numbered(6))
    await numbers.drain()
    assert [each.data async for each in numbers] == [6, 7]
    await numbers.drain()
    assert desk.calls == ["open", "drain", "close"]


async def test_draining_what_was_never_open_closes_it() -> None:
    desk = Desk()
    numbers = made(desk)
    await numbers.drain()
    assert desk.calls == ["close"]


async def test_a_client_that_drains_leaves_the_group_and_hears_until_the_server_says_so() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.confirm()
        left = await peer.expect(frames.Unsubscribe)
        assert (left.subject, left.queue) == ("n", "workers")
        await peer.deliver("n", 1)
        await peer.send(frames.Unsubscribed(subject="n", id=left.id))

    async with scripted(script) as server, client_of(server) as client:
        numbers = await client.subscribe("n", queue="workers")
        await numbers.drain()
        assert [each.data async for each in numbers] == [1]


async def test_draining_ends_when_the_connection_is_lost() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.confirm()
        await peer.expect(frames.Unsubscribe)
        peer.lose()

    async def again(peer: Peer) -> None:
        await peer.log_in()
        assert (await peer.acknowledge())[0].subject == "go", "nothing is subscribed anew"

    async with scripted(script, again) as server, client_of(server, timeout=30.0) as client:
        numbers = await client.subscribe("n")
        await numbers.drain()
        assert [each.data async for each in numbers] == []
        await client.publish("go", None)
