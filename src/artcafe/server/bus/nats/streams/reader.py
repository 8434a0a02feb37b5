"""The reader of streams: what they hold, and their messages by sequence."""

import asyncio
import logging
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from artcafe.server.bus.nats.headers import NO_RESPONDERS, status_of, value_of
from artcafe.server.bus.nats.message import FullMessage
from artcafe.server.bus.nats.requests import NoRespondersError, OutcomeUnknownError, Requests
from artcafe.server.bus.nats.streams.faults import MESSAGE_NOT_FOUND, STREAM_NOT_FOUND, Fault, meaning
from artcafe.server.bus.nats.streams.replies import Replies, StreamLink
from artcafe.server.bus.unavailable import bus_unavailable
from artcafe.server.ports.streams import StoredMessage, StoredMessages, StreamState
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import from_stored, to_stored

MOST_MESSAGES = 500
"""The most messages of one read."""

AT_ONCE = 32
"""The most reads of a link that are in flight: each may bring as much as it asks for."""

MOST_SEEN = 1_024
"""The streams of which is known that there were."""

ASK_SECONDS = 2.0
TRIES = 4
"""A stream without a leader does not answer: so often it is asked, each time so long."""

_LATEST = 9e9
"""Unix seconds of a time that can be written, and no message has."""

LOG = logging.getLogger(__name__)


class _Answer(msgspec.Struct):
    error: Fault | None = None


class _Held(msgspec.Struct, frozen=True):
    first_seq: int
    last_seq: int


class _InfoAnswer(_Answer):
    """The answer of $JS.API.STREAM.INFO."""

    created: str = ""
    state: _Held | None = None


class _HeldMessage(msgspec.Struct):
    subject: str
    seq: int
    data: bytes = b""


class _MessageAnswer(_Answer):
    """The answer of $JS.API.STREAM.MSG.GET."""

    message: _HeldMessage | None = None


_AnAnswer = TypeVar("_AnAnswer", bound=_Answer)


class _Batch:
    """The answers to one $JS.API.DIRECT.GET: messages, then a status, or None where the connection ended."""

    def __init__(self) -> None:
        self.messages: list[FullMessage] = []
        self.ended: asyncio.Future[FullMessage | None] = asyncio.get_running_loop().create_future()

    def take(self, message: FullMessage | None) -> None:
        """One answer."""
        if message is not None and status_of(message.headers) == 0:
            self.messages.append(message)
        elif not self.ended.done():
            self.ended.set_result(message)


