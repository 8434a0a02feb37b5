"""What the memory store promises beyond ItemStore."""

import pytest

from artcafe.server.store.item import Delete, Delta, Put, StoreUnavailable
from artcafe.server.store.memory import MemoryStore
from tests.kit.stores import SetClock, new_rev


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
async def store(clock: SetClock) -> MemoryStore:
    opened = MemoryStore(clock=clock, new_rev=new_rev)
    await opened.open()
    return opened


async def test_it_answers_only_while_it_is_open(store: MemoryStore) -> None:
    await store.put(Put("p", "s", {}))
    await store.ping()
    await store.close()
    await store.close()
    for call in (
        store.ping(),
        store.get("p", "s"),
        store.put(Put("p", "s", {})),
        store.query("p"),
        store.incr([Delta("p", "s", 1)]),
        store.counters("p"),
        store.drop_counters("p"),
        store.sweep(),
    ):
        with pytest.raises(StoreUnavailable):
            await call

    await store.open()
    assert await store.get("p", "s") is not None
    assert await store.counters("p") == {}


async def test_it_keeps_nothing_of_what_is_gone(store: MemoryStore, clock: SetClock) -> None:
    for n in range(5):
        await store.put(Put(f"p{n}", "s", {}, expires=int(clock.now) + n))
    await store.incr([Delta("p0", "s", 1)])
    clock.now += 2

    assert await store.sweep() == 3
    await store.delete(Delete("p3", "s"))
    await store.drop_counters("p0")
    assert list(store._partitions) == ["p4"]
    assert store._counters == {}
    assert await store.sweep() == 0
