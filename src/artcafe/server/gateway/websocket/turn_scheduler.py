"""Runs callbacks at the end of a turn of the event loop, then flushes every pending writer."""

import asyncio
import logging
from collections.abc import Callable

LOG = logging.getLogger("artcafe.gateway")

Traced = tuple[str, str, bytes]
"""A message that carries a trace: its tenant, its subject and its payload."""


class Flushable:
    """A buffer that is flushed at the end of a turn."""

    __slots__ = ()

    def flush(self) -> None:
        """Write the buffered bytes, now."""
        raise NotImplementedError

    def abort(self) -> None:
        """Break the connection: bytes of it are lost. Must not raise."""
        raise NotImplementedError


class TurnScheduler:
    """One for all connections of a process.

    A fault in a callback or a flush is logged, and keeps no other from its turn.
    """

    def __init__(self) -> None:
        self._scheduled = False
        self._callbacks: list[Callable[[], None]] = []
        self._pending: list[Flushable] = []
        self.sampling = False
        """Whether somebody waits for a message to be told of by `sample`."""
        self.sampled: Callable[[bytes], None] | None = None
        """Called with that message, after its turn was flushed."""
        self._sample: bytes | None = None
        self.traced: Callable[[list[Traced]], None] | None = None
        """Called with the messages of a turn that carry a trace, after it was flushed; None where nothing is
        traced."""
        self._traces: list[Traced] = []

    def sample(self, payload: bytes) -> None:
        """Take a message that was delivered in this turn."""
        self.sampling = False
        self._sample = payload

    def trace(self, tenant: str, subject: str, payload: bytes) -> None:
        """Take a message with a trace, which is delivered at the end of this turn."""
        self._traces.append((tenant, subject, payload))

    def at_end(self, callback: Callable[[], None]) -> None:
        """Call this once at the end of the turn, before anything is written."""
        self._schedule()
        self._callbacks.append(callback)

    def flush_at_end(self, buffer: Flushable) -> None:
        """Flush this at the end of the turn."""
        self._schedule()
        self._pending.append(buffer)

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
        # What is added from now on belongs to the next turn, callbacks that callbacks added too.
        self._scheduled = False
        if self._callbacks:
            self._schedule()
        pending, self._pending = self._pending, []
        for buffer in pending:
            try:
                buffer.flush()
            except Exception:
                # A broken transport keeps nothing from other clients. Its own missed frames, so it is closed.
                LOG.exception("a client's frames were not written")
                buffer.abort()
        sample, self._sample = self._sample, None
        if sample is not None and self.sampled is not None:
            try:
                self.sampled(sample)
            except Exception:
                LOG.exception("a message was not measured")
        traces = self._traces
        if traces and self.traced is not None:
            self._traces = []
            try:
                self.traced(traces)
            except Exception:
                LOG.exception("deliveries were not traced")
