"""A subject on the way to a nats-server, and who listens to it here."""

import logging
from collections.abc import Callable
from typing import Protocol

from artcafe.server.bus.nats.grammar import check_subject
from artcafe.server.domain.interest import Interest
from artcafe.server.domain.recent import Recent

LOG = logging.getLogger(__name__)

MAX_LANES = 1024
"""Subjects that are remembered, with who listens to them here."""


class Listener(Protocol):
    """A subscription whose deliveries of what is published here are the link's."""

    pattern: str

    def receiver(self, subject: str) -> Callable[[bytes], None]:
        """Who takes what is published on a subject."""
        ...


class Lane:
    """A subject: how its PUB commands begin (docs.nats.io, "Client Protocol"), and who gets what is published
    on it without the server."""

    __slots__ = ("head", "receivers", "size", "subject")

    def __init__(self, subject: str, receivers: tuple[Callable[[bytes], None], ...]) -> None:
        self.subject = subject
        self.receivers = receivers
        # Many messages on a subject are of the same size.
        self.size = -1
        self.head = b""

    def sized(self, size: int) -> bytes:
        """The beginning of a command for so many bytes."""
        if size != self.size:
            self.size, self.head = size, b"PUB %b %d\r\n" % (self.subject.encode(), size)
        return self.head

    def hear(self, payload: bytes) -> None:
        """Give a payload to everybody who gets it without the server. A fault of one is logged, and keeps it
        from nobody else."""
        for receive in self.receivers:
            try:
                receive(payload)
            except Exception:
                LOG.exception("fault of who listens to %s", self.subject)


class Lanes:
    """The lanes of one link. Receivers that are equal are one on a lane."""

    __slots__ = ("_interest", "_known")

    def __init__(self) -> None:
        self._interest: Interest[Listener] = Interest()
        self._known = Recent(MAX_LANES)

    def add(self, listener: Listener) -> None:
        """Somebody listens from now on."""
        self._interest.add(listener.pattern, listener)
        self._known.clear()

    def discard(self, listener: Listener) -> None:
        """And does not any more; nothing happens where it did not."""
        self._interest.discard(listener.pattern, listener)
        self._known.clear()

    def of(self, subject: str) -> Lane:
        """The lane of a subject. Raises invalid_subject for what NATS cannot carry."""
        lane: Lane | None = self._known.get(subject)
        return self._made(subject) if lane is None else lane

    def _made(self, subject: str) -> Lane:
        check_subject(subject)
        receivers = dict.fromkeys(each.receiver(subject) for each in self._interest.of(subject))
        lane = Lane(subject, tuple(receivers))
        self._known.put(subject, lane)
        return lane
