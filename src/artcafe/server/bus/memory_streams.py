"""Streams in one process, with the promises of the real ones: order, one message for each id, full, age,
epochs. What a test needs to break is broken by name: a stream that does not answer, a tail that is behind."""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

from artcafe.server.bus.nats.grammar import check_pattern, check_subject, receives
from artcafe.server.bus.unavailable import bus_unavailable
from artcafe.server.ports.consumers import ConsumerRules, ConsumerState, HandedOut
from artcafe.server.ports.streams import Stored, StoredMessage, StoredMessages, StreamState
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

DUPLICATE_SECONDS = 120.0
MAX_PAYLOAD_BYTES = 2 * 1024 * 1024

_CREATED = "2026-01-01T00:00:00Z"


class MemoryTail:
    """Delivers what is stored, in later turns of the event loop. While it is held it is behind."""

    def __init__(
        self,
        stream: "MemoryStream",
        deliver: Callable[[StoredMessage], None],
        restarted: Callable[[], None],
    ) -> None:
        self._stream = stream
        self._deliver = deliver
        self._restarted = restarted
        self._waiting: deque[StoredMessage] = deque()
        self._held = False
        self.following = stream.last + 1
        self.epoch = stream.epoch
        self.open = True

    def hold(self) -> None:
        """Be behind from now on, as a process is whose bus is away."""
        self._held = True

    def resume(self) -> None:
        """Deliver again, from where it was."""
        self._held = False
        self._later()

    def take(self, message: StoredMessage) -> None:
        """A message was stored."""
        self._waiting.append(message)
        self._later()

    def restart(self) -> None:
        """The stream is another one."""
        self._waiting.clear()
        self.epoch, self.following = self._stream.epoch, self._stream.last + 1
        asyncio.get_running_loop().call_soon(self._restarted)

    async def close(self) -> None:
        """See ports.streams.Tail."""
        self.open = False
        self._stream.tails.pop(self, None)

    def _later(self) -> None:
        asyncio.get_running_loop().call_soon(self._advance)

    def _advance(self) -> None:
        if self._waiting and self.open and not self._held:
            message = self._waiting.popleft()
            self.following = message.seq + 1
            self._later()
            self._deliver(message)


@dataclass(eq=False)
class ConsumerEnd:
    """One process's end of a consumer: how much it wants, and what it is told."""

    take: Callable[[HandedOut], None]
    over: Callable[[], None]
    wanted: int = 0


@dataclass(eq=False)
class _Held:
    """A message that is handed out."""

    handed: HandedOut
    timer: asyncio.TimerHandle


@dataclass(eq=False)
class SharedConsumer:
    """What all processes share of a consumer: where it is, and what is handed out."""

    name: str
    stream: "MemoryStream"
    rules: ConsumerRules
    following: int
    again: list[int] = field(default_factory=list)
    counts: dict[int, int] = field(default_factory=dict)
    held: dict[str, _Held] = field(default_factory=dict)
    ends: dict[ConsumerEnd, None] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def next_seq(self) -> int | None:
        """The next message to hand out."""
        while self.again:
            seq = self.again.pop(0)
            if seq in self.stream.messages:
                return seq
        for seq, message in self.stream.messages.items():
            if seq >= self.following:
                self.following = seq + 1
                if receives(self.rules.pattern, message.subject):
                    return seq
        return None

    def hand_out(self) -> None:
        """Hand out what there is, in turn to the processes that want some."""
        while wanting := [end for end in self.ends if end.wanted > 0]:
            seq = self.next_seq()
            if seq is None:
                return
            end = wanting[0]
            self.ends[end] = self.ends.pop(end)  # Last in turn.
            end.wanted -= 1
            number = self.counts[seq] = self.counts.get(seq, 0) + 1
            handed = HandedOut(self.stream.messages[seq], number, f"{self.name}.{next(self.numbers)}")
            loop = asyncio.get_running_loop()
            self.held[handed.settle] = _Held(handed, loop.call_later(self.rules.lease, self.lapse, handed))
            end.take(handed)

    def lapse(self, handed: HandedOut) -> None:
        """Its lease is over."""
        if self.settle(handed):
            self.again.append(handed.message.seq)
            self.hand_out()

    def settle(self, handed: HandedOut) -> bool:
        """It is handed out no more; whether it was."""
        held = self.held.pop(handed.settle, None)
        if held is not None:
            held.timer.cancel()
        return held is not None

    @property
    def state(self) -> ConsumerState:
        """As it is now."""
        waiting = [
            seq
            for seq, message in self.stream.messages.items()
            if seq >= self.following and receives(self.rules.pattern, message.subject)
        ]
        again = sum(held.handed.count > 1 for held in self.held.values())
        return ConsumerState(
            self.name, self.rules, len(waiting) + len(self.again), len(self.held), again, _CREATED
        )


