"""A subject on the way to a nats-server."""

from collections.abc import Callable, Sequence


class Lane:
    """A subject: how its PUB commands begin (docs.nats.io, "Client Protocol"), and who gets what is published
    on it without the server."""

    __slots__ = ("head", "receivers", "size", "subject")

    def __init__(self, subject: str, receivers: Sequence[Callable[[bytes], None]]) -> None:
        self.subject = subject
        self.receivers = tuple(receivers)
        # Many messages on a subject are of the same size.
        self.size = -1
        self.head = b""

    def sized(self, size: int) -> bytes:
        """The beginning of a command for so many bytes."""
        if size != self.size:
            self.size, self.head = size, b"PUB %b %d\r\n" % (self.subject.encode(), size)
        return self.head
