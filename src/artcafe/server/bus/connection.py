"""One NATS connection, used once: when it ends, for whatever reason, its owner makes the next one.

nats-py can reconnect by itself, but closes for good on most errors that the server reports, and
while it reconnects it does not tell what was lost. One way to come back is easier to be sure of.
"""

import asyncio
import logging
import re
from collections import deque
from collections.abc import Callable
from typing import Any

from nats.aio.client import Client
from nats.aio.subscription import Subscription as Subscribed
from nats.errors import Error as NatsError
from nats.errors import UnexpectedEOF

from artcafe.server.bus.operator import Credentials
from artcafe.server.ports.bus import Deliver

CONNECT_SECONDS = 3
_END_SECONDS = 1
_PING_SECONDS = 20
_PING = b"PING\r\n"
_DENIED = re.compile(r'permissions violation for subscription to "([^"]*)"')

_log = logging.getLogger(__name__)


class Connection(Client):
    """A nats-py client in which three things are different; its version is pinned, and tests watch them.

    * Everything leaves in one order. nats-py writes a PING ahead of the commands that still wait in
      its buffer, so its `flush` proves nothing about them.
    * Messages of all subscriptions are handed over in the order of arrival. nats-py has a queue and
      a task for each subscription, and drops what does not fit the queue.
    * `ended` is set when nothing is read any more. nats-py forgets its callback when the broken
      socket fails once more while it is being closed.
    """

    def __init__(self, answered: Callable[[], None]) -> None:
        """`answered` is called in the event loop when the server confirmed something."""
        super().__init__()
        self.ended = asyncio.Event()
        self.denied: set[str] = set()
        self._fault: Exception | None = None
        self._answered = answered
        self._takers: dict[int, Deliver] = {}
        # Bounded by one read of the socket and what asyncio buffers for it.
        self._arrived: deque[tuple[Deliver, str, bytes]] = deque()
        self._sent = self._asked = self._confirmed = 0

    async def open(self, servers: list[str], credentials: Credentials, name: str) -> None:
        """Connect and log in. Raises NatsError, OSError or ValueError, and then nothing is left open."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self.connect(
                    servers,
                    name=name,
                    user_jwt_cb=credentials.jwt,
                    signature_cb=credentials.sign,
                    error_cb=self._note,
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    connect_timeout=CONNECT_SECONDS,
                    ping_interval=_PING_SECONDS,
                    # Backlog is counted by the owner; here nothing ever waits for room.
                    pending_size=0,
                    skip_subject_validation=True,
                )
            if not self.is_connected:
                raise UnexpectedEOF
        except BaseException:
            await self.end()
            raise

    async def end(self) -> None:
        """Close, whatever state this is in. Waiting `ping`s get False. Raises no error of the network."""
        for pong in self._pongs:
            if not pong.done():
                pong.set_result(False)
        if self._transport is None:
            return
        try:
            # nats-py waits until everything has left, for as long as that takes.
            async with asyncio.timeout(_END_SECONDS):
                await self.close()
        except OSError as error:
            _log.debug("A NATS connection broke while it was closed: %s", error)
        finally:
            # Also when nats-py did not come to it: it was interrupted, or had begun before and failed.
            self._transport.close()  # type: ignore[no-untyped-call]

    @property
    def fault(self) -> str:
        """Why it ended, as far as is known."""
        return str(self.last_error or self._fault or "closed")

    @property
    def unconfirmed(self) -> int:
        """How many bytes were handed over that the server has not confirmed."""
        return self._sent - self._confirmed

    @property
    def silent(self) -> bool:
        """Whether something was handed over that no `ping` asks about."""
        return self._sent > self._asked

    def send(self, command: bytes) -> None:
        """Hand over a whole command of the NATS protocol; it leaves in order, without waiting for room."""
        self._sent += len(command)
        self._put(command)

    def ping(self, pong: asyncio.Future[bool]) -> None:
        """Ask for confirmation: `pong` gets True when the server has everything handed over before."""
        sent = self._asked = self._sent

        def confirm(done: asyncio.Future[bool]) -> None:
            if done.result():
                self._confirmed = sent
                self._answered()

        pong.add_done_callback(confirm)
        self._pongs.append(pong)
        self._put(_PING)

    async def take(self, pattern: str, queue: str | None, deliver: Deliver) -> Subscribed | None:
        """Subscribe, unless the connection has ended. `ping` tells when the server knows."""
        if self.is_closed:
            return None
        subscribed = await self.subscribe(pattern, queue=queue or "")
        self._takers[subscribed._id] = deliver
        return subscribed

    async def leave(self, subscribed: Subscribed) -> None:
        """Unsubscribe."""
        self._takers.pop(subscribed._id, None)
        if not self.is_closed:
            await subscribed.unsubscribe()

    def _put(self, command: bytes) -> None:
        assert self._flush_queue is not None
        self._pending.append(command)
        self._pending_data_size += len(command)
        if self._flush_queue.empty():
            self._flush_queue.put_nowait(asyncio.get_running_loop().create_future())

    async def _note(self, error: Exception) -> None:
        self._fault = error
        text = str(error)
        if "permissions violation" in text:
            # nats-py hands the text over in lower case.
            self.denied.update(_DENIED.findall(text))
            _log.error("NATS refused what this process asked for: %s", text)

    async def _send_ping(self, future: asyncio.Future[Any] | None = None) -> None:
        self.ping(future or asyncio.get_running_loop().create_future())

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        deliver = self._takers.get(sid)
        if deliver is None:
            await super()._process_msg(sid, subject, reply, data, headers)
        else:
            # Not called from here: an error of the receiver's would end nats-py's reader.
            if not self._arrived:
                asyncio.get_running_loop().call_soon(self._deliver)
            self._arrived.append((deliver, subject.decode(), data))

    def _deliver(self) -> None:
        """Deliver what one read brought. An error is the event loop's to report; the rest still comes."""
        try:
            while self._arrived:
                deliver, subject, data = self._arrived.popleft()
                deliver(subject, data)
        finally:
            if self._arrived:
                asyncio.get_running_loop().call_soon(self._deliver)

    async def _read_loop(self) -> None:
        try:
            await super()._read_loop()
        finally:
            self.ended.set()


__all__ = ["CONNECT_SECONDS", "Connection", "NatsError", "Subscribed"]
