"""Consumers: durable subscriptions to streams. Each hands every message of its pattern to one of those who
consume, with a lease: what is not acknowledged within it is handed out again.

A consumer belongs to a stream, is known by its name, and ends with the stream or when it is deleted. Where it
is, and what is acknowledged, is kept on the bus; an acknowledgement may be lost with a bus that is killed in
the moment after it, so messages are delivered at least once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from artcafe.server.ports.streams import StoredMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerRules:
    """What a consumer does: it hands out the messages that match `pattern`, a bus pattern, from the sequence
    `first` on, each for `lease` seconds, and `max_deliveries` times before it is a dead letter."""

    pattern: str
    first: int
    lease: float
    max_deliveries: int

    @property
    def subject(self) -> str:
        """The pattern in its short form: only shared subjects are stored."""
        return self.pattern.split(".", 2)[2]


@dataclass(frozen=True, slots=True)
class HandedOut:
    """One message that was handed out, for the `count`th time; `settle` is the subject at which the bus hears
    what becomes of it."""

    message: StoredMessage
    count: int
    settle: str


@dataclass(frozen=True, slots=True)
class ConsumerState:
    """A consumer as it is now: `pending` messages wait, `in_flight` are handed out, `redelivered` of them not
    for the first time; `created` is RFC 3339."""

    name: str
    rules: ConsumerRules
    pending: int
    in_flight: int
    redelivered: int
    created: str


class Consumer(Protocol):
    """One process's end of a consumer. All of it raises unavailable where the bus takes nothing now."""

    @property
    def rules(self) -> ConsumerRules:
        """What the consumer does."""

    def want(self, many: int) -> None:
        """Hand out up to so many more from now on, in place of what was wanted before."""

    def ack(self, handed: HandedOut) -> None:
        """It is done: it is not handed out again."""

    def nak(self, handed: HandedOut, delay: float = 0.0) -> None:
        """Hand it out again, after so many seconds."""

    def renew(self, handed: HandedOut) -> None:
        """Let its lease begin anew."""

    def term(self, handed: HandedOut) -> None:
        """Do not hand it out again, though it is not done."""

    async def close(self) -> None:
        """Stop: when this returns, nothing is handed out here any more. What was is not given back by
        this."""


class Consumers(Protocol):
    """The consumers of one tenant's streams. All of it raises unavailable where the bus does not answer, and
    not_found where the stream was deleted."""

    async def consume(
        self,
        stream: str,
        name: str,
        rules: ConsumerRules,
        take: Callable[[HandedOut], None],
        over: Callable[[], None],
    ) -> Consumer:
        """Consume by the consumer of this name, which is made by these rules where it is missing; where it is
        not, it keeps its own. `take` gets what is wanted; `over` is called when the consumer was deleted.
        Neither may block or raise. Raises quota_exceeded where the stream takes no more consumers."""

    async def states(self, stream: str) -> list[ConsumerState]:
        """The consumers of a stream, by name."""

    async def delete(self, stream: str, name: str) -> bool:
        """Delete a consumer: who consumes by it hears that it is over. False where it was gone."""

    async def bury(self, stream: str, name: str, letter: bytes, dedup_id: str) -> int:
        """Store a dead letter of a consumer in its stream, once for each `dedup_id`; its sequence."""

    async def dead_letters(self, stream: str, name: str | None, first: int, most_bytes: int) -> "DeadLetters":
        """The dead letters of a consumer, or of all, from a sequence on."""

    async def remove(self, stream: str, seq: int) -> bool:
        """Remove one stored message; False where it was gone."""

    async def purge(self, stream: str, name: str | None) -> int:
        """Remove the dead letters of a consumer, or of all; how many."""


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """Dead letters with their sequences and consumers, and the sequence to go on with; None: no more."""

    letters: list[tuple[int, str, bytes]]
    following: int | None
