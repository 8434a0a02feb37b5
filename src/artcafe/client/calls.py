"""Frames with a reply: matches replies to calls, with a timeout."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from artcafe.wire.errors import ArtcafeError

Reply = str | ArtcafeError
"""What came back: the id of the message, or why there is none. An error is handed over as a value,
so that one whose caller has gone away is not reported as an exception that nobody fetched."""


class PendingCalls:
    """The calls of one client, by the id of their frame. Every one has a caller that waits for it."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[Reply]] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    def next_id(self) -> str:
        """An id that this client never used before."""
        return str(next(self._numbers))

    @contextmanager
    def expect(self, call: str) -> Iterator[asyncio.Future[Reply]]:
        """While this lasts, the answer to the frame with this id goes to the future."""
        self._idle.clear()
        self._waiting[call] = asyncio.get_running_loop().create_future()
        try:
            yield self._waiting[call]
        finally:
            del self._waiting[call]
            if not self._waiting:
                self._idle.set()

    def answer(self, call: str, answer: Reply) -> bool:
        """Pass a reply to its caller; False when none waits for it."""
        future = self._waiting.get(call)
        if future is None:
            return False
        if not future.done():
            future.set_result(answer)
        return True

    def fail(self, error: Callable[[], ArtcafeError]) -> None:
        """Answer everybody with an error, each with one of their own."""
        for call in self._waiting:
            self.answer(call, error())

    async def idle(self) -> None:
        """Wait until no call is pending."""
        await self._idle.wait()
