"""A gateway on a store and a bus in memory, and clients at its door."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from artcafe.server.bus.events import BusEvents
from artcafe.server.core.presence.questions import TOPIC as ASKED
from artcafe.server.core.publishing.publisher import MessageServices
from artcafe.server.domain.ids import AgentId, TenantId, UserId
from artcafe.server.domain.principal import Human, User
from artcafe.server.domain.tenant import Role
from artcafe.server.gateway.gateway import Gateway
from artcafe.server.gateway.limits import GatewayLimits
from artcafe.server.gateway.login.agents import AGENT_PATH
from artcafe.server.gateway.sessions.turn_clock import TurnClock
from artcafe.server.gateway.websocket.handshake import Accept, Upgrade
from artcafe.server.gateway.websocket.turn_scheduler import TurnScheduler
from artcafe.server.ports.bus import Subscription
from artcafe.server.store.agents import AgentTable
from artcafe.server.store.channels import ChannelTable
from artcafe.server.store.item import Item, ItemPage, ItemStore, Op
from artcafe.server.store.near import NearCache
from artcafe.server.store.table import Table
from artcafe.server.store.tenants import TenantTable
from artcafe.wire.frames import SUBPROTOCOL
from tests.kit.deadlines import eventually
from tests.kit.installation import ACME, Installation, Process, counting
from tests.kit.scripted_peer import ScriptedPeer
from tests.kit.signing import KeyPair
from tests.kit.tokens import KnownTokens
from tests.kit.turns import turns
from tests.kit.unreliable_bus import Tap, UnreliableBus
from tests.kit.unreliable_store import UnreliableStore

ADDRESS = "192.0.2.1"
DASHBOARD_PATH = "/api/v1/ws/dashboard"

LIMITS = GatewayLimits(
    max_payload_bytes=1000,
    max_subscriptions=8,
    max_agent_connections=8,
    max_pending_logins=1000,
    max_pending_logins_per_address=64,
    heartbeat_seconds=0.02,
)
"""The heartbeat is of the installation's clock; the gateway looks at it every 10 real milliseconds."""


class WaitingStore(UnreliableStore):
    """A store whose reads and writes wait at a tap. `read` has what was read, also by queries; `written` what
    was written in transactions."""

    def __init__(self, store: ItemStore) -> None:
        super().__init__(store)
        self.reading, self.writing = Tap(), Tap()
        self.read: list[str] = []
        self.written: list[str] = []

    async def query(self, pk: str, prefix: str = "", limit: int = 100, cursor: str | None = None) -> ItemPage:
        """See ItemStore; waits for nothing."""
        self.read.append(prefix)
        return await super().query(pk, prefix, limit, cursor)

    async def get(self, pk: str, sk: str) -> Item | None:
        """See ItemStore; what was read is what there was before it waited."""
        self.read.append(sk)
        item = await super().get(pk, sk)
        await self.reading.through()
        return item

    async def transact(self, ops: Sequence[Op]) -> list[str | None]:
        """See ItemStore."""
        self.written += [op.sk for op in ops]
        await self.writing.through()
        return await super().transact(ops)


