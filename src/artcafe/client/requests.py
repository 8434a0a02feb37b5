"""Open requests of one client, and the replies to them as they come. No I/O."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from artcafe.wire import frames
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

MOST_WAITING = 4096
"""Replies to one request that wait for their reader."""


class Replies:
    """The replies to one request, in the order in which they came."""

    def __init__(self) -> None:
        self.over = False
        """Whether the server has said that nothing more comes."""
        self._waiting: deque[frames.RequestReply | ArtcafeError] = deque()
        self._changed = asyncio.Event()

    def push(self, reply: frames.RequestReply | ArtcafeError) -> None:
        """A reply, or the error that ends the request."""
        self.over = isinstance(reply, ArtcafeError) or reply.end
        if len(self._waiting) >= MOST_WAITING:
            message = f"More than {MOST_WAITING} replies came before they were read."
            self._waiting.clear()
            self._waiting.append(ArtcafeError(Code.slow_consumer, message))
        else:
            self._waiting.append(reply)
        self._changed.set()

    async def next(self) -> frames.RequestReply:
        """The next reply. Raises the error that ended the request."""
        while not self._waiting:
            self._changed.clear()
            await self._changed.wait()
        reply = self._waiting.popleft()
        if isinstance(reply, ArtcafeError):
            raise reply
        return reply


class OpenRequests:
    """The requests of one client on one connection, by the id of their frame."""

    def __init__(self) -> None:
        self._open: dict[str, Replies] = {}
        # Those that were cancelled, until the server has answered that.
        self._given_up: set[str] = set()

    @contextmanager
    def expect(self, call: str) -> Iterator[Replies]:
        """While this lasts, what comes of the request with this id is collected."""
        replies = self._open[call] = Replies()
        try:
            yield replies
        finally:
            self._open.pop(call, None)

    def give_up(self, call: str) -> bytes:
        """Expect the answer to a cancellation, which concerns nobody any more; the frame to send."""
        self._given_up.add(call)
        return frames.encode(frames.Cancel(request=call, id=call))

    def reply(self, frame: frames.RequestReply) -> None:
        """A reply came. One that nobody waits for any more is dropped."""
        replies = self._open.get(frame.id)
        if replies is not None:
            replies.push(frame)

    def refuse(self, call: str, error: ArtcafeError) -> bool:
        """The server ended a request; False when it was none of these."""
        if call in self._given_up:
            self._given_up.discard(call)
            return True
        replies = self._open.get(call)
        if replies is None:
            return False
        replies.push(error)
        return True

    def fail(self, error: Callable[[], ArtcafeError]) -> None:
        """The connection is gone: end all requests, each with an error of its own."""
        self._given_up.clear()
        for replies in self._open.values():
            if not replies.over:
                replies.push(error())
