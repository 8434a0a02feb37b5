"""A bound of what one client has on its way into durable channels."""

import asyncio

MAX_STORING = 1024
MAX_STORING_BYTES = 1_048_576
"""What a client may have on its way into durable channels before its next frame waits."""


class Storing:
    """Counts the messages that are being stored for a client."""

    def __init__(self) -> None:
        self._count = self._bytes = 0
        self._changed = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether the next frame has to wait for `room`."""
        return self._count >= MAX_STORING or self._bytes >= MAX_STORING_BYTES

    def begin(self, size: int) -> None:
        """A message of so many bytes is on its way."""
        self._count += 1
        self._bytes += size

    def end(self, size: int) -> None:
        """It is stored, or will not be."""
        self._count -= 1
        self._bytes -= size
        self._changed.set()

    async def room(self) -> None:
        """Return when it is not full."""
        while self.full:
            await self._change()

    async def all(self) -> None:
        """Return when nothing is on its way."""
        while self._count:
            await self._change()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
