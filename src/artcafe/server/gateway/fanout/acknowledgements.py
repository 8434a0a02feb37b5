"""Acknowledgements of published messages: one flush of the bus serves everybody who waits."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from artcafe.server.domain.ids import TenantId
from artcafe.server.ports.bus import Link
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

LOG = logging.getLogger("artcafe.gateway")


class Acknowledgements:
    """Those of one link."""

    def __init__(self, tenant: TenantId, link: Link) -> None:
        self._tenant = tenant
        self._link = link
        self._waiting: list[Callable[[ArtcafeError | None], None]] = []
        self._flushing = False

    def later(self, tell: Callable[[ArtcafeError | None], None]) -> Coroutine[Any, Any, None] | None:
        """Call `tell` when the bus has everything published before, with outcome_unknown where that cannot be
        known: what the link took may still leave it, or have left it. The work is handed back when nobody
        does it yet.
        """
        self._waiting.append(tell)
        if self._flushing:
            return None
        self._flushing = True
        return self._flush()

    async def all(self) -> None:
        """Return when everybody who waits now was told."""
        told = asyncio.Event()
        work = self.later(lambda _: told.set())
        if work is not None:
            await work
        await told.wait()

    async def _flush(self) -> None:
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, []
                failure: ArtcafeError | None = None
                try:
                    await self._link.flush()
                except ArtcafeError:
                    failure = ArtcafeError(Code.outcome_unknown)
                except Exception:  # Nobody is left without an answer: who came meanwhile has the next flush.
                    LOG.exception("tenant %s: fault in a flush", self._tenant)
                    failure = ArtcafeError(Code.outcome_unknown)
                for tell in waiting:
                    tell(failure)
        finally:
            self._flushing = False
