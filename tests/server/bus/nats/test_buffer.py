"""What waits while a bus is away or slow: in order, bounded, and nobody waits for ever."""

import asyncio

from artcafe.server.bus.nats.buffer import Outbox


class Greedy:
    """Takes so many messages."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.got: list[bytes | asyncio.Future[bool] | None] = []

    def send(self, command: bytes) -> bool:
        """Taker.send."""
        if self.room == 0:
            return False
        self.room -= 1
        self.got.append(command)
        return True

    def ping(self, pong: asyncio.Future[bool] | None) -> None:
        """Taker.ping."""
        self.got.append(pong)


async def test_it_is_handed_over_in_order_as_far_as_it_is_taken() -> None:
    outbox = Outbox(100)
    taker = Greedy(2)
    assert outbox.put(b"1")
    first = outbox.waiter()
    assert outbox.waiter() is first
    outbox.put(b"2")
    outbox.put(b"3")
    second = outbox.waiter()
    assert second is not first
    outbox.hand_over(taker)
    assert taker.got == [b"1", first, b"2"]
    taker.room = 5
    outbox.hand_over(taker)
    assert taker.got[3:] == [b"3", second]
    assert not outbox.items
    assert outbox.waiter() not in (first, second)


async def test_there_is_room_again_for_what_was_handed_over() -> None:
    outbox = Outbox(10)
    assert outbox.put(b"x" * 6)
    assert not outbox.put(b"x" * 5)
    assert outbox.put(b"x" * 4)
    assert not outbox.put(b"x")
    outbox.hand_over(Greedy(1))
    assert outbox.put(b"y" * 6)
    assert list(outbox.items) == [b"x" * 4, b"y" * 6]


async def test_who_waits_is_told_and_the_messages_stay() -> None:
    outbox = Outbox(10)
    first = outbox.waiter()
    outbox.put(b"1")
    second = outbox.waiter()
    second.cancel()
    outbox.give_up()
    assert first.result() is False
    assert list(outbox.items) == [b"1"]
    assert not outbox.put(b"x" * 10)
