"""What one client has on its way into durable channels is bounded."""

import asyncio

from artcafe.server.gateway.dialects.native import NativeDialect
from artcafe.server.gateway.sessions.answers import Answers
from artcafe.server.gateway.sessions.storing import MAX_STORING, MAX_STORING_BYTES, Storing
from tests.kit.sessions import Client


async def test_it_is_full_at_a_number_of_messages_or_of_bytes_and_has_room_again() -> None:
    for sizes in ([1] * MAX_STORING, [MAX_STORING_BYTES]):
        storing = Storing(Answers(Client(), NativeDialect()))
        for size in sizes:
            assert not storing.full
            storing.begin(size)
        assert storing.full
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(storing.room())
            await asyncio.sleep(0)
            assert not waiting.done()
            storing.end(sizes[0])
        assert not storing.full


async def test_all_waits_for_the_last_one() -> None:
    storing = Storing(Answers(Client(), NativeDialect()))
    await storing.all()
    storing.begin(1)
    storing.begin(2)
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(storing.all())
        storing.end(1)
        await asyncio.sleep(0)
        assert not waiting.done()
        storing.end(2)
