"""The commit of messages to one stream: singly while few wait, in atomic batches when many do."""

import asyncio
import hashlib
import logging
import re
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

import msgspec

from artcafe.server.bus.nats.grammar import check_subject
from artcafe.server.bus.nats.headers import NO_RESPONDERS, header_block, header_lines, status_of
from artcafe.server.bus.nats.message import FullMessage
from artcafe.server.bus.nats.streams.faults import WRONG_STREAM, Fault, meaning, outcome_unknown
from artcafe.server.bus.nats.streams.replies import Replies, StreamLink
from artcafe.server.bus.unavailable import bus_unavailable
from artcafe.server.ports.streams import Stored, StreamState
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

LEAST_BATCH = 16
"""So many that wait go as a batch: fewer are stored sooner one by one."""

MOST_BATCH = 500
MOST_BATCH_BYTES = 512 * 1024
"""A batch is in memory at the server until it is whole."""

MOST_MESSAGES = 4_000
MOST_BYTES = 8 * 1024 * 1024
"""What may wait or be in flight for one stream on one link, before more is refused."""

ANSWER_SECONDS = 5.0
"""How long an answer may take; an election of a leader may take that."""

_HEADER_ROOM = 256
"""More than the headers of a batch take."""

_PLAIN_ID = re.compile(r"[!-~]{1,128}")

LOG = logging.getLogger(__name__)

Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]
"""Runs a coroutine as a task that somebody else owns."""


class _PubAck(msgspec.Struct):
    """What a stream answers to a message, or to a batch: then `seq` is of its last message."""

    seq: int = 0
    duplicate: bool = False
    error: Fault | None = None


_read_ack = msgspec.json.Decoder(_PubAck).decode


class _Message:
    """A message that is not stored yet. `lines` are its headers."""

    __slots__ = ("lines", "payload", "size", "stored", "subject")

    def __init__(self, subject: str, payload: bytes, lines: bytes, stored: asyncio.Future[Stored]) -> None:
        self.subject = subject
        self.payload = payload
        self.lines = lines
        self.stored = stored
        self.size = len(payload) + len(lines)

    def command(self, reply: str, more: bytes = b"") -> tuple[bytes, bytes]:
        """Returns the line of its HPUB command, and the headers with the payload."""
        headers = header_block(self.lines + more)
        size = len(headers) + len(self.payload)
        words = b"HPUB %b %b %d %d\r\n" if reply else b"HPUB %b%b %d %d\r\n"
        return words % (self.subject.encode(), reply.encode(), len(headers), size), headers + self.payload


class _Flight:
    """Messages that one answer tells of."""

    __slots__ = ("epoch", "expires", "messages", "reply")

    def __init__(self, messages: list[_Message], epoch: str, expires: float) -> None:
        self.messages = messages
        self.epoch = epoch
        self.expires = expires
        self.reply = ""


