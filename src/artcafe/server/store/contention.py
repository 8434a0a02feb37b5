"""Contention on one row: writers queue within a process, and back off with jitter between processes.

Optimistic writes of one row cost the square of how many try at once. Those of one process stand in a line
instead (`Turns`), and meet those of other processes only, between which chance decides (`pause`: full jitter,
as in "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from artcafe.server.domain.ids import TenantId, UserId
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

TRIES: Final = 20
"""How often a change is tried because somebody else was faster."""

FIRST_PAUSE: Final = 0.005
"""Seconds at most before the second try; before each later one twice as many, up to LONGEST_PAUSE."""

LONGEST_PAUSE: Final = 0.5

MAX_WAITING: Final = 500
"""Changes that wait in one line."""

MAX_WAIT_SECONDS: Final = 20.0
"""How long one of them waits there."""

SHARDS: Final = 16
"""Counters that share the counting of one number: transactions that add to it meet in one of them seldom."""


def pause(tried: int, chance: float) -> float:
    """Seconds to wait after so many tries (1 and more); `chance` is from 0 to 1."""
    return chance * min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(tried - 1, 16))


def busy() -> ArtcafeError:
    """The refusal of a change that had no chance among others; nothing of it is stored."""
    return ArtcafeError(Code.unavailable, "Too many changes at once; try again.", retry_after=1.0)


def shard(name: str, chance: float) -> str:
    """The counter of a number to add to; `chance` is from 0 to 1, without 1."""
    return f"{name}#{int(chance * SHARDS):02}"


def total(counters: Mapping[str, int], name: str) -> int:
    """A number: what all its counters say, and the one without shards that older releases added to."""
    return sum(n for counter, n in counters.items() if counter == name or counter.startswith(f"{name}#"))


Line = tuple[TenantId | UserId, str]
"""The name of a line: whose records are made there, and the prefix of their kind."""


@dataclass(slots=True)
class _Line:
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    present: int = 0
    """Who has the turn, and who waits for it."""


class Turns:
    """Lines by name; in each of them one has the turn, and the others wait in the order of their coming.

    Lines know nothing of each other: nobody waits for somebody in another one, and nobody stands in two. Who
    is cancelled leaves its line; a line without anybody is forgotten.
    """

    def __init__(self) -> None:
        self._lines: dict[Line, _Line] = {}

    def __len__(self) -> int:
        """How many lines there are."""
        return len(self._lines)

    @asynccontextmanager
    async def turn(self, name: Line) -> AsyncIterator[None]:
        """Wait in a line, and have the turn for the block.

        Raises unavailable, with the block not begun, when MAX_WAITING wait there or the turn does not come
        within MAX_WAIT_SECONDS.
        """
        line = self._lines.setdefault(name, _Line())
        if line.present > MAX_WAITING:
            raise busy()
        line.present += 1
        try:
            try:
                async with asyncio.timeout(MAX_WAIT_SECONDS):
                    await line.turn.acquire()
            except TimeoutError:
                raise busy() from None
            try:
                yield
            finally:
                line.turn.release()
        finally:
            line.present -= 1
            if not line.present:
                del self._lines[name]
