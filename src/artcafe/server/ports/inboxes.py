"""Inboxes: messages that wait until their owner, an agent or a human, acknowledges them.

A tenant's inboxes have one order of sequences, from 1 on. What is in them goes when it is removed, when it
expires, and with the tenant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from artcafe.server.ports.streams import Receipt


@dataclass(frozen=True, slots=True)
class InboxMessage:
    """One message that waits. `priority` is of wire.subjects.PRIORITIES, the lowest number first."""

    seq: int
    owner: str
    priority: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class InboxMessages:
    """Messages in their order, and the sequence to go on with; None: there was no more."""

    messages: Sequence[InboxMessage]
    following: int | None


class InboxListener(Protocol):
    """Hears of a tenant's inboxes. Nothing of it may block or raise."""

    def stored(self, owner: str, priority: int, seq: int) -> None:
        """A message was stored."""

    def opened(self, owner: str) -> None:
        """Another process delivers the inbox from now on."""

    def missed(self) -> None:
        """Any of these may have been missed: the bus was away."""


class InboxWatch(Protocol):
    """A process that listens."""

    def announce(self, owner: str) -> None:
        """Tell the other processes that this one delivers an inbox from now on."""

    async def close(self) -> None:
        """Nothing more is heard. Closing twice is allowed."""


class Inboxes(Protocol):
    """The inboxes of one tenant, on its link. All of it raises unavailable where the bus does not answer."""

    def store(
        self,
        owner: str,
        priority: int,
        payload: bytes,
        *,
        dedup_id: str | None = None,
        expires_in: int | None = None,
    ) -> Receipt:
        """Store a message, as Streams.store does in a stream; for `expires_in` seconds, where given. Of one
        `dedup_id` within two minutes the first is stored.

        Raises unavailable, inbox_full and too_large when nothing was stored; outcome_unknown when it may be.
        """

    async def counts(self, owner: str | None) -> Mapping[tuple[str, int], int]:
        """How many messages wait, by owner and priority, where any do; of all owners without one."""

    async def read(
        self, first: int, *, owner: str | None = None, priority: int | None = None, most_bytes: int = 65_536
    ) -> InboxMessages:
        """The next messages from the sequence `first` on, as far as `most_bytes` reach, at least one where
        there is any; those of an owner, and a priority, where given."""

    async def remove(self, owner: str, priority: int | None, last: int | None = None) -> int:
        """Remove what waits of a priority, or of all; with `last`, up to that sequence. How many."""

    async def remove_one(self, seq: int) -> None:
        """Remove one message; nothing happens when it is gone."""

    async def watch(self, listener: InboxListener) -> InboxWatch:
        """When this returns, the listener hears what happens later."""
