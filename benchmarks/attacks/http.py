"""Attacks on the HTTP edge: requests that are many, endless, half, or never read."""

import asyncio
import contextlib

from benchmarks.attacks.target import CUT, Attack, Target, push, until

_SILENT = 250
"""Sockets opened and left: below the descriptor limit of the attacking process itself."""


async def _pipelined(target: Target, seconds: float) -> str:
    """Requests one behind the other whose answers nobody reads."""
    async with target.socket() as (_, writer):
        sent = await push(writer, target.request("GET", "/api/v1/agents") * 200, seconds)
    return f"{sent:,} bytes of requests taken, no answer read"


async def _endless_header(target: Target, seconds: float) -> str:
    """A header field that never ends, in small pieces."""
    total = 0
    for _ in until(seconds):
        with contextlib.suppress(*CUT):
            async with target.socket() as (_reader, writer):
                writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\nX: ")
                total += await push(writer, b"a" * 256, min(seconds, 3.0))
    return f"{total:,} bytes of a field taken"


async def _many_fields(target: Target, seconds: float) -> str:
    """A hundred thousand fields in each head."""
    head = b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 100_000 + b"\r\n"
    count = 0
    for count in until(seconds):  # noqa: B007 - told below
        with contextlib.suppress(*CUT):
            async with target.socket() as (reader, writer):
                writer.write(head)
                await writer.drain()
                await asyncio.wait_for(reader.read(100), 5.0)
    return f"{count:,} heads of 100,000 fields sent"


async def _silent(target: Target, seconds: float) -> str:
    """Sockets that say nothing, half a head, or half a body."""
    openings = (b"", b"GET /livez HTTP/1.1\r\n", target.request("POST", "/api/v1/channels")[:-2])
    kept: list[asyncio.StreamWriter] = []
    refused = 0
    try:
        for number in range(_SILENT):
            try:
                _, writer = await asyncio.open_connection(
                    target.host, target.port, local_addr=(target.address, 0)
                )
                writer.write(openings[number % len(openings)])
                kept.append(writer)
            except OSError:
                refused += 1
        await asyncio.sleep(seconds)
    finally:
        for writer in kept:
            writer.transport.abort()
    return f"{len(kept)} half connections kept, {refused} refused"


async def _large_bodies(target: Target, seconds: float) -> str:
    """Bodies of a gigabyte without a token, whole and in chunks."""
    sent = 0
    head = b"POST /api/v1/channels HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    chunk = b"10000\r\n" + b"a" * 65_536 + b"\r\n"
    for number in until(seconds):
        with contextlib.suppress(*CUT):
            async with target.socket() as (_, writer):
                if number % 2:
                    writer.write(head + b"Content-Length: 1000000000\r\n\r\n")
                    sent += await push(writer, b"a" * 65_536, 1.0)
                else:
                    writer.write(head + b"Transfer-Encoding: chunked\r\n\r\n")
                    sent += await push(writer, chunk, 1.0)
    return f"{sent:,} bytes of bodies taken of a stranger"


async def _slow_reader(target: Target, seconds: float) -> str:
    """Large answers asked for on many connections and read by nobody."""
    async with contextlib.AsyncExitStack() as stack:
        with contextlib.suppress(*CUT):
            for _ in range(32):
                _, writer = await stack.enter_async_context(target.socket())
                writer.write(target.request("GET", "/openapi.json") * 50)
        await asyncio.sleep(seconds)
    return "32 connections with 50 unread answers each"


async def _new_connections(target: Target, seconds: float) -> str:
    """A connection for each request, one after the other, as fast as they come."""
    count = 0
    for count in until(seconds):  # noqa: B007 - told below
        with contextlib.suppress(*CUT):
            async with target.socket() as (reader, writer):
                writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
                await reader.read(100)
    return f"{count:,} connections opened"


ATTACKS = (
    Attack("pipelined", "pipelined requests, no answer read", _pipelined),
    Attack("endless-header", "a header field without end", _endless_header),
    Attack("many-fields", "100,000 fields in a head", _many_fields),
    Attack("silent", f"{_SILENT} silent sockets, half heads, half bodies", _silent),
    Attack("large-bodies", "bodies of 1 GB without a token", _large_bodies),
    Attack("slow-reader", "answers that nobody reads", _slow_reader),
    Attack("new-connections", "a connection for each request", _new_connections),
)
