"""Measures the time from publishing to delivery, of a few messages."""

from collections.abc import Callable
from datetime import datetime

import msgspec

from artcafe.server.gateway.websocket.turn_scheduler import TurnScheduler
from artcafe.server.telemetry import names
from artcafe.server.telemetry.instruments import Instruments


class _Published(msgspec.Struct):
    """The part of an envelope that is read."""

    timestamp: datetime


class DeliveryLatency:
    """Asks the turn scheduler for one message, and looks at its envelope once the turn in which it was
    delivered has written to the sockets. Other messages cost nothing.

    `now` gives Unix seconds. Of a message that another server published, the difference of both clocks is
    in what is measured; one that seems to be of the future counts as delivered at once.
    """

    def __init__(self, instruments: Instruments, scheduler: TurnScheduler, now: Callable[[], float]) -> None:
        self._latency = instruments.histogram(names.DELIVERY_LATENCY)
        self._decoder = msgspec.json.Decoder(_Published)
        self._scheduler = scheduler
        self._now = now
        scheduler.sampled = self._sampled

    def ask(self) -> None:
        """Measure the next message."""
        self._scheduler.sampling = True

    def _sampled(self, payload: bytes) -> None:
        try:
            published = self._decoder.decode(payload).timestamp.timestamp()
        except msgspec.DecodeError:
            return  # What is no envelope is delivered as such, and tells no time.
        self._latency.observe(max(self._now() - published, 0.0))
