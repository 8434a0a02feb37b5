"""A gateway of a few lines, for one connection."""

import asyncio

from artcafe.server.bus.memory import BUFFER_BYTES, MemoryLink
from artcafe.server.core.publishing.publisher import MessageServices
from artcafe.server.domain.access import Rights
from artcafe.server.domain.channel_rules import ChannelRules
from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.server.domain.policy import Policy
from artcafe.server.domain.principal import AgentPrincipal
from artcafe.server.gateway.dialects.dialect import Dialect
from artcafe.server.gateway.dialects.native import NativeDialect
from artcafe.server.gateway.fanout.hub import TenantHub
from artcafe.server.gateway.sessions.agent_session import AgentSession
from artcafe.server.gateway.sessions.authentication import Admission, Authenticated, Claim
from artcafe.server.gateway.sessions.client import Work
from artcafe.server.gateway.sessions.connection import Connection
from artcafe.server.gateway.sessions.session_services import SessionServices
from artcafe.server.gateway.sessions.turn_clock import TurnClock
from artcafe.server.gateway.websocket.turn_scheduler import TurnScheduler
from artcafe.wire import frames
from tests.kit.installation import counting
from tests.kit.issuers import StoppedClock
from tests.kit.rosters import OnlineAgents
from tests.kit.scripted_peer import ScriptedPeer
from tests.kit.sessions import require_owner
from tests.kit.tallies import telling, unlimited
from tests.kit.turns import turns
from tests.kit.unreliable_bus import Tap, UnreliableLink

ACME = TenantId("acme")
PLANNER = AgentPrincipal(ACME, AgentId("planner"), "SHA256:x")
QUESTION = frames.Challenge(namespace="n", nonce="n" * 43, expires_at="2025", text="Sign this.")


class Door:
    """connection.ConnectionHost: lets in whoever comes, unless a tap says something else."""

    heartbeat_seconds = 25.0

    def __init__(self) -> None:
        self.proving, self.admitting = Tap(), Tap()
        self.link = UnreliableLink(MemoryLink(BUFFER_BYTES))
        self.scheduler = TurnScheduler()
        self.hub = TenantHub(ACME, self.link, self.scheduler)
        self.events: list[str] = []
        self.answers: list[bytes] = []
        self.tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Work) -> None:
        """Run it."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def question(self) -> frames.Challenge:
        """authentication.Authenticator: what this door asks everybody."""
        return QUESTION

    async def authenticate(self, message: bytes) -> Authenticated:
        """authentication.Authenticator: the planner, whatever is answered."""
        self.answers.append(message)
        await self.proving.through()
        return Authenticated(PLANNER)

    async def admit(self, connection: Connection, authenticated: Authenticated) -> AgentSession:
        """A session on a bus in memory."""
        await self.admitting.through()
        return AgentSession(
            authenticated.principal,
            Rights(authenticated.principal, Policy(), ChannelRules([])),
            client=connection,
            dialect=connection.dialect,
            hub=self.hub,
            limits=frames.Limits(max_payload_bytes=1000, messages_per_second=200, subscriptions=8),
            services=SessionServices(
                messages=MessageServices(
                    clock=TurnClock(StoppedClock(), self.scheduler),
                    new_message_id=counting("m"),
                    tally=telling([]),
                    quota=unlimited,
                ),
                start=self.start,
                rosters=OnlineAgents().rosters(StoppedClock().monotonic, self.start),
                said=lambda *_: None,
                require_owner=require_owner,
            ),
        )

    async def renew(self, connection: Connection, token: str) -> int:
        """Any token is good for ever, nearly."""
        return 2_000_000_000

    def opened(self, connection: Connection) -> None:
        """Said once."""
        self.events.append("opened")

    def closed(self, connection: Connection, code: int) -> None:
        """Said once."""
        self.events.append("closed")


def arrive(
    door: Door, authenticated: AgentPrincipal | None = None, dialect: Dialect | None = None
) -> ScriptedPeer:
    """A socket opens: of somebody proven, or of somebody who is to be asked."""
    admission = Admission(
        dialect or NativeDialect(), door if authenticated is None else Authenticated(authenticated)
    )
    return ScriptedPeer(
        Connection(door, admission, Claim("websocket"), connection_id="c1", remote="192.0.2.1", since=0.0)
    )


async def enter(door: Door) -> ScriptedPeer:
    """A socket whose login is done."""
    peer = arrive(door)
    await peer.expect("challenge")
    peer.say(type="auth", signature="x")
    await peer.expect("welcome")
    await turns()
    return peer
