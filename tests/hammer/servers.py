"""Several server processes over one store: each with memory of its own, faults at its writes, and a sudden
end now and then, after which another one takes its place."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from random import Random

import httpx
from fastapi import FastAPI

from artcafe.server.domain.deletion import LINGER_SECONDS
from artcafe.server.domain.operators import TenantCreation
from artcafe.server.store.item import Backend
from tests.kit.api import Api
from tests.kit.faults import Fault, FaultyStore
from tests.kit.installation import Installation
from tests.kit.issuers import StoppedClock

SERVERS = 3
MOST_TENANTS = 2
"""How many tenants one user may have made."""

TIER = "starter"

RATES = {Fault.refused: 0.02, Fault.lost: 0.04, Fault.cut: 0.004}
"""How likely each is at a write."""

STALLED = 0.02
"""How likely a write comes long after what was read for it."""


class HammeredStore(FaultyStore):
    """A FaultyStore whose faults come by chance, and whose calls take turns by chance. `calm` ends both."""

    def __init__(self, store: Backend, chance: Random, calm: bool) -> None:
        super().__init__(store)
        self._chance = chance
        self.calm = calm

    async def _read(self) -> None:
        await self._wait()
        await super()._read()

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[None]:
        await self._wait()
        for _ in range(600 if not self.calm and self._chance.random() < STALLED else 0):
            await asyncio.sleep(0)
        if not self.calm and not self.dead:
            [fault] = self._chance.choices([*RATES, None], [*RATES.values(), 1 - sum(RATES.values())])
            self.arm(fault)
        async with super()._write():
            yield

    async def _wait(self) -> None:
        for _ in range(0 if self.calm else self._chance.choice((0, 0, 1, 2, 5))):
            await asyncio.sleep(0)


@cache
def applications() -> list[FastAPI | None]:
    """One for each server, used again by the next run: to make one takes longer than hundreds of calls."""
    return [None] * SERVERS


@dataclass
class Server:
    """One process: its way to the store, its API, and a client of it."""

    store: HammeredStore
    api: Api
    client: httpx.AsyncClient


class Servers:
    """Those of one installation; `calm` ones have no faults. `ends` is how many died."""

    def __init__(self, backend: Backend, chance: Random, *, calm: bool = False) -> None:
        self.backend = backend
        self.clock = StoppedClock()
        self.ends = 0
        self._chance = chance
        self._calm = calm
        self._installation = Installation(
            backend, self.clock, creation=TenantCreation(anybody=True, most=MOST_TENANTS), default_tier=TIER
        )
        self._running = [self._start(number) for number in range(SERVERS)]

    def _start(self, number: int) -> Server:
        store = HammeredStore(self.backend, self._chance, self._calm)
        self._installation.store = store
        self._installation.process = self._installation.start(f"p{number}")
        api = Api(self._installation, applications()[number])
        applications()[number] = api.app
        return Server(store, api, api.client())

    def any(self) -> Server:
        """One of them; in place of one that died, its successor."""
        number = self._chance.randrange(SERVERS)
        if self._running[number].store.dead:
            self.ends += 1
            self._running[number] = self._start(number)
        return self._running[number]

    async def settle(self) -> Server:
        """Let no more happen by chance, and everything that is done in the background. One that is sound."""
        self._calm = True
        for each in self._running:
            each.store.calm = True
        server = self._start(0)
        for _ in range(2):  # What was begun, and what follows when nobody writes behind it any more.
            await server.api.cases.deletions.work()
            self.clock.advance(LINGER_SECONDS)
        await server.api.cases.deletions.work()
        await self.backend.sweep()
        return server
