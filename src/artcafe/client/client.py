"""The client of one agent: connect, publish, subscribe."""

import asyncio
import contextlib
import importlib.metadata
import logging
import os
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from artcafe.client.backoff import Backoff
from artcafe.client.deliveries import durable_rules
from artcafe.client.discovery_calls import DiscoveryCalls
from artcafe.client.endpoint import Endpoint
from artcafe.client.errors import OutcomeUnknownError
from artcafe.client.inbox_calls import InboxCalls
from artcafe.client.link import Link, State
from artcafe.client.publication import OutgoingFrame, ReplyFrame
from artcafe.client.publish_calls import PublishCalls
from artcafe.client.request_calls import RequestCalls
from artcafe.client.requester import Requester
from artcafe.client.session import Session
from artcafe.client.signer import KeyFile, Signer
from artcafe.client.subscription import Subscription
from artcafe.client.transport import ClosedError, Transport
from artcafe.wire import frames
from artcafe.wire.codes import Code
from artcafe.wire.deliveries import DeliveryFrame
from artcafe.wire.errors import ArtcafeError

_MAX_FRAME_BYTES = 16 * 1024 * 1024

_log = logging.getLogger("artcafe.client")


class Client(PublishCalls, RequestCalls, DiscoveryCalls, InboxCalls):
    """One agent's connection to the platform; it reconnects by itself when it is lost.

        async with Client("wss://pubsub.example.com", tenant="acme", agent="planner", key=path) as client:
            await client.publish("tasks.new", {"city": "Rome"})

    `url` is the platform's address: ws, wss, http or https. `key` is the path of a private SSH key, or
    a signer: `SshAgent(socket)` for a key that ssh-agent keeps, `KeyFile(path, passphrase)`. What the
    server asks to have signed is checked first: it must name this server, tenant and agent.

    Delivery is at most once, but within durable channels: what is published while this client is away is
    missed. Every absence is visible: `reconnects` and `Subscription.gaps` count them, `Message.after_gap`
    marks the place. A subscription within one durable channel goes on where it was.

    `timeout` is how long, in seconds, a call waits for a connection and its answer; `connect_timeout`
    how long `connect` tries. `buffer` is the size of a subscription's buffer, in messages. `on_state`
    is called with each new `State`, `on_error` with each error that belongs to no call and ended no
    subscription (they are logged too): plain functions, called soon, in the client's event loop. `tls`
    replaces the system's certificate authorities; `backoff` the delays between attempts; `clock` is in
    seconds, monotonic.
    A frame of more than `max_frame_bytes` ends the client with too_large.

    A client belongs to one event loop and connects once. Its calls may be made from many tasks and may
    be cancelled. Every failure is an ArtcafeError that says what happened, whatever made it; `key`
    raises the signer's own errors when it cannot be read.
    """

    def __init__(
        self,
        url: str,
        *,
        tenant: str,
        agent: str,
        key: str | os.PathLike[str] | Signer,
        timeout: float = 10.0,
        connect_timeout: float = 10.0,
        buffer: int = 1024,
        on_state: Callable[[State], None] | None = None,
        on_error: Callable[[ArtcafeError], None] | None = None,
        tls: ssl.SSLContext | None = None,
        max_frame_bytes: int = _MAX_FRAME_BYTES,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        endpoint = Endpoint.parse(url, tenant=tenant, agent=agent)
        if tls is not None and not endpoint.secure:
            raise ArtcafeError(Code.validation_failed, "TLS needs an address that begins with wss or https.")
        if tls is None and endpoint.secure:
            tls = ssl.create_default_context()
        self.tenant = tenant
        self.agent = agent
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._buffer = buffer
        self._state_listener = on_state
        self._error_listener = on_error
        self._session = Session(tenant, self.publish, self._answer, self._settle, self._report)
        self._link = Link(
            endpoint,
            KeyFile(Path(key).expanduser()) if isinstance(key, str | os.PathLike) else key,
            self._session,
            version=importlib.metadata.version("artcafe-pubsub"),
            backoff=Backoff() if backoff is None else backoff,
            tls=tls,
            max_frame_bytes=max_frame_bytes,
            clock=clock,
            on_state=self._announce,
        )
        self._requester = Requester(tenant, self._session, self._link, self._ready, self._late)
        self._running: asyncio.Task[None] | None = None

    @property
    def state(self) -> State:
        """The current state of the client."""
        return self._link.state

    @property
    def connected(self) -> bool:
        """Whether it is connected, with every subscription live."""
        return self._link.state is State.connected

    @property
    def reconnects(self) -> int:
        """The number of reconnects; messages may have been missed at each."""
        return self._link.reconnects

    @property
    def error(self) -> ArtcafeError | None:
        """Why it is not connected; None while it is, and after `close`."""
        return self._link.error

    @property
    def limits(self) -> frames.Limits | None:
        """The limits that the server granted last; None before the first connection."""
        return None if self._link.welcome is None else self._link.welcome.limits

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def connect(self) -> None:
        """Connect and log in, trying for `connect_timeout` seconds while nothing answers.

        Raises what the server refused the login with, or unavailable with the last reason.
        """
        if self._running is not None:
            raise ArtcafeError(Code.conflict, "A client connects once; make another one.")
        # The only task without a group around it: it lives from this call to `close`, two calls of the
        # caller's, which no `async with` of ours can span. It owns a group for everything below it.
        self._running = asyncio.create_task(self._link.run(), name="artcafe-client")  # noqa: TID251
        connected = False
        try:
            async with asyncio.timeout(self._connect_timeout):
                await self._link.ready()
            connected = True
        except TimeoutError:
            raise self._late(self._connect_timeout, "the login was not finished") from None
        finally:
            if not connected:
                await self.close()

    async def close(self) -> None:
        """Close for good: waits up to five seconds for answers that are due, then says goodbye (1000).

        Calls that still wait get unavailable, iterations end. Closing twice is fine. Raises nothing,
        except a fault of this client's own.
        """
        running = self._running
        if running is None:
            return
        try:
            if not running.done():
                await self._link.leave()
        finally:
            running.cancel()
            await asyncio.wait([running])
        if not running.cancelled() and (fault := running.exception()) is not None:
            raise fault

    def subscribe(
        self,
        subject: str,
        *,
        queue: str | None = None,
        since: int | str | None = None,
        durable: str | None = None,
        max_in_flight: int | None = None,
        lease: float | None = None,
        max_deliveries: int | None = None,
        buffer: int | None = None,
        timeout: float | None = None,
    ) -> Subscription:
        """Receive what matches `subject`, in which `*` stands for one token and a last `>` for the rest.

        Await the result, enter it with `async with`, or iterate over it at once: each waits until the
        server has confirmed. With `queue`, each message goes to one member of that group. See
        Subscription for the buffer, and for what happens when it is full.

        Within one durable channel `since` begins with what is stored: `"all"`, `"last"`, since a time
        (RFC 3339) or for a while (`"30s"`, `"10m"`, `"1h"`, `"7d"`), or from a sequence on.

        There, too, `durable` names a subscription that outlives the connection: each message goes to one of
        those who have it, `max_in_flight` at a time (16 unless given), and comes again unless it is settled
        within `lease` seconds (30; Message.ack). After `max_deliveries` (5) it is a dead letter. Who
        subscribes first decides about `since`, `lease` and `max_deliveries`.

        Raises invalid_subject and validation_failed at once; when subscribing, what the server says
        (forbidden, too_many_subscriptions, not_durable for `since` and `durable` elsewhere, conflict for
        other rules than a durable subscription has), unavailable, and conflict for a queue group that
        overlaps another subscription of this client, a durable subscription that it has, or `since` for a
        subject that it has subscribed to already.
        """
        self._session.routes.check(subject, queue, None if durable is not None else since)
        rules = None
        if durable is not None:
            rules = durable_rules(durable, max_in_flight, lease, max_deliveries)
        if durable is None and (max_in_flight or lease or max_deliveries):
            raise ArtcafeError(Code.validation_failed, "Only a durable subscription has leases.")
        if durable is not None and queue is not None:
            raise ArtcafeError(Code.validation_failed, "A subscription is durable, or of a queue group.")
        size = self._buffer if buffer is None else buffer
        if size < 1:
            raise ArtcafeError(Code.validation_failed, "A buffer holds at least one message.")
        seconds = self._timeout if timeout is None else timeout
        return Subscription(
            subject,
            queue=queue,
            since=since,
            durable=rules,
            buffer=size,
            opener=lambda it: self._open(it, seconds, lambda: self._session.routes.add(it)),
            closer=self._unsubscribe,
            drainer=self._drain,
        )

    async def _answer(
        self,
        reply_to: str,
        data: Any,
        *,
        end: bool = True,
        error: frames.ReplyError | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """message.Answerer."""
        call = self._session.calls.next_id()
        answer = ReplyFrame(reply_to, data, end=end, error=error, headers=headers, call=call)
        message_id = await self._within(self._timeout, answer, call)
        assert message_id is not None
        return message_id

    async def _settle(self, frame: DeliveryFrame, *, confirm: bool) -> None:
        """deliveries.Settler."""
        call = self._session.calls.next_id() if confirm else None
        frame.id = call
        await self._within(self._timeout, OutgoingFrame(frames.encode(frame), 0), call)

    async def _within(self, seconds: float, outgoing: OutgoingFrame, call: str | None) -> str | None:
        try:
            async with asyncio.timeout(seconds):
                return await self._deliver(outgoing, call)
        except TimeoutError:
            if outgoing.written:
                message = f"The server did not acknowledge the message within {seconds:g} seconds."
                raise OutcomeUnknownError(message) from None
            raise self._late(seconds, "nothing was sent") from None

    async def _ready(self) -> Transport:
        if self._running is None:
            message = "The client is not connected: use `async with Client(...)`, or await connect() first."
            raise ArtcafeError(Code.unavailable, message)
        return await self._link.ready()

    async def _deliver(self, outgoing: OutgoingFrame, call: str | None) -> str | None:
        """Hand it to one connection, once. Only what was not written is taken to the next."""
        while True:
            connection = await self._ready()
            if self.limits is not None:
                outgoing.check(self.limits)
            outgoing.written = True
            try:
                if call is None:
                    await connection.send(outgoing.frame)
                    return None
                with self._session.calls.expect(call) as answer:
                    await connection.send(outgoing.frame)
                    outcome = await answer
            except ClosedError as closed:
                self._link.drop(connection)
                if closed.written:
                    raise OutcomeUnknownError("The connection was lost while the message was sent.") from None
                outgoing.written = False
                continue
            if isinstance(outcome, ArtcafeError):
                raise outcome
            return outcome

    async def _open(
        self, subscription: Subscription, seconds: float, add: Callable[[], bytes | None]
    ) -> None:
        opened = False
        try:
            async with asyncio.timeout(seconds):
                await self._ready()
                frame = add()
                if frame is not None:
                    await self._link.tell(frame)
                await subscription.opened()
            opened = True
        except TimeoutError:
            raise self._late(seconds, "the server did not confirm the subscription") from None
        finally:
            if not opened:
                await subscription.close()

    async def _unsubscribe(self, subscription: Subscription) -> None:
        frame = self._session.routes.remove(subscription)
        if frame is not None:
            await self._link.tell(frame)

    async def _drain(self, subscription: Subscription) -> None:
        call = self._session.calls.next_id()
        frame = self._session.routes.leave(subscription, call)
        if frame is not None:
            with self._session.calls.expect(call) as left, contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._timeout):
                    await self._link.tell(frame)
                    await left

    def _late(self, seconds: float, what: str) -> ArtcafeError:
        reason = "" if self.error is None else f" {self.error.message}"
        return ArtcafeError(Code.unavailable, f"Within {seconds:g} seconds {what}.{reason}")

    def _announce(self, state: State) -> None:
        if self._state_listener is not None:
            asyncio.get_running_loop().call_soon(self._state_listener, state)

    def _report(self, error: ArtcafeError) -> None:
        _log.warning("%s", error)
        if self._error_listener is not None:
            asyncio.get_running_loop().call_soon(self._error_listener, error)
