"""A place on the bus that outlives its connections: ports.Link on NATS."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from artcafe.server.bus.connection import Connection, NatsError, Subscribed
from artcafe.server.bus.grammar import check_pattern, check_queue, check_subject
from artcafe.server.bus.operator import Credentials
from artcafe.server.ports.bus import Deliver
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

BUFFER_BYTES = 8 * 1024 * 1024
PATIENCE_SECONDS = 5.0

_WINDOW_BYTES = 256 * 1024
"""What may be on its way to the server unconfirmed: the most that a broken connection can lose."""

_STEADY_SECONDS = 1.0
_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.02, 2.0

_log = logging.getLogger(__name__)


class NatsSubscription:
    """Interest in a pattern, told anew to each connection of its link: ports.Subscription."""

    __slots__ = ("_deliver", "_link", "open", "pattern", "queue", "subscribed")

    def __init__(self, link: "NatsLink", pattern: str, queue: str | None, deliver: Deliver) -> None:
        self.open = True
        self.pattern = pattern
        self.queue = queue
        self.subscribed: Subscribed | None = None
        self._link = link
        self._deliver = deliver

    def take(self, subject: str, payload: bytes) -> None:
        """Deliver, unless closed meanwhile."""
        if self.open:
            self._deliver(subject, payload)

    async def close(self) -> None:
        """Nothing is delivered after this was called. Closing twice is allowed."""
        if self.open:
            self.open = False
            await self._link.forget(self)


class NatsLink:
    """One account's link, for as long as `run` runs.

    While connected, a message leaves with the next turn of the event loop. When the connection
    breaks, for whatever reason, the link makes a new one with fresh credentials and all its
    subscriptions: after some 20 ms, then in growing, jittered steps of up to two seconds, for ever.

    What is lost then, and nothing else:
    * of the messages published here, those handed to the broken connection that the server had not
      yet taken: at most 256 KiB and one message. Each flush that waits at that moment raises, and so
      does each that is called until the link is back; when there was none, the next one raises,
      once. The loss is logged.
    * for the subscriptions here, what others published while the link was away; `gaps` counts it.

    What is published while it is away waits in the buffer and leaves, in order, when it is back;
    publish raises when the buffer is full. The buffer also fills when the server is slower than the
    publishers. A link that was closed takes nothing more and its buffer is gone.
    """

    def __init__(
        self,
        servers: list[str],
        credentials: Credentials,
        name: str,
        *,
        buffer_bytes: int,
        patience: float,
        jitter: Callable[[], float],
    ) -> None:
        """`patience` is how many seconds a call waits for a bus that is away; `jitter` is from [0, 1)."""
        self._servers = servers
        self._credentials = credentials
        self._name = name
        self._buffer_bytes = buffer_bytes
        self._patience = patience
        self._jitter = jitter
        self._loop = asyncio.get_running_loop()
        self._connection: Connection | None = None
        self._subscriptions: dict[NatsSubscription, None] = {}
        # Messages, and among them the flushes that wait for those before them. Bounded by publish.
        self._out: deque[bytes | asyncio.Future[bool]] = deque()
        self._out_bytes = 0
        self._handing = False
        self._max_payload = 1024 * 1024
        # Set while up, and once it is over.
        self._settled = asyncio.Event()
        self.over = self.stood = False
        self._flushing = 0
        self._doubt = self._told = False
        self.gaps = 0

    @property
    def up(self) -> bool:
        """Whether it is connected now."""
        return self._connection is not None

    async def ready(self) -> None:
        """Return when connected. Raises unavailable when that takes longer than the link's patience."""
        try:
            async with asyncio.timeout(self._patience):
                await self._settled.wait()
        except TimeoutError:
            raise _away() from None
        self._check_open()

    def publish(self, subject: str, payload: bytes) -> None:
        """Send at most once; never blocks. Order is kept per link.

        Raises unavailable when the buffer is full or the link closed, too_large for more than the
        server takes, invalid_subject for what NATS cannot carry: nothing was taken.
        """
        check_subject(subject)
        if len(payload) > self._max_payload:
            raise ArtcafeError(Code.too_large, "The message is larger than the bus takes.")
        command = b"PUB %b %d\r\n%b\r\n" % (subject.encode(), len(payload), payload)
        if self.over or self._out_bytes + len(command) > self._buffer_bytes:
            raise _away()
        self._out.append(command)
        self._out_bytes += len(command)
        self._hand_over_soon()

    async def subscribe(self, pattern: str, deliver: Deliver, queue: str | None = None) -> NatsSubscription:
        """When this returns, whatever is published later anywhere is delivered while the link is up.

        With `queue`, each message goes to one member of the group of that name and pattern. Raises
        unavailable, forbidden when the account's permissions do not allow it, or invalid_subject.
        """
        check_pattern(pattern)
        if queue is not None:
            check_queue(queue)
        self._check_open()
        subscription = NatsSubscription(self, pattern, queue, deliver)
        self._subscriptions[subscription] = None
        try:
            if self._connection is not None:
                await self._take(self._connection, subscription)
            async with asyncio.timeout(self._patience):
                # A connection that breaks meanwhile is followed by one that knows the subscription.
                while not await self._confirmed():
                    self._check_open()
            if self._connection is not None and pattern.lower() in self._connection.denied:
                raise ArtcafeError(Code.forbidden, "The bus does not allow this subscription.")
        except TimeoutError:
            await subscription.close()
            raise _away() from None
        except BaseException:
            await subscription.close()
            raise
        return subscription

    async def flush(self) -> None:
        """When this returns, the bus has everything published before.

        Raises unavailable when it may not: see the class for when that is said. However many call
        at once, the server is asked once.
        """
        self._check_open()
        if self._doubt:
            self._told = True
            self._doubt = not self.up
            raise _away()
        self._flushing += 1
        try:
            if not await self._confirmed():
                raise _away()
        finally:
            self._flushing -= 1

    async def farewell(self, seconds: float) -> None:
        """Flush before closing, for a while."""
        try:
            async with asyncio.timeout(seconds):
                await self.flush()
        except (ArtcafeError, TimeoutError):
            _log.warning("%s is closed before NATS has everything that was published", self._name)

    async def forget(self, subscription: NatsSubscription) -> None:
        """Remove a closed subscription from this connection and the next ones."""
        self._subscriptions.pop(subscription, None)
        if self._connection is not None and subscription.subscribed is not None:
            await self._connection.leave(subscription.subscribed)

    def close(self) -> None:
        """Take nothing more, whoever holds it. The one who started `run` cancels it then."""
        self.over = True
        self._settled.set()
        for subscription in self._subscriptions:
            subscription.open = False
        self._subscriptions.clear()
        self._give_up_waiting()

    async def run(self) -> None:
        """Keep connected until closed and cancelled; return when the very first attempt fails.

        nats-py, and wait_for of Python 3.11 within it, may swallow a cancellation, so both are needed.
        """
        attempt = 0
        try:
            while True:
                connection = Connection(self._hand_over)
                try:
                    await connection.open(self._servers, self._credentials, self._name)
                except (NatsError, OSError, ValueError) as error:
                    if not self.stood:
                        _log.warning("%s cannot connect to NATS: %s", self._name, error)
                        return
                    _log.debug("%s cannot reconnect to NATS: %s", self._name, error)
                else:
                    started = self._loop.time()
                    try:
                        if not self.over:
                            await self._begin(connection)
                            await connection.ended.wait()
                    finally:
                        await self._end(connection)
                    if self._loop.time() - started >= _STEADY_SECONDS:
                        attempt = 0
                if self.over:
                    return
                pause = min(_PAUSE_SECONDS * 2**attempt, _LONGEST_PAUSE_SECONDS)
                attempt = min(attempt + 1, 10)
                await asyncio.sleep(pause * (0.5 + self._jitter()))
        finally:
            self.close()

    async def _begin(self, connection: Connection) -> None:
        self.stood = True
        self._max_payload = connection.max_payload
        self._connection = connection
        self._settled.set()
        if self._told:
            self._doubt = self._told = False
        for subscription in tuple(self._subscriptions):
            await self._take(connection, subscription)
        self._hand_over()

    async def _end(self, connection: Connection) -> None:
        self._connection = None
        self._settled.clear()
        self.gaps += 1 if self._subscriptions else 0
        lost = connection.unconfirmed
        if lost:
            self._doubt, self._told = True, self._flushing > 0
            self._give_up_waiting()
        if not self.over:
            text = "%s lost its connection to NATS: %s; up to %d bytes were on their way"
            _log.warning(text, self._name, connection.fault, lost)
        await connection.end()

    async def _take(self, connection: Connection, subscription: NatsSubscription) -> None:
        subscription.subscribed = await connection.take(
            subscription.pattern, subscription.queue, subscription.take
        )

    async def _confirmed(self) -> bool:
        """Wait until the server has everything handed in before; False when that cannot be known."""
        last = self._out[-1] if self._out else None
        if not isinstance(last, asyncio.Future):
            last = self._loop.create_future()
            self._out.append(last)
            self._hand_over_soon()
        await asyncio.wait([last], timeout=self._patience)
        return last.done() and last.result()

    def _give_up_waiting(self) -> None:
        """Tell the flushes that wait in the buffer that they cannot know; the messages stay."""
        kept = deque[bytes | asyncio.Future[bool]]()
        for item in self._out:
            if isinstance(item, bytes):
                kept.append(item)
            elif not item.done():
                item.set_result(False)
        self._out = kept

    def _hand_over_soon(self) -> None:
        if not self._handing and self._connection is not None:
            self._handing = True
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        """Hand over what the window has room for; called again when the server confirmed something."""
        self._handing = False
        connection = self._connection
        if connection is None or connection.ended.is_set():
            return
        while self._out and connection.unconfirmed < _WINDOW_BYTES:
            item = self._out.popleft()
            if isinstance(item, bytes):
                self._out_bytes -= len(item)
                connection.send(item)
            else:
                connection.ping(item)
        if self._out and connection.silent:
            connection.ping(self._loop.create_future())

    def _check_open(self) -> None:
        if self.over:
            raise _away()


async def leave(tasks: asyncio.TaskGroup, error: BaseException | None) -> None:
    """Leave a task group that was entered by hand, when the block around it ended with `error`.

    The group is told of a cancellation only, which may be its own; it would wrap any other error,
    which is not its tasks' fault.
    """
    if isinstance(error, asyncio.CancelledError):
        await tasks.__aexit__(type(error), error, error.__traceback__)
    else:
        await tasks.__aexit__(None, None, None)


def _away() -> ArtcafeError:
    return ArtcafeError(Code.unavailable, "The bus is away for a moment.")
