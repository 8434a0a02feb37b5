"""A durable channel of `acme`, and agents on processes that share its stream."""

import asyncio
import json
from typing import Any

from artcafe.server.bus.memory import BUFFER_BYTES, MemoryLink
from artcafe.server.bus.memory_streams import MemoryStream, MemoryStreams
from artcafe.server.domain.channel import Channel
from artcafe.server.domain.channel_rules import ChannelRules
from artcafe.server.domain.durability import Durability
from artcafe.server.domain.ids import AgentId
from artcafe.server.domain.principal import AgentPrincipal
from artcafe.server.gateway.dialects.dialect import Dialect
from artcafe.server.gateway.fanout.hub import TenantHub
from artcafe.server.gateway.websocket.turn_scheduler import TurnScheduler
from artcafe.wire.subjects import pattern_to_bus
from tests.kit.sessions import ACME, Table, a_channel, a_table
from tests.kit.turns import turns
from tests.kit.unreliable_bus import UnreliableLink

KEPT = Durability(max_bytes=1_000_000)
FAST = 1_000_000
"""Messages per second of agents whose rate is not what a test is about."""


def a_durable_channel(name: str = "tasks", subject: str = "tasks.>", **rules: Any) -> Channel:
    """A channel whose messages are stored."""
    return a_channel(name, **{"subject": subject, "durability": KEPT, **rules})


class House:
    """Processes of one installation, their tenant's channels, and the streams of those that are durable.

    `link` is the account's bus: what is published on it comes from nobody whom the platform knows."""

    def __init__(self, *channels: Channel) -> None:
        self.link = MemoryLink(BUFFER_BYTES)
        self.rules = ChannelRules(channels)
        self.announced: list[tuple[str, Any]] = []
        """What processes announced: subjects and data."""
        self._tasks: list[asyncio.Future[None]] = []
        for channel in channels:
            if channel.durability is not None:
                self.streams.make(channel.stream, pattern_to_bus(channel.pattern))

    @property
    def streams(self) -> MemoryStreams:
        """The streams of the account."""
        return self.link.streams

    def stream(self, position: int = 0) -> MemoryStream:
        """The stream of a channel."""
        return self.streams.streams[self.rules.channels[position].stream]

    def process(self) -> TenantHub:
        """A process."""
        return TenantHub(
            ACME,
            UnreliableLink(self.link),
            TurnScheduler(),
            start=lambda work: self._tasks.append(asyncio.ensure_future(work)),
            announce=lambda subject, data: self.announced.append((subject, json.loads(data))),
        )

    async def agent(
        self, name: str, hub: TenantHub | None = None, *, dialect: Dialect | None = None, rate: int = FAST
    ) -> Table:
        """An agent, on a process of its own unless told."""
        principal = AgentPrincipal(ACME, AgentId(name), "SHA256:x")
        return await a_table(
            principal, rules=self.rules, hub=hub or self.process(), dialect=dialect, rate=rate
        )


def messages(frames: list[dict[str, Any]]) -> list[tuple[int, Any]]:
    """The sequence and the data of each message among frames."""
    return [(frame.get("seq", 0), frame["data"]) for frame in frames if frame["type"] == "message"]


async def publish(agent: Table, *data: Any, subject: str = "tasks.new") -> list[dict[str, Any]]:
    """Publish, with an ack for each; the answers."""
    answers: list[dict[str, Any]] = []
    for number, each in enumerate(data):
        answers += await agent.say(type="publish", subject=subject, data=each, id=f"p{number}")
    await turns()
    return answers + agent.read()
