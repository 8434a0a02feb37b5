"""The messages of a subscription for code that waits, and what is done with one of them."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from artcafe.client.message import Message
from artcafe.client.subscription import Subscription
from artcafe.wire.errors import ArtcafeError

T = TypeVar("T")


class Runner(Protocol):
    """Runs a coroutine of the client, and waits for it."""

    def __call__(self, call: Callable[[], Coroutine[Any, Any, T]], /) -> T: ...


class SyncMessage:
    """`Message` for code that waits: the same attributes, and calls without `await`."""

    def __init__(self, message: Message, run: Runner) -> None:
        self._message = message
        self._run = run
        self.subject = message.subject
        self.sender = message.sender
        self.id = message.id
        self.headers: Mapping[str, str] = message.headers
        self.reply_to = message.reply_to
        self.raw = message.raw
        self.seq = message.seq
        self.epoch = message.epoch
        self.after_gap = message.after_gap
        self.delivery = message.delivery
        self.redelivered = message.redelivered
        self.is_request = message.is_request

    @property
    def data(self) -> Any:
        """See Message.data."""
        return self._message.data

    @property
    def timestamp(self) -> datetime:
        """See Message.timestamp."""
        return self._message.timestamp

    @property
    def cancelled(self) -> bool:
        """See Message.cancelled."""
        return self._message.cancelled

    def decode(self, form: type[T]) -> T:
        """See Message.decode."""
        return self._message.decode(form)

    def respond(self, data: Any, *, headers: Mapping[str, str] | None = None, end: bool = True) -> str | None:
        """See Message.respond."""
        return self._run(lambda: self._message.respond(data, headers=headers, end=end))

    def finish(self) -> None:
        """See Message.finish."""
        self._run(self._message.finish)

    def refuse(self, code: str, text: str = "") -> None:
        """See Message.refuse."""
        self._run(lambda: self._message.refuse(code, text))

    def ack(self, *, confirm: bool = False) -> None:
        """See Message.ack."""
        self._run(lambda: self._message.ack(confirm=confirm))

    def nak(self, delay: float = 0.0, *, confirm: bool = False) -> None:
        """See Message.nak."""
        self._run(lambda: self._message.nak(delay, confirm=confirm))

    def progress(self, *, confirm: bool = False) -> None:
        """See Message.progress."""
        self._run(lambda: self._message.progress(confirm=confirm))

    def term(self, reason: str = "") -> None:
        """See Message.term."""
        self._run(lambda: self._message.term(reason))

    def __repr__(self) -> str:
        return f"{self._message!r}"


class SyncSubscription:
    """`Subscription` for code that waits: an iterator, and `next`, which waits for a bounded time."""

    def __init__(self, subscription: Subscription, run: Runner) -> None:
        self._subscription = subscription
        self._run = run
        self.subject = subscription.subject

    @property
    def pending(self) -> int:
        """How many messages wait in the buffer."""
        return self._subscription.pending

    @property
    def gaps(self) -> int:
        """See Subscription.gaps."""
        return self._subscription.gaps

    def next(self, timeout: float | None = None) -> SyncMessage | None:
        """The next message; None after the last, and when none came within `timeout` seconds. Raises as the
        iteration over a Subscription."""
        message = self._run(lambda: _next(self._subscription, timeout))
        return None if message is None else SyncMessage(message, self._run)

    def close(self) -> None:
        """See Subscription.close."""
        with suppress(ArtcafeError):  # The client is closed: so is this.
            self._run(self._subscription.close)

    def drain(self) -> None:
        """See Subscription.drain."""
        self._run(self._subscription.drain)

    def __iter__(self) -> Iterator[SyncMessage]:
        return self

    def __next__(self) -> SyncMessage:
        message = self.next()
        if message is None:
            raise StopIteration
        return message

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


async def _next(subscription: Subscription, seconds: float | None) -> Message | None:
    try:
        async with asyncio.timeout(seconds):
            return await anext(subscription, None)
    except TimeoutError:
        return None
