"""The promises of ItemStore, kept by every backend in tests/kit/stores.py."""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any, cast

import pytest

from artcafe.server.store.item import (
    ABSENT,
    EXISTS,
    MAX_DATA_BYTES,
    MAX_DELTA,
    MAX_DEPTH,
    MAX_GETS,
    MAX_KEY_BYTES,
    MAX_OPS,
    MAX_PAGE_ITEMS,
    MAX_TRANSACTION_BYTES,
    Backend,
    Check,
    Conflict,
    Delete,
    Delta,
    InvalidCursor,
    InvalidKey,
    InvalidWrite,
    Item,
    ItemPage,
    ItemStore,
    Json,
    Op,
    Put,
    RawItem,
    Rev,
    TooLarge,
    purge,
)
from artcafe.server.store.rules import encode_cursor
from artcafe.server.store.sqlite import COUNTED_ROWS
from tests.kit.stores import BACKENDS, SetClock


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: SetClock) -> AsyncIterator[Backend]:
    async with BACKENDS[request.param](tmp_path, clock) as opened:
        yield opened


async def every(store: ItemStore, pk: str, prefix: str = "", limit: int = 100) -> list[Item]:
    """All items of a list, page by page; each page keeps to its limit."""
    items: list[Item] = []
    cursor = None
    while True:
        page = await store.query(pk, prefix, limit, cursor)
        assert len(page.items) <= limit
        items += page.items
        cursor = page.cursor
        if cursor is None:
            return items


async def keys(store: ItemStore, pk: str, prefix: str = "", limit: int = 100) -> list[str]:
    return [item.sk for item in await every(store, pk, prefix, limit)]


class TestOneItem:
    async def test_what_is_put_is_read(self, store: ItemStore) -> None:
        rev = await store.put(Put("p", "s", {"a": 1}, expires=2_000_000_000))

        assert await store.get("p", "s") == Item("p", "s", rev, {"a": 1}, 2_000_000_000)

    async def test_what_was_never_put_is_none(self, store: ItemStore) -> None:
        await store.put(Put("p", "s", {}))

        assert await store.get("p", "t") is None
        assert await store.get("q", "s") is None

    async def test_a_put_replaces_the_whole_item(self, store: ItemStore) -> None:
        first = await store.put(Put("p", "s", {"a": 1, "b": 2}, expires=2_000_000_000))
        second = await store.put(Put("p", "s", {"c": 3}))

        assert await store.get("p", "s") == Item("p", "s", second, {"c": 3}, None)
        assert first != second

    async def test_no_revision_comes_twice_not_even_for_the_same_data(self, store: ItemStore) -> None:
        revs = set()
        for _ in range(5):
            revs.add(await store.put(Put("p", "s", {})))
            await store.delete(Delete("p", "s"))
            revs.add(await store.put(Put("p", "s", {})))

        assert len(revs) == 10
        assert "" not in revs

    async def test_a_delete_removes(self, store: ItemStore) -> None:
        await store.put(Put("p", "s", {}))
        await store.delete(Delete("p", "s"))

        assert await store.get("p", "s") is None

    async def test_deleting_what_is_absent_is_fine(self, store: ItemStore) -> None:
        await store.delete(Delete("p", "s"))

    async def test_items_are_told_apart_by_both_keys_exactly(self, store: ItemStore) -> None:
        # Composed and decomposed, case, trailing space, and where pk ends: all different items.
        places = [("p", "é"), ("p", "e\u0301"), ("p", "É"), ("p", "e"), ("p", "e "), ("pe", " "), ("P", "e")]
        for n, (pk, sk) in enumerate(places):
            await store.put(Put(pk, sk, {"n": n}, ABSENT))

        read = [await store.get(pk, sk) for pk, sk in places]
        assert [item.data["n"] for item in read if item] == list(range(len(places)))

    async def test_a_reader_owns_what_it_reads(self, store: ItemStore) -> None:
        given: dict[str, Json] = {"list": [1]}
        await store.put(Put("p", "s", given))
        cast("list[Json]", given["list"]).append(2)
        read = await store.get("p", "s")
        assert read is not None
        read.data["more"] = True
        (await store.query("p")).items[0].data["other"] = True

        again = await store.get("p", "s")
        assert again is not None
        assert again.data == {"list": [1]}

    async def test_data_is_taken_when_put_is_called_not_when_it_is_written(self, store: ItemStore) -> None:
        given: dict[str, Json] = {"n": 1}
        async with asyncio.TaskGroup() as group:
            writing = [group.create_task(store.put(Put("p", f"{n}", given))) for n in range(3)]
            await asyncio.sleep(0)
            given["n"] = 2
        assert all(task.result() for task in writing)

        assert [item.data for item in await every(store, "p")] == [{"n": 1}] * 3


