"""What a committed write owes: the events without which a cache, a connection or the bus lives by what was.

It reads them from the rows themselves, before and after, and knows nothing of use cases.

    log = Log()
    installation = Installation(memory, clock, WordsBus(log))
    process = installation.start("p2", store=Ledger(installation.store, log))
    ...                       # any use of `process`
    assert log.unpaid() == []
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from artcafe.server.bus.memory import MemoryBus
from artcafe.server.domain.agent import Agent
from artcafe.server.domain.change import TOPIC as CHANGED
from artcafe.server.domain.change import Change, Kind
from artcafe.server.domain.channel import Channel
from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.server.domain.revocation import Revocation
from artcafe.server.domain.tenant import TenantRules
from artcafe.server.domain.usage import CHANNEL, EVER, RECEIVED, SENT
from artcafe.server.ports.channel_streams import KeptStreams, ReadDurable
from artcafe.server.ports.events import AccountChanged, CountersEnded, Event, InboxEnded, StreamsChanged
from artcafe.server.store import addresses as at
from artcafe.server.store.item import Delete, Delta, Item, ItemPage, ItemStore, Op, Put

ACCOUNT = ("status", "subscription_tier", "limits")
"""Fields of a tenant by which its account on the bus is made."""

Data = Mapping[str, Any]

_TENANT, _USAGE = at.tenant(at.Partition("")), at.usage(at.Partition(""))


@dataclass
class Log:
    """What was committed, with what it owes, and what was told, in the order in which it happened."""

    steps: list[tuple[str, Event]] = field(default_factory=list)

    def owed(self) -> list[Event]:
        """What the commits owe."""
        return [event for what, event in self.steps if what == "owed"]

    def told(self) -> list[Event]:
        """What was told."""
        return [event for what, event in self.steps if what == "told"]

    def unpaid(self) -> list[Event]:
        """What is owed and was not told after its commit."""
        return [
            owed
            for index, (what, owed) in enumerate(self.steps)
            if what == "owed"
            and not any(done == "told" and _pays(told, owed) for done, told in self.steps[index:])
        ]


def _pays(told: Event, owed: Event) -> bool:
    if isinstance(told, AccountChanged) and isinstance(owed, AccountChanged):
        return _account(msgspec.to_builtins(told.tenant)) == _account(msgspec.to_builtins(owed.tenant))
    if isinstance(told, Revocation) and isinstance(owed, Revocation):
        whole = (told.tenant, told.agent) == (owed.tenant, owed.agent) and told.fingerprint is None
        return whole or told == owed
    return told == owed


class Ledger:
    """An ItemStore in front of another, which notes what each write owes once it is committed. A lifetime
    counter that ends is told here: it is a write itself, of the next flush."""

    def __init__(self, store: ItemStore, log: Log) -> None:
        self._store = store
        self._log = log
        self._tenants: dict[str, TenantId] = {}

    async def get(self, pk: str, sk: str) -> Item | None:
        """See ItemStore."""
        return await self._store.get(pk, sk)

    async def get_many(self, keys: Sequence[tuple[str, str]]) -> list[Item | None]:
        """See ItemStore."""
        return await self._store.get_many(keys)

    async def put(self, op: Put) -> str:
        """See ItemStore."""
        owed = await self._owed([op])
        rev = await self._store.put(op)
        self._note(owed)
        return rev

    async def delete(self, op: Delete) -> None:
        """See ItemStore."""
        owed = await self._owed([op])
        await self._store.delete(op)
        self._note(owed)

    async def transact(self, ops: Sequence[Op]) -> list[str | None]:
        """See ItemStore."""
        owed = await self._owed(ops)
        revs = await self._store.transact(ops)
        self._note(owed)
        return revs

    async def query(self, pk: str, prefix: str = "", limit: int = 100, cursor: str | None = None) -> ItemPage:
        """See ItemStore."""
        return await self._store.query(pk, prefix, limit, cursor)

    async def incr(self, deltas: Sequence[Delta]) -> None:
        """See ItemStore."""
        await self._store.incr(deltas)
        for delta in deltas:
            if delta.expires is not None and delta.sk.startswith(f"{EVER}#"):
                tenant = self._tenants[delta.pk.removeprefix(_USAGE)]
                ended = CountersEnded(tenant, (delta.sk.removeprefix(f"{EVER}#"),))
                self._log.steps.append(("told", ended))

    async def counters(self, pk: str, first: str = "", last: str | None = None) -> dict[str, int]:
        """See ItemStore."""
        return await self._store.counters(pk, first, last)

    async def drop_counters(self, pk: str) -> None:
        """See ItemStore."""
        await self._store.drop_counters(pk)

    def _note(self, owed: Sequence[Event]) -> None:
        self._log.steps += [("owed", event) for event in owed]

    async def _owed(self, ops: Sequence[Op]) -> list[Event]:
        owed: list[Event] = []
        for op in ops:
            if not isinstance(op, Put | Delete):
                continue
            stored = await self._store.get(op.pk, op.sk)
            before = stored.data if stored else None
            after = op.data if isinstance(op, Put) else None
            if op.pk == at.TENANTS:
                if after is not None:
                    self._tenants[str(after["partition"])] = TenantId(op.sk)
                owed.append(Change(TenantId(op.sk), Kind.tenant, op.sk))
            elif (before or after) and await self._matters(op):
                tenant = self._tenants[op.pk.removeprefix(_TENANT)]
                owed += _of_row(tenant, op.sk, before, after)
        return owed

    async def _matters(self, op: Put | Delete) -> bool:
        """Whether it is about a tenant, and not about one that is swept: that was told of as a whole."""
        if not op.pk.startswith(_TENANT):
            return False
        return op.sk == at.META or await self._store.get(op.pk, at.META) is not None


def _of_row(tenant: TenantId, sk: str, before: Data | None, after: Data | None) -> Iterator[Event]:
    if sk == at.META:
        yield Change(tenant, Kind.tenant, tenant)
        if after is None:
            yield Revocation(tenant)
        elif before is not None and _account(before) != _account(after):
            yield AccountChanged(msgspec.convert(after, TenantRules))
    elif sk.startswith(at.MEMBERS):
        yield Change(tenant, Kind.member, sk.removeprefix(at.MEMBERS))
    elif sk.startswith(at.CHANNELS):
        yield Change(tenant, Kind.channel, sk.removeprefix(at.CHANNELS))
        if (before or {}).get("durability") != (after or {}).get("durability"):
            yield StreamsChanged(tenant)
        if before is not None and after is None:
            yield CountersEnded(tenant, (CHANNEL + msgspec.convert(before, Channel).counted_as,))
    elif sk.startswith(at.AGENTS):
        yield Change(tenant, Kind.agent, sk.removeprefix(at.AGENTS))
        if before is not None:
            yield from _of_agent(msgspec.convert(before, Agent), after)


def _of_agent(before: Agent, after: Data | None) -> Iterator[Event]:
    whole = Revocation(before.tenant, AgentId(before.id))
    if after is None:
        yield whole
        for kind in (SENT, RECEIVED):
            yield CountersEnded(before.tenant, (kind + before.counted_as,))
        yield InboxEnded(before.tenant, before.id)
        return
    agent = msgspec.convert(after, Agent)
    if before.enabled and not agent.enabled:
        yield whole
    active = {key.fingerprint for key in agent.active_keys()}
    for key in before.active_keys():
        if key.fingerprint not in active:
            yield Revocation(before.tenant, AgentId(before.id), key.fingerprint)


def _account(tenant: Data) -> list[Any]:
    return [tenant.get(name) for name in ACCOUNT]


class WordsBus(MemoryBus):
    """A MemoryBus that notes what is told on the control account, which accounts are pushed, whose
    streams are kept, and which inboxes are emptied."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    async def tell(self, topic: str, payload: bytes) -> None:
        """See ports.Control."""
        kind: type[Change] | type[Revocation] = Change if topic == CHANGED else Revocation
        await super().tell(topic, payload)
        self._log.steps.append(("told", msgspec.json.decode(payload, type=kind)))

    async def push(self, tenant: TenantRules) -> None:
        """See ports.Accounts."""
        await super().push(tenant)
        self._log.steps.append(("told", AccountChanged(tenant)))

    async def keep(self, tenant: TenantRules, durable: ReadDurable) -> KeptStreams:
        """See ports.channel_streams."""
        done = await super().keep(tenant, durable)
        if await durable() is not None:
            self._log.steps.append(("told", StreamsChanged(tenant.id)))
        return done

    async def empty_inbox(self, tenant: TenantRules, owner: str) -> None:
        """See ports.channel_streams."""
        await super().empty_inbox(tenant, owner)
        self._log.steps.append(("told", InboxEnded(tenant.id, owner)))
