"""All use cases over adapters in memory, as one or several server processes of one installation."""

import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from artcafe.server.bus.events import BusEvents
from artcafe.server.bus.memory import MemoryBus
from artcafe.server.core.agents import Agents
from artcafe.server.core.audit import Audit
from artcafe.server.core.channels import Channels
from artcafe.server.core.deletions import Deletions
from artcafe.server.core.durable.history import History
from artcafe.server.core.durable.subscriptions import ChannelSubscriptions
from artcafe.server.core.installation import Installation as Installed
from artcafe.server.core.invitations import Invitations
from artcafe.server.core.legal import Legal
from artcafe.server.core.login import Login
from artcafe.server.core.operations import TenantChange, TenantOperations
from artcafe.server.core.presence.presence import Presence
from artcafe.server.core.publishing.messages import Messages
from artcafe.server.core.publishing.publisher import MessageClock, MessageServices
from artcafe.server.core.quotas import Quotas
from artcafe.server.core.tenants import Tenants
from artcafe.server.core.usage import Meter
from artcafe.server.domain.agent import Agent
from artcafe.server.domain.change import Change
from artcafe.server.domain.failed_logins import LoginLimits
from artcafe.server.domain.groups import Groups
from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.domain.legal import Document, Edition
from artcafe.server.domain.operators import Operators, TenantCreation
from artcafe.server.domain.principal import Human, User
from artcafe.server.domain.revocation import TOPIC, Revocation
from artcafe.server.domain.tenant import Role, Status, Tenant
from artcafe.server.identity.ssh_keys import parse_public_key
from artcafe.server.store.addresses import Partition
from artcafe.server.store.agents import AgentTable
from artcafe.server.store.audit import AuditTable
from artcafe.server.store.channels import ChannelTable
from artcafe.server.store.deletions import DeletionTable
from artcafe.server.store.installation import InstallationTable
from artcafe.server.store.invitations import InvitationTable
from artcafe.server.store.item import Backend, ItemStore
from artcafe.server.store.leases import LeaseTable
from artcafe.server.store.legal import LegalTable
from artcafe.server.store.login import ChallengeTable
from artcafe.server.store.members import MemberTable
from artcafe.server.store.memory import MemoryStore
from artcafe.server.store.near import NearCache
from artcafe.server.store.partitions import Partitions
from artcafe.server.store.presence import PresenceTable
from artcafe.server.store.table import Table
from artcafe.server.store.tenants import TenantTable
from artcafe.server.store.usage import UsageTable
from tests.kit.issuers import MovingClock, StoppedClock
from tests.kit.signing import CountingVerifier, KeyPair, quick_key_pair
from tests.kit.stores import new_rev
from tests.kit.unreliable_store import UnreliableStore

ACME = TenantId("acme")
OTHER = TenantId("acme-2")
MANY_LOGINS = LoginLimits(per_agent=100_000, per_address=100_000, in_all=100_000)
LARGEST_BODY = 2**22
"""More than a bus in memory takes."""

OSCAR = User(UserId("oscar"), "oscar@example.com")
"""The operator of the platform; so is who is in this group."""

OPERATORS = Operators(frozenset({OSCAR.id}), "platform-operators")

SECRET = b"the installation's secret, 32 b."


def counting(prefix: str) -> Callable[[], str]:
    """Identifiers that are easy to read: prefix and a number of six digits."""
    numbers = itertools.count(1)
    return lambda: f"{prefix}{next(numbers):06d}"


@dataclass
class Process:
    """The use cases of one server process."""

    events: BusEvents
    installed: Installed
    tenants: Tenants
    deletions: Deletions
    operations: TenantOperations
    invitations: Invitations
    legal: Legal
    audit: Audit
    agents: Agents
    channels: Channels
    messages: Messages
    history: History
    subscriptions: ChannelSubscriptions
    login: Login
    presence: Presence
    meter: Meter
    quotas: Quotas
    verifier: CountingVerifier
    directory: NearCache


