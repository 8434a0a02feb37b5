"""Keeps one agent connected: dial, log in, restore subscriptions, receive, reconnect."""

import asyncio
import ssl
from collections.abc import Callable
from enum import Enum

from artcafe.client.backoff import Backoff
from artcafe.client.endpoint import Endpoint
from artcafe.client.errors import copy, of_close, of_frame
from artcafe.client.heartbeat import Beat, Heartbeat
from artcafe.client.login import answer, text_to_sign
from artcafe.client.session import Session, decode
from artcafe.client.signer import Signer, SignerError
from artcafe.client.transport import ClosedError, DialError, Transport, dial
from artcafe.wire import frames
from artcafe.wire.codes import GOING_AWAY, NORMAL_CLOSURE, Code, may_reconnect
from artcafe.wire.errors import ArtcafeError

NAME = "artcafe-python"

_DIAL_SECONDS = 10.0
_LOGIN_SECONDS = 30.0
_DRAIN_SECONDS = 5.0
_LASTED_SECONDS = 5.0
_SHORTEST_BEAT = 0.01
_BURST = 64


class State(Enum):
    """The state of a client. `closed` is final."""

    idle = "not connected yet"
    connecting = "connecting for the first time"
    connected = "connected, and every subscription is live"
    reconnecting = "away, coming back"
    closed = "closed, or stopped by an error"


