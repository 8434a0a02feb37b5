"""The cached clock of a turn of the event loop."""

from artcafe.server.core.publishing.publisher import MessageClock
from artcafe.server.gateway.websocket.turn_scheduler import TurnScheduler
from artcafe.server.ports.clock import Clock


class TurnClock(MessageClock):
    """The time, the same for all that happens in one turn of the event loop. `read` it first."""

    __slots__ = ("_known", "_scheduler")

    def __init__(self, clock: Clock, scheduler: TurnScheduler) -> None:
        super().__init__(clock)
        self._scheduler = scheduler
        self._known = False

    def read(self) -> None:
        """Read the clock, once in a turn."""
        if not self._known:
            self._known = True
            self._scheduler.at_end(self._forget)
            self.take()

    def _forget(self) -> None:
        self._known = False
