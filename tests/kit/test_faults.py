"""Faults do what they say, on every backend; whoever tests with them relies on it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from artcafe.server.store.item import Backend, Delete, Delta, Put, RawItem, StoreUnavailable
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.faults import Fault, FaultyStore, every_cut
from tests.kit.stores import BACKENDS, SetClock


@pytest.fixture(params=BACKENDS)
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    async with BACKENDS[request.param](tmp_path, SetClock()) as opened:
        yield opened


def put(sk: str) -> Put:
    return Put("p", sk, {})


async def here(store: Backend) -> list[str]:
    return [item.sk for item in (await store.query("p")).items]


@pytest.mark.parametrize(
    ("fault", "left"), [(Fault.refused, ["1", "3"]), (Fault.lost, ["1", "2", "3"]), (Fault.cut, ["1", "2"])]
)
async def test_the_write_that_is_named_fails(backend: Backend, fault: Fault, left: list[str]) -> None:
    store = FaultyStore(backend, fault, at=2)
    await store.put(put("1"))
    assert not store.reached.is_set()
    with pytest.raises(StoreUnavailable):
        await store.put(put("2"))
    assert store.struck
    if fault is Fault.cut:
        for call in (store.put(put("3")), store.get("p", "1"), store.ping(), store.rows(), store.sweep()):
            with pytest.raises(StoreUnavailable):
                await call
    else:
        await store.put(put("3"))
    assert await here(backend) == left == await here(FaultyStore(backend))


async def test_every_kind_of_write_counts_and_no_read(backend: Backend) -> None:
    store = FaultyStore(backend)
    await store.put(put("1"))
    await store.delete(Delete("p", "1"))
    await store.transact([put("2"), put("3")])
    await store.incr([Delta("p", "n", 1)])
    await store.drop_counters("p")
    await store.restore([RawItem("p", "4", rev="r", text="{}")])
    assert store.writes == 6
    await store.get("p", "1")
    await store.counters("p")
    await store.ping()
    await store.sweep()
    await store.rows()
    assert (store.writes, store.struck, await here(store)) == (6, False, ["2", "3", "4"])


@pytest.mark.parametrize(("fault", "meanwhile"), [(Fault.held, ["0"]), (Fault.late, ["0", "1"])])
async def test_a_write_waits_until_it_is_let_go(backend: Backend, fault: Fault, meanwhile: list[str]) -> None:
    store = FaultyStore(backend, fault)
    async with asyncio.TaskGroup() as group:
        write = group.create_task(store.put(put("1")))
        await store.reached.wait()
        await store.put(put("0"))
        assert await here(store) == meanwhile
        assert not write.done()
        store.let_go()
    assert write.result() and await here(backend) == ["0", "1"]


async def test_a_store_is_armed_anew(backend: Backend) -> None:
    store = FaultyStore(backend, Fault.refused)
    for sk in ("1", "2"):
        store.arm(Fault.lost)
        with pytest.raises(StoreUnavailable):
            await store.put(put(sk))
    store.arm(None)
    await store.put(put("3"))
    assert await here(backend) == ["1", "2", "3"]


@asynccontextmanager
async def empty() -> AsyncIterator[Backend]:
    async with BACKENDS["memory"](Path(), SetClock()) as opened:
        yield opened


async def three(store: FaultyStore) -> None:
    """Writes three, and does not find it worth an error that the second is not answered."""
    await store.put(put("1"))
    try:
        await store.put(put("2"))
    except StoreUnavailable:
        await store.put(put("two"))
    await store.put(put("3"))


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (Fault.cut, [["1"], ["1", "2"], ["1", "2", "3"], ["1", "2", "3"]]),
        (Fault.refused, [[], ["1", "3", "two"], ["1", "2"], ["1", "2", "3"]]),
        (Fault.lost, [["1"], ["1", "2", "3", "two"], ["1", "2", "3"], ["1", "2", "3"]]),
    ],
)
async def test_an_operation_is_cut_off_after_each_of_its_writes(fault: Fault, seen: list[list[str]]) -> None:
    found = []

    async def check(store: FaultyStore) -> None:
        found.append(await here(store))

    assert await every_cut(three, check, empty, fault) == 3
    assert found == seen


async def test_what_is_found_wrong_says_at_which_write() -> None:
    async def check(store: FaultyStore) -> None:
        assert await here(store) != ["1", "2"]

    with pytest.raises(AssertionError) as caught:
        await every_cut(three, check, empty)
    [note] = caught.value.__notes__
    assert "write 2, which came" in note


async def test_an_error_before_any_fault_is_one_of_the_test() -> None:
    async def refused(store: FaultyStore) -> None:
        await store.put(put("1"))
        raise ArtcafeError(Code.not_found)

    async def check(store: FaultyStore) -> None:
        assert await here(store)

    with pytest.raises(ArtcafeError, match="not"):
        await every_cut(refused, check, empty)


async def test_an_operation_without_end_is_told() -> None:
    async def endless(store: FaultyStore) -> None:
        while not store.struck:
            await store.incr([Delta("p", "n", 1)])

    with pytest.raises(AssertionError, match="does not end"):
        await every_cut(endless, here, empty, Fault.lost, most=3)