class MemoryStream:
    """One stream. `most` messages fit into it; when it is full the oldest goes, or with `refuse` the new one
    is refused."""

    def __init__(self, pattern: str, *, most: int | None = None, refuse: bool = False) -> None:
        check_pattern(pattern)
        self.pattern = pattern
        self.most = most
        self.refuse = refuse
        self.epoch = secrets.token_hex(8)
        self.last = 0
        self.messages: dict[int, StoredMessage] = {}
        self.times: dict[int, float] = {}
        self.ids: dict[str, tuple[int, float]] = {}
        self.tails: dict[MemoryTail, None] = {}
        self.consumers: dict[str, SharedConsumer] = {}
        self.dead: dict[int, tuple[str, bytes]] = {}
        """Dead letters, with the consumers that they are of."""

    def bury(self, name: str, letter: bytes, dedup_id: str) -> int:
        """Store a dead letter; the sequence that it takes."""
        seq, _ = self.ids.get(dedup_id, (0, 0.0))
        if not seq:
            seq = self.last = self.last + 1
            self.dead[seq] = name, letter
            self.ids[dedup_id] = seq, 0.0
        return seq

    @property
    def first(self) -> int:
        """The sequence of the oldest message; `last` + 1 where there is none."""
        return next(iter(self.messages), self.last + 1)

    def store(self, subject: str, payload: bytes, dedup_id: str | None, now: float) -> tuple[Stored, bool]:
        """The receipt, and whether the message is new. Raises channel_full, too_large, unavailable."""
        check_subject(subject)
        if not receives(self.pattern, subject):
            raise bus_unavailable()
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise ArtcafeError(Code.too_large, "The message is larger than the bus takes.")
        if dedup_id is not None:
            seq, before = self.ids.get(dedup_id, (0, 0.0))
            if seq and now < before + DUPLICATE_SECONDS:
                return Stored(seq, self.epoch, duplicate=True), False
        if self.most is not None and len(self.messages) >= self.most:
            if self.refuse:
                raise ArtcafeError(Code.channel_full)
            self.remove(self.first)
        self.last += 1
        self.messages[self.last] = StoredMessage(self.last, subject, payload)
        self.times[self.last] = now
        if dedup_id is not None:
            self.ids[dedup_id] = self.last, now
        return Stored(self.last, self.epoch), True

    def remove(self, seq: int) -> None:
        """Forget one message."""
        del self.messages[seq], self.times[seq]

    def age(self, before: int) -> None:
        """Forget what is older than a sequence."""
        for seq in [seq for seq in self.messages if seq < before]:
            self.remove(seq)

    def restart(self, *, keep: int = 0) -> None:
        """Be another stream, which has the first `keep` messages of this one."""
        self.epoch = secrets.token_hex(8)
        self.ids.clear()
        for seq in [seq for seq in self.messages if seq > keep]:
            self.remove(seq)
        self.last = min(self.last, keep)
        for tail in self.tails:
            tail.restart()


