"""The handler of one WebSocket: the login, then a session."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Container
from contextlib import suppress
from typing import Protocol

import msgspec

from artcafe.server.domain.principal import Principal
from artcafe.server.gateway.fanout.hub import TenantHub
from artcafe.server.gateway.sessions import journal
from artcafe.server.gateway.sessions.agent_session import AgentSession
from artcafe.server.gateway.sessions.authentication import Admission, Authenticated, Authenticator, Claim
from artcafe.server.gateway.sessions.authorization import Authorization
from artcafe.server.gateway.sessions.client import Work
from artcafe.server.gateway.websocket.peer import Peer
from artcafe.wire import frames
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

LOG = logging.getLogger("artcafe.gateway")

HOLD_SECONDS = 0.01
"""How long nothing is taken from a client that sends faster than it may, again and again."""

LEAVE_SECONDS = 1.0
"""How long a client that is sent away waits for the bus at most: to leave its groups, and to acknowledge."""

ROOMY_BYTES = 65_536
ROOM_SECONDS = 0.01
"""What may wait for a client to which stored messages are sent, and when it is looked at again."""

OWED_AT_ONCE = 32
"""Frames beyond its rate that are refused before a client is held. With HOLD_SECONDS they bound what a flood
costs; TCP slows its sender down."""


class ConnectionHost(Protocol):
    """The interface of the gateway that a connection uses."""

    @property
    def heartbeat_seconds(self) -> float:
        """How long a client may be silent before it is asked."""
        ...

    def start(self, work: Work) -> None:
        """Run work as a task of the gateway's."""
        ...

    def admit(self, connection: "Connection", authenticated: Authenticated) -> Awaitable[AgentSession]:
        """Admit an authenticated client; raises ArtcafeError when it may not, or not now."""
        ...

    def renew(self, connection: "Connection", token: str) -> Awaitable[int]:
        """Take a newer token; when it expires, in Unix seconds. Raises forbidden, unauthorized."""
        ...

    def opened(self, connection: "Connection") -> None:
        """The socket opened."""
        ...

    def closed(self, connection: "Connection", code: int) -> None:
        """The socket is gone; `code` as in Handler.closed."""
        ...


