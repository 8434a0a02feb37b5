"""Counts log events: logins, refusals, slow consumers, throttled clients, and every other one by its name.

An event is counted whether it is written, folded, or below the level that is logged.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from artcafe.server import events
from artcafe.server.events import Event
from artcafe.server.telemetry import names
from artcafe.server.telemetry.instruments import Instruments


class EventCounts(logging.Handler):
    """A handler of the log of events."""

    def __init__(self, instruments: Instruments) -> None:
        super().__init__()
        self._events = instruments.counter(names.EVENTS)
        self._logins = instruments.counter(names.LOGINS)
        self._login_refusals = instruments.counter(names.LOGIN_REFUSALS)
        self._handshake_refusals = instruments.counter(names.HANDSHAKE_REFUSALS)
        self._connection_refusals = instruments.counter(names.CONNECTION_REFUSALS)
        self._disconnections = instruments.counter(names.DISCONNECTIONS)
        self._slow_consumers = instruments.counter(names.SLOW_CONSUMERS)
        self._throttled = instruments.counter(names.THROTTLED)

    def emit(self, record: logging.LogRecord) -> None:
        """Count the event of the record."""
        event: Event | None = getattr(record, "event", None)
        if event is None or record.levelno < logging.INFO:
            return
        self._events.labels(event.name, record.levelname.lower()).inc()
        match event:
            case events.LoginAccepted():
                self._logins.labels(event.way).inc()
            case events.LoginRefused():
                self._login_refusals.labels(event.way, event.reason or event.code).inc()
            case events.HandshakeRefused():
                self._handshake_refusals.labels(f"{event.status}").inc()
            case events.ConnectionRefused():
                self._connection_refusals.labels(event.reason).inc()
            case events.Disconnected():
                self._disconnections.labels(event.error or "none").inc()
            case events.SlowConsumer():
                self._slow_consumers.inc()
            case events.Throttled():
                self._throttled.labels(event.code).inc()
            case _:
                pass

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count every event that is noted meanwhile, whatever the level of the log is.

        Where less is logged than INFO, events are made all the same; `Lines` drops them by its own level.
        """
        level = events.LOG.level
        if not events.LOG.isEnabledFor(logging.INFO):
            events.LOG.setLevel(logging.INFO)
        events.LOG.addHandler(self)
        try:
            yield
        finally:
            events.LOG.removeHandler(self)
            events.LOG.setLevel(level)