@dataclass
class House:
    """A gateway, and everything it stands on.

    `login_store` is what logins are proven by, `admission_store` what admission reads from; the
    installation's own store, by which humans act, waits for neither.
    """

    gateway: Gateway
    installation: Installation
    process: Process
    bus: UnreliableBus
    login_store: WaitingStore
    admission_store: WaitingStore
    olivia: Human
    key: KeyPair
    tokens: KnownTokens
    directory: NearCache
    hearing: list[Subscription]

    async def knock(
        self,
        agent: str = "a1",
        tenant: str = ACME,
        *,
        remote: str = ADDRESS,
        protocols: tuple[str, ...] = (SUBPROTOCOL,),
        proof: Mapping[str, str] | None = None,
    ) -> Accept:
        """Ask for an upgrade, with a proof in the URL where there is one. Raises what the endpoint raises."""
        query = {"tenant_id": [tenant], **{name: [value] for name, value in (proof or {}).items()}}
        upgrade = Upgrade(AGENT_PATH + agent, query, {}, protocols, remote, "example.com")
        answer = await self.gateway.endpoint(upgrade)
        assert isinstance(answer, Accept)
        return answer

    async def arrive(self, agent: str = "a1", tenant: str = ACME, remote: str = ADDRESS) -> ScriptedPeer:
        """A socket that opened and was not answered on."""
        return ScriptedPeer((await self.knock(agent, tenant, remote=remote)).handler, remote)

    async def answer(self, peer: ScriptedPeer, key: KeyPair | None = None) -> None:
        """Answer the challenge; what comes of it is not awaited."""
        challenge = await peer.expect("challenge")
        peer.say(type="auth", signature=(key or self.key).sign(challenge["text"]))

    async def enter(
        self, agent: str = "a1", tenant: str = ACME, key: KeyPair | None = None, remote: str = ADDRESS
    ) -> ScriptedPeer:
        """A socket whose agent is in."""
        peer = await self.arrive(agent, tenant, remote)
        await self.answer(peer, key)
        await peer.expect("welcome", agent=agent, tenant=tenant)
        return peer

    async def look(
        self, path: str = DASHBOARD_PATH, headers: Mapping[str, str] | None = None, **query: str
    ) -> ScriptedPeer:
        """A dashboard's socket that opened. Raises what the endpoint raises."""
        given = {name: [value] for name, value in query.items()}
        named = headers or {}
        upgrade = Upgrade(path, given, named, (), ADDRESS, named.get("host", "example.com"))
        answer = await self.gateway.endpoint(upgrade)
        assert isinstance(answer, Accept)
        assert answer.protocol is None
        return ScriptedPeer(answer.handler, ADDRESS)

    async def watch(
        self, user: str = "olivia", seconds: float = 3600, groups: Sequence[str] = ()
    ) -> ScriptedPeer:
        """A dashboard's socket whose human is in."""
        peer = await self.look()
        token = self.tokens.give(user, seconds=seconds, groups=groups)
        peer.say(type="auth", token=token, tenant_id=ACME)
        await peer.expect("connected", user_id=user, tenant_id=ACME)
        return peer

    async def join(self, user: str, role: Role) -> None:
        """A member of `acme` in this role."""
        await self.installation.process.tenants.admit(ACME, User(UserId(user)), role)

    async def swept(self, inside: ScriptedPeer) -> None:
        """The gateway has looked at everything once more, and so at this connection."""
        asked = inside.asked
        self.installation.clock.advance(LIMITS.heartbeat_seconds)
        await eventually(lambda: inside.asked > asked, "a heartbeat")
        await turns()

    def proof(self, agent: str = "a1", key: KeyPair | None = None) -> dict[str, str]:
        """Challenge and signature for a URL."""
        text = self.process.login.challenge("wss://example.com", ACME, AgentId(agent)).text()
        return {"challenge": text, "signature": (key or self.key).sign(text)}

    def counts(self, tenant: TenantId = ACME) -> tuple[int, int, int, int]:
        """Who waits for a login (by address too), who is inside, who is counted, and links that are held."""
        waiting = self.gateway._pending_logins._by_address.total()
        inside = len(list(self.gateway._registry))
        return waiting, inside, self.process.presence.here(tenant), self.bus.held[tenant]


NOBODY = (0, 0, 0, 0)
"""House.counts() when everything is given back."""


async def gone(house: House) -> None:
    """Everything that was counted is given back, once."""
    await eventually(lambda: house.counts() == NOBODY, f"an empty house, not {house.counts()},")


async def revoke(house: House) -> None:
    """Revoke the key of `a1`."""
    await house.installation.process.agents.revoke_key(house.olivia, AgentId("a1"), house.key.fingerprint)


@asynccontextmanager
async def a_house(
    installation: Installation | None = None, name: str = "gateway", **limits: Any
) -> AsyncIterator[House]:
    """A running gateway; in an installation of its own, with the tenant `acme` and its agent `a1`, or one
    more of an installation that has both."""
    key = KeyPair()
    if installation is None:
        installation = await Installation.open()
        await installation.make_agent(await installation.make_tenant(), "a1", key)
    olivia = Human(ACME, UserId("olivia"), Role.owner, "olivia@example.com")
    login_store, admission_store = WaitingStore(installation.memory), WaitingStore(installation.memory)
    process = installation.start(name, store=login_store)
    admission = Table(admission_store)
    directory = NearCache(
        TenantTable(admission), AgentTable(admission), ChannelTable(admission), installation.clock
    )
    bus, tokens = UnreliableBus(installation.bus), KnownTokens(installation.clock.now)
    scheduler = TurnScheduler()
    gateway = Gateway(
        login=process.login,
        tokens=tokens,
        enter=process.tenants.enter,
        directory=directory,
        presence=process.presence,
        agents=AgentTable(admission),
        meter=process.meter,
        messages=MessageServices(
            clock=TurnClock(installation.clock, scheduler),
            new_message_id=counting(f"{name}-m"),
            tally=process.meter.tally,
            quota=process.quotas.of,
        ),
        bus=bus,
        scheduler=scheduler,
        clock=installation.clock,
        limits=replace(LIMITS, **limits),
        allowed_origins={"https://app.example.com"},
        server_name=lambda host: f"wss://{host}",
        new_connection_id=counting("c"),
        process="",
        jitter=lambda: 0.25,
    )

    hears = BusEvents(
        installation.bus,
        installation.bus,
        installation.bus,
        TenantTable(admission).rules,
        ChannelTable(admission).durable,
        forget=[directory.forget],
        forget_all=directory.forget_all,
        end_counters=process.meter.end,
    )
    async with gateway:
        hearing: list[Subscription] = [
            *await hears.hear(gateway),
            await installation.bus.answer(ASKED, gateway.presence_publisher.asked),
        ]
        yield House(
            gateway,
            installation,
            process,
            bus,
            login_store,
            admission_store,
            olivia,
            key,
            tokens,
            directory,
            hearing,
        )
        # A gateway waits for what it started: nothing that a test has shut stays shut.
        for tap in (bus.linking, *_taps(login_store), *_taps(admission_store)):
            tap.open()


def _taps(store: WaitingStore) -> tuple[Tap, Tap]:
    return store.reading, store.writing
