"""A measured store is the store, and tells how it fares."""

from collections.abc import Iterator

import pytest

from artcafe.server.store.item import (
    ABSENT,
    Conflict,
    Delete,
    Delta,
    InvalidKey,
    Put,
    StoreContended,
    StoreError,
    StoreUnavailable,
    StoreUnwritable,
)
from artcafe.server.store.memory import MemoryStore
from artcafe.server.telemetry.instruments import Instruments
from artcafe.server.telemetry.measured_store import MeasuredStore
from tests.kit.metrics import values

ERROR = "artcafe_store_errors_total"


@pytest.fixture
def instruments() -> Instruments:
    return Instruments()


def store_over(instruments: Instruments) -> MeasuredStore:
    numbers: Iterator[int] = iter(range(1000))
    ticks: Iterator[int] = iter(range(1000))
    memory = MemoryStore(clock=lambda: 0.0, new_rev=lambda: f"r{next(numbers)}")
    return MeasuredStore(memory, instruments, lambda: next(ticks) / 100)


async def test_every_call_does_what_it_does_and_is_timed(instruments: Instruments) -> None:
    store = store_over(instruments)
    await store.open()
    await store.put(Put("p", "a", {"n": 1}))
    await store.transact([Put("p", "b", {"n": 2})])
    await store.incr([Delta("p", "c", 3)])
    found = await store.get("p", "a")
    assert found is not None
    assert found.data == {"n": 1}
    assert [item and item.sk for item in await store.get_many([("p", "b"), ("p", "none")])] == ["b", None]
    assert [item.sk for item in (await store.query("p")).items] == ["a", "b"]
    assert await store.counters("p") == {"c": 3}
    await store.delete(Delete("p", "a"))
    await store.drop_counters("p")
    assert await store.sweep() == 0
    await store.ping()
    rows, _ = await store.rows()
    await store.restore(rows)
    await store.discard(rows)
    await store.close()
    told = values(instruments.collect())
    for operation in (
        "put", "transact", "incr", "get", "get_many", "query", "counters", "delete", "drop_counters", "sweep"
    ):  # fmt: skip
        name = f'artcafe_store_operation_duration_seconds_count{{operation="{operation}"}}'
        assert told[name] == 1, operation
    assert not [name for name in told if name.startswith(ERROR)]


async def test_a_failure_is_told_counted_and_timed(instruments: Instruments) -> None:
    store = store_over(instruments)
    await store.open()
    await store.put(Put("p", "a", {}))
    with pytest.raises(Conflict):
        await store.put(Put("p", "a", {}, ABSENT))
    with pytest.raises(InvalidKey):
        await store.get("", "a")
    told = values(instruments.collect())
    assert told[f'{ERROR}{{error="conflict",operation="put"}}'] == 1
    assert told[f'{ERROR}{{error="other",operation="get"}}'] == 1
    assert told['artcafe_store_operation_duration_seconds_count{operation="put"}'] == 2


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (StoreUnavailable("x"), "unavailable"),
        (StoreUnwritable("x"), "unwritable"),
        (StoreContended("x"), "contended"),
    ],
)
async def test_a_failure_is_counted_by_its_narrowest_kind(
    instruments: Instruments, fault: StoreError, word: str
) -> None:
    class Away(MemoryStore):
        async def get(self, pk: str, sk: str) -> None:
            raise fault

    store = MeasuredStore(Away(clock=lambda: 0.0, new_rev=str), instruments, lambda: 0.0)
    with pytest.raises(type(fault)):
        await store.get("p", "a")
    assert values(instruments.collect())[f'{ERROR}{{error="{word}",operation="get"}}'] == 1
