"""WebSockets on the event loop of the standard library, which differs from uvloop where sockets end."""

import asyncio

from fastapi import FastAPI
from websockets.asyncio.client import connect

from tests.kit.deadlines import eventually
from tests.kit.doorman import LIMITS, Doorman
from tests.kit.raw_websocket import masked, raw_websocket
from tests.kit.servers import serving


async def main_paths() -> None:
    """A message, a client too loud, a client too slow, and one that vanishes."""
    doorman = Doorman()
    async with serving(FastAPI(), doorman, LIMITS) as server:
        async with connect(server.ws, max_size=None) as client:
            await client.send("hello")
            assert await client.recv() == "hello"
        async with raw_websocket(server.port) as raw:
            raw.write(masked(b"x" * 1_000_000))
            assert await raw.close_code() == 1009
        async with raw_websocket(server.port, receive_buffer=4096) as raw:
            recorder = doorman.last
            recorder.on["slow"] = lambda: recorder.peer.close(4002)
            for _ in range(32):
                recorder.peer.send(b"x" * 65_536)
            assert await raw.close_code() == 4002
        async with raw_websocket(server.port, receive_buffer=4096) as raw:
            for _ in range(32):
                doorman.last.peer.send(b"x" * 65_536)
            raw.reset()
            await eventually(lambda: doorman.last.closes)
        await eventually(lambda: not server.core.server_state.connections)
        assert [recorder.closes for recorder in doorman.recorders] == [[1000], [1009], [4002], [1006]]


def test_without_uvloop() -> None:
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(main_paths())
