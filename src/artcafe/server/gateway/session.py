"""What an agent does once it is in: its frames, one after the other."""

import math
import re
from collections.abc import Callable, Coroutine, Iterator, Sized
from typing import Any, Protocol

import msgspec

from artcafe.server.domain.access import check_publish, check_subscribe
from artcafe.server.domain.principal import AgentPrincipal
from artcafe.server.domain.rate import TokenBucket
from artcafe.server.gateway.dialects import Dialect
from artcafe.server.gateway.hub import Member, TenantHub
from artcafe.server.ports import Clock
from artcafe.wire import frames
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import parse_pattern, parse_subject, to_bus
from artcafe.wire.times import rfc3339

MAX_REMEMBERED = 256
"""Subjects for which a session remembers that it may publish there."""

PATIENCE = 10
"""Seconds' worth of frames that are borne before the client is flooding: messages that were refused,
and frames that are no messages. They are forgiven at the rate itself, so whoever sends less than
twice of it is never closed for it."""

Work = Coroutine[Any, Any, None]
"""What a frame needs that takes time; the next frame is read after it."""

_UNREADABLE = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)

_ECHO = re.compile(r"^Invalid value '.*'", re.DOTALL)
"""Where msgspec repeats what it was given."""


class Client(Protocol):
    """The other end, as a session sees it."""

    def send(self, frame: msgspec.Struct) -> None:
        """Send one frame."""
        ...

    def deliver(self, framed: bytes) -> None:
        """Send a WebSocket frame that others share."""
        ...

    def end(self, code: Code) -> None:
        """Say why, and close."""
        ...


class _Id(msgspec.Struct):
    id: frames.Id | None = None


_read_id = msgspec.json.Decoder(_Id).decode


