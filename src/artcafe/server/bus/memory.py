"""The whole bus in one process: links, accounts and control, with the promises of the real one.

For tests, and wherever one process is all there is. Nothing is kept on disk.
"""

import asyncio
import itertools
import secrets
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence

from artcafe.server.bus.answer_collector import ANSWER_SECONDS, AnswerCollector
from artcafe.server.bus.memory_consumers import MemoryConsumers
from artcafe.server.bus.memory_inboxes import MemoryInboxes
from artcafe.server.bus.memory_streams import MAX_PAYLOAD_BYTES, MemoryStream, MemoryStreams
from artcafe.server.bus.nats.grammar import check_pattern, check_queue, check_subject, receives
from artcafe.server.bus.unavailable import bus_unavailable
from artcafe.server.domain.channel import ChannelRule
from artcafe.server.domain.durability import WhenFull
from artcafe.server.domain.durable_channels import DurableChannels
from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.installation import Mark, too_many
from artcafe.server.domain.tenant import TenantRules
from artcafe.server.ports.bus import Deliver, Own, Reconciled
from artcafe.server.ports.channel_streams import NO_STREAMS, KeptStreams, ReadDurable
from artcafe.server.ports.installation import Survey
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import pattern_to_bus

BUFFER_BYTES = 8 * 1024 * 1024

_ASKED, _ANSWERED = "ask.", "answer."

_Key = tuple[TenantId, str]


class MemorySubscription:
    """Interest in a pattern."""

    __slots__ = ("_deliver", "_link", "open", "pattern", "queue")

    def __init__(self, link: "MemoryLink", pattern: str, queue: str | None, deliver: Deliver) -> None:
        self.open = True
        self.pattern = pattern
        self.queue = queue
        self._link = link
        self._deliver = deliver

    def take(self, subject: str, payload: bytes) -> None:
        """Deliver, unless closed meanwhile."""
        if self.open:
            self._deliver(subject, payload)

    async def close(self) -> None:
        """As ports.Subscription; without a queue nothing is delivered after this was called."""
        self._link.forget(self)
        if self.queue is not None:
            await asyncio.sleep(0)  # Deliveries of earlier turns come first.
        self.open = False


