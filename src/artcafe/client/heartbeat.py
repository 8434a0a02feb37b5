"""The schedule of pings, and the detection of a dead connection."""

from dataclasses import dataclass
from enum import Enum


class Beat(Enum):
    """The action that is due."""

    ping = "ping"
    dead = "dead"


@dataclass(slots=True)
class Heartbeat:
    """The rule of one connection; `interval` is the server's, in seconds, the rest moments of one clock.

    Each side hears from the other at least once an interval: a ping is due when either direction was
    silent that long. The server is dead when nothing was heard for two intervals although a ping has
    been on its way for one. Without that ping nothing is concluded: a process that was stopped, or a
    loop that was blocked, finds old moments, not a dead server.
    """

    interval: float
    pinged: float

    def due(self, now: float, *, heard: float, sent: float) -> Beat | float:
        """The action that is due, or the seconds until one may be. After `ping` call `ping_sent`."""
        silent = self.pinged > heard and now - self.pinged >= self.interval
        if silent and now - heard >= 2 * self.interval:
            return Beat.dead
        next_ping = max(min(heard, sent), self.pinged) + self.interval
        return Beat.ping if now >= next_ping else next_ping - now

    def ping_sent(self, now: float) -> None:
        """Remember that a ping went out."""
        self.pinged = now