class TestManyItems:
    async def test_each_is_what_get_gives_in_the_order_of_the_keys(
        self, store: ItemStore, clock: SetClock
    ) -> None:
        await store.put(Put("p", "a", {"n": [1]}))
        await store.put(Put("q", "a", {"n": 2}, expires=int(clock.now) + 5))
        await store.put(Put("p", "gone", {}, expires=int(clock.now)))
        await store.incr([Delta("p", "counted", 1)])
        keys = [("q", "a"), ("p", "gone"), ("p", "never"), ("p", "counted"), ("p", "a"), ("q", "a")]

        assert await store.get_many(keys) == [await store.get(*key) for key in keys]
        assert await store.get_many([]) == []
        clock.now += 5
        assert [item is not None for item in await store.get_many(keys)] == [False] * 4 + [True, False]

    async def test_each_is_the_readers_own_copy(self, store: ItemStore) -> None:
        await store.put(Put("p", "a", {"list": [1]}))
        first, second = await store.get_many([("p", "a")] * 2)
        assert first is not None
        assert second is not None
        first.data["list"] = 2
        assert second.data == {"list": [1]}

    async def test_up_to_a_limit_at_once_however_large(self, store: ItemStore) -> None:
        large = "x" * (MAX_DATA_BYTES - 100)
        keys = [("p", f"{n:03}") for n in range(MAX_GETS)]
        for start in range(0, MAX_GETS, 10):
            await store.transact([Put(pk, sk, {"v": large}) for pk, sk in keys[start : start + 10]])

        found = await store.get_many(keys)
        assert [item.sk if item else None for item in found] == [sk for _, sk in keys]
        with pytest.raises(ValueError, match="up to 100"):
            await store.get_many([*keys, ("p", "one more")])
        with pytest.raises(InvalidKey):
            await store.get_many([("p", "000"), ("p", "")])


