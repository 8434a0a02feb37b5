"""A connection that answers requests."""

import secrets
from collections.abc import Callable

from artcafe.wire.frames import Cancelled


class Responder:
    """One connection that may answer the requests that are delivered to it. Small, since requests remember to
    whom they were delivered."""

    __slots__ = ("name", "tell")

    def __init__(self) -> None:
        self.name = secrets.token_hex(8)
        self.tell: Callable[[Cancelled], None] | None = None
        """Tells the client that a request is over; None for a client that does not know this frame."""
