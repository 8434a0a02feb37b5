"""The composition root: the only file that knows every adapter, and what a clock and an id are here."""

import asyncio
import itertools
import logging
import random
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from ipaddress import IPv4Network, IPv6Network, ip_network

import httpx
from fastapi import FastAPI

from artcafe.server.api import agents, channels, errors, health, local, login, openapi, tenants, usage
from artcafe.server.api.deps import UseCases
from artcafe.server.api.limits import BodyLimit
from artcafe.server.bus.authority import Authority
from artcafe.server.bus.control import ControlLink
from artcafe.server.bus.operator import Operator
from artcafe.server.bus.tenants import TenantLinks
from artcafe.server.core.agents import Agents
from artcafe.server.core.channels import Channels
from artcafe.server.core.login import Login
from artcafe.server.core.messages import Messages
from artcafe.server.core.presence import Presence
from artcafe.server.core.tenants import Tenants
from artcafe.server.core.usage import Meter
from artcafe.server.domain.revocation import TOPIC
from artcafe.server.gateway.gateway import Gateway, GatewayLimits
from artcafe.server.gateway.mount import Limits, websocket_protocol
from artcafe.server.identity.dev_issuer import JWKS_PATH, LOCAL_CLIENT, LocalIssuer
from artcafe.server.identity.oidc import OidcConfig, OidcVerifier, discover
from artcafe.server.identity.ssh import SshVerifier
from artcafe.server.identity.ssh_keys import generate_key_pair, parse_public_key
from artcafe.server.settings import LOOPBACK, Settings
from artcafe.server.store.agents import AgentTable
from artcafe.server.store.channels import ChannelTable
from artcafe.server.store.login import ChallengeTable
from artcafe.server.store.presence import SightingTable
from artcafe.server.store.sqlite import SqliteStore
from artcafe.server.store.table import Table, translated
from artcafe.server.store.tenants import MemberTable, TenantTable
from artcafe.server.store.usage import UsageTable
from artcafe.wire.errors import ArtcafeError

LOG = logging.getLogger("artcafe")

VERSION = version("artcafe-pubsub")

LOCAL_ISSUER = "http://127.0.0.1/local"
"""The embedded issuer's name. It has no port, so that tokens outlive a change of the port."""

FRAME_OVERHEAD = 4096
"""What a frame may have around its payload, in bytes."""

SWEEP_SECONDS = 600.0
"""How often expired items are removed from the store."""


class SystemClock:
    """The machine's time."""

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()


def new_id() -> str:
    """An identifier that nobody guesses and nobody else has."""
    return uuid.uuid4().hex