class TestData:
    @pytest.mark.parametrize(
        "data",
        [
            {},
            {"": ""},
            {"text": 'é ß 漢 😀 \u0000 \n \u2028 " \\ </script>'},
            {
                "numbers": [
                    0,
                    -1,
                    2**53 + 1,
                    2**63 - 1,
                    -(2**63),
                    0.1,
                    -0.0,
                    1e16,
                    1.0,
                    5e-324,
                    1.7976931348623157e308,
                ]
            },
            {"others": [None, True, False, [], {}, [[]], {"a": {"b": [{"c": None}]}}]},
            {"rev": 1, "pk": 2, "expires": 3, "d": 4},
        ],
        ids=["empty", "empty-key", "text", "numbers", "nested", "names-of-columns"],
    )
    async def test_data_comes_back_equal_and_of_the_same_types(
        self, store: ItemStore, data: dict[str, Json]
    ) -> None:
        await store.put(Put("p", "s", data))

        read = await store.get("p", "s")
        listed = (await store.query("p")).items
        assert read is not None
        # The text of json tells 1 from 1.0 and from true, which == does not.
        assert json.dumps(read.data) == json.dumps(data)
        assert json.dumps(listed[0].data) == json.dumps(data)

    @pytest.mark.parametrize(
        "value",
        [math.nan, math.inf, -math.inf, (1, 2), b"x", {1}, {1: 2}, 2**63, object, "\ud800", {"\udfff": 1}],
        ids=repr,
    )
    async def test_what_is_not_json_is_refused(self, store: ItemStore, value: Any) -> None:
        shallow: dict[str, Any] = {"v": value}
        deep: dict[str, Any] = {"v": [shallow]}
        for data in (shallow, deep):
            with pytest.raises(InvalidWrite):
                await store.put(Put("p", "s", data))

        assert await store.get("p", "s") is None

    async def test_nesting_has_a_limit(self, store: ItemStore) -> None:
        deep: list[Json] = []
        for _ in range(MAX_DEPTH - 2):
            deep = [deep]
        await store.put(Put("p", "s", {"v": deep}))
        with pytest.raises(InvalidWrite):
            await store.put(Put("p", "s", {"v": [deep]}))

    async def test_data_has_a_limit_in_bytes(self, store: ItemStore) -> None:
        room = MAX_DATA_BYTES - len(b'{"v":""}')
        await store.put(Put("p", "s", {"v": "é" * (room // 2)}))
        with pytest.raises(TooLarge) as caught:
            await store.put(Put("p", "s", {"v": "é" * (room // 2) + "e"}))

        assert (caught.value.size, caught.value.limit) == (MAX_DATA_BYTES + 1, MAX_DATA_BYTES)


class TestKeys:
    @pytest.mark.parametrize(
        "key",
        ["", "a\x00", "\n", "a\x1fb", "\x7f", "\x85", "\ud800", "a" * (MAX_KEY_BYTES + 1), "é" * 256 + "a"],
        ids=ascii,
    )
    async def test_a_bad_key_is_refused_everywhere(self, store: ItemStore, key: str) -> None:
        for pk, sk in ((key, "s"), ("p", key)):
            calls: list[Coroutine[Any, Any, object]] = [
                store.get(pk, sk),
                store.put(Put(pk, sk, {})),
                store.delete(Delete(pk, sk)),
                store.transact([Put("p", "good", {}), Check(pk, sk, ABSENT)]),
                store.incr([Delta("p", "good", 1), Delta(pk, sk, 1)]),
            ]
            if pk == key or key:
                calls += [store.query(pk, sk), store.counters(pk, sk)]
            if pk == key:
                calls += [store.drop_counters(pk)]
            for call in calls:
                with pytest.raises(InvalidKey):
                    await call

        assert await keys(store, "p") == []
        assert await store.counters("p") == {}

    @pytest.mark.parametrize(
        "key", ["a" * MAX_KEY_BYTES, "é" * 256, "😀" * 128, " ", "'\"%_\\*?[]#|/", "\uffff"]
    )
    async def test_a_good_key_works_everywhere(self, store: ItemStore, key: str) -> None:
        await store.put(Put(key, key, {}))
        await store.incr([Delta(key, key, 1)])

        assert await store.get(key, key) is not None
        assert await keys(store, key, key) == [key]
        assert await store.counters(key, key) == {key: 1}


class TestConditions:
    async def test_absent(self, store: ItemStore) -> None:
        await store.put(Put("p", "s", {"n": 1}, ABSENT))
        with pytest.raises(Conflict) as caught:
            await store.put(Put("p", "s", {"n": 2}, ABSENT))

        assert caught.value.index == 0
        item = await store.get("p", "s")
        assert item is not None and item.data == {"n": 1}

    async def test_exists(self, store: ItemStore) -> None:
        with pytest.raises(Conflict):
            await store.put(Put("p", "s", {}, EXISTS))
        with pytest.raises(Conflict):
            await store.delete(Delete("p", "s", EXISTS))
        await store.put(Put("p", "s", {}))
        await store.put(Put("p", "s", {}, EXISTS))
        await store.delete(Delete("p", "s", EXISTS))

        assert await store.get("p", "s") is None

    async def test_a_revision_is_good_until_the_next_write(self, store: ItemStore) -> None:
        first = await store.put(Put("p", "s", {"n": 1}))
        second = await store.put(Put("p", "s", {"n": 2}, Rev(first)))
        for op in (Put("p", "s", {"n": 3}, Rev(first)), Put("p", "s", {"n": 3}, Rev(""))):
            with pytest.raises(Conflict):
                await store.put(op)
        with pytest.raises(Conflict):
            await store.delete(Delete("p", "s", Rev(first)))

        assert await store.get("p", "s") == Item("p", "s", second, {"n": 2}, None)
        await store.delete(Delete("p", "s", Rev(second)))
        with pytest.raises(Conflict):
            await store.put(Put("p", "s", {}, Rev(second)))

    async def test_a_revision_never_fits_what_was_deleted_and_made_again(self, store: ItemStore) -> None:
        old = await store.put(Put("p", "s", {"n": 1}))
        await store.delete(Delete("p", "s"))
        await store.put(Put("p", "s", {"n": 1}))

        with pytest.raises(Conflict):
            await store.delete(Delete("p", "s", Rev(old)))

    async def test_of_twenty_consumers_of_one_revision_one_wins(self, store: ItemStore) -> None:
        for round_ in range(5):
            rev = await store.put(Put("p", f"{round_}", {}))
            outcomes = await asyncio.gather(
                *(store.delete(Delete("p", f"{round_}", Rev(rev))) for _ in range(20)), return_exceptions=True
            )

            assert outcomes.count(None) == 1
            assert [type(outcome) for outcome in outcomes if outcome] == [Conflict] * 19

    async def test_of_twenty_that_find_it_absent_one_puts(self, store: ItemStore) -> None:
        outcomes = await asyncio.gather(
            *(store.put(Put("p", "s", {"n": n}, ABSENT)) for n in range(20)), return_exceptions=True
        )

        [(winner, rev)] = [(n, outcome) for n, outcome in enumerate(outcomes) if isinstance(outcome, str)]
        assert [type(outcome) for outcome in outcomes].count(Conflict) == 19
        assert await store.get("p", "s") == Item("p", "s", rev, {"n": winner}, None)

    async def test_a_counter_kept_by_revisions_loses_nothing(self, store: ItemStore) -> None:
        await store.put(Put("p", "s", {"n": 0}))

        async def add_one() -> None:
            while True:
                item = await store.get("p", "s")
                assert item is not None
                try:
                    await store.put(Put("p", "s", {"n": cast("int", item.data["n"]) + 1}, Rev(item.rev)))
                except Conflict:
                    continue
                return

        await asyncio.gather(*(add_one() for _ in range(10)))

        item = await store.get("p", "s")
        assert item is not None and item.data == {"n": 10}


class TestExpiry:
    async def test_from_its_second_on_an_item_is_absent(self, store: ItemStore, clock: SetClock) -> None:
        at = int(clock.now) + 10
        rev = await store.put(Put("p", "s", {}, expires=at))

        clock.now = at - 0.001
        assert await store.get("p", "s") == Item("p", "s", rev, {}, at)
        assert await keys(store, "p") == ["s"]
        clock.now = at
        assert await store.get("p", "s") is None
        assert await keys(store, "p") == []

    async def test_every_condition_sees_an_expired_item_as_absent(
        self, store: ItemStore, clock: SetClock
    ) -> None:
        rev = await store.put(Put("p", "s", {"n": 1}, expires=int(clock.now) + 10))
        clock.now += 10
        for cond in (EXISTS, Rev(rev)):
            with pytest.raises(Conflict):
                await store.put(Put("p", "s", {}, cond))
            with pytest.raises(Conflict):
                await store.delete(Delete("p", "s", cond))
            with pytest.raises(Conflict):
                await store.transact([Check("p", "s", cond)])
        await store.transact([Check("p", "s", ABSENT)])
        new = await store.put(Put("p", "s", {"n": 2}, ABSENT))

        assert await store.get("p", "s") == Item("p", "s", new, {"n": 2}, None)

    async def test_an_item_may_be_born_expired(self, store: ItemStore, clock: SetClock) -> None:
        await store.put(Put("p", "s", {}, expires=0))

        assert await store.get("p", "s") is None
        await store.put(Put("p", "s", {}, ABSENT))

    async def test_a_put_sets_a_new_expiry_or_none(self, store: ItemStore, clock: SetClock) -> None:
        at = int(clock.now) + 10
        for sk in ("later", "never"):
            await store.put(Put("p", sk, {}, expires=at))
        await store.put(Put("p", "later", {}, EXISTS, expires=at + 10))
        await store.put(Put("p", "never", {}, EXISTS))
        clock.now = at + 5
        assert await keys(store, "p") == ["later", "never"]
        clock.now = at + 15
        assert await keys(store, "p") == ["never"]

    async def test_a_time_before_1970_is_refused(self, store: ItemStore) -> None:
        with pytest.raises(InvalidWrite):
            await store.put(Put("p", "s", {}, expires=-1))


class TestTransactions:
    async def test_all_is_done_and_the_revisions_of_the_puts_are_told(self, store: ItemStore) -> None:
        await store.put(Put("p", "old", {}))
        revs = await store.transact(
            [
                Put("p", "a", {"n": 1}, ABSENT),
                Delete("p", "old", EXISTS),
                Check("p", "none", ABSENT),
                Put("q", "b", {}),
            ]
        )

        a, b = await store.get("p", "a"), await store.get("q", "b")
        assert a is not None and b is not None
        assert revs == [a.rev, None, None, b.rev]
        assert a.rev != b.rev
        assert await keys(store, "p") == ["a"]

    async def test_nothing_is_done_when_one_condition_fails(self, store: ItemStore) -> None:
        rev = await store.put(Put("p", "kept", {"n": 1}))
        with pytest.raises(Conflict) as caught:
            await store.transact(
                [
                    Put("p", "new", {}, ABSENT),
                    Put("p", "kept", {"n": 2}, Rev(rev)),
                    Delete("p", "gone", EXISTS),
                    Check("p", "missing", EXISTS),
                ]
            )

        assert caught.value.index == 2
        assert await every(store, "p") == [Item("p", "kept", rev, {"n": 1}, None)]

    @pytest.mark.parametrize("index", range(4))
    async def test_a_conflict_names_the_first_false_condition(self, store: ItemStore, index: int) -> None:
        await store.put(Put("p", "here", {}))
        ops: list[Op] = [
            Put("p", "0", {}, ABSENT if index else EXISTS),
            Check("p", "here", EXISTS if index != 1 else ABSENT),
            Delete("p", "2", ABSENT if index != 2 else Rev("x")),
            Put("p", "3", {}, EXISTS),
        ]
        with pytest.raises(Conflict) as caught:
            await store.transact(ops)

        assert caught.value.index == index
        assert await keys(store, "p") == ["here"]

    async def test_conditions_see_the_state_before_the_transaction(self, store: ItemStore) -> None:
        await store.put(Put("p", "old", {}))

        # Both keys change places: each condition speaks of what was there before.
        await store.transact([Delete("p", "old", EXISTS), Put("p", "new", {}, ABSENT)])
        await store.transact([Put("p", "old", {}, ABSENT), Delete("p", "new", EXISTS)])

        assert await keys(store, "p") == ["old"]

    async def test_a_check_changes_nothing(self, store: ItemStore) -> None:
        rev = await store.put(Put("p", "s", {}))

        assert await store.transact([Check("p", "s"), Check("p", "t", ABSENT)]) == [None, None]
        assert await store.transact([Check("p", "s", Rev(rev))]) == [None]
        with pytest.raises(Conflict):
            await store.transact([Check("p", "s", Rev("other"))])
        assert await every(store, "p") == [Item("p", "s", rev, {}, None)]

    async def test_no_operations_are_no_work(self, store: ItemStore) -> None:
        assert await store.transact([]) == []

    async def test_the_number_of_operations_has_a_limit(self, store: ItemStore) -> None:
        ops = [Put("p", f"{n:02}", {}) for n in range(MAX_OPS + 1)]
        with pytest.raises(InvalidWrite):
            await store.transact(ops)
        assert await keys(store, "p") == []
        await store.transact(ops[:MAX_OPS])
        assert len(await keys(store, "p")) == MAX_OPS

    @pytest.mark.parametrize("second", [Put("p", "s", {}), Delete("p", "s"), Check("p", "s", ABSENT)])
    async def test_no_key_comes_twice(self, store: ItemStore, second: Op) -> None:
        with pytest.raises(InvalidWrite):
            await store.transact([Put("p", "s", {}), Put("q", "s", {}), second])

        assert await store.get("q", "s") is None

    async def test_the_data_of_a_transaction_has_a_limit(self, store: ItemStore) -> None:
        item: dict[str, Json] = {"v": "x" * (MAX_DATA_BYTES - 8)}
        fitting = MAX_TRANSACTION_BYTES // MAX_DATA_BYTES
        await store.transact([Put("p", f"{n}", item) for n in range(fitting)])
        with pytest.raises(TooLarge):
            await store.transact([Put("q", f"{n}", item) for n in range(fitting + 1)])

        assert await keys(store, "q") == []

    async def test_what_is_refused_leaves_no_trace(self, store: ItemStore) -> None:
        with pytest.raises(InvalidWrite):
            await store.transact([Put("p", "s", {}), Put("p", "t", {"v": math.nan})])
        with pytest.raises(TooLarge):
            await store.transact([Put("p", "s", {}), Put("p", "t", {"v": "x" * MAX_DATA_BYTES})])

        assert await keys(store, "p") == []

    async def test_nobody_sees_half_of_a_transaction(self, store: ItemStore) -> None:
        await store.transact([Put("p", "a", {"n": 0}), Put("p", "b", {"n": 0})])
        done = asyncio.Event()

        async def write() -> None:
            for n in range(1, 40):
                await store.transact([Put("p", "a", {"n": n}), Put("p", "b", {"n": n})])
                await asyncio.sleep(0)
            done.set()

        async def read() -> int:
            pages = 0
            while not done.is_set():
                first, second = (await store.query("p")).items
                assert first.data == second.data
                pages += 1
                await asyncio.sleep(0)
            return pages

        async with asyncio.TaskGroup() as group:
            group.create_task(write())
            readers = [group.create_task(read()) for _ in range(3)]
        assert all(reader.result() > 0 for reader in readers)

    async def test_money_is_neither_made_nor_lost(self, store: ItemStore) -> None:
        accounts = [f"{n}" for n in range(4)]
        for sk in accounts:
            await store.put(Put("p", sk, {"n": 100}))

        async def move(source: str, target: str) -> None:
            while True:
                a, b = await store.get("p", source), await store.get("p", target)
                assert a is not None and b is not None
                try:
                    await store.transact(
                        [
                            Put("p", source, {"n": cast("int", a.data["n"]) - 1}, Rev(a.rev)),
                            Put("p", target, {"n": cast("int", b.data["n"]) + 1}, Rev(b.rev)),
                        ]
                    )
                except Conflict:
                    continue
                return

        await asyncio.gather(*(move(a, b) for a in accounts for b in accounts if a != b))

        assert [item.data["n"] for item in await every(store, "p")] == [100] * 4

    async def test_claims_are_unique_and_come_in_pairs(self, store: ItemStore) -> None:
        async def register(agent: int) -> list[str | None]:
            return await store.transact(
                [
                    Put("p", f"AGENT#{agent}", {}, ABSENT),
                    Put("p", f"KEY#{agent % 5}", {"agent": agent}, ABSENT),
                ]
            )

        outcomes = await asyncio.gather(*(register(agent) for agent in range(20)), return_exceptions=True)

        refused = [outcome.index for outcome in outcomes if isinstance(outcome, Conflict)]
        assert refused == [1] * 15
        claims = [cast("int", item.data["agent"]) for item in await every(store, "p", "KEY#")]
        assert sorted(claims) == [
            agent for agent, outcome in enumerate(outcomes) if isinstance(outcome, list)
        ]
        assert sorted(await keys(store, "p", "AGENT#")) == sorted(f"AGENT#{agent}" for agent in claims)
        assert len(claims) == 5


class TestQueries:
    async def test_the_order_is_that_of_utf8_bytes(self, store: ItemStore) -> None:
        # UTF-16 would put the last two the other way round; a locale would sort é beside e.
        given = ["\U00010000", "\uffff", "é", "z", "a", "B", "b", "a\u0301", "-", "10", "9", "aa", "~"]
        for sk in given:
            await store.put(Put("p", sk, {}))

        assert await keys(store, "p") == sorted(given, key=str.encode)
        assert await keys(store, "p", limit=2) == sorted(given, key=str.encode)

    async def test_a_prefix_is_exact(self, store: ItemStore) -> None:
        given = [
            "AGENT#",
            "AGENT#a",
            "AGENT#z",
            "AGENT#\U0010ffff",
            "AGENT",
            "AGENT$",
            "agent#a",
            "AGEN%#a",
            "B",
        ]
        for sk in given:
            await store.put(Put("p", sk, {}))
            await store.put(Put("q", sk, {}))

        assert await keys(store, "p", "AGENT#") == ["AGENT#", "AGENT#a", "AGENT#z", "AGENT#\U0010ffff"]
        assert await keys(store, "p", "AGENT#", limit=1) == [
            "AGENT#",
            "AGENT#a",
            "AGENT#z",
            "AGENT#\U0010ffff",
        ]
        assert await keys(store, "p", "AG_NT") == []
        assert await keys(store, "none") == []

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 10, 11, MAX_PAGE_ITEMS])
    async def test_pages_give_everything_once(self, store: ItemStore, limit: int) -> None:
        for n in range(10):
            await store.put(Put("p", f"a{n}", {"n": n}))
        await store.put(Put("p", "b", {}))

        assert [item.data["n"] for item in await every(store, "p", "a", limit)] == list(range(10))

    @pytest.mark.parametrize("limit", [0, -1, MAX_PAGE_ITEMS + 1])
    async def test_the_limit_has_limits(self, store: ItemStore, limit: int) -> None:
        with pytest.raises(ValueError, match="page"):
            await store.query("p", limit=limit)

    async def test_expired_items_are_not_listed_nor_hide_others(
        self, store: ItemStore, clock: SetClock
    ) -> None:
        for n in range(30):
            await store.put(Put("p", f"{n:02}", {}, expires=None if n in (0, 17, 29) else int(clock.now) + 5))
        clock.now += 5

        for limit in (1, 4, 29, 30, 100):
            assert await keys(store, "p", limit=limit) == ["00", "17", "29"]

    async def test_large_items_make_short_pages(self, store: ItemStore) -> None:
        for n in range(12):
            await store.put(Put("p", f"{n:02}", {"v": "x" * (MAX_DATA_BYTES - 10)}))

        page = await store.query("p", limit=12)
        assert 1 <= len(page.items) < 12
        assert page.cursor is not None
        assert await keys(store, "p", limit=12) == [f"{n:02}" for n in range(12)]

    async def test_a_cursor_outlives_the_item_it_points_at(self, store: ItemStore) -> None:
        for n in range(6):
            await store.put(Put("p", f"{n}", {}))
        page = await store.query("p", limit=3)
        for item in page.items:
            await store.delete(Delete("p", item.sk))
        rest = await store.query("p", limit=10, cursor=page.cursor)

        assert [item.sk for item in rest.items] == ["3", "4", "5"]

    async def test_a_cursor_goes_on_among_changes(self, store: ItemStore) -> None:
        for sk in "bdf":
            await store.put(Put("p", sk, {}))
        page = await store.query("p", limit=2)
        for sk in "aceg":
            await store.put(Put("p", sk, {}))
        rest = await store.query("p", limit=10, cursor=page.cursor)

        assert [item.sk for item in rest.items] == ["e", "f", "g"]

    async def test_a_cursor_never_leaves_the_callers_partition(self, store: ItemStore) -> None:
        for sk in "abc":
            await store.put(Put("secret", sk, {"secret": True}))
            await store.put(Put("mine", sk, {}))
        foreign = (await store.query("secret", limit=1)).cursor
        page = await store.query("mine", limit=10, cursor=foreign)

        assert [(item.pk, item.sk) for item in page.items] == [("mine", "b"), ("mine", "c")]

    async def test_a_cursor_of_another_prefix_is_refused(self, store: ItemStore) -> None:
        for sk in ("A#1", "A#2", "B#1", "B#2"):
            await store.put(Put("p", sk, {}))
        cursor = (await store.query("p", "A#", limit=1)).cursor
        whole = (await store.query("p", limit=3)).cursor

        for prefix, foreign in (("B#", cursor), ("A#", whole), ("A#2", cursor)):
            with pytest.raises(InvalidCursor):
                await store.query("p", prefix, cursor=foreign)

    @pytest.mark.parametrize(
        "cursor",
        [
            "",
            "!",
            "a",
            "MQ",  # the version and no key
            "MUE==",  # padded
            encode_cursor("A#1") + "A",
            encode_cursor("A#1")[:-1] + "F",  # bits that do not count, set
            " " + encode_cursor("A#1"),
            encode_cursor("A#1") + "\n",
            "QSMx",  # no version
            "MkEjMQ",  # another version
            "MUEjAA",  # a key with NUL
            "MUEj_w",  # not UTF-8
            "MUEj7aCA",  # a surrogate in UTF-8
            "é",
            encode_cursor("A#" + "x" * MAX_KEY_BYTES),
            encode_cursor("Z"),
            "eyJwayI6InNlY3JldCJ9",
        ],
    )
    async def test_a_forged_cursor_is_refused(self, store: ItemStore, cursor: str) -> None:
        await store.put(Put("p", "A#1", {}))
        with pytest.raises(InvalidCursor):
            await store.query("p", "A#", cursor=cursor)

    async def test_cursors_are_safe_in_a_url(self, store: ItemStore) -> None:
        for n in range(20):
            await store.put(Put("p", f"?{chr(0x3F0 + n)}\xff>", {}))
        cursor = None
        while True:
            page: ItemPage = await store.query("p", limit=1, cursor=cursor)
            cursor = page.cursor
            if cursor is None:
                break
            assert cursor.replace("-", "a").replace("_", "a").isalnum() and cursor.isascii()


class TestCounters:
    async def test_a_counter_starts_at_zero_and_adds_up(self, store: ItemStore) -> None:
        assert await store.counters("p") == {}
        await store.incr([Delta("p", "a", 5)])
        await store.incr([Delta("p", "a", -2), Delta("p", "b", 1), Delta("q", "a", 7)])

        assert await store.counters("p") == {"a": 3, "b": 1}
        assert await store.counters("q") == {"a": 7}

    async def test_a_counter_named_twice_in_a_call_gets_both(self, store: ItemStore) -> None:
        await store.incr([Delta("p", "a", 1), Delta("p", "a", 2)])

        assert await store.counters("p") == {"a": 3}

    async def test_nothing_added_makes_no_counter(self, store: ItemStore) -> None:
        await store.incr([])
        await store.incr([Delta("p", "a", 0), Delta("p", "b", 1), Delta("p", "b", -1)])

        assert await store.counters("p") == {}

    async def test_a_counter_back_at_zero_stays(self, store: ItemStore) -> None:
        await store.incr([Delta("p", "a", 1)])
        await store.incr([Delta("p", "a", -1)])

        assert await store.counters("p") == {"a": 0}

    async def test_counters_are_listed_by_prefix_in_byte_order(self, store: ItemStore) -> None:
        names = ["H#2", "H#10", "H#\U00010000", "H#\uffff", "D#1", "H", "h#1"]
        await store.incr([Delta("p", sk, n) for n, sk in enumerate(names, 1)])

        listed = await store.counters("p", "H#")
        assert list(listed.items()) == [("H#10", 2), ("H#2", 1), ("H#\uffff", 4), ("H#\U00010000", 3)]
        assert list(await store.counters("p")) == sorted(names, key=str.encode)

    async def test_counters_and_items_do_not_meet(self, store: ItemStore) -> None:
        rev = await store.put(Put("p", "s", {}))
        await store.incr([Delta("p", "s", 1)])
        await store.put(Put("p", "s", {}, Rev(rev)))
        await store.delete(Delete("p", "s"))

        assert await store.counters("p") == {"s": 1}
        assert await keys(store, "p") == []
        await store.put(Put("p", "s", {}, ABSENT))
        await store.drop_counters("p")
        assert await keys(store, "p") == ["s"]

    async def test_concurrent_increments_all_count(self, store: ItemStore) -> None:
        await asyncio.gather(
            *(store.incr([Delta("p", "a", n), Delta("p", f"b{n % 3}", 1)]) for n in range(60))
        )

        assert await store.counters("p") == {"a": sum(range(60)), "b0": 20, "b1": 20, "b2": 20}

    async def test_a_counter_moves_with_its_transaction_or_not_at_all(self, store: ItemStore) -> None:
        await store.transact([Put("p", "a", {}, ABSENT), Delta("q", "n", 5), Delta("q", "m", -2)])
        with pytest.raises(Conflict) as conflict:
            await store.transact([Delta("q", "n", 7), Put("p", "a", {}, ABSENT)])

        assert conflict.value.index == 1
        assert await store.counters("q") == {"m": -2, "n": 5}
        assert await store.transact([Delta("q", "n", 1), Delete("p", "a", EXISTS)]) == [None, None]
        assert await store.counters("q") == {"m": -2, "n": 6}

    async def test_a_counter_and_an_item_of_the_same_key_fit_into_a_transaction(
        self, store: ItemStore
    ) -> None:
        await store.transact([Put("p", "s", {"a": 1}), Delta("p", "s", 3)])

        item = await store.get("p", "s")
        assert item is not None and item.data == {"a": 1}
        assert await store.counters("p") == {"s": 3}

    @pytest.mark.parametrize(
        "ops",
        [[Delta("p", "s", 0)], [Delta("p", "s", MAX_DELTA + 1)], [Delta("p", "s", 1), Delta("p", "s", 2)]],
        ids=["zero", "too far", "twice"],
    )
    async def test_a_transaction_with_a_move_that_is_none_is_refused(
        self, store: ItemStore, ops: list[Op]
    ) -> None:
        with pytest.raises(InvalidWrite):
            await store.transact([*ops, Put("p", "a", {})])

        assert await store.get("p", "a") is None
        assert await store.counters("p") == {}

    async def test_transactions_that_move_the_same_counter_do_not_conflict(self, store: ItemStore) -> None:
        await asyncio.gather(
            *(store.transact([Put("p", f"{n}", {}, ABSENT), Delta("p", "n", n + 1)]) for n in range(20))
        )

        assert await store.counters("p") == {"n": 210}

    async def test_a_thousand_counters_in_one_call(self, store: ItemStore) -> None:
        deltas = [Delta(f"p{n % 3}", f"{n:04}", n) for n in range(1, 1001)]
        await store.incr(deltas)
        await store.incr(deltas)

        read = {(pk, sk): n for pk in ("p0", "p1", "p2") for sk, n in (await store.counters(pk)).items()}
        assert read == {(delta.pk, delta.sk): 2 * delta.by for delta in deltas}

    async def test_large_numbers_stay_exact(self, store: ItemStore) -> None:
        await store.incr([Delta("p", "a", MAX_DELTA), Delta("p", "a", MAX_DELTA - 1)])
        await store.incr([Delta("p", "a", 1), Delta("p", "b", -MAX_DELTA)])

        assert await store.counters("p") == {"a": 2 * MAX_DELTA, "b": -MAX_DELTA}
        for by in (MAX_DELTA + 1, -MAX_DELTA - 1):
            with pytest.raises(InvalidWrite):
                await store.incr([Delta("p", "a", by)])

    async def test_counters_are_listed_from_one_prefix_to_another(self, store: ItemStore) -> None:
        names = ["D#1", "D#10", "D#1#b", "D#2", "D#2#a", "D#2\U0010ffff", "D#3", "E", "a"]
        await store.incr([Delta("p", sk, n) for n, sk in enumerate(names, 1)])
        await store.incr([Delta("pp", "D#2", 1)])

        listed = await store.counters("p", "D#1#", "D#2")
        assert list(listed) == ["D#1#b", "D#10", "D#2", "D#2#a", "D#2\U0010ffff"]
        assert await store.counters("p", "D#2", "D#1") == {}
        assert list(await store.counters("p", "D#2", "D#2")) == ["D#2", "D#2#a", "D#2\U0010ffff"]
        assert len(await store.counters("p", "", "a")) == len(names)

    async def test_more_counters_than_are_read_at_a_time(self, store: ItemStore) -> None:
        names = [f"a{n:04}" for n in range(2 * COUNTED_ROWS)]
        await store.incr([Delta("p", sk, 1) for sk in [*names, "b"]])

        assert list(await store.counters("p", "a")) == names
        assert list(await store.counters("p", "a0001", "a0999")) == names[1:1000]
        assert len(await store.counters("p")) == len(names) + 1

    async def test_from_its_second_on_a_counter_is_not_there(self, store: Backend, clock: SetClock) -> None:
        soon = int(clock.now) + 5
        await store.incr([Delta("p", "soon", 2, expires=soon), Delta("p", "ever", 1)])
        await store.incr([Delta("p", "soon", 3)])
        await store.transact([Delta("p", "later", 1, expires=soon + 5), Put("p", "s", {})])
        clock.now = soon - 0.5
        assert await store.counters("p") == {"ever": 1, "later": 1, "soon": 5}

        clock.now = soon
        assert await store.counters("p") == {"ever": 1, "later": 1}
        assert await store.sweep() in {0, 1}
        await store.incr([Delta("p", "later", 1)])
        assert await store.counters("p") == {"ever": 1, "later": 2}

    async def test_an_end_can_be_set_and_moved_without_adding(self, store: Backend, clock: SetClock) -> None:
        soon = int(clock.now) + 5
        await store.incr([Delta("p", "old", 7), Delta("p", "both", 1), Delta("p", "both", -1, expires=soon)])
        await store.incr([Delta("p", "old", 0, expires=soon), Delta("p", "none", 0, expires=soon)])
        assert await store.counters("p") == {"both": 0, "none": 0, "old": 7}
        await store.incr([Delta("p", "none", 0, expires=soon + 5)])
        await store.incr([Delta("p", "old", 1)])

        clock.now = soon
        assert await store.counters("p") == {"none": 0}
        clock.now = soon + 5
        assert await store.counters("p") == {}

    @pytest.mark.parametrize("expires", [-1, MAX_DELTA + 1])
    async def test_an_end_that_is_none_is_refused(self, store: ItemStore, expires: int) -> None:
        for call in (store.incr, store.transact):
            with pytest.raises(InvalidWrite):
                await call([Delta("p", "s", 1, expires=expires)])

    async def test_dropping_takes_one_partition(self, store: ItemStore) -> None:
        await store.incr([Delta("p", "a", 1), Delta("p", "b", 1), Delta("pp", "a", 1)])
        await store.drop_counters("p")
        await store.drop_counters("none")

        assert await store.counters("p") == {}
        assert await store.counters("pp") == {"a": 1}
        await store.incr([Delta("p", "a", 2)])
        assert await store.counters("p") == {"a": 2}


class TestPurge:
    async def test_a_partition_goes_with_everything_in_it(self, store: ItemStore, clock: SetClock) -> None:
        for n in range(2 * MAX_OPS + 3):
            await store.put(Put("p", f"{n:03}", {}, expires=int(clock.now) + 5 if n % 2 else None))
            await store.incr([Delta("p", f"{n:03}", 1)])
        await store.put(Put("pp", "s", {}))
        await store.incr([Delta("pp", "s", 1)])
        clock.now += 5

        assert await purge(store, "p") == MAX_OPS + 2
        assert await keys(store, "p") == []
        assert await store.counters("p") == {}
        assert await keys(store, "pp") == ["s"]
        assert await store.counters("pp") == {"s": 1}
        assert await purge(store, "p") == 0


class TestCancellation:
    async def test_a_caller_that_leaves_disturbs_nobody(self, store: ItemStore) -> None:
        """Each write of a caller that left is there or not, whole; all others are there."""

        async def pair(n: int) -> None:
            await store.transact([Put("p", f"a{n:02}", {}, ABSENT), Put("p", f"b{n:02}", {}, ABSENT)])

        tasks = [asyncio.get_running_loop().create_task(pair(n)) for n in range(40)]
        await asyncio.sleep(0)
        for task in tasks[::3]:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        await pair(99)

        stored = {sk[1:] for sk in await keys(store, "p", "a")}
        assert {sk[1:] for sk in await keys(store, "p", "b")} == stored
        assert stored >= {f"{n:02}" for n, outcome in enumerate(outcomes) if outcome is None} | {"99"}
        assert all(outcome is None or isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)


# Moving a store.


async def everything(store: Backend) -> list[RawItem]:
    rows, cursor = await store.rows()
    while cursor is not None:
        more, cursor = await store.rows(cursor)
        rows += more
    return sorted(rows, key=lambda row: (row.n is not None, row.pk, row.sk))


async def test_what_is_kept_is_told_as_it_is_and_kept_elsewhere_as_it_was(
    store: Backend, clock: SetClock, tmp_path: Path
) -> None:
    for number in range(1203):
        await store.put(Put(f"T#{number % 7}", f"A#{number:04}", {"n": number, "text": "ä" * 5}))
    await store.put(Put("T#0", "short", {"n": [1, None]}, expires=int(clock.now) + 60))
    await store.put(Put("T#0", "gone", {}, expires=int(clock.now) + 1))
    await store.incr([Delta("USE#0", f"day#{number}", number) for number in range(1, 30)])
    await store.incr([Delta("T#0", "A#0000", -7), Delta("USE#0", "day#1", 0, expires=int(clock.now) + 99)])
    clock.now += 10
    rows = await everything(store)
    assert len(rows) in {1203 + 1 + 29 + 1, 1203 + 2 + 29 + 1}, "what expired may be there, or gone"
    short = await store.get("T#0", "short")
    assert short is not None
    [kept] = [row for row in rows if row.sk == "short"]
    assert (kept.rev, json.loads(kept.text), kept.expires) == (short.rev, short.data, short.expires)

    for open_store in BACKENDS.values():
        async with open_store(tmp_path, clock) as other:
            await other.put(Put("T#0", "A#0000", {"other": True}))
            for _ in range(2):
                for start in range(0, len(rows), 100):
                    await other.restore(rows[start : start + 100])
            assert await everything(other) == rows
            assert await other.get("T#0", "short") == short
            assert await other.counters("USE#0") == await store.counters("USE#0")
            revised = await other.put(Put("T#0", "short", {}, cond=Rev(short.rev)))
            assert revised != short.rev
            assert await other.get("T#0", "gone") is None


async def test_rows_are_discarded_by_their_keys(store: Backend) -> None:
    await store.transact([Put("p", f"{n}", {}) for n in range(25)])
    await store.put(Put("q", "1", {}))
    await store.incr([Delta("p", f"{n}", 1) for n in range(40)])
    await store.incr([Delta("q", "1", 1)])
    gone = [RawItem("p", f"{n}") for n in range(1, 25)] + [RawItem("p", f"{n}", n=7) for n in range(2, 40)]
    for _ in range(2):
        await store.discard([*gone, RawItem("never", "was"), RawItem("never", "was", n=1)])
        assert await keys(store, "p") == ["0"]
        assert await store.counters("p") == {"0": 1, "1": 1}
        assert await keys(store, "q") == ["1"]
        assert await store.counters("q") == {"1": 1}
    await store.discard([RawItem("p", "0"), RawItem("q", "1"), *(RawItem("p", sk, n=1) for sk in "01")])
    await store.discard([])
    assert [(row.pk, row.sk) for row in await everything(store)] == [("q", "1")]


async def test_an_empty_store_has_no_rows(store: Backend) -> None:
    assert await everything(store) == []


@pytest.mark.parametrize("cursor", ["x", "%%", "W10=", "WzEsMiwzXQ=="])
async def test_a_place_that_no_rows_gave(store: Backend, cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        await store.rows(cursor)
