"""A store says which releases may open it."""

import asyncio

import pytest

from artcafe.server.store import addresses as at
from artcafe.server.store import schema
from artcafe.server.store.item import ItemStore, Json, Put, StoreUnusable
from artcafe.server.store.schema import LEAST, VERSION, Schema, enter, require_known
from artcafe.server.store.servers import ServerLease
from tests.kit.stores import SetClock


async def written(store: ItemStore) -> dict[str, Json] | None:
    item = await store.get(*at.SCHEMA)
    return item.data if item else None


async def test_a_new_store_and_one_of_an_older_release_are_entered(backend: ItemStore) -> None:
    assert await require_known(backend) is None
    assert await written(backend) is None

    await asyncio.gather(*(enter(backend) for _ in range(8)))

    assert await written(backend) == {"version": VERSION, "least": LEAST}
    first = await backend.get(*at.SCHEMA)
    await enter(backend)
    again = await backend.get(*at.SCHEMA)
    assert first is not None and again is not None and again.rev == first.rev, "what is right is not written"


async def test_a_newer_release_that_this_one_runs_beside_is_let_be(backend: ItemStore) -> None:
    row: dict[str, Json] = {"version": VERSION + 2, "least": VERSION, "why": "a field of that release"}
    await backend.put(Put(*at.SCHEMA, row))

    await enter(backend)

    assert await written(backend) == row


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            {"version": VERSION + 2, "least": VERSION + 1},
            f"schema {VERSION + 2}, this release",
        ),
        ({"version": VERSION, "least": VERSION, "v": 2}, "in a readable way"),
        ({"version": "new"}, "in a readable way"),
    ],
)
async def test_what_is_not_known_is_refused_and_nothing_is_written(
    backend: ItemStore, row: dict[str, Json], said: str
) -> None:
    await backend.put(Put(*at.SCHEMA, row))

    for opened in (require_known, enter):
        with pytest.raises(StoreUnusable, match=said):
            await opened(backend)

    assert await written(backend) == row


async def test_who_may_not_run_beside_others_waits_until_they_stopped(
    backend: ItemStore, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await enter(backend)
    older = ServerLease(backend, "s1", clock)
    await older.renew()
    monkeypatch.setattr(schema, "VERSION", VERSION + 1)
    await enter(backend)  # It may run beside them.
    assert await written(backend) == {"version": VERSION + 1, "least": LEAST}
    monkeypatch.setattr(schema, "LEAST", VERSION + 1)
    with pytest.raises(StoreUnusable, match="1 servers of an older release"):
        await enter(backend)

    await older.leave()
    await enter(backend)

    stored = await require_known(backend)
    assert stored is not None
    assert stored.record == Schema(VERSION + 1, VERSION + 1)
