"""Last-seen times of keys and agents, and connected agents, in the store."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from msgspec import Struct

from artcafe.server.domain.ids import AgentId, ChannelId, TenantId
from artcafe.server.ports.leases import ProcessAgents
from artcafe.server.store import addresses as at
from artcafe.server.store.item import ABSENT, MAX_OPS, Check, Conflict, Delete, Op, Put
from artcafe.server.store.leases import held_row
from artcafe.server.store.partitions import NOWHERE, live
from artcafe.server.store.records import readable
from artcafe.server.store.table import Table, data

N = TypeVar("N", AgentId, ChannelId)

_Use = tuple[TenantId, AgentId, str]

ROW_AGENTS = 1500
"""Agents in one row: as many rows as one transaction takes stay below its size."""


class _Online(Struct):
    agents: dict[AgentId, int]


class _At(Struct):
    at: str


class PresenceTable:
    """ports.SightingRecords and ports.KeyUses. Every row depends on what it tells about, so that none
    outlives it."""

    def __init__(self, table: Table) -> None:
        self._table = table
        # Logins that are not written yet: tenant, agent and fingerprint to the time.
        self._used: dict[_Use, str] = {}

    def used(self, tenant: TenantId, agent: AgentId, fingerprint: str, at_time: str) -> None:
        """A key logged in: written by the next `flush`."""
        self._used[tenant, agent, fingerprint] = at_time

    async def uses(self, tenant: TenantId, agent: AgentId) -> Mapping[str, str]:
        """Fingerprint to the time of its last login."""
        prefix = at.uses(agent)
        found = {}
        partition = await self._table.partition(tenant)
        async for item in self._table.items(at.tenant(partition), prefix):
            found[item.sk.removeprefix(prefix)] = str(item.data["at"])
        here = {use[2]: when for use, when in self._used.items() if use[:2] == (tenant, agent)}
        return {**found, **here}

    async def flush(self) -> None:
        """Write the logins, each key's last one. Raises unavailable; what was not written waits for the
        next time. Nothing is written of an agent that was deleted, or a key that was removed, meanwhile."""
        size = MAX_OPS // 3
        uses = list(self._used.items())
        for start in range(0, len(uses), size):
            some = uses[start : start + size]
            if not await self._note_used(some):
                for one in some:  # One of them is gone: the others are still noted.
                    await self._note_used([one])
            for use, when in some:
                if self._used.get(use) == when:
                    del self._used[use]

    async def _note_used(self, uses: list[tuple[_Use, str]]) -> bool:
        agents = {(tenant, agent) for (tenant, agent, _), _ in uses}
        pks = {tenant: at.tenant(await self._table.partition(tenant)) for tenant, _ in agents}
        steps: list[Op] = [Check(pks[tenant], at.agent(agent)) for tenant, agent in agents]
        claims = {(tenant, fingerprint) for (tenant, _, fingerprint), _ in uses}
        steps += [Check(pks[tenant], at.key(fingerprint)) for tenant, fingerprint in claims]
        steps += [
            Put(pks[tenant], at.use(agent, fingerprint), data(_At(when)))
            for (tenant, agent, fingerprint), when in uses
        ]
        return await self._write_unless_gone(*steps)

    async def announce(
        self, tenant: TenantId, process: str, online: Mapping[AgentId, int], left: Mapping[AgentId, str]
    ) -> None:
        """Replace what this server process holds, and note who left when."""
        partition = await self._table.partition(tenant)
        if partition == NOWHERE:
            return
        pk, prefix = at.tenant(partition), at.online(process)
        names = sorted(online)
        chunks = [names[start : start + ROW_AGENTS] for start in range(0, len(names), ROW_AGENTS)]
        rows = {
            f"{prefix}{number}": _Online({name: online[name] for name in chunk})
            for number, chunk in enumerate(chunks)
        }
        before = {item.sk async for item in self._table.items(pk, prefix)}
        # Who left is written before the rows forget it: a cut in between writes it again, never not.
        await self._note_left(pk, list(left.items()))
        puts: list[Op] = [Put(pk, sk, data(row)) for sk, row in rows.items()]
        if puts and not before:  # Together with the first row: who clears the rows finds them by it.
            puts.insert(0, held_row(process, tenant, partition))
        size = MAX_OPS - 1
        for start in range(0, len(puts), size):
            if not await self._write_unless_gone(live(partition), *puts[start : start + size]):
                rows = {}
        goes: list[Op] = [Delete(pk, sk) for sk in sorted(before - rows.keys())]
        if not rows:
            goes.append(Delete(at.held(process), partition))
        for start in range(0, len(goes), MAX_OPS):
            await self._table.write(*goes[start : start + MAX_OPS])

    async def left(self, tenant: TenantId, left: Mapping[AgentId, str]) -> None:
        """Note who went when."""
        await self._note_left(at.tenant(await self._table.partition(tenant)), list(left.items()))

    async def _note_left(self, pk: str, left: list[tuple[AgentId, str]]) -> None:
        size = MAX_OPS // 2
        for start in range(0, len(left), size):
            some = left[start : start + size]
            steps: list[Op] = [Check(pk, at.agent(agent)) for agent, _ in some]
            steps += [Put(pk, at.seen(agent), data(_At(when))) for agent, when in some]
            if not await self._write_unless_gone(*steps) and len(some) > 1:
                for one in some:  # One of them is gone: the others are still noted.
                    await self._note_left(pk, [one])

    async def _write_unless_gone(self, *steps: Op) -> bool:
        try:
            await self._table.write(*steps)
        except Conflict:
            return False
        return True

    async def online(self, tenant: TenantId, latest: int) -> Mapping[str, ProcessAgents]:
        """The connected agents of each process, as it last said; what an older release wrote until it ends,
        unless that is after `latest` (Unix seconds)."""
        partition = await self._table.partition(tenant)
        processes: dict[str, ProcessAgents] = {}
        async for item in self._table.items(at.tenant(partition), at.ONLINE):
            if item.expires is not None and item.expires > latest:
                continue
            process = at.process(item.sk)
            for row in readable([item], _Online)[0]:
                known = processes.get(process)
                agents = {**known.agents, **row.agents} if known else row.agents
                processes[process] = ProcessAgents(agents, leased=item.expires is None)
        return processes

    async def last_seen(self, tenant: TenantId, agents: Sequence[AgentId]) -> Mapping[AgentId, str]:
        """The times at which these agents were last seen; an agent never seen is missing."""
        return await self._times(tenant, agents, at.seen)

    async def spoken(self, tenant: TenantId, channels: Mapping[ChannelId, str]) -> None:
        """Record the times of channels' last messages; an earlier time changes nothing."""
        pk, size = at.tenant(await self._table.partition(tenant)), MAX_OPS // 2
        names = list(channels)
        for start in range(0, len(names), size):
            some = names[start : start + size]
            try:
                await self._table.write(
                    *[op for name in some for op in await self._speak(pk, name, channels)]
                )
            except Conflict:  # One of them is gone, or somebody was faster: the others are still told.
                for name in some:
                    with suppress(Conflict):
                        await self._table.again(partial(self._speak_alone, pk, name, channels))

    async def _speak_alone(
        self, pk: str, channel: ChannelId, times: Mapping[ChannelId, str]
    ) -> tuple[None, list[Op]]:
        return None, await self._speak(pk, channel, times)

    async def _speak(self, pk: str, channel: ChannelId, times: Mapping[ChannelId, str]) -> list[Op]:
        before = await self._table.read(pk, at.spoken(channel), _At)
        if before and before.record.at >= times[channel]:
            return []
        now = _At(times[channel])
        row = before.put(now) if before else Put(pk, at.spoken(channel), data(now), ABSENT)
        return [row, Check(pk, at.channel(channel))]

    async def last_spoken(self, tenant: TenantId, channels: Sequence[ChannelId]) -> Mapping[ChannelId, str]:
        """The times of these channels' last messages; a channel without one is missing."""
        return await self._times(tenant, channels, at.spoken)

    async def _times(
        self, tenant: TenantId, names: Sequence[N], row_of: Callable[[N], str]
    ) -> Mapping[N, str]:
        pk = at.tenant(await self._table.partition(tenant))
        found = await asyncio.gather(*(self._table.read(pk, row_of(name), _At) for name in names))
        return {name: row.record.at for name, row in zip(names, found, strict=True) if row}
