"""The cached clock of a turn of the event loop."""

from artcafe.server.gateway.websocket.turn_scheduler import TurnScheduler
from artcafe.server.ports.clock import Clock
from artcafe.wire.frames import stamp
from artcafe.wire.times import rfc3339


class TurnClock:
    """The time, the same for all that happens in one turn of the event loop. `read` it first."""

    __slots__ = ("_clock", "_known", "_scheduler", "monotonic", "now", "stamp")

    def __init__(self, clock: Clock, scheduler: TurnScheduler) -> None:
        self._clock = clock
        self._scheduler = scheduler
        self._known = False
        self.monotonic = 0.0
        """Seconds that never go back."""
        self.now = 0.0
        """Seconds since the Unix epoch."""
        self.stamp = b""
        """The same, as `frames.envelope` takes it."""

    @property
    def text(self) -> str:
        """The same, RFC 3339."""
        return rfc3339(self.now)

    def read(self) -> None:
        """Read the clock, once in a turn."""
        if not self._known:
            self._known = True
            self._scheduler.at_end(self._forget)
            self.monotonic = self._clock.monotonic()
            self.now = self._clock.now()
            self.stamp = stamp(rfc3339(self.now))

    def _forget(self) -> None:
        self._known = False