class MemoryLink:
    """One account's link: up while the account exists, over when it was dropped.

    What is published while the account is gone waits in the buffer until it is back, as on the real
    bus. Deliveries happen in the next turn of the event loop.
    """

    def __init__(self, buffer_bytes: int) -> None:
        """Begin up."""
        self.up = True
        self.gaps = 0
        self._over = False
        self._room = buffer_bytes
        self._subscriptions: dict[MemorySubscription, None] = {}
        self._waiting: deque[tuple[str, bytes]] = deque()
        # How often each queue group was served, so that its members take turns.
        self._turns: Counter[tuple[str, str]] = Counter()
        self._running = asyncio.Event()
        self._running.set()
        self.streams = MemoryStreams(self._send_stored, lambda: self.up)
        self.consumers = MemoryConsumers(self.streams)
        self.inboxes = MemoryInboxes(lambda: self.up)

    def publish(self, subject: str, payload: bytes) -> bool:
        """Send at most once; never blocks. Order is kept per link. False while paused.

        Raises unavailable when the buffer is full or the link closed, too_large and invalid_subject
        as the real bus does: nothing was taken.
        """
        check_subject(subject)
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise ArtcafeError(Code.too_large, "The message is larger than the bus takes.")
        size = len(subject) + len(payload)
        if self._over or self._room < size:
            raise bus_unavailable()
        self._room -= size
        if self.up:
            self._send(subject, payload)
        else:
            self._waiting.append((subject, payload))
        return self._running.is_set()

    def new_inbox(self) -> str:
        """A random subject, another one for each call: several processes may share a link."""
        return f"_INBOX.{secrets.token_urlsafe(12)}"

    def ask(self, subject: str, payload: bytes, reply: str) -> bool:
        """As `publish`, and an empty message on `reply` where nobody at all subscribes to the subject."""
        self._check_up()
        heard = any(receives(each.pattern, subject) for each in self._subscriptions)
        roomy = self.publish(subject, payload)
        return roomy if heard else self.publish(reply, b"") and roomy

    async def room(self) -> None:
        """Return unless paused: whoever sends also delivers."""
        await self._running.wait()

    def pause(self, paused: bool, /) -> None:
        """Have no room, or have it again; what was published is delivered."""
        if paused and not self._over:
            self._running.clear()
        else:
            self._running.set()

    async def subscribe(
        self, pattern: str, deliver: Deliver, queue: str | None = None, own: Own | None = None
    ) -> MemorySubscription:
        """When this returns, whatever is published later is delivered while the link is up; nothing to `own`,
        since several processes may share a link.

        With `queue`, each message goes to one member of the group of that name and pattern. Raises
        unavailable or invalid_subject.
        """
        check_pattern(pattern)
        if queue is not None:
            check_queue(queue)
        self._check_up()
        subscription = MemorySubscription(self, pattern, queue, deliver)
        self._subscriptions[subscription] = None
        return subscription

    async def flush(self) -> None:
        """When this returns, the bus has everything published before. Raises unavailable."""
        self._check_up()

    async def settle(self) -> None:
        """When this returns, what was sent before has been delivered. Raises unavailable."""
        self._check_up()
        await asyncio.sleep(0)  # Deliveries of earlier turns come first.

    def forget(self, subscription: MemorySubscription) -> None:
        """Remove a closed subscription."""
        self._subscriptions.pop(subscription, None)

    def resume(self) -> None:
        """The account exists again: send what waited."""
        self.up = True
        while self._waiting:
            self._send(*self._waiting.popleft())

    def close(self) -> None:
        """Take and deliver nothing more, whoever holds it."""
        self.up, self._over = False, True
        self._running.set()
        for subscription in self._subscriptions:
            subscription.open = False
        self._subscriptions.clear()
        self._waiting.clear()

    def _send(self, subject: str, payload: bytes) -> None:
        loop = asyncio.get_running_loop()
        for subscription in self._receivers(subject):
            loop.call_soon(subscription.take, subject, payload)
        loop.call_soon(self._sent, len(subject) + len(payload))

    def _send_stored(self, subject: str, payload: bytes) -> None:
        loop = asyncio.get_running_loop()
        for subscription in self._receivers(subject):
            loop.call_soon(subscription.take, subject, payload)

    def _sent(self, size: int) -> None:
        self._room += size

    def _receivers(self, subject: str) -> Iterator[MemorySubscription]:
        groups: dict[tuple[str, str], list[MemorySubscription]] = {}
        for subscription in self._subscriptions:
            if not receives(subscription.pattern, subject):
                continue
            if subscription.queue is None:
                yield subscription
            else:
                groups.setdefault((subscription.queue, subscription.pattern), []).append(subscription)
        for group, members in groups.items():
            yield members[self._turns[group] % len(members)]
            self._turns[group] += 1

    def _check_up(self) -> None:
        if not self.up:
            raise bus_unavailable()


