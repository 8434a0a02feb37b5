"""Leases of the server processes that use a store; a store with a lease is never moved.

A lease is a row that expires. A server renews it while it runs and removes it when it stops; that of a server
which was killed ends LEASE_SECONDS after it was renewed the last time.
"""

from collections.abc import Callable
from dataclasses import dataclass

from artcafe.server.store import addresses as at
from artcafe.server.store.item import Delete, ItemStore, Put
from artcafe.server.store.table import translated
from artcafe.server.store.walk import pages

LEASE_SECONDS = 90
"""How long a server that was killed counts as one that runs."""

RENEW_SECONDS = 20.0
"""How often a lease is renewed: it outlives three attempts that fail."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A server process, and when its lease ends, in Unix seconds."""

    server: str
    ends: int


class ServerLease:
    """The lease of this process."""

    def __init__(self, store: ItemStore, server: str, now: Callable[[], float]) -> None:
        """`server` is the process's name among all that run; `now` gives Unix seconds."""
        self._store = store
        self._server = server
        self._now = now
        self._renewed = float("-inf")

    async def renew(self) -> None:
        """Take it, or hold it for LEASE_SECONDS more. Raises unavailable."""
        now = self._now()
        with translated():
            await self._store.put(Put(at.SERVERS, self._server, {}, expires=int(now) + LEASE_SECONDS))
        self._renewed = now

    async def hold(self) -> None:
        """Renew it if RENEW_SECONDS have passed by the wall clock, or that was set back: for a process that
        stands still between its requests, when no other clock goes on. Raises unavailable."""
        if not 0 <= self._now() - self._renewed < RENEW_SECONDS:
            await self.renew()

    async def leave(self) -> None:
        """Give it up. Raises unavailable."""
        with translated():
            await self._store.delete(Delete(at.SERVERS, self._server))


async def leases(store: ItemStore) -> list[Lease]:
    """The leases that have not ended, by the servers' names. Raises StoreUnavailable."""
    return [
        Lease(item.sk, item.expires or 0)
        async for page in pages(lambda cursor: store.query(at.SERVERS, cursor=cursor))
        for item in page.items
    ]
