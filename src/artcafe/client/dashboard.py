"""A human's live view of a tenant: presence of agents, and messages."""

import asyncio
import importlib.metadata
import itertools
import ssl
from collections import deque
from types import TracebackType
from typing import Any, Self

import msgspec

from artcafe.client.endpoint import WebSocketAddress
from artcafe.client.errors import of_close, of_frame
from artcafe.client.message import UNREADABLE
from artcafe.client.transport import ClosedError, DialError, Transport, dial
from artcafe.wire import frames
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.payload import doubtful, fault, require_readable

Event = dict[str, Any]
"""A frame of docs/protocol.md, as the platform sent it: `type` says what happened.

A field that cannot be read, or breaks the rule of wire.payload, is None; its JSON text is in
`undecodable`, by the field's name. Of a frame that cannot be taken apart the `type` is `undecodable`, and
the text is under `frame`.
"""

_PATH = "/ws/dashboard"
_MAX_FRAME_BYTES = 16 * 1024 * 1024

_read = msgspec.json.Decoder(Event).decode
_take_apart = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Dashboard:
    """One human's connection to a tenant, as one who listens.

        async with Dashboard("https://pubsub.example.com", token, tenant="acme") as dashboard:
            await dashboard.preview()
            async for event in dashboard:
                print(event["type"], event)

    Agents that come and go are told without asking (`agent.online`, `agent.offline`); messages come for
    what was subscribed (`message`, `channel_message`), or all of them as `topic_preview_message`.

    The token travels in the first frame, in no URL and no log. `tenant` picks among the human's
    memberships; whoever has only one may leave it out. `timeout` is how long, in seconds, the connection
    and every answer may take; after `silence` seconds without a word the server is asked whether it is there.
    `tls` replaces the system's certificate authorities.

    A dashboard belongs to one task and connects once: when the connection is lost, the iteration raises
    ArtcafeError with the reason, and the caller may make another one. What was missed meanwhile is gone.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        tenant: str | None = None,
        timeout: float = 10.0,
        silence: float = 30.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._place = WebSocketAddress.of(url, _PATH)
        if tls is None and self._place.secure:
            tls = ssl.create_default_context()
        self._tls = tls
        self._token = token
        self._tenant = tenant
        self._timeout = timeout
        self._silence = silence
        self._numbers = itertools.count(1)
        self._connection: Transport | None = None
        self._early: deque[Event] = deque()
        self._refusal: ArtcafeError | None = None
        self.welcome: Event = {}
        """Who one is, once connected: tenant_id, user_id, role."""
        self.undecodable = 0
        """How many events had something in them that cannot be read."""

    async def __aenter__(self) -> Self:
        """Connect and sign in. Raises what the server refused it with, and unavailable."""
        try:
            self._connection = await dial(
                self._place,
                tls=self._tls,
                user_agent=f"artcafe-python/{importlib.metadata.version('artcafe-pubsub')}",
                max_frame_bytes=_MAX_FRAME_BYTES,
                seconds=self._timeout,
                clock=asyncio.get_running_loop().time,
                subprotocol=None,
            )
        except DialError as refused:
            raise refused.error from refused
        try:
            tenant = {} if self._tenant is None else {"tenant_id": self._tenant}
            await self._send({"type": "auth", "token": self._token, **tenant})
            self.welcome = await self._until("connected", None)
        except BaseException:
            await self._connection.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say goodbye (1000)."""
        await self._open().close()

    async def subscribe(self, topic: str) -> None:
        """Hear what matches `topic`, a subject or pattern, from now on. Raises what the server says."""
        await self._ask({"type": "subscribe", "topic": topic}, "subscribed")

    async def unsubscribe(self, topic: str) -> None:
        """Hear it no more."""
        await self._ask({"type": "unsubscribe", "topic": topic}, "unsubscribed")

    async def preview(self) -> None:
        """Hear every message of the tenant that the role may see, from now on."""
        await self._ask({"type": "subscribe_topic_preview"}, "subscribed")

    async def renew(self, token: str) -> None:
        """Stay for as long as a newer token of the same human holds. Raises forbidden for another one's."""
        await self._ask({"type": "auth", "token": token}, "renewed")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """The next event. Raises why there will be no more."""
        if self._early:
            return self._early.popleft()
        try:
            return await self._receive()
        except ClosedError as closed:
            raise self._ended(closed) from None

    async def _ask(self, frame: Event, answer: str) -> None:
        call = str(next(self._numbers))
        await self._send({**frame, "id": call})
        await self._until(answer, call)

    async def _until(self, answer: str, call: str | None) -> Event:
        """Wait for this answer to this call; whatever else comes before it is kept for the iteration."""
        try:
            async with asyncio.timeout(self._timeout):
                while True:
                    frame = await self._receive()
                    if frame.get("id") == call and frame["type"] == answer:
                        return frame
                    if frame.get("id") == call and frame["type"] == "error":
                        raise _error(frame)
                    self._early.append(frame)
        except TimeoutError:
            message = f"The server did not answer within {self._timeout:g} seconds."
            raise ArtcafeError(Code.unavailable, message) from None
        except ClosedError as closed:
            raise self._ended(closed) from None

    async def _receive(self) -> Event:
        """The next frame but for pongs. Raises ClosedError, and heartbeat_lost for a server that is mute."""
        asked = False
        while True:
            try:
                async with asyncio.timeout(self._silence):
                    frame = _decoded(await self._open().receive())
            except TimeoutError:
                if asked:
                    raise ArtcafeError(Code.heartbeat_lost, "The server has fallen silent.") from None
                asked = True
                await self._send({"type": "ping"})
                continue
            asked = False
            self.undecodable += "undecodable" in frame
            if frame["type"] == "error" and "id" not in frame:
                self._refusal = _error(frame)
            if frame["type"] != "pong":
                return frame

    async def _send(self, frame: Event) -> None:
        try:
            await self._open().send(msgspec.json.encode(frame))
        except ClosedError as closed:
            raise self._ended(closed) from None

    def _open(self) -> Transport:
        if self._connection is None:
            message = "The dashboard is not connected: use `async with Dashboard(...)`."
            raise ArtcafeError(Code.unavailable, message)
        return self._connection

    def _ended(self, closed: ClosedError) -> ArtcafeError:
        return of_close(closed.code, closed.reason, self._refusal)


def _decoded(data: bytes) -> Event:
    try:
        frame = _partly(data) if doubtful(data) and fault(data) is not None else _read(data)
    except UNREADABLE:
        frame = _partly(data)
    if not isinstance(frame.get("type"), str):
        raise ArtcafeError(Code.protocol_error, "The server sent a frame that this client cannot read.")
    return frame


def _partly(data: bytes) -> Event:
    """The readable part of a frame."""
    try:
        fields = _take_apart(data)
    except RecursionError:
        return {"type": "undecodable", "undecodable": {"frame": data.decode(errors="replace")}}
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    frame: Event = {}
    undecodable: dict[str, str] = {}
    for name, raw in fields.items():
        text = bytes(raw)
        try:
            require_readable(text)
            frame[name] = msgspec.json.decode(text)
        except (*UNREADABLE, ArtcafeError):
            frame[name] = None
            undecodable[name] = text.decode(errors="replace")
    return {**frame, "undecodable": undecodable} if undecodable else frame


def _error(frame: Event) -> ArtcafeError:
    try:
        return of_frame(msgspec.convert(frame, frames.Error))
    except msgspec.ValidationError:
        return ArtcafeError(Code.bad_request, "The server refused something without saying why.")
