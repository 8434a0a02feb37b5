"""Writes collected counters and sightings: periodically, on demand, and at shutdown."""

import logging
from collections.abc import Awaitable, Callable

from artcafe.server.core.usage import Meter
from artcafe.server.ports.clock import Clock
from artcafe.server.store.presence import PresenceTable
from artcafe.wire.errors import ArtcafeError

LOG = logging.getLogger("artcafe")

EVER_SECONDS = 60.0
"""How often the counters of each agent and channel are written, unless everything is asked for."""


def flushing(
    count_delivered: Callable[[], None],
    sightings: PresenceTable,
    meter: Meter,
    clock: Clock,
    ever_seconds: float = 0.0,
) -> Callable[[], Awaitable[None]]:
    """A function that writes everything that was noted and counted; it raises unavailable.

    The counters of each agent and channel, of all their time, are written every `ever_seconds` at most: they
    are most of what is written, and nobody is billed by them.
    """
    due = 0.0

    async def flush() -> None:
        nonlocal due
        count_delivered()
        await sightings.flush()
        now = clock.monotonic()
        await meter.flush(ever=now >= due)
        if now >= due:
            due = now + ever_seconds

    return flush


async def finish(sightings: PresenceTable, meter: Meter) -> None:
    """Write what was noted and counted: a clean stop loses nothing."""
    for flush in (sightings.flush, meter.flush):
        try:
            await flush()
        except ArtcafeError as error:
            LOG.error("not written at the end: %s", error)
