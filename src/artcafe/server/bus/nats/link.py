"""A link to one NATS account, which outlives its connections: ports.Link on NATS."""

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterable, Sequence

from artcafe.server.bus.nats.buffer import PublishBuffer
from artcafe.server.bus.nats.connection import NatsConnection, NotConnectedError
from artcafe.server.bus.nats.credentials import NatsCredentials
from artcafe.server.bus.nats.dialer import Dialer
from artcafe.server.bus.nats.grammar import check_pattern, check_queue, check_subject
from artcafe.server.bus.nats.greeting import Info
from artcafe.server.bus.nats.message import FullMessage
from artcafe.server.bus.nats.publish_route import PublishRoute, PublishRoutes
from artcafe.server.bus.nats.servers import ServerAddress, ServerPool
from artcafe.server.bus.nats.subscription import NatsSubscription
from artcafe.server.bus.nats.window import Window
from artcafe.server.bus.unavailable import bus_unavailable
from artcafe.server.ports.bus import Deliver, Own
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

BUFFER_BYTES = 8 * 1024 * 1024
CROWDED_BYTES = 1024 * 1024
"""What may wait while connected, before publishers are asked to wait as well."""

PATIENCE_SECONDS = 5.0

LOG = logging.getLogger(__name__)


class NatsLink:
    """One account's link, for as long as `run` runs.

    While connected, a message leaves with the next turn of the event loop. When the connection
    breaks, for whatever reason, the link makes a new one with fresh credentials and all its
    subscriptions, on any server it knows: after some 20 ms, then in growing, jittered steps of up to
    two seconds, for ever. A server that is going to stop is left for another one, as soon as it
    confirmed what it was given.

    What is lost then, and nothing else:
    * of the messages published here, those handed to the broken connection that the server had not
      yet taken: at most 256 KiB and one message. Each flush that waits at that moment raises, and so
      does each that is called until the link is back; when there was none, the next one raises,
      once. The loss is logged.
    * for the subscriptions here, what others published while the link was away; `gaps` counts it.

    With `echo`, the server sends back what is published here to the subscriptions here, as to all
    others. Without, it does not, and the link delivers that itself, once the message was taken. Such
    a link has no queue groups, whose members the server chooses.

    What is published while it is away waits in the buffer and leaves, in order, when it is back;
    publish raises when the buffer is full. The buffer also fills when the server is slower than the
    publishers. A link that was closed takes nothing more and its buffer is gone.
    """

    def __init__(
        self,
        servers: list[str],
        credentials: NatsCredentials,
        name: str,
        *,
        buffer_bytes: int,
        patience: float,
        jitter: Callable[[], float],
        echo: bool = True,
        tls: ssl.SSLContext | None = None,
        others: Iterable[ServerAddress] = (),
        refused: Callable[[], object] = lambda: None,
    ) -> None:
        """`patience` is how many seconds a call waits for a bus that is away; `jitter` is from [0, 1).
        `others` are servers of the same cluster that somebody else knows of. `refused` is called each time
        that a server does not let in who logs in with the credentials.

        `tls` says whom to trust, where a server asks for TLS or is addressed as `tls://`: as the
        system does, unless given. Raises ValueError for what is no server's URL.
        """
        pool = ServerPool(servers, jitter, others)
        self._dialer = Dialer(pool, credentials, name, jitter=jitter, echo=echo, tls=tls, refused=refused)
        self._name = name
        self._patience = patience
        self.inbox = credentials.inbox
        self._loop = asyncio.get_running_loop()
        self._connection: NatsConnection | None = None
        self._direct: Window | None = None  # Its window, unless the server is to be left.
        self._subscriptions: dict[NatsSubscription, None] = {}
        self._out = PublishBuffer(buffer_bytes)
        self._crowded = CROWDED_BYTES  # Compiled, a number of C.
        self._handing = self._paused = False
        self._routes = PublishRoutes()
        self._echo = echo
        self._info = Info()  # Of the server to which it is, or was, connected.
        self.max_payload = self._info.max_payload
        # Set while up, and once it is over.
        self._settled, self._relieved = asyncio.Event(), asyncio.Event()
        self.over = self.stood = False
        self._flushing = self.gaps = 0
        self._doubt = self._told = False

    @property
    def known(self) -> Sequence[ServerAddress]:
        """The servers that it knows."""
        return self._dialer.known

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
            raise bus_unavailable() from None
        self.check_open()

    def publish(self, subject: str, payload: bytes) -> bool:
        """Send at most once; never blocks. Order is kept per link. False when there is no `room` for more.

        Raises unavailable when the buffer is full or the link closed, too_large for more than the
        server takes, invalid_subject for what NATS cannot carry: nothing was taken.
        """
        route = self._routes.of(subject)
        return self._put(route, route.sized(len(payload)), payload)

    def new_inbox(self) -> str:
        """As ports.Asking: the same for all calls."""
        return self.inbox

    def ask(self, subject: str, payload: bytes, reply: str) -> bool:
        """As ports.Asking. It is not kept for another connection: nobody would wait for it any more."""
        if self._connection is None:
            raise bus_unavailable()
        check_subject(reply)
        route, size = self._routes.of(subject), len(payload)
        return self._put(route, b"PUB %b %b %d\r\n" % (subject.encode(), reply.encode(), size), payload)

    def _put(self, route: PublishRoute, head: bytes, payload: bytes) -> bool:
        """Hand a command to the server, then its payload to the receivers here. Raises as `publish`."""
        if len(payload) > self.max_payload:
            raise ArtcafeError(Code.too_large, "The message is larger than the bus takes.")
        if self._direct is None or self._out.size or not self._direct.send(head, payload):
            if self.over or not self._out.put(b"".join((head, payload, b"\r\n"))):
                raise bus_unavailable()
            self._hand_over_soon()
        route.hear(payload)
        return not self._paused and (self._connection is None or self._out.size <= self._crowded)

    async def room(self) -> None:
        """Return when half of what makes it crowded is gone, or it is not connected; and it is not paused.

        While it is away, what fits the buffer is taken at once, and the rest is refused at once.
        """
        while self._paused or (self._connection is not None and self._out.size > self._crowded // 2):
            self._relieved.clear()
            await self._relieved.wait()

    def pause(self, paused: bool, /) -> None:
        """Read nothing more from the server, and let publishers wait for room; or go on."""
        self._paused = paused and not self.over
        if not self._paused:
            self._relieved.set()
        if self._connection is not None:
            self._connection.pause(self._paused)

    async def subscribe(
        self, pattern: str, deliver: Deliver, queue: str | None = None, own: Own | None = None
    ) -> NatsSubscription:
        """When this returns, whatever is published later is delivered while the link is up; what is published
        at another node of a cluster, as soon as that node has heard of it.

        With `queue`, each message goes to one member of the group of that name and pattern. What the
        link delivers itself comes by `own`, where given, from within `publish`. Raises
        unavailable, also when the server has no room for more; forbidden when the account's
        permissions do not allow it; invalid_subject.
        """
        check_pattern(pattern)
        if queue is not None:
            check_queue(queue)
            assert self._echo, "the server chooses a group's members, so it has to send to them"
        self.check_open()
        subscription = NatsSubscription(self, pattern, queue, deliver, own)
        if not self._echo:
            self._routes.add(subscription)
        return await self._added(subscription)

    async def subscribe_full(
        self, pattern: str, deliver: Callable[[str, FullMessage], None], missed: Callable[[], None]
    ) -> NatsSubscription:
        """As `subscribe`, with the reply subject and the headers of each message. `missed` is called each
        time that the connection ends, or the link; it must not raise. Without `echo`, nothing that is
        published on this link is delivered."""
        check_pattern(pattern)
        self.check_open()
        return await self._added(NatsSubscription(self, pattern, None, deliver, None, missed))

    async def _added(self, subscription: NatsSubscription) -> NatsSubscription:
        """Add it, and return it when the server has confirmed it. Raises unavailable and forbidden."""
        self._subscriptions[subscription] = None
        pattern, crowded = subscription.pattern, 0
        try:
            if self._connection is not None:
                crowded = self._connection.crowded
                self._connection.denied.pop(pattern, None)
                subscription.begin(self._connection)
            async with asyncio.timeout(self._patience):
                # A connection that breaks meanwhile is followed by one that knows the subscription.
                while not await self._confirmed():
                    self.check_open()
            if self._connection is not None and pattern in self._connection.denied:
                raise ArtcafeError(Code.forbidden, "The bus does not allow this subscription.")
            if self._connection is not None and self._connection.crowded > crowded:
                raise ArtcafeError(Code.unavailable, "The bus has no room for more subscriptions.")
        except TimeoutError:
            self.forget(subscription)
            raise bus_unavailable() from None
        except BaseException:
            self.forget(subscription)
            raise
        return subscription

    async def flush(self) -> None:
        """When this returns, the bus has everything published before.

        Raises unavailable when it may not: see the class for when that is said. However many call
        at once, the server is asked once.
        """
        self.check_open()
        if self._doubt:
            self._told = True
            self._doubt = not self.up
            raise bus_unavailable()
        self._flushing += 1
        try:
            if not await self._confirmed():
                raise bus_unavailable()
        finally:
            self._flushing -= 1

    async def settle(self) -> None:
        """When this returns, what the server had sent to the subscriptions here before has been delivered.
        Raises unavailable."""
        # It answers in its turn, and what was read with the answer is delivered before a caller goes on.
        await self.flush()

    async def farewell(self, seconds: float) -> None:
        """Flush before closing, for a while."""
        try:
            async with asyncio.timeout(seconds):
                await self.flush()
        except (ArtcafeError, TimeoutError):
            LOG.warning("%s is closed before NATS has everything that was published", self._name)

    def send(self, line: bytes, payload: bytes, /) -> bool:
        """Send a command on this connection or never, behind all that was published; False, and not taken,
        while there is no connection, or it has no room."""
        return self._direct is not None and not self._out.size and self._direct.send(line, payload)

    async def sendable(self) -> None:
        """Return when `send` may have room. Raises unavailable as `ready`."""
        await self.ready()
        await self._confirmed()

    def forget(self, subscription: NatsSubscription) -> None:
        """Close a subscription, and remove it from this connection and the next ones."""
        subscription.open = False
        self._subscriptions.pop(subscription, None)
        if not self._echo:
            self._routes.discard(subscription)
        if self._connection is not None and subscription.number is not None:
            self._connection.leave(subscription.number)

    async def drain(self, subscription: NatsSubscription) -> None:
        """Remove it as `forget`, once what the server had sent to it before was delivered: of a group's
        messages each is sent to one member, and to nobody else when that one is gone."""
        self._subscriptions.pop(subscription, None)
        if self._connection is not None and subscription.number is not None:
            await self._connection.drain(subscription.number, self._patience)

    def close(self) -> None:
        """Take nothing more, whoever holds it. The one who started `run` cancels it then."""
        self.over = True
        self._direct, self._paused = None, False
        self._relieved.set()
        self._settled.set()
        for subscription in tuple(self._subscriptions):
            subscription.end()
            self.forget(subscription)
        self._out.give_up()

    async def run(self) -> None:
        """Keep connected until closed and cancelled; return when the very first attempt fails.

        A fault in it is logged, and answered as a broken connection is. A cancellation may be swallowed by
        what is under way, so both are needed.
        """
        try:
            while True:
                try:
                    await self._serve()
                except (NotConnectedError, OSError, ValueError) as error:
                    if not self.stood:
                        LOG.warning("%s cannot connect to NATS: %s", self._name, error)
                        return
                    LOG.debug("%s cannot reconnect to NATS: %s", self._name, error)
                except Exception:  # Supervision: it ends this connection, and no other link.
                    LOG.exception("fault in %s", self._name)
                    if not self.stood:
                        return
                if self.over:
                    return
                await asyncio.sleep(self._dialer.pause())
        finally:
            self.close()

    async def _serve(self) -> None:
        """One connection, from its beginning to its end. Raises as Dialer.connect."""
        connection = await self._dialer.connect(self._hand_over)
        started = self._loop.time()
        try:
            if not self.over:
                self._begin(connection)
                await connection.ended.wait()
        finally:
            await self._end(connection)
            self._dialer.ended(self._loop.time() - started)

    def _begin(self, connection: NatsConnection) -> None:
        self.stood = True
        self._connection, self._direct = connection, connection.window
        self._settled.set()
        if self._told:
            self._doubt = self._told = False
        for subscription in self._subscriptions:
            subscription.begin(connection)
        self._hand_over()

    async def _end(self, connection: NatsConnection) -> None:
        self._connection = self._direct = None
        self._settled.clear()
        self._relieved.set()
        self.gaps += 1 if self._subscriptions else 0
        for subscription in tuple(self._subscriptions):
            subscription.end()
        lost = connection.window.unconfirmed
        if lost:
            self._doubt, self._told = True, self._flushing > 0
            self._out.give_up()
        if not self.over:
            text = "%s lost its connection to NATS: %s; up to %d bytes were on their way"
            LOG.warning(text, self._name, connection.fault, lost)
        await connection.end()

    async def _confirmed(self) -> bool:
        """Wait until the server has everything handed in before; False when that cannot be known."""
        waiter = self._out.waiter()
        self._hand_over_soon()
        await asyncio.wait([waiter], timeout=self._patience)
        return waiter.done() and waiter.result()

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
        if connection.info is not self._info:
            self._learn(connection.info)
        if self._info.ldm and len(self._dialer.known) > 1:
            self._move_on(connection)
            return
        self._out.hand_over(connection.window)
        if self._out.size <= self._crowded // 2:
            self._relieved.set()

    def _learn(self, info: Info) -> None:
        self._info = info
        self.max_payload = info.max_payload
        self._dialer.learn(info)

    def _move_on(self, connection: NatsConnection) -> None:
        """Leave a server that is going to stop, when it has what it was given."""
        if connection.window.settled:
            connection.leave_server("the server is going to stop")
        elif self._direct is not None:
            connection.window.ping(None)
        self._direct = None

    def check_open(self) -> None:
        """Raises unavailable once it is over."""
        if self.over:
            raise bus_unavailable()
