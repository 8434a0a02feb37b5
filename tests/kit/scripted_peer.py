"""The other end of a WebSocket, for handlers under test."""

import json
from collections import deque
from collections.abc import Iterator
from typing import Any

from artcafe.server.gateway.websocket.peer import Handler
from artcafe.wire import frames
from tests.kit.deadlines import eventually


class ScriptedPeer:
    """A gateway.peer.Peer, and the client behind it.

    As on a real socket, nothing that is sent after the first close arrives, and the handler hears of
    the end only later: when the test calls `leave`.
    """

    def __init__(self, handler: Handler, remote: str = "192.0.2.1") -> None:
        self.waiting = 0
        """Bytes that its kernel has not taken."""
        self.remote = remote
        self.handler = handler
        self.closed = False
        self.code: int | None = None
        self.reason = ""
        self.paused = False
        self.is_admitted = False
        self.pings = 0
        self.asked = 0
        self.speaks = True
        self.got: list[bytes] = []
        self._unread: deque[dict[str, Any]] = deque()
        handler.opened(self)

    # The handler's side.

    def send(self, text: bytes) -> None:
        """Peer.send."""
        if not self.closed:
            self.got.append(text)
            self._unread.append(json.loads(text))

    def write(self, framed: bytes) -> None:
        """Peer.write."""
        for text in texts(framed):
            self.send(text)

    def admitted(self) -> None:
        """Peer.admitted."""
        self.is_admitted = True

    def ping(self) -> None:
        """Peer.ping."""
        self.pings += 1

    def heard(self) -> bool:
        """Peer.heard: whether the client `speaks`, unless nothing is read from it."""
        self.asked += 1
        return self.speaks and not self.paused

    def pause(self) -> None:
        """Peer.pause."""
        self.paused = True

    def resume(self) -> None:
        """Peer.resume."""
        self.paused = False

    def queued(self) -> int:
        """Peer.queued."""
        return self.waiting

    def close(self, code: int, reason: str = "") -> None:
        """Peer.close."""
        if not self.closed:
            self.closed, self.code, self.reason = True, code, reason
            self.handler.ending()

    # The client's side.

    def say(self, **frame: Any) -> None:
        """Send a frame."""
        self.handler.text(frames.encode(frame))

    def leave(self, code: int = 1006) -> None:
        """The socket is gone; as a real one, it lets go of its handler."""
        self.closed = True
        self.handler.closed(self.code or code)
        del self.handler

    @property
    def unread(self) -> list[dict[str, Any]]:
        """The frames that came and were not expected yet."""
        return list(self._unread)

    async def receive(self, what: str = "a frame") -> dict[str, Any]:
        """The next frame."""
        await eventually(lambda: self._unread, what)
        return self._unread.popleft()

    async def expect(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The next frame, which is of this type and has these fields."""
        frame = await self.receive(f"a frame, {kind}")
        assert frame["type"] == kind, frame
        assert {name: frame.get(name) for name in fields} == fields
        return frame

    async def ended(self, code: int) -> None:
        """The server closed with this code."""
        await eventually(lambda: self.closed, "the close")
        assert self.code == code, (self.code, self.reason)


def texts(framed: bytes) -> Iterator[bytes]:
    """The texts in whole unmasked frames, joined (RFC 6455 section 5.2)."""
    while framed:
        assert framed[0] == 0x81
        size, start = framed[1], 2
        if size == 126:
            size, start = int.from_bytes(framed[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(framed[2:10], "big"), 10
        assert len(framed) >= start + size
        yield framed[start : start + size]
        framed = framed[start + size :]


def unframed(framed: bytes) -> bytes:
    """The text in one frame."""
    [text] = texts(framed)
    return text
