"""When what a process noted and counted is written: now and then, on demand, and at its end."""

import logging
from collections.abc import Awaitable, Callable

from artcafe.server.core.usage import Meter
from artcafe.server.ports.clock import Clock
from artcafe.server.store.presence import PresenceTable
from artcafe.wire.errors import ArtcafeError

LOG = logging.getLogger("artcafe")

EVER_SECONDS = 60.0
"""How often the counters of each agent and channel are written."""


def flushing(
    count_delivered: Callable[[], None], sightings: PresenceTable, meter: Meter
) -> Callable[[], Awaitable[None]]:
    """Everything that was noted and counted, written when it is called. Raises unavailable."""

    async def flush() -> None:
        count_delivered()
        await sightings.flush()
        await meter.flush()

    return flush


def regularly(
    count_delivered: Callable[[], None], sightings: PresenceTable, meter: Meter, clock: Clock
) -> Callable[[], Awaitable[None]]:
    """The same, but what is counted ever, of each agent and channel, only every EVER_SECONDS: it is most of
    what is written, and nobody is billed by it."""
    due = 0.0

    async def flush() -> None:
        nonlocal due
        count_delivered()
        await sightings.flush()
        now = clock.monotonic()
        await meter.flush(ever=now >= due)
        if now >= due:
            due = now + EVER_SECONDS

    return flush


async def finish(sightings: PresenceTable, meter: Meter) -> None:
    """Write what was noted and counted: a clean stop loses nothing."""
    for flush in (sightings.flush, meter.flush):
        try:
            await flush()
        except ArtcafeError as error:
            LOG.error("not written at the end: %s", error)
