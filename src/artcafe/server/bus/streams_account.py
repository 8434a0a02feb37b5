"""Connections of the user who makes, changes and deletes the streams and consumers of a tenant's account."""

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from artcafe.server.bus.accounts.operator import Operator
from artcafe.server.bus.nats.link import NatsLink
from artcafe.server.bus.nats.requests import Requests
from artcafe.server.domain.tenant import TenantRules
from artcafe.wire.errors import ArtcafeError

ANSWER_SECONDS: Final = 5.0
"""How long a change of one stream may take; without a leader a cluster answers nothing."""


class StreamsAccount:
    """Connects that user, for as long as a change takes."""

    def __init__(
        self,
        url: str,
        operator: Operator,
        *,
        answer_seconds: float = ANSWER_SECONDS,
        jitter: Callable[[], float] = random.random,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`url`, `jitter` and `tls` are as for TenantLinks."""
        self._servers = [part.strip() for part in url.split(",")]
        self._operator = operator
        self.answer_seconds = answer_seconds
        self._jitter = jitter
        self._tls = tls

    @asynccontextmanager
    async def connected(self, tenant: TenantRules) -> AsyncIterator[Requests]:
        """A connection to the tenant's account for as long as the block lasts. Raises unavailable."""
        link = NatsLink(
            self._servers,
            self._operator.streams_credentials(tenant),
            f"artcafe streams {tenant.id}",
            buffer_bytes=0,
            patience=self.answer_seconds,
            jitter=self._jitter,
            tls=self._tls,
        )
        failed = None
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(link.run())
            try:
                await link.ready()
                yield Requests(link)
            except ArtcafeError as error:  # Not in a group of its own.
                failed = error
            finally:
                link.close()
                running.cancel()
        if failed is not None:
            raise failed
