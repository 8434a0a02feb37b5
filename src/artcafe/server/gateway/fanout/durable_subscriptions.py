"""The durable subscriptions of one tenant that have members on this process."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from artcafe.server.domain.channel_rules import DurableChannel
from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.fanout.durable_subscription import Announce, DurableSubscription, Route
from artcafe.server.ports.bus import Link
from artcafe.server.ports.consumers import ConsumerRules
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

LOG = logging.getLogger("artcafe.gateway")

MOST = 1024
"""Durable subscriptions of one tenant on one process: each has a pull open on the bus."""

_Key = tuple[str, str]


class DurableSubscriptions:
    """Opens each once, by its channel's stream and its name, and closes it when its last member left."""

    def __init__(
        self,
        tenant: TenantId,
        link: Link,
        route: Route,
        announce: Announce | None,
        start: Callable[[Coroutine[Any, Any, None]], None] | None,
    ) -> None:
        """`start` runs work as a task; without it, or `announce`, nothing can be opened."""
        self._tenant = tenant
        self._link = link
        self._route = route
        self._announce = announce
        self._start = start
        self._open: dict[_Key, asyncio.Future[DurableSubscription]] = {}

    async def open(self, channel: DurableChannel, name: str, rules: ConsumerRules) -> DurableSubscription:
        """The durable subscription of this name, made by these rules where it is missing. Whoever gets it
        joins it in the same turn of the event loop.

        Raises unavailable, not_found where the channel was deleted, quota_exceeded.
        """
        key = (channel.stream, name)
        while True:
            opening = self._open.get(key)
            if opening is None:
                break
            found = await asyncio.shield(opening)
            if not found.closed:
                return found
        if len(self._open) >= MOST:
            raise ArtcafeError(Code.quota_exceeded, f"{MOST} durable subscriptions are open on this server.")
        opening = self._open[key] = asyncio.get_running_loop().create_future()
        try:
            opened = await self._opened(channel, name, rules)
        except BaseException as error:
            # Who waits is told, and who comes from now on tries again.
            del self._open[key]
            opening.set_exception(
                error if isinstance(error, ArtcafeError) else ArtcafeError(Code.unavailable)
            )
            opening.exception()  # Nobody may wait, and asyncio would log that.
            raise
        opening.set_result(opened)
        return opened

    async def _opened(self, channel: DurableChannel, name: str, rules: ConsumerRules) -> DurableSubscription:
        if self._announce is None or self._start is None:
            raise ArtcafeError(Code.unavailable)
        consumers = self._link.consumers
        subscription = DurableSubscription(
            self._tenant, channel, name, consumers, self._route, self._announce, self._start, self.trim
        )
        state = await self._link.streams.state(channel.stream)

        def over() -> None:
            self._forget(subscription)
            subscription.over()

        consumer = await consumers.consume(channel.stream, name, rules, subscription.take, over)
        subscription.begin(consumer, state.epoch)
        return subscription

    def trim(self, subscription: DurableSubscription) -> None:
        """Close it, if nobody needs it here any more."""
        if subscription.idle and not subscription.closed and self._start is not None:
            self._forget(subscription)
            self._start(subscription.close())

    def _forget(self, subscription: DurableSubscription) -> None:
        key = (subscription.channel.stream, subscription.name)
        known = self._open.get(key)
        if known is not None and known.done() and known.result() is subscription:
            del self._open[key]
