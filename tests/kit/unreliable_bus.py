"""A bus that counts, waits and goes away when told."""

import asyncio
from collections import Counter

from artcafe.server.bus.memory import MemoryBus, MemoryLink, MemorySubscription
from artcafe.server.bus.memory_consumers import MemoryConsumers
from artcafe.server.bus.memory_inboxes import MemoryInboxes
from artcafe.server.bus.memory_streams import MemoryStreams
from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.tenant import TenantRules
from artcafe.server.ports.bus import Deliver, Own
from artcafe.server.ports.channel_streams import KeptStreams, ReadDurable
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

AWAY = ArtcafeError(Code.unavailable, "The bus is away, as the test wants it.")


class Tap:
    """Where calls wait, and what becomes of them.

    `calls` counts them all. While it is shut they wait; then they end with `failure` where there is one.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.failure: BaseException | None = None
        self._gate: asyncio.Event | None = None
        self._gates: list[asyncio.Event] = []

    def shut(self) -> asyncio.Event:
        """Let calls wait from now on, until `open`, or until the event that this returns is set."""
        self._gate = asyncio.Event()
        self._gates.append(self._gate)
        return self._gate

    def let_pass(self) -> None:
        """Let new calls go, and those that wait wait on."""
        self._gate = None

    def open(self) -> None:
        """Let everybody go."""
        self._gate = None
        for gate in self._gates:
            gate.set()

    async def through(self) -> None:
        """Called by each call."""
        self.calls += 1
        if self._gate is not None:
            await self._gate.wait()
        if self.failure is not None:
            raise self.failure


class WatchedSubscription:
    """ports.Subscription. `closing` is the tap of all closes of its link."""

    def __init__(self, link: "UnreliableLink", inner: MemorySubscription) -> None:
        self._link = link
        self._inner = inner
        self._open = True

    async def close(self) -> None:
        """See ports.Subscription."""
        if not self._open:
            return
        self._open = False
        try:
            await self._link.closing.through()
        finally:
            self._link.open[self._inner.pattern] -= 1
            await self._inner.close()


class UnreliableLink:
    """ports.Link over a MemoryLink. `open` counts the open subscriptions of each pattern on the bus.

    At `subscribing` the bus does not have a subscription yet; at `confirming` it has, and the caller
    does not know.
    """

    def __init__(self, inner: MemoryLink) -> None:
        self.inner = inner
        self.gaps = 0
        self.open: Counter[str] = Counter()
        self.subscribing = Tap()
        self.confirming = Tap()
        self.closing = Tap()
        self.flushing = Tap()
        self.settling = Tap()
        self.crowded = False
        self.paused = False
        self.pauses = 0
        self.making_room = Tap()
        self.refusal: Exception | None = None

    @property
    def streams(self) -> MemoryStreams:
        """See ports.Link."""
        return self.inner.streams

    @property
    def consumers(self) -> MemoryConsumers:
        """See ports.Link."""
        return self.inner.consumers

    @property
    def inboxes(self) -> MemoryInboxes:
        """See ports.Link."""
        return self.inner.inboxes

    def publish(self, subject: str, payload: bytes) -> bool:
        """See ports.Link; raises `refusal` where there is one."""
        if self.refusal is not None:
            raise self.refusal
        return self.inner.publish(subject, payload) and not self.crowded

    def new_inbox(self) -> str:
        """See ports.Link."""
        return self.inner.new_inbox()

    def ask(self, subject: str, payload: bytes, reply: str) -> bool:
        """See ports.Link; raises `refusal` where there is one."""
        if self.refusal is not None:
            raise self.refusal
        return self.inner.ask(subject, payload, reply) and not self.crowded

    async def room(self) -> None:
        """See ports.Link."""
        await self.making_room.through()
        await self.inner.room()

    def pause(self, paused: bool, /) -> None:
        """See ports.Link; `pauses` counts those that began."""
        self.pauses += 1 if paused and not self.paused else 0
        self.paused = paused
        self.inner.pause(paused)

    async def subscribe(
        self, pattern: str, deliver: Deliver, queue: str | None = None, own: Own | None = None
    ) -> WatchedSubscription:
        """See ports.Link."""
        await self.subscribing.through()
        inner = await self.inner.subscribe(pattern, deliver, queue)
        try:
            await self.confirming.through()
        except BaseException:
            await inner.close()
            raise
        self.open[pattern] += 1
        return WatchedSubscription(self, inner)

    async def flush(self) -> None:
        """See ports.Link."""
        await self.flushing.through()
        await self.inner.flush()

    async def settle(self) -> None:
        """See ports.Link."""
        await self.settling.through()
        await self.inner.settle()


class DeafBus(MemoryBus):
    """A MemoryBus whose control account and accounts can go away: `telling`, `pushing`, `keeping` and
    `removing` are the taps of these calls."""

    def __init__(self) -> None:
        super().__init__()
        self.telling, self.pushing, self.keeping, self.removing = Tap(), Tap(), Tap(), Tap()

    @property
    def _taps(self) -> tuple[Tap, ...]:
        return self.telling, self.pushing, self.keeping, self.removing

    def leave(self) -> None:
        """Be away."""
        for tap in self._taps:
            tap.failure = AWAY

    def come_back(self) -> None:
        """Answer again."""
        for tap in self._taps:
            tap.failure = None

    async def keep(self, tenant: TenantRules, durable: ReadDurable) -> KeptStreams:
        """See ports.channel_streams."""
        await self.keeping.through()
        return await super().keep(tenant, durable)

    async def tell(self, topic: str, payload: bytes) -> None:
        """See ports.Control."""
        await self.telling.through()
        await super().tell(topic, payload)

    async def push(self, tenant: TenantRules) -> None:
        """See ports.Accounts."""
        await self.pushing.through()
        await super().push(tenant)

    async def remove(self, tenant: TenantRules) -> None:
        """See ports.Accounts."""
        await self.removing.through()
        await super().remove(tenant)


class UnreliableBus:
    """ports.Bus over a MemoryBus. `held` counts the links that were taken and not released."""

    def __init__(self, inner: MemoryBus) -> None:
        self.inner = inner
        self.linking = Tap()
        self.held: Counter[TenantId] = Counter()
        self.links: dict[MemoryLink, UnreliableLink] = {}

    async def link(self, tenant: TenantRules) -> UnreliableLink:
        """See ports.Bus."""
        await self.linking.through()
        inner = await self.inner.link(tenant)
        self.held[tenant.id] += 1
        return self.links.setdefault(inner, UnreliableLink(inner))

    def release(self, tenant: TenantId) -> None:
        """See ports.Bus; the inner one refuses what was never taken."""
        self.inner.release(tenant)
        self.held[tenant] -= 1

    async def drop(self, tenant: TenantId) -> None:
        """See ports.Bus."""
        await self.inner.drop(tenant)

    async def ping(self) -> None:
        """See ports.Bus."""
        await self.inner.ping()
