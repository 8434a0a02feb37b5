"""Runs an action on many connections, at once or spread over some time."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from artcafe.server.gateway.sessions.connection import Connection
from artcafe.wire.errors import ArtcafeError

LOG = logging.getLogger("artcafe.gateway")

LONGEST_STEP = 0.005
"""Seconds between two connections, at most: a few need not wait."""


def each(connections: Iterable[Connection], act: Callable[[Connection], None]) -> None:
    """Do this to all of them: a fault of one connection protects no other from its end."""
    for connection in connections:
        try:
            act(connection)
        except Exception:
            LOG.exception("fault in connection %s", connection.id)


async def stagger(
    connections: Iterable[Connection],
    act: Callable[[Connection], None],
    seconds: float,
    draw: Callable[[], float],
) -> None:
    """Do this to one after the other, in an order by `draw`, evenly over so many seconds at most.

    The event loop's turns may be long: whoever is due meanwhile comes in the same turn.
    """
    loop = asyncio.get_running_loop()
    order = sorted(connections, key=lambda _: draw())
    step = min(seconds / len(order), LONGEST_STEP) if order else 0.0
    began = loop.time()
    for number, connection in enumerate(order):
        ahead = began + number * step - loop.time()
        if ahead > 0.0:
            await asyncio.sleep(ahead)
        each([connection], act)


async def supervised(work: Coroutine[Any, Any, None]) -> None:
    """Await work behind a connection; its failure is logged, and ends no other's."""
    try:
        await work
    except ArtcafeError as error:
        LOG.warning("work behind a connection failed: %s", error)
    except Exception:
        # Task supervision: one connection's fault ends no other's.
        LOG.exception("fault in work behind a connection")
