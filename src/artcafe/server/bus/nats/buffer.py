"""The bounded buffer of commands that wait for a connection."""

import asyncio
from collections import deque
from typing import Protocol


class CommandSink(Protocol):
    """The part of a Window that the buffer writes to."""

    def send(self, command: bytes) -> bool:
        """Take a message; False while there is no room."""

    def ping(self, pong: asyncio.Future[bool] | None) -> None:
        """`pong` gets True when everything taken before is confirmed."""


class PublishBuffer:
    """Messages in order, and between them futures, each of which waits until the messages before it are
    confirmed."""

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
        """Returns a future that gets True when everything put before is confirmed. Calls with no message
        between them share one."""
        last = self.items[-1] if self.items else None
        if not isinstance(last, asyncio.Future):
            last = asyncio.get_running_loop().create_future()
            self.items.append(last)
        return last

    def hand_over(self, sink: CommandSink) -> None:
        """Write to the sink, in order, until it takes no more."""
        while self.items:
            item = self.items[0]
            if not isinstance(item, bytes):
                sink.ping(item)
            elif sink.send(item):
                self.size -= len(item)
            else:
                return
            self.items.popleft()

    def give_up(self) -> None:
        """Resolve every future with False: confirmation cannot be known. The messages stay."""
        for item in self.items:
            if not isinstance(item, bytes) and not item.done():
                item.set_result(False)
        self.items = deque(item for item in self.items if isinstance(item, bytes))