def message_ids() -> Callable[[], str]:
    """Identifiers of messages: cheap, different from those of every other process."""
    process, numbers = secrets.token_hex(8), itertools.count(1)
    return lambda: f"{process}-{next(numbers):x}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where this process listens, once it is known: the port in the settings may be 0."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """How this machine reaches it."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::", ""} else self.host  # noqa: S104
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Platform:
    """A running platform, without a socket of its own."""

    app: FastAPI
    websocket: type[asyncio.Protocol]
    gateway: Gateway


@asynccontextmanager
async def platform(
    settings: Settings, *, place: Place, nats_url: str, seed: bytes, embedded: bool
) -> AsyncIterator[Platform]:
    """Open everything the platform stands on, in order; close it in reverse.

    Raises BusRefusedError, StoreUnusable, ValueError, ArtcafeError(unavailable): sentences for people.
    """
    async with AsyncExitStack() as stack:
        clock = SystemClock()
        operator = Operator(seed, clock)
        store = SqliteStore(settings.data_dir / "store.sqlite", clock=clock.now, new_rev=new_id)
        await store.open()
        stack.push_async_callback(store.close)
        authority = await stack.enter_async_context(Authority(nats_url, operator))
        control = await stack.enter_async_context(ControlLink(nats_url, operator))
        links = await stack.enter_async_context(
            TenantLinks(nats_url, operator, idle_seconds=settings.idle_link_seconds)
        )
        table = Table(store)
        records, members, keyholders = TenantTable(table), MemberTable(table), AgentTable(table)
        rooms, sightings = ChannelTable(table), SightingTable(table)
        meter = Meter(UsageTable(table), clock)
        presence = Presence(sightings, clock, "embedded" if embedded else new_id())
        stack.push_async_callback(_finish, meter, presence)
        issuer = _local_issuer(settings, clock, embedded=embedded)
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=5.0))
        entry = Login(
            tenants=records,
            agents=keyholders,
            challenges=ChallengeTable(table),
            sightings=sightings,
            verifier=SshVerifier(),
            secret=_secret(settings, seed),
            clock=clock,
            random=secrets.token_bytes,
        )
        households = Tenants(
            records=records,
            members=members,
            accounts=authority,
            control=control,
            clock=clock,
            new_id=new_id,
            default_tier=settings.default_tier,
        )
        next_message_id = message_ids()
        name_of_server = server_name(settings, place)
        gateway = Gateway(
            login=entry,
            tenants=records,
            presence=presence,
            meter=meter,
            bus=links,
            clock=clock,
            limits=_gateway_limits(settings),
            server_name=name_of_server,
            new_connection_id=new_id,
            new_message_id=next_message_id,
            jitter=random.random,
        )
        await stack.enter_async_context(gateway)
        await control.hear(TOPIC, gateway.revoked)
        LOG.info("reconciled %d accounts on the bus", await households.reconcile())
        cases = UseCases(
            tenants=households,
            agents=Agents(
                records=keyholders,
                tenants=records,
                sightings=sightings,
                control=control,
                read_key=parse_public_key,
                make_key_pair=lambda: asyncio.to_thread(generate_key_pair),
                clock=clock,
                new_id=new_id,
            ),
            channels=Channels(records=rooms, tenants=records, clock=clock, new_id=new_id),
            messages=Messages(
                bus=links,
                tenants=records,
                clock=clock,
                new_message_id=next_message_id,
                count=meter.message,
            ),
            login=entry,
            presence=presence,
            meter=meter,
            tokens=await _verifier(settings, place, http, clock, embedded=embedded),
            issuer=issuer,
            clock=clock,
            server_name=name_of_server,
            checks={"bus": links.ping, "store": _store_check(store)},
            version=VERSION,
        )
        chores = await stack.enter_async_context(asyncio.TaskGroup())
        for chore in (
            _every(settings.flush_seconds, meter.flush, presence.announce),
            _every(SWEEP_SECONDS, _sweep(store)),
        ):
            stack.callback(chores.create_task(chore).cancel)
        yield Platform(
            app=create_app(cases, settings.max_payload_bytes + FRAME_OVERHEAD),
            websocket=websocket_protocol(
                gateway.endpoint, _socket_limits(settings), _proxies(settings.trusted_proxies)
            ),
            gateway=gateway,
        )


def create_app(cases: UseCases, max_body_bytes: int) -> FastAPI:
    """The REST API over some use cases."""
    app = FastAPI(
        title="ArtCafe PubSub",
        description="Humans manage tenants, agents and channels. Agents talk over WebSockets.",
        version=cases.version,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.use_cases = cases
    errors.install(app)
    app.add_middleware(BodyLimit, limit=max_body_bytes)
    for room in (health, tenants, login, agents, channels, usage, local):
        app.include_router(room.router)
    openapi.install(app)
    return app


def _local_issuer(settings: Settings, clock: SystemClock, *, embedded: bool) -> LocalIssuer | None:
    if not embedded or settings.issuer is not None:
        return None
    return LocalIssuer.open(settings.data_dir / "issuer", LOCAL_ISSUER, clock, new_id)


async def _verifier(
    settings: Settings, place: Place, http: httpx.AsyncClient, clock: SystemClock, *, embedded: bool
) -> OidcVerifier:
    if settings.issuer is not None:
        config = OidcConfig(
            issuer=settings.issuer,
            jwks_url=settings.oidc_jwks_url
            or await discover(
                http, settings.issuer, allow_insecure_loopback=settings.oidc_allow_loopback_http
            ),
            client_ids=settings.client_ids,
            audiences=settings.audiences,
            token_use_required=settings.cognito_user_pool_id is not None,
            tenant_claim=settings.oidc_tenant_claim,
            allow_insecure_loopback=settings.oidc_allow_loopback_http,
        )
    elif embedded:
        config = OidcConfig(
            issuer=LOCAL_ISSUER,
            jwks_url=f"{place.url}/local{JWKS_PATH}",
            client_ids=frozenset({LOCAL_CLIENT}),
            audiences=frozenset(),
            token_use_required=True,
            tenant_claim=settings.oidc_tenant_claim,
            allow_insecure_loopback=True,
        )
    else:
        raise ValueError(
            "Humans need an issuer of tokens: set ARTCAFE_OIDC_ISSUER, or AWS_REGION with "
            "COGNITO_USER_POOL_ID. The local issuer is for `artcafe up` alone."
        )
    return OidcVerifier(config, http, clock)


def _secret(settings: Settings, seed: bytes) -> bytes:
    given = settings.secret_key.get_secret_value().encode() if settings.secret_key else seed
    return sha256(b"artcafe challenge secret\n" + given).digest()


def server_name(settings: Settings, place: Place) -> Callable[[str], str]:
    """What agents sign as the server: never what a client made up, so a login cannot be relayed.

    Without a public address, a loopback name with the right port is as good as the place itself.
    """

    ours = {f"{name}:{place.port}" for name in LOOPBACK}

    def name(host: str) -> str:
        if settings.public_url is not None:
            return settings.public_url
        if host in ours:
            return f"ws://{host}"
        return place.url.replace("http://", "ws://", 1)

    return name


def _gateway_limits(settings: Settings) -> GatewayLimits:
    return GatewayLimits(
        max_payload_bytes=settings.max_payload_bytes,
        max_subscriptions=settings.max_subscriptions,
        max_agent_connections=settings.max_agent_connections,
        max_pending_logins=settings.max_pending_logins,
        max_pending_logins_per_address=settings.max_pending_logins_per_address,
        heartbeat_seconds=settings.heartbeat_seconds,
    )


def _socket_limits(settings: Settings) -> Limits:
    return Limits(
        message_bytes=settings.max_payload_bytes + FRAME_OVERHEAD, queued_bytes=settings.max_queued_bytes
    )


def _proxies(text: str) -> list[IPv4Network | IPv6Network]:
    return [ip_network(network.strip()) for network in text.split(",") if network.strip()]


def _store_check(store: SqliteStore) -> Callable[[], Awaitable[None]]:
    async def check() -> None:
        with translated():
            await store.ping()

    return check


def _sweep(store: SqliteStore) -> Callable[[], Awaitable[None]]:
    async def sweep() -> None:
        with translated():
            await store.sweep()

    return sweep


async def _every(seconds: float, *works: Callable[[], Awaitable[None]]) -> None:
    """Do this again and again; what fails for a moment is logged and done again next time."""
    while True:
        await asyncio.sleep(seconds)
        for work in works:
            try:
                await work()
            except ArtcafeError as error:
                LOG.warning("%s", error)


async def _finish(meter: Meter, presence: Presence) -> None:
    """Write what was counted: a clean stop loses nothing."""
    for work in (meter.flush, presence.announce):
        try:
            await work()
        except ArtcafeError as error:
            LOG.error("not written at the end: %s", error)
