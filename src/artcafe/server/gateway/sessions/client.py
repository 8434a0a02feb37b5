"""The interface of the other end of a session."""

from collections.abc import Awaitable, Coroutine
from typing import Any, Protocol

import msgspec

from artcafe.wire.codes import Code

Work = Coroutine[Any, Any, None]
"""What a frame needs that takes time; the next frame is read after it."""


class Client(Protocol):
    """The other end, as a session sees it."""

    def send(self, frame: msgspec.Struct) -> None:
        """Send one frame."""
        ...

    def deliver(self, framed: bytes) -> None:
        """Send WebSocket frames, joined, that others share."""
        ...

    def end(self, code: Code) -> None:
        """Say why, and close."""
        ...

    async def room(self) -> None:
        """Return when it has taken most of what was sent to it, or is gone."""
        ...

    def owe(self, count: int) -> None:
        """It has sent faster than it may for so long that it may be slowed down, by so many frames now."""
        ...

    def throttled(self) -> None:
        """A frame was refused because of the client's rate."""
        ...

    def renew(self, token: str) -> Awaitable[int]:
        """Take a newer token; when it expires, in Unix seconds. Raises forbidden, unauthorized."""
        ...