class Link:
    """The connection of one client, across reconnects.

    `run` is one task: its starter owns it. Nothing is reported as connected before every
    subscription is live again.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        signer: Signer,
        session: Session,
        *,
        version: str,
        backoff: Backoff,
        tls: ssl.SSLContext | None,
        max_frame_bytes: int,
        clock: Callable[[], float],
        on_state: Callable[[State], None],
    ) -> None:
        self.state = State.idle
        self.reconnects = 0
        self.welcome: frames.Welcome | None = None
        self.error: ArtcafeError | None = None
        self._endpoint = endpoint
        self._signer = signer
        self._session = session
        self._version = version
        self._backoff = backoff
        self._tls = tls
        self._max_frame_bytes = max_frame_bytes
        self._clock = clock
        self._on_state = on_state
        self._connection: Transport | None = None  # the current one, logged in
        self._turned = asyncio.Event()  # set while connected and once closed
        self._leaving = False
        self._final: ArtcafeError | None = None

    async def run(self) -> None:
        """Connect and stay connected, until `leave` or an error after which coming back is no use.

        That error is raised by `ready` and ends the subscriptions; `run` itself raises faults only.
        """
        final: ArtcafeError | None = ArtcafeError(Code.internal, "The client stopped: a fault of its own.")
        try:
            self._enter(State.connecting)
            final = await self._stay()
        except asyncio.CancelledError:
            final = None
            raise
        finally:
            self._final = self.error = final
            self._session.end(final)
            self._enter(State.closed)

    async def ready(self) -> Transport:
        """Wait for the connection that is logged in and restored. Raises the error that ended the client."""
        while True:
            if self.state is State.connected and self._connection is not None and not self._leaving:
                return self._connection
            if self._final is not None:
                raise copy(self._final)
            if self._leaving or self.state is State.closed:
                raise ArtcafeError(Code.unavailable, "The client is closed.")
            await self._turned.wait()

    def drop(self, connection: Transport) -> None:
        """Stop handing out a connection that turned out to be closed."""
        if connection is self._connection:
            self._pause()

    async def tell(self, frame: bytes) -> None:
        """Send a frame that matters to the current connection only, if there is one."""
        connection = self._connection
        if connection is not None:
            try:
                await connection.send(frame)
            except ClosedError:
                self.drop(connection)

    async def leave(self) -> None:
        """Take no more calls, wait a little for the answers that are due, and close with 1000."""
        self._leaving = True
        if self._connection is not None:
            await self._drain(self._connection)

    async def _stay(self) -> ArtcafeError | None:
        while True:
            try:
                delay = await self._once()
            except ArtcafeError as final:
                return final
            if delay is None:
                return None
            await asyncio.sleep(delay)

    async def _once(self) -> float | None:
        """One connection, from the dial to the close.

        Gives the delay before the next one, None when the caller closed. Raises ArtcafeError when
        there should be no next one.
        """
        try:
            connection = await dial(
                self._endpoint,
                tls=self._tls,
                user_agent=f"{NAME}/{self._version}",
                max_frame_bytes=self._max_frame_bytes,
                seconds=_DIAL_SECONDS,
                clock=self._clock,
            )
        except DialError as refused:
            if refused.final or (refused.mistaken and self.state is State.connecting):
                raise refused.error from refused
            self.error = refused.error
            return self._backoff.delay(hint=refused.error.retry_after)
        began = self._clock()
        try:
            closed = await self._live(connection)
            if self._leaving:
                return None
            if self._clock() - began >= _LASTED_SECONDS:
                self._backoff.reset()
            delay = self._after(closed)
            self._pause()
        except ArtcafeError as final:
            self._session.end(final)
            raise
        finally:
            self._connection = None
            self._turned.clear()
            self._session.away()
            await connection.close()
        return delay

    def _after(self, closed: ClosedError) -> float:
        """The delay before coming back after this close. Raises ArtcafeError when the server said stop."""
        goaway = self._session.goaway
        self.error = of_close(closed.code, closed.reason, self._session.refusal)
        if goaway is not None and (may_reconnect(closed.code) or closed.code == NORMAL_CLOSURE):
            return self._backoff.delay(hint=goaway.reconnect_after_ms / 1000, planned=True)
        if not may_reconnect(closed.code):
            raise self.error
        planned = closed.code in {GOING_AWAY, Code.going_away.close}
        return self._backoff.delay(hint=self.error.retry_after, planned=planned)

    async def _live(self, connection: Transport) -> ClosedError:
        try:
            async with asyncio.timeout(_LOGIN_SECONDS):
                self.welcome = await self._log_in(connection)
        except ClosedError as early:
            return early
        except TimeoutError:
            return ClosedError(Code.login_timeout.close, "The server did not finish the login in time.")
        self._connection = connection
        interval = max(self.welcome.heartbeat_seconds, _SHORTEST_BEAT)
        goaway = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            aides = [
                tasks.create_task(self._beat(connection, interval)),
                tasks.create_task(self._restore(connection)),
                tasks.create_task(self._follow(connection, goaway)),
            ]
            closed = await self._listen(connection, goaway)
            for aide in aides:
                aide.cancel()
        return closed

    async def _log_in(self, connection: Transport) -> frames.Welcome:
        challenged = False
        while True:
            match decode(await connection.receive()):
                case frames.Challenge() as challenge if not challenged:
                    challenged = True
                    text = text_to_sign(
                        challenge,
                        server=self._endpoint.server,
                        tenant=self._endpoint.tenant,
                        agent=self._endpoint.agent,
                    )
                    await connection.send(await self._sign(text))
                case frames.Welcome() as welcome:
                    return welcome
                case frames.Error() as error:
                    self._session.refusal = of_frame(error)
                case frames.Challenge():
                    raise ArtcafeError(Code.protocol_error, "The server sent a second challenge.")
                case _:
                    pass

    async def _sign(self, text: bytes) -> bytes:
        try:
            # In a thread: an ssh-agent may ask its user, a hardware key waits for a touch.
            signature = await asyncio.to_thread(self._signer.sign, text)
        except SignerError as error:
            raise ArtcafeError(Code.unauthorized, f"The login was not signed: {error}") from error
        return answer(signature, name=NAME, version=self._version)

    async def _restore(self, connection: Transport) -> None:
        """Subscribe to everything anew, then report the client as connected."""
        routes = self._session.routes
        while not routes.complete():
            try:
                for frame in routes.asks():
                    await connection.send(frame)
            except ClosedError:
                return  # `_listen` meets the same close, and acts on it
            if wait := await routes.settled():
                await asyncio.sleep(wait)
        if self._session.goaway is None and not self._leaving:
            if self.state is State.reconnecting:
                self.reconnects += 1
            self.error = None
            self._enter(State.connected)

    async def _listen(self, connection: Transport, goaway: asyncio.Event) -> ClosedError:
        """Act on what comes until the connection ends."""
        count = 0
        while True:
            try:
                frame = decode(await connection.receive())
            except ClosedError as end:
                return end
            except ArtcafeError as broken:
                await connection.close(broken.code.close)
                return ClosedError(broken.code.close, broken.message)
            if frame is not None:
                self._session.receive(frame)
            if isinstance(frame, frames.Goaway):
                self._pause()
                goaway.set()
            count += 1
            if count % _BURST == 0 or self._session.routes.crowded:
                # What one read of the socket held comes without a pause: let the loops over the
                # subscriptions have their turn before their buffers overflow.
                await asyncio.sleep(0)

    async def _follow(self, connection: Transport, goaway: asyncio.Event) -> None:
        """Leave when the server says so, before it cuts the connection: so no answer is lost with it."""
        await goaway.wait()
        await self._drain(connection)

    async def _drain(self, connection: Transport) -> None:
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                await self._session.calls.idle()
        except TimeoutError:
            pass  # whoever still waits will hear that the outcome is unknown
        await connection.close()

    async def _beat(self, connection: Transport, interval: float) -> None:
        heartbeat = Heartbeat(interval, pinged=self._clock())
        ping = frames.encode(frames.Ping())
        while True:
            match heartbeat.due(self._clock(), heard=connection.heard, sent=connection.sent):
                case Beat.dead:
                    connection.abort(ClosedError(Code.heartbeat_lost.close))
                    return
                case Beat.ping:
                    heartbeat.ping_sent(self._clock())
                    try:
                        async with asyncio.timeout(interval):
                            await connection.send(ping)
                    except ClosedError:
                        return
                    except TimeoutError:
                        pass  # the server does not even read: the silence decides, not this ping
                case seconds:
                    await asyncio.sleep(seconds)

    def _pause(self) -> None:
        if self.state is State.connected and not self._leaving:
            self._enter(State.reconnecting)

    def _enter(self, state: State) -> None:
        self.state = state
        if state in {State.connected, State.closed}:
            self._turned.set()
        else:
            self._turned.clear()
        self._on_state(state)
