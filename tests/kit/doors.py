"""A gateway of a few lines, for one connection."""

import asyncio
from typing import Any

from artcafe.server.bus.memory import BUFFER_BYTES, MemoryLink
from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.server.domain.principal import AgentPrincipal
from artcafe.server.gateway.connection import Connection
from artcafe.server.gateway.dialects import Plain
from artcafe.server.gateway.hub import Member, TenantHub
from artcafe.server.gateway.session import Session, Work
from artcafe.wire import frames
from artcafe.wire.challenge import Challenge
from tests.kit.installation import counting
from tests.kit.issuers import StoppedClock
from tests.kit.scripted_peer import ScriptedPeer
from tests.kit.turns import turns
from tests.kit.unreliable_bus import Tap, UnreliableLink

ACME = TenantId("acme")
PLANNER = AgentPrincipal(ACME, AgentId("planner"), "SHA256:x")
CHALLENGE = Challenge("wss://example.com", "acme", "planner", "c1", "n" * 43, 1_764_000_030)


class Door:
    """connection.Door: lets in whoever comes, unless a tap says something else."""

    heartbeat_seconds = 25.0

    def __init__(self) -> None:
        self.proving, self.admitting = Tap(), Tap()
        self.link = UnreliableLink(MemoryLink(BUFFER_BYTES))
        self.hub = TenantHub(ACME, self.link)
        self.events: list[str] = []
        self.answers: list[frames.Auth] = []
        self.tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Work) -> None:
        """Run it."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def prove(self, challenge: Challenge, auth: frames.Auth) -> AgentPrincipal:
        """The planner, whatever was signed."""
        assert challenge is CHALLENGE
        self.answers.append(auth)
        await self.proving.through()
        return PLANNER

    async def admit(self, connection: Connection, principal: AgentPrincipal) -> Session:
        """A session on a bus in memory."""
        await self.admitting.through()
        return Session(
            principal=principal,
            client=connection,
            hub=self.hub,
            member=Member(connection, connection.dialect),
            dialect=connection.dialect,
            limits=frames.Limits(max_payload_bytes=1000, messages_per_second=200, subscriptions=8),
            clock=StoppedClock(),
            new_message_id=counting("m"),
            count=lambda subject, size: None,
            start=self.start,
        )

    def opened(self, connection: Connection) -> None:
        """Said once."""
        self.events.append("opened")

    def closed(self, connection: Connection) -> None:
        """Said once."""
        self.events.append("closed")


def arrive(door: Door, **changes: Any) -> ScriptedPeer:
    """A socket opens, in band unless told."""
    given: dict[str, Any] = {
        "connection_id": "c1",
        "remote": "192.0.2.1",
        "since": 0.0,
        "dialect": Plain(),
    }
    if "principal" not in changes:
        given["challenge"] = CHALLENGE
    return ScriptedPeer(Connection(door, **{**given, **changes}))


async def enter(door: Door) -> ScriptedPeer:
    """A socket whose login is done."""
    peer = arrive(door)
    await peer.expect("challenge")
    peer.say(type="auth", signature="x")
    await peer.expect("welcome")
    await turns()
    return peer
