"""Makes requests over a client's connection."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any

import msgspec

from artcafe.client.errors import OutcomeUnknownError, RemoteError, RequestTimeoutError
from artcafe.client.link import Link
from artcafe.client.publication import OutgoingFrame, checked_headers, payload_of
from artcafe.client.session import Session
from artcafe.client.transport import ClosedError, Transport
from artcafe.wire import frames
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import parse_subject

_MARGIN_SECONDS = 5.0
"""How long the server's own word that the time is up is waited for."""

_GIVE_UP_SECONDS = 1.0


class Requester:
    """Sends requests, and gives the replies as they come."""

    def __init__(
        self,
        tenant: str,
        session: Session,
        link: Link,
        ready: Callable[[], Awaitable[Transport]],
        late: Callable[[float, str], ArtcafeError],
    ) -> None:
        """`ready` waits for a connection; `late` makes the error of one that did not come."""
        self._tenant = tenant
        self._session = session
        self._link = link
        self._ready = ready
        self._late = late

    async def replies(
        self,
        subject: str,
        data: Any,
        *,
        seconds: float,
        headers: Mapping[str, str] | None,
        most: int | None = None,
    ) -> AsyncGenerator[frames.RequestReply]:
        """Ask, and yield each reply up to the last. Closed before that, it cancels the request.

        Raises as Client.stream.
        """
        parse_subject(subject, self._tenant)
        if not 0 < seconds <= frames.MAX_TIMEOUT_MS / 1000:
            message = f"A request is open for {frames.MAX_TIMEOUT_MS // 1000} seconds at most."
            raise ArtcafeError(Code.validation_failed, message)
        request = frames.Request(
            subject=subject,
            data=msgspec.Raw(payload_of(data)),
            id=self._session.calls.next_id(),
            timeout_ms=frames.DEFAULT_TIMEOUT_MS,
            max_replies=most,
            headers=checked_headers(headers),
        )
        deadline = asyncio.get_running_loop().time() + seconds
        with self._session.requests.expect(request.id) as replies:
            sent = False
            try:
                connection = await self._sent(request, deadline, seconds)
                sent = True
                while True:
                    async with asyncio.timeout_at(deadline + _MARGIN_SECONDS):
                        reply = await replies.next()
                    yield reply
                    if reply.end:
                        return
            except TimeoutError:
                raise RequestTimeoutError(f"No answer came within {seconds:g} seconds.") from None
            finally:
                if sent and not replies.over:
                    await self._give_up(connection, request.id)

    async def _sent(self, request: frames.Request, deadline: float, seconds: float) -> Transport:
        """Send it on one connection, and return that."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    connection = await self._ready()
            except TimeoutError:
                raise self._late(seconds, "nothing was sent") from None
            left = max(1, round((deadline - loop.time()) * 1000))
            frame = frames.encode(msgspec.structs.replace(request, timeout_ms=left))
            outgoing = OutgoingFrame(frame, len(request.data))
            if self._link.welcome is not None:
                outgoing.check(self._link.welcome.limits)
            try:
                await connection.send(frame)
            except ClosedError as closed:
                self._link.drop(connection)
                if closed.written:
                    raise OutcomeUnknownError("The connection was lost while the request was sent.") from None
            else:
                return connection

    async def _give_up(self, connection: Transport, call: str) -> None:
        """Tell the server that nobody waits any more."""
        with contextlib.suppress(ClosedError, TimeoutError):
            async with asyncio.timeout(_GIVE_UP_SECONDS):
                await connection.send(self._session.requests.give_up(call))


def decoded(reply: frames.RequestReply, form: Any) -> Any:
    """The data of a reply as a type; None where it has none. Raises RemoteError for a refusal, and
    msgspec.ValidationError for what does not fit."""
    if reply.error is not None:
        raise RemoteError(reply.error.code, reply.error.message, reply.sender)
    if reply.data is msgspec.UNSET:
        return None
    return msgspec.json.decode(reply.data, type=form)
