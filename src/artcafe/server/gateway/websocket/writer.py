"""What clients are sent: collected for a turn of the event loop, and written once for each."""

import asyncio
import logging
from collections.abc import Callable

LOG = logging.getLogger("artcafe.gateway")

MOST = 65_536
"""Bytes that wait for the end of the turn. A client that reads fast is not to find more at once than
it would have taken meanwhile."""


class Outboxes:
    """Those of all clients: what was put into any is on its way after this turn of the event loop."""

    def __init__(self) -> None:
        self._scheduled = False
        self._works: list[Callable[[], None]] = []
        self._due: list[Outbox] = []

    def first(self, work: Callable[[], None]) -> None:
        """Do this at the end of the turn, before anything is written."""
        self._schedule()
        self._works.append(work)

    def due(self, outbox: "Outbox") -> None:
        """Flush it at the end of the turn."""
        self._schedule()
        self._due.append(outbox)

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._end)

    def _end(self) -> None:
        works, self._works = self._works, []
        for work in works:
            try:
                work()
            except Exception:
                LOG.exception("fault at the end of a turn")
        # What comes from now on is of the next turn, and so is work that work left over.
        self._scheduled = False
        if self._works:
            self._schedule()
        due, self._due = self._due, []
        for outbox in due:
            try:
                outbox.flush()
            except Exception:
                # A broken transport keeps nothing from other clients. Its own missed frames, so it is closed.
                LOG.exception("a client's frames were not written")
                outbox.abort()


class Outbox:
    """One client's: frames leave in the order in which they were put, joined."""

    __slots__ = ("_all", "_frames", "_write", "abort", "size")

    def __init__(
        self, write: Callable[[bytes], None], outboxes: Outboxes, abort: Callable[[], None] = lambda: None
    ) -> None:
        """`abort` breaks the connection; it must not raise."""
        self.size = 0
        """Bytes that wait here."""
        self.abort = abort
        self._write = write
        self._all = outboxes
        self._frames: list[bytes] = []

    def put(self, framed: bytes) -> None:
        """Write this with whatever else comes in this turn, after what was put before."""
        if not self._frames:
            self._all.due(self)
        self._frames.append(framed)
        self.size += len(framed)
        if self.size > MOST:
            self.flush()

    def flush(self) -> None:
        """Write what waits, now."""
        if self._frames:
            frames, self._frames, self.size = self._frames, [], 0
            self._write(frames[0] if len(frames) == 1 else b"".join(frames))

    def clear(self) -> None:
        """Forget what waits: there is nobody to write to."""
        self._frames, self.size = [], 0
