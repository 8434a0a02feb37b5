"""Requests of one tenant on one process: those of its clients, and those that were delivered to them."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import msgspec

from artcafe.server.core.publishing.publisher import Publisher
from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.dialects.envelope import NOT_OURS
from artcafe.server.gateway.fanout.responder import Responder
from artcafe.server.ports.bus import Link, Subscription
from artcafe.wire import envelopes, frames
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import BUS_INBOX, REPLY_PREFIX, parse_reply_address, to_bus

LOG = logging.getLogger("artcafe.gateway")

GRACE_SECONDS = 1.0
"""How long a process may take to say that it delivered a request, where some process subscribes to it."""

MAX_OPEN = 16_384
"""Open requests of one tenant that clients of this process made."""

MAX_DELIVERED = 8192
MAX_RESPONDERS = 65_536
"""Requests of one tenant of which this process remembers to whom it delivered them, and the responders of all
of them; of the last one all are remembered."""

NOBODY = "_"
"""The sender of what processes tell each other; no client is called so."""

Tell = Callable[[frames.RequestReply | ArtcafeError], None]
"""Gives a requester a reply, or the error that ends its request."""


class Accepted(msgspec.Struct, tag_field="type", tag="accepted"):
    """Told by a process that delivered a request to so many responders; `inbox` is its own."""

    inbox: str
    count: int


class Over(msgspec.Struct, tag_field="type", tag="over"):
    """Told to a process that accepted a request: it has ended."""

    address: str
    reason: str


_read_word = msgspec.json.Decoder(envelopes.ReplyEnvelope | Accepted | Over).decode


class OpenRequest:
    """A request that a client of this process made, until its end."""

    __slots__ = ("accepted", "acceptors", "address", "id", "most", "replied", "tell", "timers")

    def __init__(self, address: str, frame: frames.Request, tell: Tell) -> None:
        self.address = address
        self.id = frame.id
        self.most = frame.max_replies
        self.tell = tell
        self.accepted = 0
        """Responders of whom it is known that it was delivered to them."""
        self.acceptors: set[str] = set()
        """The inboxes of other processes that delivered it."""
        self.replied: set[str] = set()
        """The names of the responders that replied; without `most` only the first may."""
        self.timers: list[asyncio.TimerHandle] = []

    def takes(self, source: str) -> bool:
        """Whether a reply of a responder counts; it is remembered then."""
        if source in self.replied:
            return self.most is None
        if self.replied and self.most is None:
            return False
        self.replied.add(source)
        return True


class _Delivered:
    """A request that was delivered here: to whom, who has ended its reply, and the reason of its end."""

    __slots__ = ("done", "over", "responders")

    def __init__(self) -> None:
        self.responders: dict[Responder, None] = {}
        self.done: set[Responder] = set()
        self.over: str | None = None


class RequestExchange:
    """Matches replies with requests, and tells responders when a request is over.

    A request is a message with a reply address below the inbox of this process, where this process alone
    listens (ports.Link.inbox). Each process that delivers one tells the process of the requester to how many
    clients. The bus tells when no process subscribes to the subject. From both follows whether somebody may
    answer. `start` runs work as a task; without it, a process whose clients made no request hears of no end
    of others'.
    """

    def __init__(
        self,
        tenant: TenantId,
        link: Link,
        start: Callable[[Coroutine[Any, Any, None]], None] | None,
        *,
        grace: float = GRACE_SECONDS,
    ) -> None:
        self._tenant = tenant
        self._link = link
        self._start = start
        self._grace = grace
        self._inbox = link.new_inbox()
        self._own = self._inbox + "."
        self._addresses = REPLY_PREFIX + self._inbox.removeprefix(BUS_INBOX) + "."
        self._open: dict[str, OpenRequest] = {}
        self._delivered: dict[str, _Delivered] = {}
        self._responders = 0  # Of all of them.
        self._subscription: Subscription | None = None
        self._closed = False
        # Until when a process may say that it delivered a request that is over.
        self._heard_until = 0.0
        self._opening = asyncio.Lock()

    @property
    def listening(self) -> bool:
        """Whether replies of other processes come."""
        return self._subscription is not None

    @property
    def open(self) -> int:
        """How many requests are open."""
        return len(self._open)

    async def listen(self) -> None:
        """When this returns, replies of other processes come. Raises unavailable."""
        async with self._opening:
            if self._subscription is None and not self._closed:
                self._subscription = await self._link.subscribe(f"{self._inbox}.*.*", self._arrived)

    async def close(self) -> None:
        """Listen no more: its clients are gone. The responders of their last requests are told first."""
        self._closed = True
        await asyncio.sleep(max(0.0, self._heard_until - asyncio.get_running_loop().time()))
        async with self._opening:
            subscription, self._subscription = self._subscription, None
        if subscription is not None:
            await subscription.close()

    # Who asks.

    def ask(self, frame: frames.Request, publisher: Publisher, tell: Tell) -> OpenRequest:
        """Publish a request; `tell` gets what comes of it, up to the reply with `end` or an error, later.

        Raises what Publisher.ask raises, and unavailable while the bus is away or too much is open: nothing
        was sent. To be called while `listening`, after Publisher.spend.
        """
        if len(self._open) >= MAX_OPEN:
            raise ArtcafeError(Code.unavailable, "The server has too many open requests.")
        address = self._addresses + secrets.token_urlsafe(18)
        request = self._open[address] = OpenRequest(address, frame, tell)
        try:
            ask_there = partial(self._ask_there, to_bus(NOBODY, address))
            publisher.ask(frame.subject, frame.data, frame.headers, address, ask_there)
        except BaseException:
            del self._open[address]
            self._forget(address)
            raise
        later = asyncio.get_running_loop().call_later
        request.timers.append(later(frame.timeout_ms / 1000, self._late, request))
        if not request.accepted:
            request.timers.append(later(self._grace, self._unheard, request))
        return request

    def _ask_there(self, reply: str, bus_subject: str, payload: bytes) -> bool:
        return self._link.ask(bus_subject, payload, reply)

    def end(self, request: OpenRequest, reason: str) -> None:
        """End a request, for a reason of frames.Cancelled: nothing more comes of it, and its responders are
        told. Ending twice is allowed."""
        if self._open.pop(request.address, None) is None:
            return
        for timer in request.timers:
            timer.cancel()
        self._heard_until = asyncio.get_running_loop().time() + self._grace
        if reason == "answered" and request.accepted == 1:
            self._forget(request.address)
            return  # There is nobody but who ended it.
        word = msgspec.json.encode(Over(request.address, reason))
        for inbox in request.acceptors:
            self._say(f"{inbox}.over.{NOBODY}", word)
        self._ended(request.address, reason)

    def _late(self, request: OpenRequest) -> None:
        if request.most is not None and request.replied:
            request.tell(frames.RequestReply(id=request.id, end=True))
        else:
            request.tell(ArtcafeError(Code.timeout))
        self.end(request, "timeout")

    def _unheard(self, request: OpenRequest) -> None:
        """Nobody has the request, as far as is known by now."""
        if not request.accepted:
            request.tell(ArtcafeError(Code.no_responders))
            self.end(request, "timeout")

    # Who answers.

    def delivered(self, address: str, responders: Sequence[Responder]) -> None:
        """A request is being delivered to responders here."""
        with suppress(ArtcafeError):  # Of no address nothing is known.
            parse_reply_address(address)
            record = self._delivered.setdefault(address, _Delivered())
            before = len(record.responders)
            record.responders.update(dict.fromkeys(responders))
            self._responders += len(record.responders) - before
            while len(self._delivered) > 1 and (
                len(self._delivered) > MAX_DELIVERED or self._responders > MAX_RESPONDERS
            ):
                self._forget(next(iter(self._delivered)))
            if address.startswith(self._addresses):
                self._accepted(address, None, len(responders))
            elif self.listening or self._start is None:
                # Not at once: a link that delivers what is published on it is within `publish`.
                asyncio.get_running_loop().call_soon(self._accept, address, len(responders))
            else:
                self._start(self._listen_and_accept(address, len(responders)))

    def _forget(self, address: str) -> None:
        """Remember no more of a request that was delivered here; nothing happens when none was."""
        record = self._delivered.pop(address, None)
        if record is not None:
            self._responders -= len(record.responders)

    async def _listen_and_accept(self, address: str, count: int) -> None:
        await self.listen()
        self._accept(address, count)

    def _accept(self, address: str, count: int) -> None:
        self._say(to_bus(NOBODY, address), msgspec.json.encode(Accepted(self._inbox, count)))

    @contextmanager
    def replying(self, address: str, responder: Responder, *, end: bool) -> Iterator[None]:
        """Around the sending of a reply, and of its end. Raises not_found where the request is known to be
        over, or this responder has ended its reply."""
        record = self._delivered.get(address)
        if record is None:
            if address.startswith(self._addresses) and address not in self._open:
                raise _over("over")
        elif record.over is not None:
            raise _over(record.over)
        elif responder in record.done:
            raise ArtcafeError(Code.not_found, "The reply to this request has ended already.")
        if record is None or not end:
            yield
            return
        record.done.add(responder)
        try:
            yield
        except BaseException:
            record.done.discard(responder)
            raise

    def send(self, bus_subject: str, payload: bytes) -> bool:
        """Link.publish for replies: those to this process take no way by the bus."""
        if bus_subject.startswith(self._own):
            self._arrived(bus_subject, payload)
            return True
        return self._link.publish(bus_subject, payload)

    # What comes.

    def _arrived(self, bus_subject: str, payload: bytes) -> None:
        token, _, sender = bus_subject[len(self._own) :].partition(".")
        address = self._addresses + token
        if not payload:  # The bus has nobody to send it to.
            request = self._open.get(address)
            if request is not None:
                self._unheard(request)
            return
        try:
            word = _read_word(payload)
        except NOT_OURS as error:
            LOG.warning("tenant %s: dropped a reply that is not ours: %s", self._tenant, error)
            return
        match word:
            case Accepted():
                self._accepted(address, word.inbox, word.count)
            case Over():
                self._ended(word.address, word.reason)
            case _:
                self._replied(address, sender, word)

    def _accepted(self, address: str, inbox: str | None, count: int) -> None:
        request = self._open.get(address)
        if request is not None:
            request.accepted += count
            if inbox is not None:
                request.acceptors.add(inbox)
        elif inbox is not None:
            self._say(f"{inbox}.over.{NOBODY}", msgspec.json.encode(Over(address, "timeout")))

    def _ended(self, address: str, reason: str) -> None:
        record = self._delivered.get(address)
        if record is None or record.over is not None:
            return
        record.over = reason
        for responder in record.responders:
            if responder.tell is not None and responder not in record.done:
                responder.tell(frames.Cancelled(reply_to=address, reason=reason))

    def _replied(self, address: str, sender: str, reply: envelopes.ReplyEnvelope) -> None:
        request = self._open.get(address)
        if request is None or not request.takes(reply.source):
            return
        end = reply.end if request.most is None else len(request.replied) == request.most
        if reply.error is not None and request.most is None:
            details: dict[str, object] = {"code": reply.error.code, "from": sender}
            request.tell(
                ArtcafeError(Code.request_refused, reply.error.message or reply.error.code, details=details)
            )
        else:
            request.tell(
                frames.RequestReply(
                    id=request.id,
                    sender=sender,
                    timestamp=reply.timestamp,
                    data=reply.data,
                    headers=reply.headers,
                    error=reply.error,
                    end=end,
                )
            )
        if end:
            self.end(request, "answered")

    def _say(self, bus_subject: str, payload: bytes) -> None:
        """Tell another process. A word that is lost costs its requester or responder a wait, no more."""
        try:
            self._link.publish(bus_subject, payload)
        except ArtcafeError as error:
            LOG.debug("tenant %s: a word about a request was not told: %s", self._tenant, error)


def _over(reason: str) -> ArtcafeError:
    return ArtcafeError(Code.not_found, "The request is over.", details={"reason": reason})
