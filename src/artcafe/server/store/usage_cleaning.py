"""Removes the usage counters of older releases, in the background.

They counted each subject of each day, and kept it for ever. Such a counter ends at once, and one of a day
gets the end that it would have now; what ended is swept, or removed by DynamoDB. Only tenants whose partition
is their id can have any. A row says how far it came: a process that ends is followed by another one, and when
all is done nothing is looked for any more.
"""

from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct, convert

from artcafe.server.domain.usage import MAX_DAYS, ends
from artcafe.server.ports.clock import Clock
from artcafe.server.store import addresses as at
from artcafe.server.store.addresses import Partition
from artcafe.server.store.item import ABSENT, Cond, Conflict, Delta, ItemPage, Put, Rev
from artcafe.server.store.rules import encode_cursor
from artcafe.server.store.table import Table, data, translated
from artcafe.server.store.walk import pages

SUBJECT: Final = "subject:"
"""What older releases counted by subject and day, of which nothing is told any more."""

SENT_BY_HUMANS: Final = "ever#sent:u-"
"""What they counted of humans, and nobody asks for."""

STEP_SECONDS: Final = 1.0
"""How often a step is taken."""

WORK_SECONDS: Final = 0.25
"""How long a step works at most, but for one write of it."""

WRITTEN_AT_ONCE: Final = 500
"""Counters in one write."""

TENANTS_AT_ONCE: Final = 100

BUSY_SECONDS: Final = 120
"""So long the process that is at it is believed to go on; then another one does."""


class Cleaned(Struct, frozen=True):
    """How far it came: after which tenant, by which process, and when that was, in Unix seconds."""

    after: str = ""
    by: str = ""
    at: float = 0.0
    done: bool = False


class UsageCleaning:
    """The work of one process called `server`. Its owner takes a `step` every STEP_SECONDS."""

    def __init__(self, table: Table, clock: Clock, server: str) -> None:
        self._store = table.store
        self._clock = clock
        self._server = server
        self._done = False
        self._rests_until = 0.0
        self._walk: AsyncGenerator[None, None] | None = None
        self._cond: Cond = ABSENT

    async def step(self) -> None:
        """Do some of it, if there is any. Raises unavailable: then it is done again."""
        now = self._clock.monotonic()
        if self._done or now < self._rests_until:
            return
        walk, self._walk = self._walk or self._through_all(), None
        with translated():
            try:
                async for _ in walk:
                    if self._clock.monotonic() >= now + WORK_SECONDS:
                        self._walk = walk
                        return
            except Conflict:  # Another process is at it.
                self._rests_until = now + BUSY_SECONDS

    async def _through_all(self) -> AsyncGenerator[None, None]:
        item = await self._store.get(*at.USAGE_CLEANED)
        mark = convert(item.data, Cleaned) if item else Cleaned()
        now = self._clock.now()
        self._done = mark.done
        if mark.done:
            return
        if mark.by not in {"", self._server} and abs(now - mark.at) < BUSY_SECONDS:
            self._rests_until = self._clock.monotonic() + BUSY_SECONDS
            return
        self._cond = Rev(item.rev) if item else ABSENT
        await self._note(mark.after)
        begin = encode_cursor(mark.after) if mark.after else None
        async for page in pages(self._tenants, begin):
            for row in page.items:
                if "partition" not in row.data:
                    async for _ in self._through(at.usage(Partition(row.sk))):
                        yield
                    await self._note(row.sk)
            yield
        await self._note("", done=True)
        self._done = True

    async def _tenants(self, cursor: str | None) -> ItemPage:
        return await self._store.query(at.TENANTS, limit=TENANTS_AT_ONCE, cursor=cursor)

    async def _note(self, after: str, *, done: bool = False) -> None:
        mark = Cleaned(after, self._server, self._clock.now(), done)
        self._cond = Rev(await self._store.put(Put(*at.USAGE_CLEANED, data(mark), self._cond)))

    async def _through(self, pk: str) -> AsyncGenerator[None, None]:
        today = datetime.fromtimestamp(self._clock.now(), UTC).date()
        for first, last in _spans([f"{today - timedelta(days)}" for days in range(MAX_DAYS + 1)]):
            names = list(await self._store.counters(pk, first, last))
            yield
            for start in range(0, len(names), WRITTEN_AT_ONCE):
                some = names[start : start + WRITTEN_AT_ONCE]
                await self._store.incr([Delta(pk, name, 0, self._end(name)) for name in some])
                yield

    def _end(self, name: str) -> int | None:
        day, _, metric = name.partition("#")
        if metric.startswith(SUBJECT) or name.startswith(SENT_BY_HUMANS):
            return int(self._clock.now())
        return ends(day)


def _spans(days: list[str]) -> Iterator[tuple[str, str]]:
    """The first and the last prefix of what is read at once: a day, or all that is older."""
    yield SENT_BY_HUMANS, SENT_BY_HUMANS
    for day in days:
        yield f"{day}#", f"{day}#"
    yield "0", f"{days[-1]}"
