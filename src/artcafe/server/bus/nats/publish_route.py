"""Publish routes: the PUB command of a subject, and its receivers on the same link."""

import logging
from collections.abc import Callable
from typing import Protocol

from artcafe.server.bus.nats.grammar import check_subject
from artcafe.server.domain.interest import Interest
from artcafe.server.domain.recent import Recent

LOG = logging.getLogger(__name__)

MAX_ROUTES = 1024
"""The most subjects whose routes are cached."""


class Listener(Protocol):
    """A subscription to which the link itself delivers messages that are published on it."""

    pattern: str

    def receiver(self, subject: str) -> Callable[[bytes], None]:
        """Returns the receiver of messages on a subject."""
        ...


class PublishRoute:
    """A subject for publishing: the line of its PUB commands (docs.nats.io, "Client Protocol"), and the
    receivers to which the link delivers without the server."""

    __slots__ = ("head", "receivers", "size", "subject")

    def __init__(self, subject: str, receivers: tuple[Callable[[bytes], None], ...]) -> None:
        self.subject = subject
        self.receivers = receivers
        # Many messages on a subject are of the same size.
        self.size = -1
        self.head = b""

    def sized(self, size: int) -> bytes:
        """Returns the PUB line for a payload of `size` bytes."""
        if size != self.size:
            self.size, self.head = size, b"PUB %b %d\r\n" % (self.subject.encode(), size)
        return self.head

    def hear(self, payload: bytes) -> None:
        """Deliver a payload to each receiver. An exception of one is logged; the others still get it."""
        for receive in self.receivers:
            try:
                receive(payload)
            except Exception:
                LOG.exception("fault of who listens to %s", self.subject)


class PublishRoutes:
    """The cache of routes of one link. Receivers that are equal are called once."""

    __slots__ = ("_interest", "_known")

    def __init__(self) -> None:
        self._interest: Interest[Listener] = Interest()
        self._known = Recent(MAX_ROUTES)

    def add(self, listener: Listener) -> None:
        """Deliver to this subscription from now on."""
        self._interest.add(listener.pattern, listener)
        self._known.clear()

    def discard(self, listener: Listener) -> None:
        """Deliver to it no more. Nothing happens for one that was not added."""
        self._interest.discard(listener.pattern, listener)
        self._known.clear()

    def of(self, subject: str) -> PublishRoute:
        """Returns the route of a subject. Raises invalid_subject for a subject that NATS does not take."""
        route: PublishRoute | None = self._known.get(subject)
        return self._made(subject) if route is None else route

    def _made(self, subject: str) -> PublishRoute:
        check_subject(subject)
        receivers = dict.fromkeys(each.receiver(subject) for each in self._interest.of(subject))
        route = PublishRoute(subject, tuple(receivers))
        self._known.put(subject, route)
        return route
