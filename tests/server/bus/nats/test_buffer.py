"""What waits while a bus is away or slow: in order, bounded, and nobody waits for ever."""

import asyncio

from artcafe.server.bus.nats.buffer import PublishBuffer


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
    buffer = PublishBuffer(100)
    taker = Greedy(2)
    assert buffer.put(b"1")
    first = buffer.waiter()
    assert buffer.waiter() is first
    buffer.put(b"2")
    buffer.put(b"3")
    second = buffer.waiter()
    assert second is not first
    buffer.hand_over(taker)
    assert taker.got == [b"1", first, b"2"]
    taker.room = 5
    buffer.hand_over(taker)
    assert taker.got[3:] == [b"3", second]
    assert not buffer.items
    assert buffer.waiter() not in (first, second)


async def test_there_is_room_again_for_what_was_handed_over() -> None:
    buffer = PublishBuffer(10)
    assert buffer.put(b"x" * 6)
    assert not buffer.put(b"x" * 5)
    assert buffer.put(b"x" * 4)
    assert not buffer.put(b"x")
    buffer.hand_over(Greedy(1))
    assert buffer.put(b"y" * 6)
    assert list(buffer.items) == [b"x" * 4, b"y" * 6]


async def test_who_waits_is_told_and_the_messages_stay() -> None:
    buffer = PublishBuffer(10)
    first = buffer.waiter()
    buffer.put(b"1")
    second = buffer.waiter()
    second.cancel()
    buffer.give_up()
    assert first.result() is False
    assert list(buffer.items) == [b"1"]
    assert not buffer.put(b"x" * 10)
