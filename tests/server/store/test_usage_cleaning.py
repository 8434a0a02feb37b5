"""What older releases counted by subject goes, in small steps, whoever is stopped in between."""

from datetime import UTC, datetime, timedelta

import pytest

from artcafe.server.domain.usage import MAX_DAYS
from artcafe.server.store import addresses as at
from artcafe.server.store import usage_cleaning
from artcafe.server.store.item import Backend, Delta, Put
from artcafe.server.store.table import Table
from artcafe.server.store.usage import UsageTable
from artcafe.server.store.usage_cleaning import BUSY_SECONDS, WRITTEN_AT_ONCE, UsageCleaning
from artcafe.wire.errors import ArtcafeError
from tests.kit.records import ACME, ALIKE
from tests.kit.stores import SetClock
from tests.kit.unreliable_store import UnreliableStore


class CountingStore(UnreliableStore):
    """A store that tells how long the lists of counters were that it was asked for."""

    def __init__(self, store: Backend) -> None:
        super().__init__(store)
        self.lists: list[int] = []

    async def counters(self, pk: str, first: str = "", last: str | None = None) -> dict[str, int]:
        """See ItemStore."""
        found = await super().counters(pk, first, last)
        self.lists.append(len(found))
        return found


TODAY = datetime(2026, 11, 30, 12, tzinfo=UTC)
OLD = [ACME, ALIKE[0]]


class Ticking:
    """The store's time, and a clock that goes on whenever it is asked how much time passed."""

    def __init__(self, clock: SetClock) -> None:
        self._clock = clock
        self._ticks = 0.0

    def now(self) -> float:
        return self._clock.now

    def monotonic(self) -> float:
        self._ticks += 0.02
        return self._ticks

    def skip(self) -> None:
        """Let a rest pass."""
        self._ticks += BUSY_SECONDS


@pytest.fixture(autouse=True)
def few_days(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many days are looked at one by one, and not 400; what is older is looked at together as ever."""
    monkeypatch.setattr(usage_cleaning, "MAX_DAYS", 30)


@pytest.fixture
def ticking(clock: SetClock) -> Ticking:
    clock.now = TODAY.timestamp()
    return Ticking(clock)


def day(ago: int) -> str:
    return f"{TODAY.date() - timedelta(ago)}"


KEPT = {
    f"{day(0)}#messages": 3,
    f"{day(1)}#agent:a1": 2,
    f"{day(1)}#bytes": 9,
    f"{day(MAX_DAYS)}#messages": 4,
    "ever#channel:tasks": 5,
    "ever#sent:a1": 6,
}


async def fill(store: Backend) -> None:
    """Two tenants of an older release, and one of this one with something that looks alike."""
    for tenant in OLD:
        await store.put(Put(at.TENANTS, tenant, {}))
        gone = [f"{day(0)}#subject:s.{n}" for n in range(WRITTEN_AT_ONCE + 1)]
        gone += [f"{day(7)}#subject:tasks", f"{day(MAX_DAYS + 1)}#messages", "ever#sent:u-olivia"]
        await store.incr([Delta(f"USE#{tenant}", name, 1) for name in gone])
        await store.incr([Delta(f"USE#{tenant}", name, n) for name, n in KEPT.items()])
    await store.put(Put(at.TENANTS, "newer", {"partition": "xyz"}))
    await store.incr([Delta("USE#xyz", f"{day(0)}#subject:tasks", 1)])


async def finish(cleaning: UsageCleaning, store: Backend, steps: int = 5000) -> None:
    """Step until it says that all is done."""
    for _ in range(steps):
        await cleaning.step()
        item = await store.get(*at.USAGE_CLEANED)
        if item is not None and item.data["done"]:
            return
    pytest.fail("it is never done")


async def test_of_subjects_nothing_stays_and_of_the_rest_everything(
    backend: Backend, clock: SetClock, ticking: Ticking
) -> None:
    await fill(backend)
    await finish(UsageCleaning(Table(backend), ticking, "p1"), backend)
    await backend.sweep()

    for tenant in OLD:
        assert await backend.counters(f"USE#{tenant}") == KEPT
    assert await backend.counters("USE#xyz") == {f"{day(0)}#subject:tasks": 1}

    # Days have an end now, and what is of no day has none.
    clock.now += (MAX_DAYS + 1) * 86_400
    assert await backend.counters("USE#acme") == {"ever#channel:tasks": 5, "ever#sent:a1": 6}


async def test_a_report_reads_none_of_it_before_and_one_list_after(
    backend: Backend, ticking: Ticking
) -> None:
    await fill(backend)
    counting = CountingStore(backend)
    usage = UsageTable(Table(counting))
    expected = {day(0): {"messages": 3}, day(1): {"agent:a1": 2, "bytes": 9}}
    assert await usage.days(ACME, day(29), day(0)) == expected
    assert (len(counting.lists), sum(counting.lists)) == (30, 3)

    await finish(UsageCleaning(Table(backend), ticking, "p1"), backend)
    counting.lists.clear()
    assert await usage.days(ACME, day(29), day(0)) == expected
    assert counting.lists == [3]


async def test_a_step_is_short_and_when_all_is_done_nothing_is_looked_for(
    backend: Backend, unreliable: UnreliableStore, ticking: Ticking
) -> None:
    await fill(backend)
    cleaning = UsageCleaning(Table(unreliable), ticking, "p1")
    await cleaning.step()
    assert len(await backend.counters("USE#acme")) > len(KEPT), "it took one step of many"
    await finish(cleaning, backend)

    unreliable.away = True
    for _ in range(3):
        await cleaning.step()


async def test_whoever_is_cut_off_somebody_goes_on(
    backend: Backend, unreliable: UnreliableStore, clock: SetClock, ticking: Ticking
) -> None:
    await fill(backend)
    for number in range(20):  # Each process fails at one write later than the one before it.
        clock.now += BUSY_SECONDS
        unreliable.writes_left = number
        try:
            await finish(UsageCleaning(Table(unreliable), ticking, f"p{number}"), backend)
        except ArtcafeError:
            unreliable.heal()
        else:
            break
    assert 5 < number < 19

    for tenant in OLD:
        assert await backend.counters(f"USE#{tenant}") == KEPT


async def test_of_two_processes_one_is_at_it(backend: Backend, clock: SetClock, ticking: Ticking) -> None:
    await fill(backend)
    first = UsageCleaning(Table(backend), ticking, "p1")
    await first.step()
    other = UsageCleaning(Table(backend), ticking, "p2")
    for _ in range(3):
        await other.step()
    item = await backend.get(*at.USAGE_CLEANED)
    assert item is not None and item.data["by"] == "p1"

    clock.now += BUSY_SECONDS  # The first one is not heard of any more.
    ticking.skip()
    await finish(other, backend)
    for _ in range(2000):
        await first.step()
    item = await backend.get(*at.USAGE_CLEANED)
    assert item is not None and item.data["done"] is True


async def test_a_clock_that_was_set_back_keeps_nobody_from_going_on(
    backend: Backend, clock: SetClock, ticking: Ticking
) -> None:
    await fill(backend)
    await UsageCleaning(Table(backend), ticking, "p1").step()
    clock.now -= 86_400
    await UsageCleaning(Table(backend), ticking, "p2").step()
    item = await backend.get(*at.USAGE_CLEANED)
    assert item is not None and item.data["by"] == "p2"


async def test_a_new_store_is_clean_at_once(backend: Backend, ticking: Ticking) -> None:
    await finish(UsageCleaning(Table(backend), ticking, "p1"), backend, steps=3)
