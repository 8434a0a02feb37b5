"""A session between a client and a bus in memory."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from artcafe.server.bus.memory import BUFFER_BYTES, MemoryLink
from artcafe.server.core.publishing.publisher import MessageServices
from artcafe.server.domain.access import Rights
from artcafe.server.domain.channel import Channel
from artcafe.server.domain.channel_rules import ChannelRules
from artcafe.server.domain.ids import AgentId, ChannelId, TenantId
from artcafe.server.domain.policy import Policy
from artcafe.server.domain.principal import AgentPrincipal, Principal
from artcafe.server.gateway.dialects.dialect import Dialect
from artcafe.server.gateway.dialects.native import NativeDialect
from artcafe.server.gateway.fanout.hub import TenantHub
from artcafe.server.gateway.sessions.agent_session import AgentSession
from artcafe.server.gateway.sessions.client import Work
from artcafe.server.gateway.sessions.session_services import SessionServices
from artcafe.server.gateway.sessions.turn_clock import TurnClock
from artcafe.server.gateway.websocket.turn_scheduler import TurnScheduler
from artcafe.wire import frames
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.installation import counting
from tests.kit.issuers import NOON, StoppedClock
from tests.kit.rosters import OnlineAgents
from tests.kit.scripted_peer import texts
from tests.kit.tallies import Count, telling, unlimited
from tests.kit.turns import turns
from tests.kit.unreliable_bus import Tap, UnreliableLink

ACME = TenantId("acme")
NOW = "2025-11-24T16:00:00.000Z"
RATE = 5
LARGEST = 1000


@dataclass
class Table:
    """A session, its client, and everything that is on the bus of its tenant."""

    session: AgentSession
    link: UnreliableLink
    clock: StoppedClock
    client: "Client"
    counted: list[Count]
    tasks: "set[asyncio.Task[None]]"
    rules: ChannelRules
    bus: list[tuple[str, Any]] = field(default_factory=list)

    async def say(self, **frame: Any) -> list[dict[str, Any]]:
        """Send one frame, wait for its work, and read what came."""
        return await self.send(frames.encode(frame))

    async def send(self, text: bytes) -> list[dict[str, Any]]:
        """The same, byte by byte."""
        work = self.session.take(text)
        if work is not None:
            await work
        await turns()
        return self.read()

    def read(self) -> list[dict[str, Any]]:
        """What came since this was last asked."""
        got, self.client.got = self.client.got, []
        return got


class Client:
    """client.Client."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.raw: list[bytes] = []
        self.ended: list[Code] = []
        self.refused_for_its_rate = 0
        self.owed = 0
        self.renewing = Tap()
        self.taking = Tap()
        self.failure: Exception | None = None

    def send(self, frame: msgspec.Struct) -> None:
        """client.Client."""
        self.got.append(json.loads(frames.encode(frame)))

    def deliver(self, framed: bytes) -> None:
        """client.Client."""
        if self.failure is not None:
            raise self.failure
        self.raw.extend(texts(framed))
        self.got.extend(json.loads(text) for text in texts(framed))

    def end(self, code: Code) -> None:
        """client.Client."""
        self.ended.append(code)

    async def room(self) -> None:
        """client.Client: it takes everything, once a tap lets it."""
        await self.taking.through()

    def owe(self, count: int) -> None:
        """client.Client."""
        self.owed += count

    def throttled(self) -> None:
        """client.Client."""
        self.refused_for_its_rate += 1

    async def renew(self, token: str) -> int:
        """client.Client: any token is good for a minute, unless a tap says something else."""
        await self.renewing.through()
        return NOON + 60


PLANNER = AgentPrincipal(ACME, AgentId("planner"), "SHA256:x")


async def require_owner(_: TenantId, owner: str) -> None:
    """SessionServices.require_owner: there is everybody but `nobody`."""
    if owner == "nobody":
        raise ArtcafeError(Code.not_found)


async def a_table(
    principal: Principal = PLANNER,
    *,
    rights: Rights | None = None,
    dialect: Dialect | None = None,
    kind: type[AgentSession] = AgentSession,
    rules: ChannelRules | None = None,
    hub: TenantHub | None = None,
    rate: int = RATE,
) -> Table:
    """Somebody of the tenant `acme`, in: the agent `planner` unless told, with all rights unless told; on a
    process of its own, unless a hub is told."""
    link, clock, client = UnreliableLink(MemoryLink(BUFFER_BYTES)), StoppedClock(), Client()
    if hub is not None:
        assert isinstance(hub.link, UnreliableLink)
        link = hub.link
    counted: list[Count] = []
    scheduler = TurnScheduler()
    tasks: set[asyncio.Task[None]] = set()

    def start(work: Work) -> None:
        tasks.add(asyncio.create_task(work))

    spoken, rules = dialect or NativeDialect(), rules or ChannelRules([])
    session = kind(
        principal,
        rights or Rights(principal, Policy(), rules),
        client=client,
        dialect=spoken,
        hub=hub or TenantHub(ACME, link, scheduler),
        limits=frames.Limits(max_payload_bytes=LARGEST, messages_per_second=rate, subscriptions=3),
        services=SessionServices(
            messages=MessageServices(
                clock=TurnClock(clock, scheduler),
                new_message_id=counting("m"),
                tally=telling(counted),
                quota=unlimited,
            ),
            start=start,
            rosters=OnlineAgents().rosters(clock.monotonic, start),
            said=lambda *_: None,
            require_owner=require_owner,
        ),
    )
    table = Table(session, link, clock, client, counted, tasks, rules)
    await link.inner.subscribe(">", lambda subject, payload: table.bus.append((subject, json.loads(payload))))
    return table


def a_channel(name: str, **rules: Any) -> Channel:
    """A channel of `acme`."""
    given = {"id": ChannelId(name), "tenant": ACME, "name": name, "created_at": NOW, "updated_at": NOW}
    return Channel(**{**given, **rules})


def errors(*codes: Code, **fields: Any) -> Callable[[list[dict[str, Any]]], bool]:
    """Tell whether the frames are these errors, each with these fields."""

    def check(got: list[dict[str, Any]]) -> bool:
        assert [frame["type"] for frame in got] == ["error"] * len(codes), got
        assert [frame["code"] for frame in got] == [code.name for code in codes]
        assert all(frame["message"] for frame in got)
        return all({name: frame.get(name) for name in fields} == fields for frame in got)

    return check
