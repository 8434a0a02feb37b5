"""The installation's mark in the store."""

import msgspec

from artcafe.server.domain.installation import Mark
from artcafe.server.store import addresses as at
from artcafe.server.store.item import ABSENT, Cond, Conflict, Op, Put, Rev
from artcafe.server.store.table import Stored, Table, data


class _Turn(msgspec.Struct):
    """The time of the last turn, in Unix seconds."""

    at: float


class InstallationTable:
    """ports.InstallationRecords."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def mark(self) -> Mark | None:
        """The mark, or None in a store that no server has opened yet."""
        stored = await self._table.read(at.INSTALLATION, at.MARK, Mark)
        return stored.record if stored else None

    async def make(self, mark: Mark) -> Mark:
        """Give the store this mark, unless it has one; the one that it has now."""

        async def attempt() -> tuple[Mark, list[Op]]:
            stored = await self.mark()
            if stored is not None:
                return stored, []
            return mark, [Put(at.INSTALLATION, at.MARK, data(mark), ABSENT)]

        return await self._table.again(attempt)

    async def stamp(self, above: int = 0) -> Mark:
        """Raise the stamp by one at least, and above this one; the new mark. Raises not_found without one."""

        def steps(stored: Stored[Mark]) -> tuple[Mark, list[Op]]:
            mark = Mark(stored.record.id, max(stored.record.stamp, above) + 1)
            return mark, [stored.put(mark)]

        return await self._table.change(at.INSTALLATION, at.MARK, Mark, steps)

    async def turn(self, now: float, rest: float) -> bool:
        """Whether `rest` seconds have passed since somebody was told so; nobody else is told so then."""
        stored = await self._table.read(at.INSTALLATION, at.TURN, _Turn)
        if stored is not None and stored.record.at <= now < stored.record.at + rest:
            return False
        cond: Cond = Rev(stored.rev) if stored else ABSENT
        try:
            await self._table.write(Put(at.INSTALLATION, at.TURN, data(_Turn(now)), cond))
        except Conflict:
            return False
        return True
