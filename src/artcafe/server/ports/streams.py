"""Streams: the stored messages of durable channels, in the order in which they were stored.

A stream belongs to one channel of one tenant. It is made, changed and deleted with its channel, by
ports.channel_streams alone. Its messages have sequences that rise, from 1 on, and its `epoch` tells it from
any stream that had the name before: a position in a channel is an epoch and a sequence.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class StreamState:
    """What a stream holds: sequences from `first` to `last`, some of which may have been removed. `first` is
    `last` + 1 where it holds nothing; `last` is 0 where it never did."""

    epoch: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Stored:
    """The receipt of a stored message: it is on disk, at `seq` of an epoch. With `duplicate` it was there
    before."""

    seq: int
    epoch: str
    duplicate: bool = False


class Receipt(Awaitable[Stored], Protocol):
    """The receipt of a message that is being stored: what an asyncio.Future is to whoever waits."""

    def done(self) -> bool:
        """Whether it is decided."""

    def exception(self) -> BaseException | None:
        """Why the message was not stored; None when it was. Raises an error before it is decided."""

    def result(self) -> Stored:
        """The receipt. Raises what `exception` gives, and an error before it is decided."""

    def add_done_callback(self, fn: Callable[[Any], object], /) -> None:
        """Call this in the event loop, with the receipt, when it is decided."""


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message of a stream. `subject` is the bus subject under which it is delivered."""

    seq: int
    subject: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class StoredMessages:
    """Consecutive messages, and the sequence to go on with: all before it are among them, were not asked for,
    or are gone."""

    messages: Sequence[StoredMessage]
    following: int


class Tail(Protocol):
    """Delivers what is stored in a stream from now on: in order, each message once, whatever happens to the
    bus meanwhile."""

    @property
    def following(self) -> int:
        """The sequence of the next delivery: all messages before it were delivered, or were there before."""

    @property
    def epoch(self) -> str:
        """The epoch of what is delivered."""

    async def close(self) -> None:
        """Nothing is delivered after this was called. Closing twice is allowed."""


class Streams(Protocol):
    """The streams of one tenant, on its link. All of it raises unavailable where the bus does not answer or
    holds no such stream, and not_found where `stream` was deleted, as far as is known here."""

    def store(self, stream: str, subject: str, payload: bytes, dedup_id: str | None) -> Receipt:
        """Store a message, published to a bus subject as Link.publish takes it. Done when it is on disk; it
        begins at once, and the order of the calls is the order in the stream.

        Of messages with one `dedup_id` within two minutes only the first is stored, and the others are
        answered with its sequence. When one fails, those of the same link that were stored after it may have
        succeeded: who wants an order sends all again, with their ids. Between what is stored and what
        Link.publish takes there is no order.

        Raises unavailable, channel_full and too_large when nothing was stored; outcome_unknown when it may
        be, or become so later.
        """

    async def state(self, stream: str) -> StreamState:
        """What the stream holds at this moment, by whoever decides about it."""

    async def read(
        self, stream: str, first: int, last: int, *, pattern: str | None = None, most_bytes: int = 131_072
    ) -> StoredMessages:
        """The next messages of the sequences from `first` to `last`, as far as `most_bytes` reach, at least
        one where there is any; with `pattern`, a bus pattern, those alone that match. `following` is beyond
        `last` when there is no more."""

    async def first_since(self, stream: str, moment: float) -> int:
        """The sequence of the first message that was stored at `moment`, in Unix seconds, or later; one
        beyond the last message where there is none."""

    async def tail(
        self,
        stream: str,
        pattern: str,
        deliver: Callable[[StoredMessage], None],
        restarted: Callable[[], None],
    ) -> Tail:
        """Open a tail. When this returns, whatever is stored later is delivered. `pattern` is the bus pattern
        of all that the stream holds.

        `restarted` is called where the stream lost what was delivered already, or became another one: the
        epoch is new, and deliveries go on with what that holds. Neither may block; one that raises does not
        keep messages from what comes later.
        """
