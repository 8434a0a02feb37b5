"""Whether this process can serve, told with patience: one hiccup is no reason to take it out, or in."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from artcafe.wire.errors import ArtcafeError

CHECK_SECONDS = 2.0
"""What one answer may take."""

PROBE_SECONDS = 2.0
"""How often it is asked."""

FAILURES, SUCCESSES = 3, 2
"""How many answers in a row, other than those before, change what is told."""

Check = Callable[[], Awaitable[None]]
"""Raises ArtcafeError when the dependency does not serve."""

OK = "ok"


async def answer(check: Check) -> str:
    """`ok`, or what is the matter."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except ArtcafeError as error:
        return error.message
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS:.0f} seconds"
    return OK


class Readiness:
    """What each dependency answered lately. Whoever owns it calls `probe` every PROBE_SECONDS.

    The first answer counts at once; after that FAILURES in a row make a dependency unready, and
    SUCCESSES ready again. What is asked `at_once` is this process's own state, and needs no patience.
    """

    def __init__(self, checks: Mapping[str, Check], at_once: Mapping[str, Check] | None = None) -> None:
        self._checks = checks
        self._at_once = at_once or {}
        self._told: dict[str, str] = {}
        self._against: dict[str, int] = {}

    async def probe(self) -> None:
        """Ask all of them, side by side."""
        answers = await asyncio.gather(*(answer(check) for check in self._checks.values()))
        for name, said in zip(self._checks, answers, strict=True):
            before = self._told.setdefault(name, said)
            if (said == OK) == (before == OK):
                self._told[name], self._against[name] = said, 0
                continue
            self._against[name] = self._against.get(name, 0) + 1
            if self._against[name] >= (FAILURES if before == OK else SUCCESSES):
                self._told[name], self._against[name] = said, 0

    async def answers(self) -> dict[str, str]:
        """By name: `ok`, or what is the matter."""
        own = {name: await answer(check) for name, check in self._at_once.items()}
        return {**own, **{name: self._told.get(name, "not asked yet") for name in self._checks}}