class MemoryBus:
    """ports.Bus, ports.Accounts, ports.ChannelStreams, ports.Marked and ports.Control. Several users of one
    MemoryBus are several processes."""

    def __init__(
        self,
        *,
        idle_seconds: float = 60.0,
        buffer_bytes: int = BUFFER_BYTES,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        """As for bus.tenants.TenantLinks and bus.control.ControlLink."""
        self._idle_seconds = idle_seconds
        self._buffer_bytes = buffer_bytes
        self._accounts: set[_Key] = set()
        self._suspended: set[_Key] = set()
        self._channels: dict[_Key, dict[str, ChannelRule]] = {}
        self._stored: dict[_Key, dict[str, MemoryStream]] = {}
        self._inboxes: dict[_Key, MemoryInboxes] = {}
        self._mark: Mark | None = None
        self._links: dict[_Key, MemoryLink] = {}
        self._holders: Counter[TenantId] = Counter()
        self._idle: dict[TenantId, asyncio.TimerHandle] = {}
        self._control = MemoryLink(buffer_bytes)
        self._answer_seconds = answer_seconds
        self._numbers = itertools.count(1)

    async def link(self, tenant: TenantRules) -> MemoryLink:
        """The tenant's link. Each call that returns is matched by one `release`.

        Raises unavailable for a tenant whose account was not pushed, or was pushed as suspended.
        """
        key = (tenant.id, tenant.account)
        if key not in self._accounts - self._suspended:
            raise bus_unavailable()
        timer = self._idle.pop(tenant.id, None)
        if timer is not None:
            timer.cancel()
        self._holders[tenant.id] += 1
        return self._linked(key)

    def release(self, tenant: TenantId) -> None:
        """Give back one `link`. Raises ValueError for one that was never taken."""
        if self._holders[tenant] <= 0:
            raise ValueError("A link was released more often than it was taken.")
        self._holders[tenant] -= 1
        if self._holders[tenant] == 0:
            del self._holders[tenant]
            loop = asyncio.get_running_loop()
            self._idle[tenant] = loop.call_later(self._idle_seconds, self._retire, tenant)

    async def drop(self, tenant: TenantId) -> None:
        """Close the tenant's link at once, whoever holds it. Its holders still release it."""
        self._close(tenant)

    async def ping(self) -> None:
        """It is always there."""

    async def push(self, tenant: TenantRules) -> None:
        """Create the tenant's account, or leave it as it is; that of a suspended tenant has no link."""
        key = (tenant.id, tenant.account)
        self._accounts.add(key)
        self._stored.setdefault(key, {})
        self._inboxes.setdefault(key, MemoryInboxes(lambda: key in self._accounts - self._suspended))
        link = self._links.get(key)
        if tenant.suspended:
            self._suspended.add(key)
            if link is not None:
                link.up = False
            return
        self._suspended.discard(key)
        if link is not None and not link.up:
            link.resume()

    async def remove(self, tenant: TenantRules) -> None:
        """Delete the account: its link is down. Nothing happens when it is gone."""
        self._forget((tenant.id, tenant.account))

    async def keep(self, tenant: TenantRules, durable: ReadDurable) -> KeptStreams:
        """See ports.channel_streams. Nothing is refused, and a bound other than the number of messages is
        none."""
        done = NO_STREAMS
        wanted = await durable()
        while wanted is not None:
            key = (tenant.id, tenant.account)
            if key not in self._accounts - self._suspended:
                raise bus_unavailable()
            done += self._agree(key, wanted)
            kept, wanted = wanted, await durable()
            if wanted == kept:
                break
        return done

    async def empty_inbox(self, tenant: TenantRules, owner: str) -> None:
        """See ports.channel_streams."""
        if (inboxes := self._inboxes.get((tenant.id, tenant.account))) is not None:
            await inboxes.remove(owner, None)

    def streams(self, tenant: TenantRules) -> Mapping[str, ChannelRule]:
        """The channels whose streams there are, by the names of these."""
        return self._channels.get((tenant.id, tenant.account), {})

    def _agree(self, key: _Key, wanted: DurableChannels) -> KeptStreams:
        held, stored = self._channels.setdefault(key, {}), self._stored.setdefault(key, {})
        channels = {channel.stream: channel for channel in wanted.channels}
        gone = held.keys() - channels.keys() if wanted.whole else set()
        for name in gone:
            del held[name]
            if key in self._links:
                self._links[key].streams.delete(name)
            stored.pop(name, None)
        made = changed = 0
        for name, channel in channels.items():
            assert channel.durability is not None
            if name not in stored:
                stored[name] = MemoryStream(pattern_to_bus(channel.pattern))
                made += 1
            elif held[name].durability != channel.durability:
                changed += 1
            held[name] = channel
            stored[name].most = channel.durability.max_messages
            stored[name].refuse = channel.durability.when_full is WhenFull.refuse
        return KeptStreams(made, changed, len(gone))

    def _linked(self, key: _Key) -> MemoryLink:
        """The account's link. What its streams and inboxes hold outlives it."""
        link = self._links.get(key)
        if link is None:
            link = self._links[key] = MemoryLink(self._buffer_bytes)
            link.streams.streams, link.inboxes = self._stored.setdefault(key, {}), self._inboxes[key]
        return link

    async def mark(self) -> Mark | None:
        """The mark that was put."""
        return self._mark

    async def put_mark(self, mark: Mark) -> None:
        """Keep the mark."""
        self._mark = mark

    async def survey(self, tenants: Sequence[TenantRules]) -> Survey:
        """How many accounts these tenants do not own. There is one seed, so no mark of another one."""
        return Survey(len(self._accounts - {(tenant.id, tenant.account) for tenant in tenants}))

    async def reconcile(
        self,
        tenants: Sequence[TenantRules],
        *,
        as_of: float | None = None,
        many: bool = False,
        whole: bool = True,
    ) -> Reconciled:
        """Push what is missing, delete what no tenant owns, unless that is too many; what was done. Accounts
        have no age here."""
        wanted = {(tenant.id, tenant.account): tenant for tenant in tenants}
        orphans = self._accounts - wanted.keys()
        missing = {
            key
            for key, tenant in wanted.items()
            if key not in self._accounts or (key in self._suspended) != tenant.suspended
        }
        kept = not whole or (not many and too_many(len(orphans), len(self._accounts)))
        for key in () if kept else orphans:
            self._forget(key)
        for key in missing:
            await self.push(wanted[key])
        return Reconciled(len(missing), 0 if kept else len(orphans), len(orphans) if kept else 0)

    async def tell(self, topic: str, payload: bytes) -> None:
        """To everybody who hears the topic."""
        self._control.publish(topic, payload)

    async def hear(self, topic: str, deliver: Deliver) -> MemorySubscription:
        """`deliver` gets (topic, payload). `topic` may be a pattern."""
        return await self._control.subscribe(topic, deliver)

    async def missed(self) -> bool:
        """Never: the control account is in this process."""
        return False

    async def ask(self, topic: str, payload: bytes, answers: int) -> list[bytes]:
        """What is answered, as soon as there are so many answers; after a while those that came."""
        number = f"{next(self._numbers)}"
        collector = AnswerCollector(topic, answers)
        heard = await self._control.subscribe(_ANSWERED + number, lambda _, said: collector.take(said))
        try:
            self._control.publish(f"{_ASKED}{topic}.{number}", payload)
            return await collector.answered(self._answer_seconds)
        finally:
            await heard.close()

    async def answer(self, topic: str, reply: Callable[[bytes], bytes | None]) -> MemorySubscription:
        """Answer what is asked on a topic, a single token, unless `reply` gives None."""

        def deliver(subject: str, payload: bytes) -> None:
            said = reply(payload)
            if said is not None:
                self._control.publish(_ANSWERED + subject.rpartition(".")[2], said)

        return await self._control.subscribe(f"{_ASKED}{topic}.*", deliver)

    def _forget(self, key: _Key) -> None:
        self._accounts.discard(key)
        self._suspended.discard(key)
        for held in (self._channels, self._stored, self._inboxes):
            held.pop(key, None)
        link = self._links.get(key)
        if link is not None:
            link.up = False

    def _retire(self, tenant: TenantId) -> None:
        del self._idle[tenant]
        self._close(tenant)

    def _close(self, tenant: TenantId) -> None:
        for key in [key for key in self._links if key[0] == tenant]:
            self._links.pop(key).close()