class Reader:
    """Reads by $JS.API.DIRECT.GET, which any node that holds the stream answers, also one that is behind. So
    that something is not there, its leader alone can say ($JS.API.STREAM.MSG.GET and INFO)."""

    def __init__(
        self, link: StreamLink, replies: Replies, requests: Requests, ask_seconds: float = ASK_SECONDS
    ) -> None:
        self._link = link
        self._replies = replies
        self._requests = requests
        self._ask_seconds = ask_seconds
        self._seen: dict[str, None] = {}  # Streams that there were, the last one asked for last.
        self._reading = asyncio.Semaphore(AT_ONCE)

    async def state(self, stream: str) -> StreamState:
        """See ports.Streams."""
        answer = await self._ask(f"$JS.API.STREAM.INFO.{stream}", b"", _InfoAnswer)
        if answer.error is not None:
            raise self._refusal(stream, answer.error)
        held = answer.state
        if held is None:
            raise bus_unavailable()
        self._seen.pop(stream, None)
        self._seen[stream] = None
        if len(self._seen) > MOST_SEEN:
            del self._seen[next(iter(self._seen))]
        return StreamState(answer.created, max(held.first_seq, 1), held.last_seq)

    async def read(
        self, stream: str, first: int, last: int, *, pattern: str | None = None, most_bytes: int = 131_072
    ) -> StoredMessages:
        """See ports.Streams."""
        stored = None if pattern is None else to_stored(pattern)
        read, following = await self.read_stored(stream, first, last, stored, most_bytes)
        return StoredMessages([told for each in read if (told := _told(each)) is not None], following)

    async def read_stored(
        self, stream: str, first: int, last: int, stored: str | None, most_bytes: int
    ) -> tuple[list[StoredMessage], int]:
        """As `read`, of whatever is stored, with the subjects under which it is."""
        if first > last:
            return [], first
        found: list[StoredMessage] = []
        following = first
        async with self._reading:
            messages = await self._direct(stream, first, last, stored, most_bytes)
        for message in messages:
            sequence, subject = _place(message)
            following = min(sequence, last) + 1
            if sequence <= last:
                found.append(StoredMessage(sequence, subject, message.payload))
        if following == first:  # Nothing, as far as that node knows.
            held = await self._held(stream, first, stored)
            if held is None or held.seq > last:
                following = last + 1
            else:
                found, following = [StoredMessage(held.seq, held.subject, held.data)], held.seq + 1
        return found, following

    async def first_since(self, stream: str, moment: float) -> int:
        """See ports.Streams."""
        last = (await self.state(stream)).last
        since = datetime.fromtimestamp(min(max(moment, 0.0), _LATEST), UTC)
        asked = msgspec.json.encode({"start_time": since, "next_by_subj": ">"})
        held = await self._message(stream, asked)
        return last + 1 if held is None else held.seq

    async def _direct(
        self, stream: str, first: int, last: int, stored: str | None, most_bytes: int
    ) -> list[FullMessage]:
        """The messages from `first` on that a node holds, with their place in the headers: those up to
        `last`, or some, and perhaps others behind. Raises unavailable and not_found."""
        many = min(MOST_MESSAGES, last - first + 1)
        asked: dict[str, int | str] = {"seq": first, "batch": many, "max_bytes": most_bytes}
        if stored is not None:
            asked["next_by_subj"] = stored
        payload = msgspec.json.encode(asked)
        for _ in range(TRIES):
            batch = _Batch()
            reply = self._replies.expect(batch.take)
            line = b"PUB $JS.API.DIRECT.GET.%b %b %d\r\n" % (stream.encode(), reply.encode(), len(payload))
            try:
                await self._send(line, payload)
                async with asyncio.timeout(self._ask_seconds):
                    end = await batch.ended
            except TimeoutError:
                continue
            finally:
                self._replies.forget(reply)
            if end is None:
                continue
            if status_of(end.headers) == NO_RESPONDERS:
                await self.state(stream)  # Raises not_found where there is no such stream.
            return batch.messages
        raise bus_unavailable()

    async def _send(self, line: bytes, payload: bytes) -> None:
        await self._replies.open()
        while not self._link.send(line, payload):
            await self._link.sendable()

    async def _held(self, stream: str, first: int, stored: str | None) -> _HeldMessage | None:
        """The first message from `first` on, on the leader's word; None where there is none."""
        return await self._message(stream, msgspec.json.encode({"seq": first, "next_by_subj": stored or ">"}))

    async def _message(self, stream: str, asked: bytes) -> _HeldMessage | None:
        """The message that is asked for; None where there is none."""
        answer = await self._ask(f"$JS.API.STREAM.MSG.GET.{stream}", asked, _MessageAnswer)
        if answer.error is not None and answer.error.err_code != MESSAGE_NOT_FOUND:
            raise self._refusal(stream, answer.error)
        return answer.message

    def _refusal(self, stream: str, fault: Fault) -> ArtcafeError:
        """A stream that is not there is taken to be deleted where it was there before, and else not to be
        made yet."""
        if fault.err_code == STREAM_NOT_FOUND and stream not in self._seen:
            return bus_unavailable()
        return meaning(fault)

    async def _ask(self, subject: str, payload: bytes, kind: type[_AnAnswer]) -> _AnAnswer:
        """Ask until there is an answer: nothing asked here changes anything."""
        for _ in range(TRIES):
            try:
                answer = await self._requests.request(subject, payload, seconds=self._ask_seconds)
                return msgspec.json.decode(answer.payload, type=kind)
            except OutcomeUnknownError:
                continue
            except (NoRespondersError, msgspec.MsgspecError) as error:
                LOG.warning("JetStream does not answer: %s", error)
                break
        raise bus_unavailable()


def _place(message: FullMessage) -> tuple[int, str]:
    """The sequence and the subject of a message that is read directly. Raises unavailable."""
    try:
        return int(value_of(message.headers, b"Nats-Sequence") or b""), (
            value_of(message.headers, b"Nats-Subject") or b""
        ).decode()
    except ValueError:
        raise bus_unavailable() from None


def _told(stored: StoredMessage) -> StoredMessage | None:
    """The message as it is delivered; None for what is stored for the server's own use."""
    try:
        return StoredMessage(stored.seq, from_stored(stored.subject), stored.payload)
    except ValueError:
        return None
