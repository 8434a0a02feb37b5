"""The lease of this process, and which leases of the others hold.

A process renews its lease every RENEW_SECONDS. The others look as often whether it did, and measure by their
own clocks how long it did not: clocks of machines differ. After LEASE_SECONDS without a change the lease is
over, and one of them takes it, so that a process which only stood still learns that it lost it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from artcafe.server.ports.clock import Clock
from artcafe.server.ports.leases import Lease, LeaseRecords

RENEW_SECONDS = 1.0
"""How often a lease is renewed, and how often it is looked at those of the others."""

LEASE_SECONDS = 3.0
"""How long a lease holds that is not renewed. Between a kill and the moment at which every other process has
noticed it there are two rounds more at most, so five seconds."""

_GAP_SECONDS = 2.0
"""When nobody looked for so long, nothing is known of what happened meanwhile: it may be this process that
stood still, or the store that was away."""


@dataclass(frozen=True, slots=True)
class _Watched:
    """A lease, the time by the monotonic clock since which it did not change, and whether it holds."""

    lease: Lease
    since: float
    holds: bool


class Leases:
    """The lease of the process called `name`, and its view of the others. `new_id` tells what this process
    holds from what an earlier one of its name held, and from what itself held before it lost a lease.

    `watch` is called every RENEW_SECONDS. Where it never is, leases are judged by the times that are written
    in them.
    """

    def __init__(self, records: LeaseRecords, clock: Clock, name: str, new_id: Callable[[], str]) -> None:
        self._records = records
        self._clock = clock
        self._name = name
        self._new_id = new_id
        self._rev = ""
        self._watched: dict[str, _Watched] = {}
        self._looked: float | None = None
        self.holder = ""
        """The name under which this process holds a lease; empty while it has none."""
        self.lost = False
        """Whether the lease was taken from this process."""

    async def take(self) -> None:
        """Take a lease, unless this process holds one; in place of one that it lost. Raises unavailable."""
        if self.lost:
            await self._records.lose(self.holder, self._clock.now())
            self.holder, self.lost = "", False
        if not self.holder:
            holder = f"{self._name}~{self._new_id()}"
            self._rev = await self._records.take(holder, self._clock.now())
            self.holder = holder

    async def watch(self) -> None:
        """Renew the lease, if this process holds one, and look at the others. Raises unavailable."""
        if self.holder and not self.lost:
            rev = await self._records.renew(self.holder, self._rev, self._clock.now())
            if rev is None:
                self.lost = True
            else:
                self._rev = rev
        await self._look()
        self._looked = self._clock.monotonic()

    async def leave(self) -> None:
        """Give the lease up, and remove what is left of what was said under it. Raises unavailable."""
        if self.holder and not self.lost:
            for held in await self._records.held(self.holder):
                await self._records.clear(self.holder, held)
            await self._records.leave(self.holder)
            self.holder = ""

    def is_own(self, holder: str) -> bool:
        """Whether it is a name of this process, or of an earlier one in its place, of older releases too."""
        return holder.partition("~")[0] == self._name

    async def holding(self, holders: Iterable[str]) -> set[str]:
        """Those of the holders whose leases hold. Raises unavailable."""
        asked = set(holders)
        if not asked:
            return asked
        if self._unwatched() or not asked <= self._watched.keys():
            await self._look()
        return {holder for holder in asked if holder in self._watched and self._watched[holder].holds}

    @property
    def due(self) -> bool:
        """Whether a lease is over, this process's own or one that nobody cleared."""
        others = (each for each in self._watched.values() if each.lease.holder != self.holder)
        return self.lost or any(map(self._is_over, others))

    async def taken_over(self) -> list[Lease]:
        """The leases that are over and that this process took, so that it is the one that tells of it. It
        takes those that nobody else took, or who did is gone. Raises unavailable."""
        mine: list[Lease] = []
        if self.lost:
            return mine
        for watched in list(self._watched.values()):
            lease = watched.lease
            if lease.holder == self.holder or not self._is_over(watched):
                continue
            await self.take()
            if (lease.over and lease.by == self.holder) or await self._records.end(lease, self.holder):
                mine.append(replace(lease, over=True, by=self.holder))
        return mine

    def _is_over(self, watched: _Watched) -> bool:
        lease = watched.lease
        if lease.over:
            by = self._watched.get(lease.by)
            return lease.by == self.holder or by is None or not by.holds
        # No other process has the name of this one: an earlier one is gone.
        return self.is_own(lease.holder) or (
            not watched.holds and self._clock.monotonic() - watched.since >= LEASE_SECONDS
        )

    def _unwatched(self) -> bool:
        return self._looked is None or self._clock.monotonic() - self._looked > _GAP_SECONDS

    async def _look(self) -> None:
        """Read all leases. One that was not there at the look before is new; one that changed was renewed. At
        the first look, or after a while without one, those hold that were renewed just now by the clocks of
        their holders, which may be wrong until the next look."""
        begins = self._unwatched()
        known = {} if begins else self._watched
        leases = await self._records.all()
        now, wall = self._clock.monotonic(), self._clock.now()
        seen = {}
        for lease in leases:
            before = known.get(lease.holder)
            if before is None or before.lease.rev != lease.rev:
                holds = not lease.over and (not begins or abs(wall - lease.at) < LEASE_SECONDS)
                seen[lease.holder] = _Watched(lease, now, holds)
            else:
                seen[lease.holder] = replace(
                    before, holds=before.holds and now - before.since < LEASE_SECONDS
                )
        self._watched = seen
