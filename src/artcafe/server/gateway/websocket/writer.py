"""What clients are sent: collected for a turn of the event loop, and written once for each."""

import asyncio
import logging
from collections.abc import Callable

LOG = logging.getLogger("artcafe.gateway")

MOST = 65_536
"""Bytes that wait for the end of the turn. A client that reads fast is not to find more at once than
it would have taken meanwhile."""


class TurnScheduler:
    """Those of all clients: what was put into any is on its way after this turn of the event loop."""

    def __init__(self) -> None:
        self._scheduled = False
        self._callbacks: list[Callable[[], None]] = []
        self._due: list[Writer] = []

    def at_end(self, callback: Callable[[], None]) -> None:
        """Do this at the end of the turn, before anything is written."""
        self._schedule()
        self._callbacks.append(callback)

    def flush_at_end(self, writer: "Writer") -> None:
        """Flush it at the end of the turn."""
        self._schedule()
        self._due.append(writer)

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._end)

    def _end(self) -> None:
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            try:
                callback()
            except Exception:
                LOG.exception("fault at the end of a turn")
        # What comes from now on is of the next turn, and so is work that work left over.
        self._scheduled = False
        if self._callbacks:
            self._schedule()
        writers, self._due = self._due, []
        for writer in writers:
            try:
                writer.flush()
            except Exception:
                # A broken transport keeps nothing from other clients. Its own missed frames, so it is closed.
                LOG.exception("a client's frames were not written")
                writer.abort()


class Writer:
    """One client's: frames leave in the order in which they were put, joined."""

    __slots__ = ("_frames", "_scheduler", "_write", "abort", "size")

    def __init__(
        self,
        write: Callable[[bytes], None],
        scheduler: TurnScheduler,
        abort: Callable[[], None] = lambda: None,
    ) -> None:
        """`abort` breaks the connection; it must not raise."""
        self.size = 0
        """Bytes that wait here."""
        self.abort = abort
        self._write = write
        self._scheduler = scheduler
        self._frames: list[bytes] = []

    def put(self, framed: bytes) -> None:
        """Write this with whatever else comes in this turn, after what was put before."""
        if not self._frames:
            self._scheduler.flush_at_end(self)
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
