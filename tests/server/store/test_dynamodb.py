"""What DynamoStore does beside the contract, which tests/contract/test_item_store.py judges."""

import pytest

from artcafe.server.store.item import Delta, Put, StoreUnavailable
from tests.kit import dynoxide
from tests.kit.stores import SetClock


async def test_what_was_written_is_there_for_the_next_process() -> None:
    place = await dynoxide.new_place()
    first, second = (dynoxide.store_in(place, SetClock()) for _ in range(2))
    await first.open()
    rev = await first.put(Put("p", "s", {"n": 1}))
    await first.incr([Delta("p", "c", 2)])
    await first.close()
    await second.open()
    try:
        item = await second.get("p", "s")
        assert item is not None and (item.rev, item.data) == (rev, {"n": 1})
        assert await second.counters("p") == {"c": 2}
    finally:
        await second.close()


async def test_only_an_open_store_takes_calls() -> None:
    store = dynoxide.store_in(await dynoxide.new_place(), SetClock())
    with pytest.raises(StoreUnavailable):
        await store.ping()
    await store.open()
    await store.ping()
    assert await store.sweep() == 0
    await store.close()
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.ping()
