"""The near cache: the records behind each login and each authorization of a message, held in this process."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from cachetools import TTLCache

from artcafe.server.domain.agent import AgentRules
from artcafe.server.domain.change import Change, Kind
from artcafe.server.domain.channel import ChannelRule
from artcafe.server.domain.channel_rules import ChannelRules
from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.server.domain.tenant import TenantRules
from artcafe.server.ports.clock import Clock
from artcafe.server.ports.records import AgentRecords, ChannelRecords, TenantRecords
from artcafe.server.store.walk import pages

T = TypeVar("T")

TTL_SECONDS = 5.0
"""How long something is believed that no word came about: a word told while the bus was away is lost."""

MAX_ENTRIES = 50_000
"""How much is held; what was not asked for longest goes first."""

_PAGE = 1000

_KINDS = (Kind.tenant, Kind.agent, Kind.channel)

_Key = tuple[TenantId, Kind, str]


class NearCache:
    """ports.Directory. Whatever is asked for is read once, however many ask at once.

    `forget` is called for every change, also of this process. What was being read then is given to
    those who asked before, and not kept: it may be from before the change.
    """

    def __init__(
        self, tenants: TenantRecords, agents: AgentRecords, channels: ChannelRecords, clock: Clock
    ) -> None:
        self._tenants = tenants
        self._agents = agents
        self._channels = channels
        self._held: TTLCache[_Key, Any] = TTLCache(MAX_ENTRIES, TTL_SECONDS, clock.monotonic)
        self._reading: dict[_Key, asyncio.Future[Any]] = {}
        self.lookups = Counter({(kind, held): 0 for kind in _KINDS for held in (True, False)})
        """How often what kind of record was asked for, and whether it was held."""
        # Those that somebody still holds: what is read anew and says the same is no reason to make others.
        self._rules: WeakValueDictionary[TenantId, ChannelRules] = WeakValueDictionary()

    async def tenant(self, tenant: TenantId) -> TenantRules | None:
        """The tenant, or None."""
        return await self._have((tenant, Kind.tenant, tenant), lambda: self._tenants.rules(tenant))

    async def agent(self, tenant: TenantId, agent: AgentId) -> AgentRules | None:
        """The agent, or None."""
        return await self._have((tenant, Kind.agent, agent), lambda: self._agents.rules(tenant, agent))

    async def rules(self, tenant: TenantId) -> ChannelRules:
        """All channels of a tenant: the same object for everybody, until one of them changes."""
        return await self._have((tenant, Kind.channel, ""), lambda: self._read_rules(tenant))

    def forget(self, change: Change) -> None:
        """The record is another one now. Everything of a tenant goes with the tenant."""
        if change.kind is Kind.tenant:
            for held in (self._held, self._reading):
                for key in [key for key in held if key[0] == change.tenant]:
                    held.pop(key, None)
            return
        key = (change.tenant, change.kind, "" if change.kind is Kind.channel else change.id)
        self._held.pop(key, None)
        self._reading.pop(key, None)

    def forget_all(self) -> None:
        """Any record may be another one now: changes may have been told unheard."""
        self._held.clear()
        self._reading.clear()

    async def _have(self, key: _Key, read: Callable[[], Awaitable[T]]) -> T:
        try:
            held: T = self._held[key]
        except KeyError:
            self.lookups[key[1], False] += 1
        else:
            self.lookups[key[1], True] += 1
            return held
        while (reading := self._reading.get(key)) is not None:
            await asyncio.wait([reading])
            if not reading.cancelled():
                shared: T = reading.result()
                return shared
        return await self._read(key, read)

    async def _read(self, key: _Key, read: Callable[[], Awaitable[T]]) -> T:
        reading: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._reading[key] = reading
        try:
            value = await read()
        except BaseException:
            reading.cancel()  # Who waits reads for itself.
            raise
        else:
            reading.set_result(value)
            if self._reading.get(key) is reading:
                self._held[key] = value
            return value
        finally:
            if self._reading.get(key) is reading:
                del self._reading[key]

    async def _read_rules(self, tenant: TenantId) -> ChannelRules:
        channels = await self._all_channels(tenant)
        known = self._rules.get(tenant)
        if known is None or known.channels != channels:
            known = self._rules[tenant] = ChannelRules(channels)
        return known

    async def _all_channels(self, tenant: TenantId) -> tuple[ChannelRule, ...]:
        found: list[ChannelRule] = []
        async for page in pages(lambda cursor: self._channels.rules(tenant, _PAGE, cursor)):
            found += page.items
        return tuple(found)
