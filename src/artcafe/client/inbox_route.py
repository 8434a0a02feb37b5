"""The route of a client's inbox."""

from artcafe.client.inbox import Inbox
from artcafe.client.route import Route, Stand
from artcafe.wire import frames
from artcafe.wire.subjects import Address


class InboxRoute(Route):
    """The inbox at the server, and the local one."""

    __slots__ = ("_inbox",)

    of_inbox = True

    def __init__(self, route: str, inbox: Inbox) -> None:
        super().__init__(route, Address("", "", None, platform=False), inbox)
        self._inbox = inbox

    def ask(self) -> bytes:
        """The `inbox` frame."""
        self.stand = Stand.asked
        return self._inbox.ask(self.id)

    def drop(self, call: str | None = None) -> bytes:
        """The `close_inbox` frame; with an id it is answered."""
        return self._inbox.drop(call)

    def opened(self, waiting: int) -> None:
        """See Route."""
        self._inbox.waiting = waiting
        super().opened(waiting)

    def takes(self, frame: frames.Message) -> bool:
        """Whether a message is of the inbox."""
        if self.stand not in {Stand.live, Stand.left}:
            return False  # What was on its way when it was closed comes again.
        self._inbox.waiting = frame.waiting or 0
        return True
