"""Attacks on the gateway: frames that are many, large, broken, or that nobody is meant to send."""

import asyncio
import contextlib

from websockets.asyncio.client import ClientConnection

from benchmarks.attacks.target import CUT, Attack, Target, cut, push, text, until
from benchmarks.websocket import BINARY, PING, PONG, TEXT, frame


async def _subjects(target: Target, seconds: float) -> str:
    """A dashboard's frame with 40,000 subjects."""
    long = text({"type": "subscribe", "subjects": ["b"] * 40_000}).encode()
    count = 0
    for count in until(seconds):  # noqa: B007 - told below
        with contextlib.suppress(*CUT, TimeoutError):
            async with target.socket() as (reader, writer):
                writer.write(target.upgrade(f"dashboard?tenant_id={target.tenant}&token={target.token}"))
                await asyncio.wait_for(reader.readuntil(b"connected"), 5.0)
                writer.write(frame(TEXT, long))
                await asyncio.wait_for(reader.read(1000), 5.0)
        await asyncio.sleep(0.1)
    return f"{count:,} connections with a frame of {len(long):,} bytes"


async def _flood_before_login(target: Target, seconds: float, data: bytes, count: int = 4) -> str:
    taken = ended = 0

    async def one() -> None:
        nonlocal taken, ended
        for _ in until(seconds):
            with contextlib.suppress(*CUT, TimeoutError):
                async with target.socket() as (reader, writer):
                    writer.write(target.upgrade())
                    await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5.0)
                    taken += await push(writer, data, min(seconds, 2.0), reader)
                    ended += 1
            await asyncio.sleep(0.01)

    await asyncio.gather(*(one() for _ in range(count)))
    return f"{taken:,} bytes taken on {ended:,} connections that never logged in"


async def _pings(target: Target, seconds: float) -> str:
    """PING without end, before any login."""
    return await _flood_before_login(target, seconds, frame(PING, b"x" * 125) * 100)


async def _empty_frames(target: Target, seconds: float) -> str:
    """Empty fragments of one message without end."""
    first, more = bytes((TEXT, 0x80)) + bytes(4), bytes((0, 0x80)) + bytes(4)
    return await _flood_before_login(target, seconds, first + more * 5000)


async def _large_frames(target: Target, seconds: float) -> str:
    """The largest frames, before any login."""
    return await _flood_before_login(target, seconds, frame(TEXT, b"a" * 500_000))


async def _flood_by_agents(target: Target, seconds: float, data: bytes, count: int = 4) -> str:
    """The same bytes again and again on connections that are logged in, each opened anew when it is ended."""
    taken = 0

    async def one(number: int) -> None:
        nonlocal taken
        for _ in until(seconds):
            with contextlib.suppress(*CUT, TimeoutError):
                agent, full = await target.agent(number), False
                answers = asyncio.create_task(_read(agent))
                # Past the library's own protocol: it would refuse to send some of this.
                try:
                    async with asyncio.timeout(seconds):
                        while not agent.transport.is_closing():
                            if not full:
                                agent.transport.write(data)
                                taken += len(data)
                            # A full buffer is looked at again in a millisecond.
                            full = agent.transport.get_write_buffer_size() > 1_000_000
                            await asyncio.sleep(0.001 if full else 0)
                finally:
                    answers.cancel()
                    cut(agent)
            await asyncio.sleep(0.05)

    await asyncio.gather(*(one(number) for number in range(count)))
    return f"{taken:,} bytes sent on {count} connections"


async def _read(agent: ClientConnection) -> None:
    with contextlib.suppress(*CUT):
        async for _ in agent:
            pass


async def _agent_pings(target: Target, seconds: float) -> str:
    return await _flood_by_agents(target, seconds, frame(PING, b"x" * 125) * 100)


async def _agent_pongs(target: Target, seconds: float) -> str:
    return await _flood_by_agents(target, seconds, frame(PONG, b"") * 500)


async def _agent_publishes(target: Target, seconds: float) -> str:
    said = text({"type": "publish", "subject": "a.b", "data": {"n": 1}, "id": "1"}).encode()
    return await _flood_by_agents(target, seconds, frame(TEXT, said) * 50)


async def _agent_rubbish(target: Target, seconds: float) -> str:
    deep = b'{"type":"publish","subject":"a","data":' + b"[" * 900 + b"]" * 900 + b"}"
    return await _flood_by_agents(target, seconds, frame(TEXT, deep) * 20 + frame(TEXT, b"{" * 2000) * 20)


async def _agent_binary(target: Target, seconds: float) -> str:
    return await _flood_by_agents(target, seconds, frame(BINARY, b"x" * 1000) * 50)


async def _subscribe_and_leave(target: Target, seconds: float) -> str:
    """Subscriptions that come and go as fast as they are confirmed."""
    count = 0
    with contextlib.suppress(*CUT):
        async with target.agents(1) as (agent,):
            for count in until(seconds):
                for kind in ("subscribe", "unsubscribe"):
                    await agent.send(text({"type": kind, "subject": f"s.{count}.>", "id": "1"}))
                    await agent.recv()
    return f"{count:,} subscriptions opened and ended"


async def _does_not_read(target: Target, seconds: float) -> str:
    """A subscriber that never reads, while a sibling publishes at its limit."""
    sent = 0
    body = "x" * 8_000
    with contextlib.suppress(*CUT):
        async with target.agents(5) as (talker, *deaf):
            for each in deaf:
                await each.send(text({"type": "subscribe", "subject": "flood.>", "id": "1"}))
                await each.recv()
                each.transport.pause_reading()
            for number in until(seconds):
                sent = number + 1
                await talker.send(text({"type": "publish", "subject": "flood.a", "data": body}))
                await asyncio.sleep(0.002)
    return f"{sent:,} messages of 8 KB to four subscribers that do not read"


ATTACKS = (
    Attack("subjects", "40,000 subjects in a frame", _subjects),
    Attack("pings", "PING without end, before login", _pings),
    Attack("empty-frames", "empty fragments without end, before login", _empty_frames),
    Attack("large-frames", "frames of 500 KB, before login", _large_frames),
    Attack("agent-pings", "PING without end, logged in", _agent_pings),
    Attack("agent-pongs", "PONG without end, logged in", _agent_pongs),
    Attack("agent-publishes", "publishing far beyond the rate", _agent_publishes),
    Attack("agent-rubbish", "deep and broken frames", _agent_rubbish),
    Attack("agent-binary", "binary frames", _agent_binary),
    Attack("subscribe-leave", "subscribing and leaving without end", _subscribe_and_leave),
    Attack("deaf", "subscribers that do not read", _does_not_read),
)
