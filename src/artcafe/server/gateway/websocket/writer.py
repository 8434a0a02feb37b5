"""The writer of one client: collects its frames during a turn of the event loop, and writes them at once."""

from collections.abc import Callable

from artcafe.server.gateway.websocket.turn_scheduler import Flushable, TurnScheduler

MOST = 65_536
"""Bytes that wait for the end of the turn. A client that reads fast is not to find more at once than
it would have taken meanwhile."""


class Writer(Flushable):
    """Frames leave in the order in which they were put, joined."""

    __slots__ = ("_abort", "_frames", "_scheduler", "_write", "size")

    def __init__(
        self,
        write: Callable[[bytes], None],
        scheduler: TurnScheduler,
        abort: Callable[[], None] = lambda: None,
    ) -> None:
        """`abort` breaks the connection; it must not raise."""
        self.size = 0
        """Buffered bytes."""
        self._abort = abort
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
        """Write the buffered frames, now."""
        if self._frames:
            frames, self._frames, self.size = self._frames, [], 0
            self._write(frames[0] if len(frames) == 1 else b"".join(frames))

    def clear(self) -> None:
        """Drop the buffered frames: there is nobody to write to."""
        self._frames, self.size = [], 0

    def abort(self) -> None:
        """Break the connection, which has missed frames."""
        self._abort()
