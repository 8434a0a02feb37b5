"""Requests on a NATS link: a message with a reply subject, and the answer to it."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from artcafe.server.bus.nats.grammar import check_subject
from artcafe.server.bus.nats.headers import NO_RESPONDERS, encode_headers, status_of
from artcafe.server.bus.nats.message import FullMessage
from artcafe.server.bus.nats.subscription import NatsSubscription
from artcafe.server.bus.unavailable import bus_unavailable
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

MAX_REQUESTS = 16_384
"""The most requests of one link that are in flight."""

WAITING_BYTES = 8 * 1024 * 1024
"""The most bytes of requests that wait until the connection has room for them."""


class NoRespondersError(Exception):
    """Nobody subscribes to the subject of a request: it was received by nobody."""


class OutcomeUnknownError(Exception):
    """A request was sent and its answer did not come: it may have been received and acted upon, or not."""


class RequestTimeoutError(OutcomeUnknownError):
    """No answer came in time."""


class ConnectionLostError(OutcomeUnknownError):
    """The connection ended before the answer came."""


class RequestLink(Protocol):
    """The part of a NatsLink that requests use."""

    inbox: str
    max_payload: int

    def send(self, line: bytes, payload: bytes, /) -> bool:
        """Send a command on the connection of this moment; False, and not taken, while that has no room."""

    def sendable(self) -> Awaitable[None]:
        """Return when `send` may have room. Raises unavailable."""

    def subscribe_full(
        self, pattern: str, deliver: Callable[[str, FullMessage], None], missed: Callable[[], None]
    ) -> Awaitable[NatsSubscription]:
        """Subscribe to messages with their headers."""


class Requests:
    """Sends requests and matches answers with them, over one subscription to an inbox, which the first opens.

    The inbox is a subject that nobody but this link may subscribe to (NatsCredentials.inbox), and each
    request has a random reply subject of its own in it: no answer can be read, and none can be forged by
    who did not receive the request.
    """

    def __init__(
        self, link: RequestLink, most: int = MAX_REQUESTS, waiting_bytes: int = WAITING_BYTES
    ) -> None:
        self._link = link
        self._most = most
        self._waiting_bytes = waiting_bytes
        self._subscription: NatsSubscription | None = None
        self._turn = asyncio.Lock()  # Requests are sent in the order of the calls.
        self._count = 0
        self._waiting = 0
        # Those that were sent, by reply subject; None is the end of the connection.
        self._sent: dict[str, asyncio.Future[FullMessage | None]] = {}

    async def request(
        self, subject: str, payload: bytes = b"", *, seconds: float, headers: Mapping[str, str] | None = None
    ) -> FullMessage:
        """Send a request, and return the first answer; later ones are dropped.

        It leaves behind everything that was published on the link before, and is not delivered to
        subscriptions of the same link, unless that has `echo`. While the link is away, it waits for
        `seconds` or the link's patience. It is sent once, on one connection.

        Raises NoRespondersError at once when nobody subscribes to the subject. Raises RequestTimeoutError
        after `seconds` and ConnectionLostError when the connection ends: the outcome is unknown. Nothing was
        sent when it raises unavailable (the bus is away, or too much is in flight), too_large,
        invalid_subject, or ValueError for a header. When it is cancelled, the answer is dropped.
        """
        check_subject(subject)
        block = encode_headers(headers or {})
        size = len(block) + len(payload)
        if size > self._link.max_payload:
            raise ArtcafeError(Code.too_large, "The message is larger than the bus takes.")
        if self._count >= self._most or self._waiting + size > self._waiting_bytes:
            raise ArtcafeError(Code.unavailable, "The bus has too many requests in flight.")
        reply = f"{self._link.inbox}.{secrets.token_urlsafe(12)}"
        if block:
            line = b"HPUB %b %b %d %d\r\n" % (subject.encode(), reply.encode(), len(block), size)
        else:
            line = b"PUB %b %b %d\r\n" % (subject.encode(), reply.encode(), size)
        self._count += 1
        try:
            async with asyncio.timeout(seconds):
                answer = await (await self._send(line, block + payload, reply))
        except TimeoutError:
            if reply not in self._sent:
                raise bus_unavailable() from None
            raise RequestTimeoutError(f"no answer on {subject} within {seconds} s") from None
        finally:
            self._count -= 1
            self._sent.pop(reply, None)
        if answer is None:
            raise ConnectionLostError(f"the connection ended before an answer on {subject}")
        if status_of(answer.headers) == NO_RESPONDERS and not answer.payload:
            raise NoRespondersError(f"nobody subscribes to {subject}")
        return answer

    async def _send(self, line: bytes, payload: bytes, reply: str) -> asyncio.Future[FullMessage | None]:
        """Send when it is this one's turn and there is room. Returns the answer to come."""
        self._waiting += len(payload)
        try:
            async with self._turn:
                if self._subscription is None:
                    self._subscription = await self._link.subscribe_full(
                        f"{self._link.inbox}.*", self._take, self._lost
                    )
                while not self._link.send(line, payload):
                    await self._link.sendable()
        finally:
            self._waiting -= len(payload)
        answer = self._sent[reply] = asyncio.get_running_loop().create_future()
        return answer

    def _take(self, subject: str, message: FullMessage) -> None:
        answer = self._sent.get(subject)
        if answer is not None and not answer.done():  # Else it is late, or one more.
            answer.set_result(message)

    def _lost(self) -> None:
        for answer in self._sent.values():
            if not answer.done():
                answer.set_result(None)
