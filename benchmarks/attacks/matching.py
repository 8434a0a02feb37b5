"""Attacks on matching: many patterns for one message, and subjects that nobody used before."""

import asyncio
import contextlib
import itertools

from websockets.asyncio.client import ClientConnection

from artcafe.wire.errors import ArtcafeError
from benchmarks.attacks.target import CUT, Attack, Target, at_rate, text

_CHANNELS = 1000


async def _overlapping(target: Target, seconds: float) -> str:
    """Eight connections with 256 patterns each that all match one subject of eight tokens."""
    subject = "a.b.c.d.e.f.g.h"
    forms = itertools.product(*((token, "*") for token in subject.split(".")))
    patterns = [".".join(form) for form in forms]
    taken = sent = 0
    with contextlib.suppress(*CUT):
        async with target.agents(8) as agents:
            for agent in agents:
                for pattern in patterns:
                    await agent.send(text({"type": "subscribe", "subject": pattern, "id": "1"}))
                    taken += '"subscribed"' in str(await agent.recv())
            async with asyncio.TaskGroup() as tasks:
                readers = [tasks.create_task(_read(agent)) for agent in agents]
                async for number in at_rate(seconds, 20.0):
                    sent = number + 1
                    await agents[0].send(text({"type": "publish", "subject": subject, "data": 1}))
                for reader in readers:
                    reader.cancel()
    return f"{taken:,} of {8 * len(patterns):,} patterns taken, {sent:,} messages"


async def _read(agent: ClientConnection) -> None:
    with contextlib.suppress(*CUT):
        async for _ in agent:
            pass


async def _many_channels(target: Target) -> None:
    """A thousand channels with patterns and publishers."""
    async with target.rest() as rest:

        async def make(number: int) -> None:
            with contextlib.suppress(ArtcafeError):
                await rest.create_channel(
                    id=f"c{number}", name=f"{number}", subject=f"c{number}.*.x", publishers=["agent-1"]
                )

        for first in range(0, _CHANNELS, 20):
            await asyncio.gather(*(make(number) for number in range(first, first + 20)))


async def _new_subjects(target: Target, seconds: float) -> str:
    """Messages at the plan's rate, each on a subject of its own."""
    sent = 0
    with contextlib.suppress(*CUT):
        async with target.agents(2) as (talker, listener):
            await listener.send(text({"type": "subscribe", "subject": "n.>", "id": "1"}))
            await listener.recv()
            async with asyncio.TaskGroup() as tasks:
                readers = [tasks.create_task(_read(each)) for each in (talker, listener)]
                async for sent in at_rate(seconds, 950.0):
                    await talker.send(text({"type": "publish", "subject": f"n.{sent}.y", "data": 1}))
                for reader in readers:
                    reader.cancel()
    return f"{sent:,} new subjects beside {_CHANNELS:,} channels"


ATTACKS = (
    Attack("overlapping", "256 patterns on each of 8 connections, all match", _overlapping),
    Attack("new-subjects", "950 new subjects/s, 1,000 channels", _new_subjects, _many_channels),
)
