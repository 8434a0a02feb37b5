"""A WebSocket conversation is answered as RFC 6455 says, however its bytes arrive."""

import asyncio
import random
import socket

import pytest
from fastapi import FastAPI

from tests.fuzz.cases import SECONDS, cases
from tests.fuzz.websocket_conversations import LIMITS, Conversation, conversation, writes
from tests.kit.deadlines import eventually
from tests.kit.doorman import Doorman
from tests.kit.raw_websocket import CLOSE, RawClient, raw_websocket
from tests.kit.servers import serving

pytestmark = pytest.mark.timeout(SECONDS + 120)

AT_ONCE = 4


async def hold(port: int, name: str, talk: Conversation, choose: random.Random) -> None:
    """Hold one conversation, and compare."""
    async with raw_websocket(port) as client:
        client.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        saying = asyncio.create_task(say(client, writes(choose, bytes(talk.sent))))
        got: list[tuple[int, bytes]] = []
        while not got or got[-1][0] != CLOSE:
            got.append(await client.frame())
        await saying
        if client.writer.can_write_eof():
            client.writer.write_eof()
        rest = await client.ended()
    *answers, (_, payload) = got
    wanted = talk.answers[: len(answers)] if talk.overtaken else talk.answers
    assert answers == wanted, name
    assert int.from_bytes(payload[:2], "big") == talk.code, (name, payload)
    assert rest == b"", name


async def say(client: RawClient, parts: list[bytes]) -> None:
    """Write the parts, each in a turn of its own."""
    for part in parts:
        client.write(part)
        await asyncio.sleep(0)


async def test_every_conversation_is_answered_and_ended_as_the_model_says() -> None:
    doorman = Doorman()
    async with serving(FastAPI(), doorman, LIMITS) as server:
        source = cases(400)

        async def some() -> None:
            for name, choose in source:
                await hold(server.port, name, conversation(choose), choose)
                doorman.forget()

        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(some())
        await eventually(lambda: not server.core.server_state.connections, "the end of every connection")
