"""One process's end of a consumer: it pulls what is wanted, and tells the bus what becomes of it.

JetStream's pull consumers, ADR-13 of nats-architecture-and-design.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec

from artcafe.server.bus.nats.headers import NO_RESPONDERS, status_of, value_of
from artcafe.server.bus.nats.message import FullMessage
from artcafe.server.bus.nats.streams.commit import Spawn
from artcafe.server.bus.nats.streams.replies import StreamLink
from artcafe.server.bus.nats.subscription import NatsSubscription
from artcafe.server.bus.unavailable import bus_unavailable
from artcafe.server.ports.consumers import ConsumerRules, HandedOut
from artcafe.server.ports.streams import StoredMessage
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import from_stored

PULL_SECONDS = 5.0
"""How long a pull is open: a process that stands still holds none longer."""

SILENCE_SECONDS = 3.0
"""So long after its end a pull that was not answered is taken for lost."""

RETRY_SECONDS = 0.5
CHECK_AFTER = 8
"""A consumer that does not answer is asked again after this time, and after so many times in a row it is
found out whether it was deleted."""

PULL_BYTES = 8 * 1024 * 1024
"""The most bytes that one pull brings: more than the largest message."""

_NOT_FOUND, _TIMEOUT, _CONFLICT = 404, 408, 409
_ACK = "$JS.ACK."

LOG = logging.getLogger(__name__)


class NatsConsumer:
    """ports.Consumer. Of what is pulled and not handed out yet, never more than is wanted is asked for."""

    def __init__(
        self,
        link: StreamLink,
        inbox: str,
        stream: str,
        name: str,
        rules: ConsumerRules,
        take: Callable[[HandedOut], None],
        over: Callable[[], None],
        exists: Callable[[], Awaitable[bool]],
    ) -> None:
        """`inbox` is a subject of the link that nothing else is sent to; `exists` finds out whether the
        consumer is there, and raises unavailable."""
        self.rules = rules
        self._link = link
        self._inbox = inbox
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{name} {self._inbox}".encode()
        self._place = f"{stream}/{name}"
        self._take = take
        self._over = over
        self._exists = exists
        self._subscription: NatsSubscription | None = None
        self._task: asyncio.Task[None] | None = None
        self._wanted = 0
        self._asked = 0
        self._unanswered = 0
        self._refused = False
        self._deleted = False
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def open(self, spawn: Spawn) -> None:
        """Be ready to hand out. Raises unavailable."""
        self._subscription = await self._link.subscribe_full(self._inbox, self._arrived, self._lost)
        self._task = spawn(self._run())

    def want(self, many: int) -> None:
        """See ports.Consumer."""
        self._wanted = many
        self._wake.set()

    def ack(self, handed: HandedOut) -> None:
        """See ports.Consumer."""
        self._tell(handed, b"+ACK")

    def nak(self, handed: HandedOut, delay: float = 0.0) -> None:
        """See ports.Consumer."""
        self._tell(handed, b'-NAK {"delay": %d}' % int(delay * 1e9) if delay > 0.0 else b"-NAK")

    def renew(self, handed: HandedOut) -> None:
        """See ports.Consumer."""
        self._tell(handed, b"+WPI")

    def term(self, handed: HandedOut) -> None:
        """See ports.Consumer."""
        self._tell(handed, b"+TERM")

    async def close(self) -> None:
        """See ports.Consumer."""
        self._wanted = 0
        if self._task is not None:
            self._task.cancel()
        if self._subscription is not None:
            await self._subscription.drain()

    def _tell(self, handed: HandedOut, word: bytes) -> None:
        if not self._link.send(b"PUB %b %d\r\n" % (handed.settle.encode(), len(word)), word):
            raise bus_unavailable()

    async def _run(self) -> None:
        """Pull whenever more is wanted than is asked for, until it is closed or the consumer is deleted."""
        while not self._deleted:
            try:
                async with asyncio.timeout(PULL_SECONDS + SILENCE_SECONDS if self._asked else None):
                    await self._wake.wait()
            except TimeoutError:
                self._asked = 0  # Its leader is gone, and with it the pulls.
            self._wake.clear()
            if self._refused:
                await self._check()
            # Not one by one.
            if self._asked <= self._wanted // 2 and self._asked < self._wanted:
                try:
                    await self._pull(self._wanted - self._asked)
                except ArtcafeError as error:
                    if self._link.over:
                        return
                    LOG.debug("the consumer %s is pulled from later: %s", self._place, error)
                    self._refused = True
                    self._wake.set()
        self._over()

    async def _pull(self, many: int) -> None:
        asked = {"batch": many, "expires": int(PULL_SECONDS * 1e9), "max_bytes": PULL_BYTES}
        payload = msgspec.json.encode(asked)
        line = b"PUB %b %d\r\n" % (self._next, len(payload))
        while not self._link.send(line, payload):
            await self._link.sendable()
        self._asked += many

    async def _check(self) -> None:
        """Wait before the next pull, and find out whether the consumer is there where it does not answer."""
        self._refused = False
        await asyncio.sleep(RETRY_SECONDS)
        self._wake.set()
        if self._unanswered >= CHECK_AFTER:
            self._unanswered = 0
            try:
                self._deleted = not await self._exists()
            except ArtcafeError as error:
                LOG.warning("the consumer %s does not answer: %s", self._place, error)

    def _arrived(self, subject: str, message: FullMessage) -> None:
        """A message that is handed out, or the end of a pull."""
        if not message.reply.startswith(_ACK):
            self._ended(message)
            return
        self._unanswered = 0
        self._asked = max(0, self._asked - 1)
        self._wanted = max(0, self._wanted - 1)
        self._wake.set()
        tokens = message.reply.split(".")
        # With a domain and an account before the stream, or without (ADR-15).
        count, seq = (tokens[4], tokens[5]) if len(tokens) == 9 else (tokens[6], tokens[7])
        try:
            told = StoredMessage(int(seq), from_stored(subject), message.payload)
        except ValueError as error:
            LOG.warning("the consumer %s handed out what is not ours: %s", self._place, error)
            return
        self._take(HandedOut(told, int(count), message.reply))

    def _ended(self, message: FullMessage) -> None:
        status = status_of(message.headers)
        if status == NO_RESPONDERS:
            self._asked = 0
            self._unanswered += 1
            self._refused = True
        elif status in {_NOT_FOUND, _TIMEOUT, _CONFLICT}:
            left = value_of(message.headers, b"Nats-Pending-Messages")
            self._asked = 0 if left is None or not left.isdigit() else max(0, self._asked - int(left))
            self._deleted |= b"Consumer Deleted" in message.headers
            # One with a bound of bytes is told of as well when it has brought everything.
            self._refused = status != _TIMEOUT and b"Batch Completed" not in message.headers
        else:
            return
        self._wake.set()

    def _lost(self) -> None:
        """The connection ended, and with it the pulls."""
        self._asked = 0
        self._wake.set()