class Connection:
    """The handler of one peer.

    Frames are worked off in the order they came: while one waits for the bus, the next ones wait
    too, and nothing more is read from the socket. Once the end has begun nothing is worked off any
    more, whatever still waits. `admission` says who it is, or how it will prove that.
    """

    def __init__(
        self,
        host: ConnectionHost,
        admission: Admission,
        claim: Claim,
        *,
        connection_id: str,
        remote: str,
        since: float,
    ) -> None:
        self.id = connection_id
        self.remote = remote
        self.since = since
        self.claim = claim
        self.dialect = admission.dialect
        self.authorization = Authorization()
        self.session: AgentSession | None = None
        self.peer: Peer | None = None
        self.frames_in = 0
        self.frames_out = 0  # What a session delivers is added when the gateway counts it.
        self.ended_by: Code | None = None
        self._gone = self._sent_away = False
        self._left: asyncio.Event | None = None  # Set when the client is gone; only who is sent away has one.
        self._ended = False  # By us; the peer knows of all ends, but this is asked for every frame.
        self._host = host
        self._proof: Authenticated | Authenticator | None = admission.proof
        self._backlog: deque[bytes] | None = None  # Most never need one, and an empty one has 760 bytes.
        self._busy = False
        self._owed = 0
        self._silent = 0
        self._proving_since: float | None = None

    @property
    def login_ms(self) -> float | None:
        """Milliseconds since the client began to prove who it is; None before that."""
        if self._proving_since is None:
            return None
        return round((asyncio.get_running_loop().time() - self._proving_since) * 1000, 1)

    @property
    def principal(self) -> Principal | None:
        """The principal; None until the connection is admitted."""
        return self.authorization.principal

    # The socket's side.

    def opened(self, peer: Peer) -> None:
        """Ask the question of the login, or admit the client that is authenticated."""
        self.peer = peer
        journal.connected(self)
        self._host.opened(self)
        if self.gone():
            return
        if isinstance(self._proof, Authenticated):
            self._proving_since = asyncio.get_running_loop().time()
            self._wait_for(self._enter(self._proof))
        elif self._proof is not None and (question := self._proof.question()) is not None:
            self.send(question)

    def text(self, message: bytes) -> None:
        """One frame."""
        self.frames_in += 1
        if self._busy:
            if self._backlog is None:
                self._backlog = deque()
            self._backlog.append(message)
        elif self.session is not None and not self._ended:
            work = self.session.take(message)
            if work is not None or self._owed >= OWED_AT_ONCE:
                self._wait_for(work)
        else:
            self._take(message)

    def binary(self, message: bytes) -> None:
        """Frames are text."""
        self.frames_in += 1
        self.end(Code.bad_frame, "Frames are JSON in text messages.")

    def slow(self) -> None:
        """The client does not read what it subscribed to."""
        if self.peer is not None and not self.gone():
            journal.slow_consumer(self, self.peer.queued())
        self.end(Code.slow_consumer)

    def broke(self, error: ArtcafeError) -> None:
        """A rule of the socket closes the client."""
        if self.ended_by is None:
            self.ended_by = error.code
        if error.code is Code.flooding:
            journal.throttled(self, error.code)

    def ending(self) -> None:
        """The socket is there for the CLOSE alone: what its subscriptions would get goes to others."""
        if self.session is not None:
            self._host.start(self.session.leave())

    def closed(self, code: int) -> None:
        """The socket is gone; said again, it changes nothing."""
        if self._gone:
            return
        self._gone = True
        self._backlog = None
        if self._left is not None:
            self._left.set()
        self._host.closed(self, code)
        self.session = None  # It leads back here; without the circle both are freed at once.

    def gone(self) -> bool:
        """Whether the end has begun: what comes is not heard, what is sent is dropped."""
        return self._gone or (self.peer is not None and self.peer.closed)

    # The session's side.

    def send(self, frame: msgspec.Struct) -> None:
        """Send one frame; nothing happens when the socket is gone."""
        if self.peer is not None:
            self.frames_out += 1
            self.peer.send(frames.encode(frame))

    def deliver(self, framed: bytes) -> None:
        """Send WebSocket frames, joined, that others share."""
        if self.peer is not None:
            self.peer.write(framed)

    async def room(self) -> None:
        """Return when the client has taken most of what was sent to it, or is gone."""
        while self.peer is not None and not self.gone() and self.peer.queued() > ROOMY_BYTES:  # noqa: ASYNC110 - a socket tells of one limit only
            await asyncio.sleep(ROOM_SECONDS)

    def end(self, code: Code, message: str | None = None) -> None:
        """Say why, and close."""
        if self.peer is None or self.gone():
            return
        if code is Code.flooding:
            journal.throttled(self, code)
        reason = message or code.value.when
        self.send(frames.Error(code=code.name, message=reason))
        self._close(self.peer, code, reason)

    def owe(self, count: int) -> None:
        """So many frames were beyond the client's rate, and it has been too fast for a while."""
        self._owed += count

    def throttled(self) -> None:
        """A frame was refused because of the client's rate."""
        journal.throttled(self, Code.rate_limited)

    async def renew(self, token: str) -> int:
        """Take a newer token; when it expires, in Unix seconds. Raises forbidden, unauthorized."""
        return await self._host.renew(self, token)

    def patterns(self) -> list[str]:
        """What the client subscribed to, in the short form."""
        return [] if self.session is None else self.session.patterns()

    def beat(self) -> None:
        """Once per heartbeat: ask a client that was silent, close one that was silent twice.

        While its frames wait nothing is read from it, so its silence says nothing.
        """
        if self.peer is None or self.gone():
            return
        self._silent = 0 if self._busy or self.peer.heard() else self._silent + 1
        if self._silent >= 2:
            self.end(Code.heartbeat_lost)
        elif self._silent:
            self.peer.ping()

    def bus_was_away(self, hubs: Container[TenantHub]) -> None:
        """Close, so that the client comes back and knows, if it subscribed through one of these hubs."""
        session = self.session
        if session is None or session.hub not in hubs:
            return
        if any(session.hub.may_miss(subscriber) for subscriber in session.subscribers):
            self.end(Code.unavailable, "The bus was away: messages may have been missed.")

    def go_away(self, reconnect_after_ms: int, moment: float = 0.0) -> None:
        """The server stops: take the client out of its groups, say when to come back, and close with 1012. In
        between it is heard for `moment` seconds and what it published is acknowledged: what was on its way
        gets an answer. The bus is waited for up to LEAVE_SECONDS, twice."""
        if self.peer is None or self.gone() or self._sent_away:
            return
        self._sent_away = True
        session = self.session
        if session is not None and (moment or session.shares_work):
            self._host.start(self._leave(session, self.peer, reconnect_after_ms, moment))
        else:
            self._say_goaway(reconnect_after_ms)
            self._close(self.peer, Code.going_away, "restart")

    async def _leave(self, session: AgentSession, peer: Peer, reconnect_after_ms: int, moment: float) -> None:
        await self._within(LEAVE_SECONDS, session.drain())
        if self.gone():
            return
        self._say_goaway(reconnect_after_ms)
        if moment:
            self._left = asyncio.Event()
            with suppress(TimeoutError):
                async with asyncio.timeout(moment):
                    await self._left.wait()
            await self._within(LEAVE_SECONDS, session.acknowledged())
        if not self.gone():
            self._close(peer, Code.going_away, "restart")

    async def _within(self, seconds: float, work: Work) -> None:
        """Wait for work before the end, which comes whatever becomes of it."""
        try:
            async with asyncio.timeout(seconds):
                await work
        except (ArtcafeError, TimeoutError) as error:
            LOG.debug("connection %s is closed without waiting for the bus: %r", self.id, error)
        except Exception:
            LOG.exception("fault in connection %s", self.id)

    def _say_goaway(self, reconnect_after_ms: int) -> None:
        if self.session is not None:
            self.send(frames.Goaway(reason="restart", reconnect_after_ms=reconnect_after_ms))

    def _close(self, peer: Peer, code: Code, reason: str) -> None:
        self._ended = True
        self.ended_by = code
        peer.close(code.close, reason)

    # In order.

    def _take(self, message: bytes) -> None:
        if self.gone():
            return
        work = self.session.take(message) if self.session is not None else self._answer(message)
        if work is not None or self._owed >= OWED_AT_ONCE:
            self._wait_for(work)

    def _wait_for(self, work: Work | None) -> None:
        """Let the next frames wait for this; without work, for HOLD_SECONDS."""
        if work is None:
            self._owed = 0
            work = asyncio.sleep(HOLD_SECONDS)
        self._busy = True
        if self.peer is not None:
            self.peer.pause()
        self._host.start(self._finish(work))

    async def _finish(self, work: Work) -> None:
        try:
            await work
            self._busy = False
            while self._backlog and not self._busy:
                self._take(self._backlog.popleft())
        except Exception:
            # One of the two edges: a fault ends this connection, never the process.
            LOG.exception("fault in connection %s", self.id)
            self.end(Code.internal)
            self._busy = False
        if not self._busy and self.peer is not None:
            self.peer.resume()

    # The login.

    def _answer(self, message: bytes) -> Work | None:
        proof, self._proof = self._proof, None
        if proof is None or isinstance(proof, Authenticated):
            # One try per connection; what a client sends behind a refused one is not heard.
            return None
        self._proving_since = asyncio.get_running_loop().time()
        return self._login(proof, message)

    async def _login(self, authenticator: Authenticator, message: bytes) -> None:
        try:
            authenticated = await authenticator.authenticate(message)
        except ArtcafeError as error:
            journal.login_refused(self, error)
            self.end(error.code, error.message)
            return
        await self._enter(authenticated)

    async def _enter(self, authenticated: Authenticated) -> None:
        try:
            session = self.session = await self._host.admit(self, authenticated)
            if self.peer is not None:
                self.peer.admitted()
            await session.begin(self.id, self._host.heartbeat_seconds)
            journal.login_accepted(self, session.principal)
        except ArtcafeError as error:
            journal.login_refused(self, error)
            self.end(error.code, error.message)
