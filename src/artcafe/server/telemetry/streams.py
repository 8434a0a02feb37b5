"""Asks the bus regularly what its streams hold, and keeps the last answer."""

import asyncio
import logging
from collections.abc import Iterable

from artcafe.server.ports.stream_usage import ReadStreamUsage, StreamUsage
from artcafe.server.telemetry import names
from artcafe.server.telemetry.instruments import Instruments, Values, one
from artcafe.server.telemetry.names import MetricName
from artcafe.wire.errors import ArtcafeError

LOG = logging.getLogger("artcafe.telemetry")

ASK_SECONDS = 15.0
"""How often the bus is asked."""


class Streams:
    """The last answer; none is told while the bus does not answer."""

    def __init__(self, instruments: Instruments, read: ReadStreamUsage) -> None:
        self._read = read
        self._usage: StreamUsage | None = None
        instruments.source(self._values)

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await self.ask()
            await asyncio.sleep(ASK_SECONDS)

    async def ask(self) -> None:
        """Ask once."""
        try:
            self._usage = await self._read()
        except ArtcafeError as error:
            self._usage = None
            LOG.debug("the bus does not tell what its streams hold: %s", error)

    def _values(self) -> Iterable[tuple[MetricName, Values]]:
        usage = self._usage
        if usage is None:
            return
        yield names.JETSTREAM_BYTES, one(usage.storage_bytes)
        yield names.JETSTREAM_RESERVED, one(usage.reserved_bytes)
        yield names.JETSTREAM_LIMIT, one(usage.limit_bytes)
        yield names.JETSTREAM_STREAMS, one(usage.streams)
        yield names.JETSTREAM_CONSUMERS, one(usage.consumers)
        yield names.JETSTREAM_MESSAGES, one(usage.messages)
        yield names.JETSTREAM_ERRORS, one(usage.api_errors)
        yield names.CONSUMER_LAG, one(usage.lag)
        yield names.LONGEST_CONSUMER_LAG, one(usage.longest_lag)
        yield names.CONSUMER_UNACKNOWLEDGED, one(usage.unacknowledged)