@dataclass
class Installation:
    """One store, one bus, one clock. `process` is the first server process; `start` makes more.

    `memory` is the store itself, of whichever backend, and `store` what is put before it. What is put into
    `documents` is published by the operator. `here` is what processes told themselves: the bus was away;
    `begun` are those in which a deletion began.
    """

    memory: Backend
    clock: StoppedClock
    bus: MemoryBus = field(default_factory=MemoryBus)
    new_id: Callable[[], str] = field(default_factory=lambda: counting("id"))
    new_start: Callable[[], str] = field(default_factory=lambda: counting("start"))
    documents: dict[Document, Edition] = field(default_factory=dict)
    groups: Groups = field(default_factory=Groups)
    login_limits: LoginLimits = field(default_factory=lambda: MANY_LOGINS)
    creation: TenantCreation = field(default_factory=lambda: TenantCreation(anybody=True, most=3))
    default_tier: str = "enterprise"
    store: UnreliableStore = field(init=False)
    here: list[Change | Revocation] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    _directories: list[NearCache] = field(default_factory=list)
    _quotas: list[Quotas] = field(default_factory=list)
    process: Process = field(init=False)

    def __post_init__(self) -> None:
        self.store = UnreliableStore(self.memory)
        self.process = self.start("p1")

    @classmethod
    async def open(cls) -> "Installation":
        """An empty one."""
        clock = MovingClock()
        memory = MemoryStore(clock=clock.now, new_rev=new_rev)
        await memory.open()
        return cls(memory, clock)

    def let_in(self, groups: str) -> None:
        """Start anew with these groups; tenants they are let into are made before."""
        self.groups = Groups.read(groups)
        self.process = self.start("p1")

    def start(
        self, name: str, secret: bytes = SECRET, store: ItemStore | None = None, adopt: str | None = None
    ) -> Process:
        """One more server process."""

        table = Table(store or self.store)
        tenants, members, agents = TenantTable(table), MemberTable(table), AgentTable(table)
        channels, sightings = ChannelTable(table), PresenceTable(table)
        meter = Meter(UsageTable(table), sightings, self.clock)
        directory = NearCache(tenants, agents, channels, self.clock)
        quotas = Quotas(meter.messages, directory, self.clock, 0)
        self._quotas.append(quotas)
        self._directories.append(directory)
        verifier = CountingVerifier()
        events = BusEvents(
            self.bus,
            self.bus,
            self.bus,
            tenants.rules,
            channels.durable,
            forget=[self._forget],
            forget_all=directory.forget_all,
            end_counters=meter.end,
            listener=self,
        )
        invitations = Invitations(
            records=InvitationTable(table),
            directory=directory,
            events=events,
            clock=self.clock,
            new_id=self.new_id,
            random=os.urandom,
            groups=self.groups,
        )
        return Process(
            events=events,
            installed=Installed(
                records=InstallationTable(table),
                marked=self.bus,
                accounts=self.bus,
                streams=self.bus,
                tenants=tenants,
                index=tenants,
                durable=channels,
                clock=self.clock,
                new_id=self.new_id,
                jitter=lambda: 0.5,
                adopt=adopt,
            ),
            tenants=Tenants(
                records=tenants,
                index=tenants,
                members=members,
                directory=directory,
                accounts=self.bus,
                events=events,
                clock=self.clock,
                new_id=self.new_id,
                default_tier=self.default_tier,
                documents=self.documents,
                groups=self.groups,
                operators=OPERATORS,
                creation=self.creation,
                withdraw=invitations.withdraw,
            ),
            deletions=Deletions(
                records=DeletionTable(table),
                accounts=self.bus,
                events=events,
                clock=self.clock,
                new_id=self.new_id,
                begun=lambda: self.begun.append(name),
            ),
            operations=TenantOperations(
                records=tenants,
                index=tenants,
                log=AuditTable(table),
                events=events,
                operators=OPERATORS,
                clock=self.clock,
                new_id=self.new_id,
            ),
            invitations=invitations,
            legal=Legal(
                records=LegalTable(table), published=self.documents, clock=self.clock, new_id=self.new_id
            ),
            audit=Audit(AuditTable(table)),
            agents=Agents(
                records=agents,
                tenants=tenants,
                uses=sightings,
                events=events,
                read_key=parse_public_key,
                make_key_pair=quick_key_pair,
                clock=self.clock,
                new_id=self.new_id,
            ),
            channels=Channels(
                records=channels,
                durable=channels,
                tenants=tenants,
                directory=directory,
                events=events,
                clock=self.clock,
                new_id=self.new_id,
            ),
            history=History(bus=self.bus, directory=directory, now=self.clock.now),
            subscriptions=ChannelSubscriptions(bus=self.bus, directory=directory),
            messages=Messages(
                bus=self.bus,
                directory=directory,
                services=MessageServices(
                    clock=MessageClock(self.clock),
                    new_message_id=counting(f"{name}-"),
                    tally=meter.tally,
                    quota=quotas.of,
                ),
                max_bytes=LARGEST_BODY,
            ),
            login=Login(
                directory=directory,
                challenges=ChallengeTable(table),
                uses=sightings,
                verifier=verifier,
                secret=secret,
                clock=self.clock,
                random=os.urandom,
                limits=self.login_limits,
            ),
            presence=Presence(sightings, LeaseTable(table), self.bus, self.clock, name, self.new_start),
            meter=meter,
            quotas=quotas,
            verifier=verifier,
            directory=directory,
        )

    def changed(self, change: Change) -> None:
        """A process told itself (bus.events.EventListener)."""
        self.here.append(change)

    def revoked(self, revocation: Revocation) -> None:
        """See `changed`."""
        self.here.append(revocation)

    def words_missed(self) -> None:
        """A bus in memory misses none."""

    def _forget(self, change: Change) -> None:
        for directory in self._directories:  # Every process hears of it at once.
            directory.forget(change)
        for quotas in self._quotas:
            quotas.forget(change)

    async def partition(self, tenant: TenantId = ACME) -> Partition:
        """Where a tenant's rows stand."""
        return await Partitions(self.memory).of(tenant)

    async def make_tenant(self, tenant: TenantId = ACME, owner: str = "olivia", **fields: Any) -> Human:
        """A tenant, and its owner inside it. The tier is set by the operator."""
        user = User(UserId(owner), f"{owner}@example.com")
        plan = fields.pop("subscription_tier", None)
        made = await self.process.tenants.create(user, tenant, {"name": tenant, **fields})
        if plan is not None:
            await self.operate(tenant, plan=plan)
        return Human(made.id, user.id, Role.owner, user.email)

    async def delete_tenant(self, owner: Human) -> None:
        """Delete the owner's tenant, and do all of it."""
        await self.process.deletions.begin(owner)
        await self.process.deletions.work()

    async def operate(self, tenant: TenantId = ACME, **change: Any) -> Tenant:
        """What the operator sets, by the fields of TenantChange."""
        return await self.process.operations.change(OSCAR, tenant, TenantChange(**change))

    async def suspend(self, tenant: TenantId = ACME) -> None:
        """The operator suspends a tenant."""
        await self.operate(tenant, status=Status.suspended)

    async def make_agent(self, human: Human, agent: str = "a1", key: KeyPair | None = None) -> Agent:
        """An agent with a key."""
        public = (key or KeyPair()).line
        made, _ = await self.process.agents.create(human, agent, public, {"name": agent})
        return made

    async def revocations(self) -> list[Revocation]:
        """A list to which every revocation told from now on is added."""
        heard: list[Revocation] = []
        await self.bus.hear(
            TOPIC, lambda _, payload: heard.append(msgspec.json.decode(payload, type=Revocation))
        )
        return heard


def acting(human: Human, role: Role) -> Human:
    """The same human in another role."""
    return Human(human.tenant, human.user, role, human.email)
