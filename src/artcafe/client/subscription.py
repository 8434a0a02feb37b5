"""The messages of one subscription: an async iterator over a bounded buffer."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from types import TracebackType
from typing import Self

from artcafe.client.deliveries import DurableRules
from artcafe.client.errors import SlowSubscriptionError, copy
from artcafe.client.message import Message
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.frames import NotRecovered


class Subscription:
    """The messages that match `subject`, in the order in which the server sent them.

        async with await client.subscribe("tasks.*") as tasks:
            async for message in tasks:
                ...

    `async with client.subscribe(…)` and a bare `async for message in client.subscribe(…)` subscribe
    too, the latter until the client is closed. Several tasks may iterate: each message goes to one.

    The buffer holds `buffer` messages. When it is full the oldest is dropped to make room; then the
    next step of the iteration raises SlowSubscriptionError with the number of messages lost, once,
    at the very place where they are missing. Nobody else waits or loses anything.

    The iteration ends when the subscription or the client is closed, and raises ArtcafeError when
    the server refused or stopped the client, or ended this subscription because the agent may no longer
    receive it (forbidden), each time after what is in the buffer. Once the right is back, subscribe anew.

    Within one durable channel it goes on where it was when the client comes back: nothing is missed, and
    nothing comes twice. `since` begins with what is stored.

    With `durable` each message goes to one of those who have the subscription of this name, and is to be
    settled (Message.ack). What waits here when the connection is lost is dropped: it comes again, here or
    elsewhere. `lease` is for how many seconds a message is this client's, once the server has confirmed.

    `gaps` counts how often messages may have been missed, and `Message.after_gap` marks where: each time the
    client was away, and in a durable channel only when what is missing is not stored any more. `lost` says
    why that was, the last time.
    """

    def __init__(
        self,
        subject: str,
        *,
        queue: str | None,
        since: int | str | None = None,
        durable: DurableRules | None = None,
        buffer: int,
        opener: Callable[["Subscription"], Awaitable[None]],
        closer: Callable[["Subscription"], Awaitable[None]],
        drainer: Callable[["Subscription"], Awaitable[None]],
    ) -> None:
        self.subject = subject
        self.queue = queue
        self.since = since
        self.durable = durable
        self.lease: float | None = None
        self.gaps = 0
        self.lost: NotRecovered | None = None
        self._buffer: deque[Message] = deque(
            maxlen=buffer if durable is None else max(buffer, durable.max_in_flight)
        )
        self._opener = opener
        self._closer = closer
        self._drainer = drainer
        self._asked = False
        self._open = False
        self._ended = False
        self._error: ArtcafeError | None = None
        self._dropped = 0
        self._gap = False
        self._changed = asyncio.Event()

    @property
    def pending(self) -> int:
        """How many messages wait in the buffer."""
        return len(self._buffer)

    async def close(self) -> None:
        """Stop receiving. What is in the buffer can still be read. Closing twice is fine."""
        if not self._ended:
            self.end(None)
            await self._closer(self)

    async def drain(self) -> None:
        """Stop receiving, but for what is on its way: when this returns all of it is in the buffer, and
        nothing is lost to a queue group. Raises nothing; closes where the connection is lost."""
        if self._open and not self._ended:
            await self._drainer(self)
        await self.close()

    def __await__(self) -> Generator[object, None, Self]:
        return self._subscribe().__await__()

    async def __aenter__(self) -> Self:
        return await self._subscribe()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        await self._subscribe()
        while True:
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                raise SlowSubscriptionError(dropped)
            if self._buffer:
                return self._buffer.popleft()
            self._check()
            if self._ended:
                raise StopAsyncIteration
            await self._change()

    async def _subscribe(self) -> Self:
        if not self._asked:
            self._asked = True
            await self._opener(self)
        return self

    def _check(self) -> None:
        if self._error is not None:
            raise copy(self._error)

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    # For the client: what it tells its subscriptions.

    async def opened(self) -> None:
        """Wait until the server has confirmed. Raises what ended the subscription instead."""
        while not self._open:
            self._check()
            if self._ended:
                raise ArtcafeError(Code.unavailable, "It was closed before the server had confirmed it.")
            await self._change()

    def open(self) -> None:
        """The server delivers from here on."""
        self._open = True
        self._changed.set()

    def push(self, message: Message) -> None:
        """A message came."""
        if len(self._buffer) == self._buffer.maxlen:
            self._buffer.popleft()
            self._dropped += 1
        message.after_gap, self._gap = self._gap, False
        self._buffer.append(message)
        self._changed.set()

    @property
    def crowded(self) -> bool:
        """Whether the buffer is half full or more."""
        return 2 * len(self._buffer) >= (self._buffer.maxlen or 0)

    def away(self) -> None:
        """The connection was lost: what is published now does not come here."""
        if self.durable is not None:
            self._buffer.clear()
        elif self._open:
            self.miss(None)

    def miss(self, reason: NotRecovered | None) -> None:
        """Messages may be missing before the next one."""
        self.gaps += 1
        self.lost = reason
        self._gap = True

    def end(self, error: ArtcafeError | None) -> None:
        """Nothing more will come; the first end is the one that counts."""
        if not self._ended:
            self._ended = True
            self._error = error
            self._changed.set()
