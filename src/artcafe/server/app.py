"""The composition root: the only file that knows every adapter."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

from fastapi import FastAPI

from artcafe.server.api.application import create_app
from artcafe.server.api.deps import ApiResources, UseCases
from artcafe.server.api.pages import PageTokens
from artcafe.server.api.readiness import PROBE_SECONDS, Check, Readiness, RecentAnswers
from artcafe.server.bus.accounts.authority import Authority
from artcafe.server.bus.accounts.operator import Operator
from artcafe.server.bus.events import MISSED_SECONDS, RETRY_SECONDS, BusEvents
from artcafe.server.bus.memory import MemoryBus
from artcafe.server.core.agents import Agents
from artcafe.server.core.audit import Audit
from artcafe.server.core.channels import Channels
from artcafe.server.core.deletions import WORK_SECONDS, Deletions
from artcafe.server.core.durable.history import History
from artcafe.server.core.durable.subscriptions import ChannelSubscriptions
from artcafe.server.core.invitations import Invitations
from artcafe.server.core.legal import Legal
from artcafe.server.core.login import Login
from artcafe.server.core.operations import TenantOperations
from artcafe.server.core.presence.leases import RENEW_SECONDS as RENEW_PRESENCE_SECONDS
from artcafe.server.core.presence.presence import Presence
from artcafe.server.core.presence.questions import TOPIC as ASKED
from artcafe.server.core.publishing.messages import Messages
from artcafe.server.core.publishing.publisher import MessageClock, MessageServices
from artcafe.server.core.quotas import LOOK_SECONDS, Quotas
from artcafe.server.core.tenants import Tenants
from artcafe.server.core.throttle import Throttle
from artcafe.server.core.usage import Meter
from artcafe.server.domain.addresses import client_address
from artcafe.server.flushing import EVER_SECONDS, finish, flushing
from artcafe.server.gateway.gateway import Gateway
from artcafe.server.gateway.limits import GatewayLimits
from artcafe.server.gateway.sessions.turn_clock import TurnClock
from artcafe.server.gateway.websocket.mount import SocketLimits, websocket_protocol
from artcafe.server.gateway.websocket.turn_scheduler import TurnScheduler
from artcafe.server.identity.sealing import AesSealer
from artcafe.server.identity.ssh import SshVerifier
from artcafe.server.identity.ssh_keys import generate_key_pair, parse_public_key
from artcafe.server.identity.verification import Verification
from artcafe.server.installed import (
    TEND_SECONDS,
    Tending,
    control_plane,
    every,
    in_memory,
    join,
    links_of,
    logged,
    open_store,
    store_at,
    store_check,
    sweep_of,
    until_done,
    whenever,
)
from artcafe.server.issuers import (
    discovery,
    http_client,
    local_issuer,
    local_sign_in,
    operators,
    sign_in_client,
    token_verifier,
)
from artcafe.server.names import server_name, trusted_proxies
from artcafe.server.process import MessageIds, Place, SystemClock, new_id
from artcafe.server.seed import derived_secret
from artcafe.server.settings import Settings
from artcafe.server.store.agents import AgentTable
from artcafe.server.store.answers import AnswerTable
from artcafe.server.store.audit import AuditTable
from artcafe.server.store.channels import ChannelTable
from artcafe.server.store.deletions import DeletionTable
from artcafe.server.store.invitations import InvitationTable
from artcafe.server.store.leases import LeaseTable
from artcafe.server.store.legal import LegalTable
from artcafe.server.store.login import ChallengeTable
from artcafe.server.store.members import MemberTable
from artcafe.server.store.near import NearCache
from artcafe.server.store.planted import PlantedRows
from artcafe.server.store.presence import PresenceTable
from artcafe.server.store.servers import RENEW_SECONDS
from artcafe.server.store.sign_in import SignInTable
from artcafe.server.store.table import Table
from artcafe.server.store.tenants import TenantTable
from artcafe.server.store.usage import UsageTable
from artcafe.server.store.usage_cleaning import STEP_SECONDS, UsageCleaning
from artcafe.server.telemetry.telemetry import Telemetry

VERSION = version("artcafe-pubsub")

FRAME_OVERHEAD = 4096
"""What a frame may have around its payload, in bytes."""

SWEEP_SECONDS = 600.0
"""How often expired items are removed from the store."""


@dataclass(frozen=True, slots=True)
class Platform:
    """A running platform without a socket. `flush` writes what was counted, or raises unavailable.

    `hold` says that this process uses the store; for one that stands still between its requests, so that
    nothing is done at its time.
    """

    app: FastAPI
    websocket: type[asyncio.Protocol]
    gateway: Gateway
    flush: Callable[[], Awaitable[None]]
    hold: Callable[[], Awaitable[None]]


@asynccontextmanager
async def platform(
    settings: Settings,
    *,
    place: Place,
    nats_url: str,
    seed: bytes,
    embedded: bool,
    name: str,
    resident: bool = True,
    memory: MemoryBus | None = None,
    telemetry: Telemetry | None = None,
) -> AsyncIterator[Platform]:
    """Open everything the platform stands on, in order; close it in reverse. `name` tells this process from
    all others of the installation that run; one that takes the place of another may have its name. One
    that is not `resident` stands still between its requests: others remove what is left of deleted tenants.
    With a bus in `memory` the store is in memory, too, and there is no NATS and no other process. `telemetry`
    measures it.

    Raises BusRefusedError, StoreUnusable, WrongInstallation, ValueError, ArtcafeError(unavailable): sentences
    for people.
    """
    async with AsyncExitStack() as stack:
        clock = SystemClock()
        operator = Operator(seed, clock)
        backend = store_at(settings, settings.store, clock) if memory is None else in_memory(clock)
        store, lease = await open_store(
            stack, backend if telemetry is None else telemetry.store(backend), clock, name
        )
        authority, control, streams = await control_plane(stack, settings, nats_url, operator, memory)

        table = Table(store)
        records, members, keyholders = TenantTable(table), MemberTable(table), AgentTable(table)
        rooms, sightings = ChannelTable(table), PresenceTable(table)
        near = NearCache(records, keyholders, rooms, clock)
        installation = await join(settings, authority, streams, table, clock)
        links = await links_of(stack, settings, nats_url, operator, memory, installation.restore)
        meter = Meter(UsageTable(table), sightings, clock)
        quotas = Quotas(meter.messages, near, clock, settings.quota_grace_percent)
        presence = Presence(sightings, LeaseTable(table), control, clock, name, new_id)
        events = BusEvents(
            control,
            authority,
            streams,
            records.rules,
            rooms.durable,
            forget=(near.forget, table.forget, quotas.forget),
            forget_all=near.forget_all,
            end_counters=meter.end,
        )
        stack.push_async_callback(events.finish)
        stack.push_async_callback(finish, sightings, meter)
        issuer = local_issuer(settings, clock, embedded=embedded)
        operating = operators(settings, issuer)
        http = await stack.enter_async_context(http_client(settings))
        entry = Login(
            directory=near,
            challenges=ChallengeTable(table),
            uses=sightings,
            verifier=stack.enter_context(closing(Verification(SshVerifier()))),
            secret=derived_secret(settings, seed, "challenge secret"),
            clock=clock,
            random=secrets.token_bytes,
            limits=settings.login_limits,
        )
        invitations = Invitations(
            records=InvitationTable(table),
            directory=near,
            events=events,
            clock=clock,
            new_id=new_id,
            random=secrets.token_bytes,
            groups=settings.groups,
        )
        begun = asyncio.Event()
        deletions = Deletions(
            records=DeletionTable(table),
            accounts=authority,
            events=events,
            clock=clock,
            new_id=new_id,
            begun=begun.set,
        )
        households = Tenants(
            records=records,
            index=records,
            members=members,
            directory=near,
            accounts=authority,
            events=events,
            clock=clock,
            new_id=new_id,
            default_tier=settings.tier_of_new_tenants,
            documents=settings.documents,
            groups=settings.groups,
            operators=operating,
            creation=settings.creation,
            withdraw=invitations.withdraw,
        )
        next_message_id = MessageIds()
        scheduler = TurnScheduler()
        name_of_server = server_name(settings, place)
        tokens = await token_verifier(settings, place, http, clock, embedded=embedded)
        services = partial(
            MessageServices,
            new_message_id=next_message_id,
            tally=meter.tally,
            quota=quotas.of,
            trace=None if telemetry is None else telemetry.trace_publication,
        )
        gateway = Gateway(
            login=entry,
            tokens=tokens,
            enter=households.enter,
            directory=near,
            presence=presence,
            agents=keyholders,
            meter=meter,
            messages=services(clock=TurnClock(clock, scheduler)),
            bus=links,
            scheduler=scheduler,
            clock=clock,
            limits=_gateway_limits(settings),
            allowed_origins=settings.origins,
            server_name=name_of_server,
            new_connection_id=new_id,
            process=next_message_id.process,
            jitter=random.random,
        )
        await stack.enter_async_context(gateway)
        await events.hear(gateway)
        await control.answer(ASKED, gateway.presence_publisher.asked)
        checks: dict[str, Check] = {"bus": links.ping, "store": store_check(store)}
        # The embedded issuer is this process itself.
        keys: dict[str, Check] = {} if issuer is not None else {"identity": tokens.ready}
        if telemetry is not None:
            checks, keys = telemetry.probed(checks), telemetry.probed(keys)
        readiness = Readiness(
            {**checks, **keys, "installation": installation.check}, at_once={"server": gateway.ready}
        )
        await readiness.probe()
        cases = UseCases(
            tenants=households,
            deletions=deletions,
            operations=TenantOperations(
                records=records,
                index=records,
                log=AuditTable(table),
                events=events,
                operators=operating,
                clock=clock,
                new_id=new_id,
            ),
            invitations=invitations,
            legal=Legal(records=LegalTable(table), published=settings.documents, clock=clock, new_id=new_id),
            audit=Audit(AuditTable(table)),
            agents=Agents(
                records=keyholders,
                tenants=records,
                uses=sightings,
                events=events,
                read_key=parse_public_key,
                make_key_pair=lambda kind: asyncio.to_thread(generate_key_pair, kind),
                clock=clock,
                new_id=new_id,
            ),
            channels=Channels(
                records=rooms,
                durable=rooms,
                tenants=records,
                directory=near,
                events=events,
                clock=clock,
                new_id=new_id,
            ),
            history=History(bus=links, directory=near, now=clock.now),
            subscriptions=ChannelSubscriptions(bus=links, directory=near),
            messages=Messages(
                bus=links,
                directory=near,
                services=services(clock=MessageClock(clock)),
                max_bytes=settings.max_payload_bytes + FRAME_OVERHEAD,
            ),
            login=entry,
            presence=presence,
            meter=meter,
            throttle=Throttle(near, clock, settings.user_calls_per_minute),
            sign_in=local_sign_in(issuer, SignInTable(table), clock),
        )
        resources = ApiResources(
            answers=AnswerTable(table),
            sealer=AesSealer(derived_secret(settings, seed, "sealed answers"), secrets.token_bytes),
            pages=PageTokens(derived_secret(settings, seed, "page tokens")),
            tokens=tokens,
            issuer=issuer,
            sign_in_client=sign_in_client(settings),
            discovery=discovery(settings, http, clock),
            clock=clock,
            server_name=name_of_server,
            client_address=partial(client_address, proxies=trusted_proxies(settings)),
            health=RecentAnswers(checks, clock.monotonic),
            readiness=readiness,
            version=VERSION,
            observe_request=None if telemetry is None else telemetry.observe_request,
        )
        counted = (gateway.count_delivered, sightings, meter, clock)
        chores = await stack.enter_async_context(asyncio.TaskGroup())
        for chore in (
            every(settings.flush_seconds, flushing(*counted, EVER_SECONDS)),
            every(LOOK_SECONDS, partial(quotas.look, partial(cases.messages.announce, subject="sys.quota"))),
            every(SWEEP_SECONDS, sweep_of(store)),
            every(STEP_SECONDS, UsageCleaning(table, clock, name).step),
            every(RENEW_SECONDS, lease.renew),
            every(PROBE_SECONDS, readiness.probe),
            every(RETRY_SECONDS, events.again),
            every(MISSED_SECONDS, events.catch_up),
            *([whenever(begun, WORK_SECONDS, deletions.work)] if resident else []),
            *([every(RENEW_PRESENCE_SECONDS, gateway.presence_publisher.hold)] if resident else []),
            *([until_done(PlantedRows(store, members).step)] if resident else []),
            *([every(TEND_SECONDS, Tending(installation))] if resident else []),
        ):
            stack.callback(chores.create_task(chore).cancel)
        if telemetry is not None:
            await stack.enter_async_context(
                telemetry.observing(
                    load=gateway.load,
                    count_delivered=gateway.count_delivered,
                    totals=meter.counted,
                    lookups=near.lookups,
                    scheduler=scheduler,
                    streams=authority.stream_usage if isinstance(authority, Authority) else None,
                )
            )
        yield Platform(
            app=create_app(cases, resources, settings.max_payload_bytes + FRAME_OVERHEAD, new_id),
            websocket=websocket_protocol(
                gateway.endpoint, scheduler, _socket_limits(settings), trusted_proxies(settings)
            ),
            gateway=gateway,
            flush=flushing(*counted),
            hold=partial(logged, lease.hold),
        )


def _gateway_limits(settings: Settings) -> GatewayLimits:
    return GatewayLimits(
        max_payload_bytes=settings.max_payload_bytes,
        max_subscriptions=settings.max_subscriptions,
        max_agent_connections=settings.max_agent_connections,
        max_pending_logins=settings.max_pending_logins,
        max_pending_logins_per_address=settings.max_pending_logins_per_address,
        heartbeat_seconds=settings.heartbeat_seconds,
    )


def _socket_limits(settings: Settings) -> SocketLimits:
    return SocketLimits(
        message_bytes=settings.max_payload_bytes + FRAME_OVERHEAD,
        queued_bytes=settings.max_queued_bytes,
        control_frames_per_second=settings.max_control_frames_per_second,
    )
