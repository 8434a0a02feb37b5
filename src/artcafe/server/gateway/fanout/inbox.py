"""One inbox on this process: delivers what waits to the connection that opened it, and removes what is
settled."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from artcafe.server.domain.recent import Recent
from artcafe.server.gateway.dialects.envelope import NOT_OURS
from artcafe.server.gateway.fanout.inbox_delivery import Holder, InboxDelivery, TellSettled, WantedReceipt
from artcafe.server.ports.inboxes import Inboxes, InboxMessage
from artcafe.wire.envelopes import decode_inbox_envelope
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import PRIORITIES

LOG = logging.getLogger("artcafe.gateway")

READ_BYTES = 65_536
"""What is read of one inbox at a time."""

HELD_BYTES = 16 * 1024 * 1024
"""What is held of all the inboxes of a tenant on one process that was read and not delivered. Beyond, it is
read again."""

MEMBER_BYTES = 524_288
"""Bytes that a client has not settled, before it gets no more; one message is always delivered."""

MOST_AGAIN = 1_024
"""Messages of an inbox that were given back and are not due, before no more are delivered."""

RETRY_SECONDS = 0.5
"""When a bus that did not answer is asked again."""

REMOVALS = 16
"""Requests to remove messages that one process has in flight for a tenant."""


class SharedReading:
    """The parts that all inboxes of a tenant share on one process."""

    def __init__(
        self,
        inboxes: Inboxes,
        start: Callable[[Coroutine[Any, Any, None]], None],
        tell_settled: TellSettled,
        over: Callable[["Inbox"], None],
    ) -> None:
        """`start` runs work as a task, `over` is called when an inbox is not needed here any more."""
        self.inboxes = inboxes
        self.start = start
        self.tell_settled = tell_settled
        self.over = over
        self.held_bytes = 0
        self.removing = asyncio.Semaphore(REMOVALS)
        self.removable = asyncio.Event()  # Not while all are read, which it would hold up.
        self.removable.set()
        self.deliveries = Recent(16_384)
        """How often messages were delivered, by sequence."""


class _Settled:
    """A message that is to be removed, and who waits for that."""

    __slots__ = ("delivery", "done", "reason")

    def __init__(self, delivery: InboxDelivery, reason: str | None) -> None:
        self.delivery = delivery
        self.reason = reason
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Inbox:
    """The inbox of one owner.

    Of each priority it knows from which sequence on it has to read, and how many wait there, as far as it was
    told: `counted` by the bus, and one more for each message that is stored. What it has read is delivered in
    order within a priority, the urgent ones first. While `scanning`, somebody else reads for it (`offer`).
    """

    def __init__(self, owner: str, shared: SharedReading) -> None:
        self.owner = owner
        self.holder: Holder | None = None
        self.scanning = False
        self._shared = shared
        self._begun = False
        self._following, self._left = [1 for _ in PRIORITIES], [0 for _ in PRIORITIES]
        self._noticed = [0 for _ in PRIORITIES]
        self._skipped = [False for _ in PRIORITIES]
        self._held: list[deque[InboxMessage]] = [deque() for _ in PRIORITIES]
        self._flight: dict[int, InboxDelivery] = {}
        self._size = 0
        self._later: dict[int, tuple[int, asyncio.TimerHandle]] = {}
        self._due: list[dict[int, None]] = [{} for _ in PRIORITIES]
        self._settled: dict[int, _Settled] = {}
        self._removing: dict[int, _Settled] = {}
        self._pumping = self._woken = self._settling = False

    # Who has it.

    def open(self, holder: Holder) -> None:
        """Deliver to this connection from now on, and to no other, everything that is not settled; from
        `begin` on."""
        before = self.holder
        self._reset()
        self.holder, self._begun = holder, False
        self.count_begins()
        if before is not None:
            before.lose()

    def begin(self, holder: Holder) -> None:
        """Deliver now, unless another connection opened it."""
        if self.holder is holder:
            self._begun = True
            self.wake()

    def release(self, holder: Holder) -> None:
        """The connection has the inbox no more. What it was given and did not settle waits as before."""
        if self.holder is holder:
            self.holder = None
            self._reset()
            self._end_unless_needed()

    def lose(self) -> None:
        """Another process delivers it from now on."""
        holder, self.holder = self.holder, None
        self._reset()
        if holder is not None:
            holder.lose()
        self._end_unless_needed()

    @property
    def idle(self) -> bool:
        """Whether nobody needs it here."""
        return self.holder is None and not self._settled and not self._removing

    @property
    def waiting(self) -> int:
        """How many messages wait that were not delivered, as far as is known."""
        return sum(self._left) + sum(map(len, self._held)) + len(self._later) + sum(map(len, self._due))

    def _reset(self) -> None:
        """Forget what was read and delivered, but for what is being removed."""
        for held in self._held:
            self._shared.held_bytes -= sum(len(each.payload) for each in held)
            held.clear()
        for _, timer in self._later.values():
            timer.cancel()
        self._later.clear()
        for due in self._due:
            due.clear()
        self._flight.clear()
        self._size = 0
        self._following, self._left = [1 for _ in PRIORITIES], [0 for _ in PRIORITIES]
        self._skipped = [False for _ in PRIORITIES]

    def _end_unless_needed(self) -> None:
        if self.idle:
            self._shared.over(self)

    # What waits.

    def count_begins(self) -> None:
        """The bus is going to be asked how many wait: what is stored from here on may not be among them."""
        self._noticed = [0 for _ in PRIORITIES]

    def counted(self, counts: Mapping[tuple[str, int], int]) -> None:
        """So many wait, by owner and priority. It may know some of them already, and there may be more than
        it is told: never fewer, since a read that finds nothing puts it right."""
        for priority in PRIORITIES:
            self._left[priority] = counts.get((self.owner, priority), 0) + self._noticed[priority]
        self.wake()

    @property
    def complete(self) -> bool:
        """Whether it has nothing to read, as far as is known."""
        return not any(self._left)

    def stored(self, priority: int, seq: int) -> None:
        """A message was stored."""
        if self.holder is not None and seq >= self._following[priority]:
            self._left[priority] += 1
            self._noticed[priority] += 1
            self.wake()

    def offer(self, message: InboxMessage) -> None:
        """Somebody who reads for it, in order, found this. What it cannot hold, it reads itself later."""
        priority = message.priority
        wanted = self.holder is not None and self.scanning and not self._skipped[priority]
        if not wanted or message.seq < self._following[priority]:
            return
        held = sum(len(each.payload) for each in self._held[priority])
        if max(held - READ_BYTES, self._shared.held_bytes - HELD_BYTES) + len(message.payload) > 0:
            self._skipped[priority] = True
            return
        self._hold(message)
        self.wake()

    def scanned(self) -> None:
        """Nobody reads for it any more."""
        self.scanning = False
        self._skipped = [False for _ in PRIORITIES]
        self.wake()

    def _hold(self, message: InboxMessage) -> None:
        priority = message.priority
        self._following[priority] = message.seq + 1
        self._left[priority] = max(0, self._left[priority] - 1)
        if message.seq not in self._settled and message.seq not in self._removing:
            self._held[priority].append(message)
            self._shared.held_bytes += len(message.payload)

    # Delivering.

    @property
    def _free(self) -> bool:
        holder = self.holder
        if holder is None or not self._begun:
            return False
        unsettled = len(self._flight) + len(self._settled) + len(self._removing)
        return unsettled < holder.most and self._size < MEMBER_BYTES and len(self._later) < MOST_AGAIN

    def wake(self) -> None:
        """Deliver what can be delivered."""
        self._woken = True
        if not self._pumping and self._free and self.waiting:
            self._pumping = True
            self._shared.start(self._pump())

    async def _pump(self) -> None:
        try:
            while self._woken:
                self._woken = False
                while self._free:
                    holder = self.holder
                    assert holder is not None
                    await holder.room()
                    message = await self._next(holder)
                    if message is None:
                        break
                    self._deliver(holder, message)
        except ArtcafeError as error:
            LOG.debug("the inbox of %s waits: %s", self.owner, error)
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self.wake)
        finally:
            self._pumping = False

    async def _next(self, holder: Holder) -> InboxMessage | None:
        """The next message to deliver; None where there is none now, or for another connection. Raises
        unavailable."""
        for priority in PRIORITIES:
            due, held = self._due[priority], self._held[priority]
            while due and self.holder is holder:
                seq = min(due)
                found = await self._shared.inboxes.read(
                    seq, owner=self.owner, priority=priority, most_bytes=1
                )
                if self.holder is not holder:
                    return None
                del due[seq]
                if found.messages and found.messages[0].seq == seq:
                    return found.messages[0]
            while not held and self._left[priority] and not self.scanning and self.holder is holder:
                await self._read(priority)
            if self.holder is not holder:
                return None
            if held:
                message = held.popleft()
                self._shared.held_bytes -= len(message.payload)
                return message
            if self.scanning and self._left[priority]:
                return None  # What is less urgent comes behind what will be found yet.
        return None

    async def _read(self, priority: int) -> None:
        """Read on. Raises unavailable."""
        following, holder, left = self._following[priority], self.holder, self._left[priority]
        found = await self._shared.inboxes.read(
            following, owner=self.owner, priority=priority, most_bytes=READ_BYTES
        )
        if self.holder is not holder or self._following[priority] != following:
            return
        for message in found.messages:
            if self._held[priority] and self._shared.held_bytes + len(message.payload) > HELD_BYTES:
                return
            self._hold(message)
        if found.following is not None:
            self._following[priority] = max(self._following[priority], found.following)
        if not found.messages:  # What was counted expired, or was counted twice.
            self._left[priority] = max(0, self._left[priority] - left)

    def _deliver(self, holder: Holder, message: InboxMessage) -> None:
        seq = message.seq
        try:
            envelope = decode_inbox_envelope(message.payload)
        except NOT_OURS as error:
            LOG.warning("the inbox of %s has a message that is not ours: %s", self.owner, error)
            return
        count = self._shared.deliveries.get(seq) or 0
        self._shared.deliveries.put(seq, count + 1)
        receipt = None
        if envelope.receipt:
            receipt = WantedReceipt(envelope.sender, envelope.subject, envelope.message.id)
        delivery = self._flight[seq] = InboxDelivery(self, message, receipt, count)
        self._size += delivery.size
        holder.take(delivery, envelope, self.waiting)

    # Settling.

    def _land(self, delivery: InboxDelivery) -> bool:
        """The client has it no more; whether it had it."""
        if self._flight.get(delivery.seq) is not delivery:
            return False
        del self._flight[delivery.seq]
        self._size -= delivery.size
        return True

    def give_back(self, delivery: InboxDelivery, delay: float) -> None:
        """Deliver it again, after so many seconds."""
        if self._land(delivery):
            seq, priority = delivery.seq, delivery.priority
            timer = asyncio.get_running_loop().call_later(delay, self._again, seq)
            self._later[seq] = priority, timer
            self.wake()

    def _again(self, seq: int) -> None:
        priority, _ = self._later.pop(seq)
        self._due[priority][seq] = None
        self.wake()

    def settle(self, delivery: InboxDelivery, reason: str | None) -> Awaitable[None]:
        """Remove a message; done when it is removed."""
        self._land(delivery)
        seq = delivery.seq
        settled = self._settled.get(seq) or self._removing.get(seq)
        if settled is None:
            settled = self._settled[seq] = _Settled(delivery, reason)
            if not self._settling:
                self._settling = True
                self._shared.start(self._remove())
        return asyncio.shield(settled.done)

    async def _remove(self) -> None:
        """Remove what is settled, together what is next to each other, until nothing is."""
        await asyncio.sleep(0)  # What is settled in one turn goes together.
        while self._settled:
            # What is settled while it waits for its turn goes with the rest.
            await self._shared.removable.wait()
            async with self._shared.removing:
                self._removing, self._settled = self._settled, {}
                failed = await self._try_to_remove()
            await asyncio.sleep(RETRY_SECONDS if failed else 0)
            self.wake()
        self._settling = False
        self._end_unless_needed()

    async def _try_to_remove(self) -> bool:
        """Remove what is being removed; whether that failed, and is to be tried again."""
        try:
            await self._remove_all()
        except ArtcafeError as error:
            LOG.debug("what is settled in the inbox of %s is removed later: %s", self.owner, error)
            self._settled = self._removing | self._settled
            self._removing = {}
            return True
        return False

    async def _remove_all(self) -> None:
        """Remove what is being removed. Raises unavailable."""
        for priority in PRIORITIES:
            seqs = sorted(seq for seq, each in self._removing.items() if each.delivery.priority == priority)
            if not seqs:
                continue
            kept = self._first_kept(priority)
            behind = [seq for seq in seqs if seq < kept]
            if behind:
                await self._shared.inboxes.remove(self.owner, priority, behind[-1])
                self._removed(behind)
            for seq in seqs[len(behind) :]:
                await self._shared.inboxes.remove_one(seq)
                self._removed([seq])

    def _first_kept(self, priority: int) -> int:
        """The first sequence of a priority that is not to be removed."""
        kept = [self._following[priority], *self._due[priority]]
        kept += [seq for seq, each in self._flight.items() if each.priority == priority]
        kept += [seq for seq, (of, _) in self._later.items() if of == priority]
        kept += [seq for seq, each in self._settled.items() if each.delivery.priority == priority]
        if self._held[priority]:
            kept.append(self._held[priority][0].seq)
        return min(kept)

    def _removed(self, seqs: list[int]) -> None:
        for seq in seqs:
            settled = self._removing.pop(seq)
            settled.done.set_result(None)
            receipt = settled.delivery.receipt
            if receipt is not None:
                self._shared.tell_settled(self.owner, receipt, settled.reason)
