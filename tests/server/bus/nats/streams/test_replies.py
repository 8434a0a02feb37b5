"""Answers find whom they are for, over one subscription."""

import asyncio

from artcafe.server.bus.nats.message import FullMessage
from artcafe.server.bus.nats.streams.replies import Replies
from tests.kit.deadlines import eventually
from tests.kit.proxy import Proxy
from tests.kit.streams import Streaming


async def test_several_answers_come_until_they_are_forgotten(process: Streaming, other: Streaming) -> None:
    replies = Replies(process.link)
    await replies.open()
    first: list[FullMessage | None] = []
    second: list[FullMessage | None] = []
    one, two = replies.expect(first.append), replies.expect(second.append)
    for reply in (one, two, one):
        other.link.publish(reply, reply.encode())
    await eventually(lambda: len(first) == 2 and len(second) == 1)
    assert [each.payload for each in first if each] == [one.encode()] * 2
    replies.forget(one)
    other.link.publish(one, b"late")
    other.link.publish(two, b"again")
    await eventually(lambda: len(second) == 2)
    assert len(first) == 2


async def test_many_that_open_at_once_share_a_subscription(process: Streaming, proxy: Proxy) -> None:
    replies = Replies(process.link)
    await asyncio.gather(*(replies.open() for _ in range(5)))
    assert bytes(proxy.sent).count(b"SUB _INBOX.") == 1


async def test_the_end_of_the_connection_is_told_once_and_the_next_one_brings_answers(
    process: Streaming, proxy: Proxy, other: Streaming
) -> None:
    replies = Replies(process.link)
    await replies.open()
    got: list[FullMessage | None] = []
    old = replies.expect(got.append)
    proxy.cut()
    await eventually(lambda: got == [None])
    new = replies.expect(got.append)
    await process.link.ready()
    await process.link.sendable()
    other.link.publish(old, b"late")
    other.link.publish(new, b"x")
    await eventually(lambda: len(got) == 2)
    assert got[1] is not None
    assert got[1].payload == b"x"
