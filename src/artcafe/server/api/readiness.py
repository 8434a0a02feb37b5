"""Health of the dependencies: the latest answers for people (RecentAnswers), and a debounced state for load
balancers (Readiness)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from artcafe.wire.errors import ArtcafeError

CHECK_SECONDS = 2.0
"""What one answer may take."""

PROBE_SECONDS = 2.0
"""How often it is asked."""

FRESH_SECONDS = 1.0
"""For how long `/health` gives an answer again before it asks anew."""

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


async def _answers(checks: Mapping[str, Check]) -> dict[str, str]:
    """The state of each dependency, asked concurrently."""
    answers = await asyncio.gather(*(answer(check) for check in checks.values()))
    return dict(zip(checks, answers, strict=True))


class RecentAnswers:
    """The state of each dependency, asked on demand.

    However many want to know, the dependencies are asked once in FRESH_SECONDS at most, and never twice at a
    time: whoever comes meanwhile waits for the same answers, or gets those of the last time. `monotonic`
    gives seconds that never go back.
    """

    def __init__(self, checks: Mapping[str, Check], monotonic: Callable[[], float]) -> None:
        self._checks = checks
        self._monotonic = monotonic
        self._asking = asyncio.Lock()
        self._asked_at = 0.0
        self._answers: Mapping[str, str] | None = None

    async def answers(self) -> Mapping[str, str]:
        """By name: `ok`, or what is the matter."""
        came_at = self._monotonic()
        async with self._asking:
            if self._answers is None or came_at - self._asked_at >= FRESH_SECONDS:
                self._asked_at = self._monotonic()
                self._answers = await _answers(self._checks)
            return self._answers


class Readiness:
    """The recent state of each dependency. Its owner calls `probe` every PROBE_SECONDS.

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
        for name, said in (await _answers(self._checks)).items():
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