class Session:
    """A proven agent on one connection: what a frame asks for is done, or refused with an `error`."""

    def __init__(
        self,
        *,
        principal: AgentPrincipal,
        client: Client,
        hub: TenantHub,
        member: Member,
        dialect: Dialect,
        limits: frames.Limits,
        clock: Clock,
        new_message_id: Callable[[], str],
        count: Callable[[str, int], None],
        start: Callable[[Work], None],
    ) -> None:
        self.principal = principal
        self.hub = hub
        self.member = member
        self.limits = limits
        self._client = client
        self._dialect = dialect
        self._clock = clock
        self._new_message_id = new_message_id
        self._count = count
        self._start = start
        rate = float(limits.messages_per_second)
        self._bucket = TokenBucket(rate, 2 * rate, clock.monotonic())
        self._patience = TokenBucket(rate, PATIENCE * rate, clock.monotonic())
        self._allowed: dict[str, tuple[str, str]] = {}

    def take(self, message: bytes) -> Work | None:
        """Handle one frame; work that has to wait for the bus is handed back."""
        try:
            asked = self._dialect.read(message)
        except _UNREADABLE as error:
            self._refuse_unreadable(message, error)
            return None
        return self._in_order(iter(asked))

    def _in_order(self, asked: Iterator[frames.ClientFrame]) -> Work | None:
        """Handle frames up to the first that has to wait; the rest is handed back with its work."""
        for frame in asked:
            try:
                work = self._handle(frame)
            except ArtcafeError as error:
                self.refuse(error, frame.id)
            except RecursionError:
                # At the very limit of nesting a frame can be read, and no part of it written again.
                self.refuse(ArtcafeError(Code.bad_frame, "The frame is nested too deeply."), frame.id)
            else:
                if work is not None:
                    return self._after(work, asked)
        return None

    async def _after(self, work: Work, asked: Iterator[frames.ClientFrame]) -> None:
        await work
        rest = self._in_order(asked)
        if rest is not None:
            await rest

    def _handle(self, frame: frames.ClientFrame) -> Work | None:
        match frame:
            case frames.Publish():
                self._publish(frame)
            case frames.Subscribe():
                self._bear()
                return self._subscribe(frame)
            case frames.Unsubscribe():
                self._bear()
                return self._unsubscribe(frame)
            case frames.Ping():
                self._bear()
                self._answer(frames.Pong(timestamp=self.now(), id=frame.id))
            case frames.Presence():
                self._presence(frame)
        return None

    def _answer(self, frame: msgspec.Struct) -> None:
        said = self._dialect.answer(frame)
        if said is not None:
            self._client.send(said)

    def refuse(self, error: ArtcafeError, frame_id: str | None) -> None:
        """Answer a frame with an error; the connection stays."""
        retry_after_ms = None if error.retry_after is None else math.ceil(error.retry_after * 1000)
        self._answer(
            frames.Error(
                code=error.code.name,
                message=error.message,
                id=frame_id,
                retry_after_ms=retry_after_ms,
                details=error.details,
            )
        )

    def now(self) -> str:
        """The server's time, RFC 3339."""
        return rfc3339(self._clock.now())

    def _publish(self, frame: frames.Publish) -> None:
        self._throttle()
        self._check_size(frame.data)
        bus_subject, subject = self._allowed.get(frame.subject) or self._allow(frame.subject)
        reply_to = None
        if frame.reply_to is not None:
            reply_to = parse_subject(frame.reply_to, self.principal.tenant).subject
        message_id = self._new_message_id()
        envelope = frames.Envelope(
            id=message_id, timestamp=self.now(), data=frame.data, headers=frame.headers, reply_to=reply_to
        )
        self.hub.link.publish(bus_subject, frames.encode(envelope))
        self._count(subject, len(frame.data))
        if frame.id is not None:
            self._confirm(frames.Ack(id=frame.id, message_id=message_id))

    def _allow(self, text: str) -> tuple[str, str]:
        """Ask once per subject whether this agent may publish there, and remember it."""
        address = parse_subject(text, self.principal.tenant)
        check_publish(self.principal, address)
        if len(self._allowed) >= MAX_REMEMBERED:
            self._allowed.clear()
        allowed = self._allowed[text] = (to_bus(self.principal.sender, address.subject), address.subject)
        return allowed

    def _confirm(self, ack: frames.Ack) -> None:
        """Send the ack when the bus has the message; one flush serves everybody who waits."""

        def tell(failure: ArtcafeError | None) -> None:
            if failure is None:
                self._answer(ack)
            else:
                self.refuse(failure, ack.id)

        work = self.hub.confirm_later(tell)
        if work is not None:
            self._start(work)

    async def _subscribe(self, frame: frames.Subscribe) -> None:
        try:
            address = parse_pattern(frame.subject, self.principal.tenant)
            check_subscribe(self.principal, address)
            held = self.member.subscriptions
            if (frame.subject, frame.queue) not in held and len(held) >= self.limits.subscriptions:
                raise ArtcafeError(Code.too_many_subscriptions)
            await self.hub.subscribe(self.member, frame.subject, address, frame.queue)
        except ArtcafeError as error:
            self.refuse(error, frame.id)
        else:
            self._answer(frames.Subscribed(subject=frame.subject, id=frame.id))

    async def _unsubscribe(self, frame: frames.Unsubscribe) -> None:
        try:
            if not await self.hub.unsubscribe(self.member, frame.subject, frame.queue):
                raise ArtcafeError(Code.not_found, "There is no such subscription on this connection.")
        except ArtcafeError as error:
            self.refuse(error, frame.id)
        else:
            self._answer(frames.Unsubscribed(subject=frame.subject, id=frame.id))

    def _presence(self, frame: frames.Presence) -> None:
        """What the agent says of itself, for everybody subscribed to presence.{agent}."""
        self._throttle()
        agent = self.principal.agent
        said = frames.encode({"agent_id": agent, "status": frame.status, "metadata": frame.metadata})
        self._check_size(said)
        envelope = frames.Envelope(id=self._new_message_id(), timestamp=self.now(), data=msgspec.Raw(said))
        self.hub.link.publish(to_bus(self.principal.sender, f"presence.{agent}"), frames.encode(envelope))

    def _throttle(self) -> None:
        wait = self._bucket.spend(self._clock.monotonic())
        if wait > 0.0:
            self._bear()
            raise ArtcafeError(Code.rate_limited, retry_after=wait)

    def _bear(self) -> None:
        if self._patience.spend(self._clock.monotonic()) > 0.0:
            self._client.end(Code.flooding)

    def _check_size(self, data: Sized) -> None:
        if len(data) > self.limits.max_payload_bytes:
            raise ArtcafeError(Code.too_large, "The data is larger than this connection's limit.")

    def _refuse_unreadable(self, message: bytes, error: Exception) -> None:
        """A frame that cannot be read is answered with its id, where that can be read."""
        self._bear()
        try:
            frame_id = _read_id(message).id
        except _UNREADABLE:
            frame_id = None
        if isinstance(error, RecursionError):
            reason = "it is nested too deeply"
        else:
            reason = _ECHO.sub("Invalid value", f"{error}")
        self.refuse(ArtcafeError(Code.bad_frame, f"The frame cannot be read: {reason}"), frame_id)
