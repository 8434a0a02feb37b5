"""What waits to be handed to a connection, bounded."""

import asyncio
from collections import deque
from typing import Protocol


class Taker(Protocol):
    """As a Window takes it."""

    def send(self, command: bytes) -> bool:
        """Take a message; False while there is no room."""

    def ping(self, pong: asyncio.Future[bool] | None) -> None:
        """`pong` gets True when everything taken before is confirmed."""


class Outbox:
    """Messages, and among them those who wait until the ones before them are confirmed."""

    __slots__ = ("_limit", "items", "size")

    def __init__(self, limit: int) -> None:
        """`limit` is how many bytes of messages it holds."""
        self.items: deque[bytes | asyncio.Future[bool]] = deque()
        self._limit = limit
        self.size = 0
        """Bytes of the messages."""

    def put(self, command: bytes) -> bool:
        """Hold it behind everything else; False, and it is not held, when there is no room."""
        if self.size + len(command) > self._limit:
            return False
        self.items.append(command)
        self.size += len(command)
        return True

    def waiter(self) -> asyncio.Future[bool]:
        """Who waits for everything put before. The same one for all who ask before the next message."""
        last = self.items[-1] if self.items else None
        if not isinstance(last, asyncio.Future):
            last = asyncio.get_running_loop().create_future()
            self.items.append(last)
        return last

    def hand_over(self, taker: Taker) -> None:
        """Hand over, in order, what is taken."""
        while self.items:
            item = self.items[0]
            if not isinstance(item, bytes):
                taker.ping(item)
            elif taker.send(item):
                self.size -= len(item)
            else:
                return
            self.items.popleft()

    def give_up(self) -> None:
        """Tell those who wait that it cannot be known; the messages stay."""
        for item in self.items:
            if not isinstance(item, bytes) and not item.done():
                item.set_result(False)
        self.items = deque(item for item in self.items if isinstance(item, bytes))