class Commit:
    """Stores messages in the order of the calls.

    The server syncs the disk once for each message, and once for each atomic batch (ADR 33). While a batch is
    in flight nothing else is sent, and what comes is the next one: if one of its messages is refused, the
    server stores none, and all are sent again, one by one, with the same ids.

    When an answer does not come, or the connection ends, everything in flight is outcome_unknown, and what
    waited was not sent, so that nothing overtakes what is sent again. What was cancelled while it waited is
    not sent.
    """

    def __init__(
        self,
        link: StreamLink,
        replies: Replies,
        stream: str,
        state: Callable[[str], Awaitable[StreamState]],
        spawn: Spawn,
        *,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        """`state` is Reader.state."""
        self._link = link
        self._replies = replies
        self._stream = stream
        self._state = state
        self._spawn = spawn
        self._answer_seconds = answer_seconds
        self._loop = asyncio.get_running_loop()
        # A message is never stored by another stream that took over the subject.
        self._expected = header_lines({"Nats-Expected-Stream": stream})
        self._waiting: deque[_Message] = deque()
        self._refused: deque[_Message] = deque()  # A batch of which each goes singly.
        self._leaving: deque[tuple[bytes, bytes]] = deque()  # Commands of the last flight.
        self._flights: dict[str, _Flight] = {}  # The first to expire first.
        self._batch: _Flight | None = None
        # The epoch is asked before what is told to be of it is sent: of a stream that is made anew
        # meanwhile the receipts name the old one, which nobody can go on from, and never the reverse.
        self._epoch: str | None = None
        self._highest = 0
        self._count = self._size = 0
        self._due = False
        self._waking: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing waits or is in flight."""
        return not self._count

    def store(
        self, subject: str, payload: bytes, dedup_id: str | None, expires_in: int | None = None
    ) -> asyncio.Future[Stored]:
        """Store a message under a subject of the stream: ports.Streams.store; for so many seconds, where the
        stream lets messages expire."""
        lines = self._expected
        if expires_in is not None:
            lines += header_lines({"Nats-TTL": f"{expires_in}s"})
        if dedup_id is not None:
            lines += header_lines({"Nats-Msg-Id": _header_value(dedup_id)})
        message = _Message(subject, payload, lines, self._loop.create_future())
        # An exception that nobody waits for any more is no fault.
        message.stored.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            self._check(message)
        except ArtcafeError as error:
            message.stored.set_exception(error)
            return message.stored
        self._count += 1
        self._size += message.size
        self._waiting.append(message)
        self._advance_soon()
        return message.stored

    def _check(self, message: _Message) -> None:
        """Raises invalid_subject, too_large and unavailable for what is not taken."""
        check_subject(message.subject)
        if message.size + _HEADER_ROOM > self._link.max_payload:
            raise ArtcafeError(Code.too_large, "The message is larger than the bus takes.")
        if self._count >= MOST_MESSAGES or self._size + message.size > MOST_BYTES:
            raise ArtcafeError(Code.unavailable, "Too much waits to be stored in the channel.")
        if self._link.over or not self._link.up:
            # At once: the senders of what was in flight do not know yet that it failed.
            raise bus_unavailable()

    def close(self) -> None:
        """Fail everything. What is stored later fails, too, once the link is closed."""
        self._fail()

    def _advance_soon(self) -> None:
        if not self._due and self._waking is None:
            self._due = True
            self._loop.call_soon(self._advance)

    def _advance(self) -> None:
        """Send what may be sent, as far as there is room."""
        self._due = False
        if self._waking is not None:
            return
        while self._leaving or self._refused or self._waiting:
            if self._epoch is None:
                self._waking = self._spawn(self._wake())
                return
            if not self._leaving and not self._prepare(self._epoch):
                return
            if not self._link.send(*self._leaving[0]):
                self._waking = self._spawn(self._wake())
                return
            self._leaving.popleft()

    async def _wake(self) -> None:
        """Go on as soon as there is room, and the epoch is known."""
        try:
            await self._replies.open()
            if self._epoch is None:
                self._epoch = (await self._state(self._stream)).epoch
            await self._link.sendable()
        except ArtcafeError as error:
            self._fail(partial(ArtcafeError, error.code, error.message))
        except Exception:
            # Supervision: a fault here ends no other link.
            LOG.exception("fault while messages wait to be stored")
            self._fail()
        finally:
            self._waking = None
        self._advance()

    def _prepare(self, epoch: str) -> bool:
        """Make commands of what is next; False when nothing is, for now."""
        if self._batch is not None:
            return False
        if self._refused:
            part = self._taken(self._refused, 1)
        elif len(self._waiting) >= LEAST_BATCH:
            part = self._taken(self._waiting, MOST_BATCH)
        elif len(self._flights) < LEAST_BATCH:
            part = self._taken(self._waiting, 1)
        else:
            return False
        if not part:
            return False
        flight = _Flight(part, epoch, self._loop.time() + self._answer_seconds)
        flight.reply = reply = self._replies.expect(partial(self._answered, flight))
        self._flights[reply] = flight
        if self._timer is None:
            self._timer = self._loop.call_at(flight.expires, self._overdue)
        if len(part) == 1:
            self._leaving.append(part[0].command(reply))
            return True
        self._batch = flight
        for number, message in enumerate(part, 1):
            lines = b"Nats-Batch-Id: %b\r\nNats-Batch-Sequence: %d\r\n" % (reply.encode(), number)
            if number < len(part):
                self._leaving.append(message.command("", lines))
            else:
                self._leaving.append(message.command(reply, lines + b"Nats-Batch-Commit: 1\r\n"))
        return True

    def _taken(self, source: deque[_Message], most: int) -> list[_Message]:
        """Take the next messages, in order, as many as go together, without those that were cancelled."""
        part: list[_Message] = []
        size = 0
        while source and len(part) < most:
            if source[0].stored.done():
                self._release(source.popleft())
                continue
            size += source[0].size
            if part and size > MOST_BATCH_BYTES:
                break
            part.append(source.popleft())
        return part

    def _answered(self, flight: _Flight, answer: FullMessage | None) -> None:
        if answer is None:
            self._fail()
            return
        self._end(flight)
        failure: Callable[[], ArtcafeError] | None = None
        ack = _PubAck()
        if status_of(answer.headers) == NO_RESPONDERS:
            failure = bus_unavailable  # No stream takes the subject, or it has no leader.
        else:
            try:
                ack = _read_ack(answer.payload)
            except msgspec.MsgspecError:
                failure = outcome_unknown
        if ack.error is not None:
            if len(flight.messages) > 1:
                self._refused.extend(flight.messages)
                self._advance_soon()
                return
            failure = partial(meaning, ack.error)
        elsewhere = ack.error is not None and ack.error.err_code == WRONG_STREAM
        fell = failure is None and not ack.duplicate and ack.seq <= self._highest
        if elsewhere or fell or failure is bus_unavailable:
            self._epoch, self._highest = None, 0  # It may be another stream.
        self._highest = max(self._highest, ack.seq)
        first = ack.seq - len(flight.messages) + 1
        for place, message in enumerate(flight.messages):
            self._release(message)
            if message.stored.done():
                continue
            if failure is None:
                message.stored.set_result(Stored(first + place, flight.epoch, ack.duplicate))
            else:
                message.stored.set_exception(failure())
        self._advance_soon()

    def _end(self, flight: _Flight) -> None:
        self._replies.forget(flight.reply)
        del self._flights[flight.reply]
        if flight is self._batch:
            self._batch = None

    def _release(self, message: _Message) -> None:
        self._count -= 1
        self._size -= message.size

    def _fail(self, unsent_failure: Callable[[], ArtcafeError] = bus_unavailable) -> None:
        """Nothing that was sent is answered any more; what was not sent is not sent."""
        self._epoch, self._highest = None, 0
        flights = list(self._flights.values())
        unsent = flights.pop() if self._leaving else None
        self._leaving.clear()
        waiting = [*(unsent.messages if unsent else ()), *self._refused, *self._waiting]
        self._refused.clear()
        self._waiting.clear()
        for flight in [*flights, *([unsent] if unsent else ())]:
            self._end(flight)
        for message in (message for flight in flights for message in flight.messages):
            self._release(message)
            if not message.stored.done():
                message.stored.set_exception(outcome_unknown())
        for message in waiting:
            self._release(message)
            if not message.stored.done():
                message.stored.set_exception(unsent_failure())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _overdue(self) -> None:
        self._timer = None
        oldest = next(iter(self._flights.values()), None)
        if oldest is None:
            return
        # While the link reads nothing, because who listens is behind, no answer can come.
        expires = max(oldest.expires, self._replies.read_since + self._answer_seconds)
        if expires <= self._loop.time():
            self._fail()
        else:
            self._timer = self._loop.call_at(expires, self._overdue)


def _header_value(dedup_id: str) -> str:
    """An id as a header carries it: a server cuts spaces off, and other ids may be anything."""
    if _PLAIN_ID.fullmatch(dedup_id):
        return dedup_id
    return f"sha256:{hashlib.sha256(dedup_id.encode(errors='surrogatepass')).hexdigest()}"