class MemoryStreams:
    """ports.Streams of one account.

    `away` lets all calls fail with unavailable, `reading` is called before each read answers, and may raise.
    `now` is the time at which messages are stored, in Unix seconds.
    """

    def __init__(self, tell: Callable[[str, bytes], None], link_up: Callable[[], bool]) -> None:
        """`tell` delivers a stored message to the subscriptions of the account."""
        self._tell = tell
        self._link_up = link_up
        self.streams: dict[str, MemoryStream] = {}
        self._removed: set[str] = set()
        self.away = False
        self.reads = 0
        self.reading: Callable[[int, int], None] = lambda first, last: None
        self.now: Callable[[], float] = lambda: 0.0
        self._receipts: list[tuple[asyncio.Future[Stored], Stored]] | None = None

    def make(self, name: str, pattern: str, *, most: int | None = None, refuse: bool = False) -> MemoryStream:
        """Make a stream of what is published to a bus pattern."""
        stream = self.streams[name] = MemoryStream(pattern, most=most, refuse=refuse)
        self._removed.discard(name)
        return stream

    def delete(self, name: str) -> None:
        """Delete a stream; nothing happens when it is gone."""
        if self.streams.pop(name, None) is not None:
            self._removed.add(name)

    def hold_receipts(self) -> None:
        """Store, and tell nobody, until `give_receipts`."""
        self._receipts = []

    def give_receipts(self) -> None:
        """Tell everybody what was stored."""
        receipts, self._receipts = self._receipts or [], None
        for done, stored in receipts:
            if not done.done():
                done.set_result(stored)

    def store(
        self, stream: str, subject: str, payload: bytes, dedup_id: str | None
    ) -> asyncio.Future[Stored]:
        """See ports.streams.Streams."""
        done: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        try:
            found = self.find(stream)
            stored, fresh = found.store(subject, payload, dedup_id, self.now())
        except ArtcafeError as error:
            done.set_exception(error)
            return done
        if fresh:
            for tail in found.tails:
                tail.take(found.messages[stored.seq])
            for consumer in found.consumers.values():
                asyncio.get_running_loop().call_soon(consumer.hand_out)
            self._tell(subject, payload)
        if self._receipts is None:
            done.set_result(stored)
        else:
            self._receipts.append((done, stored))
        return done

    async def state(self, stream: str) -> StreamState:
        """See ports.streams.Streams."""
        await asyncio.sleep(0)
        found = self.find(stream)
        return StreamState(found.epoch, found.first, found.last)

    async def read(
        self, stream: str, first: int, last: int, *, pattern: str | None = None, most_bytes: int = 131_072
    ) -> StoredMessages:
        """See ports.streams.Streams."""
        self.reads += 1
        await asyncio.sleep(0)
        found = self.find(stream)
        self.reading(first, last)
        wanted: list[StoredMessage] = []
        size = 0
        for message in found.messages.values():
            if message.seq < first or (pattern is not None and not receives(pattern, message.subject)):
                continue
            if message.seq > last:
                break
            if wanted and size + len(message.payload) > most_bytes:
                return StoredMessages(wanted, wanted[-1].seq + 1)
            wanted.append(message)
            size += len(message.payload)
        return StoredMessages(wanted, last + 1)

    async def first_since(self, stream: str, moment: float) -> int:
        """See ports.streams.Streams."""
        await asyncio.sleep(0)
        found = self.find(stream)
        return next((seq for seq, at in found.times.items() if at >= moment), found.last + 1)

    async def tail(
        self,
        stream: str,
        pattern: str,
        deliver: Callable[[StoredMessage], None],
        restarted: Callable[[], None],
    ) -> MemoryTail:
        """See ports.streams.Streams."""
        await asyncio.sleep(0)
        found = self.find(stream)
        tail = MemoryTail(found, deliver, restarted)
        found.tails[tail] = None
        return tail

    def find(self, stream: str) -> MemoryStream:
        """A stream that answers. Raises unavailable, not_found."""
        if self.away or not self._link_up():
            raise bus_unavailable()
        if stream in self._removed:
            raise ArtcafeError(Code.not_found, "The stream was deleted.")
        found = self.streams.get(stream)
        if found is None:
            raise bus_unavailable()
        return found
