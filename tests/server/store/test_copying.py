"""A store copied into another one: from every backend to every other, and cut off at every write."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from artcafe.server.store.copying import ROUNDS, Copy, CopyError, Progress, require_whole
from artcafe.server.store.item import Backend, Delete, Delta, Put, RawItem, StoreUnavailable, StoreUnusable
from artcafe.server.store.servers import LEASE_SECONDS, ServerLease
from tests.kit.contents import contents
from tests.kit.faults import Fault, FaultyStore, every_cut
from tests.kit.stores import BACKENDS, SetClock

ROWS = {("item", "T#a", f"A#{n}") for n in range(15)} | {("item", "T#b", "META"), ("item", "T#b", "later")}
COUNTERS = {("counter", "USE#a", f"{n}") for n in range(5)} | {("counter", "USE#b", "1")}

Open = Callable[[], AbstractAsyncContextManager[Backend]]


async def fill(store: Backend, clock: SetClock) -> None:
    """Items, one of which expires and one of which has, and counters."""
    await store.transact([Put("T#a", f"A#{n}", {"n": n, "text": "ä"}) for n in range(15)])
    await store.transact(
        [
            Put("T#b", "META", {}),
            Put("T#b", "later", {}, expires=int(clock.now) + 3600),
            Put("T#b", "gone", {}, expires=int(clock.now) - 1),
        ]
    )
    await store.incr([*(Delta("USE#a", f"{n}", n + 1) for n in range(5)), Delta("USE#b", "1", 7)])


async def change(store: Backend) -> None:
    """What a server does to it: an item changed, one made, one removed; the same of counters."""
    await store.transact(
        [
            Put("T#a", "A#1", {"revoked": True}),
            Put("T#a", "A#0-new", {}),
            Delete("T#a", "A#2"),
            Delete("T#b", "META"),
        ]
    )
    await store.incr([Delta("USE#a", "1", 1), Delta("USE#c", "1", 1)])
    await store.drop_counters("USE#b")


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(
    params=[("memory", "dynamodb"), ("dynamodb", "sqlite"), ("sqlite", "memory")], ids=" to ".join
)
def kinds(request: pytest.FixtureRequest) -> tuple[str, str]:
    kinds: tuple[str, str] = request.param
    return kinds


@pytest.fixture
async def source(kinds: tuple[str, str], tmp_path: Path, clock: SetClock) -> AsyncIterator[Backend]:
    async with BACKENDS[kinds[0]](tmp_path, clock) as store:
        await fill(store, clock)
        yield store


@pytest.fixture
def new_target(kinds: tuple[str, str], tmp_path: Path, clock: SetClock) -> Open:
    return lambda: BACKENDS[kinds[1]](tmp_path, clock)


@pytest.fixture
async def target(new_target: Open) -> AsyncIterator[Backend]:
    async with new_target() as store:
        yield store


@pytest.fixture
def copying(source: Backend, clock: SetClock) -> Callable[[Backend], Copy]:
    """A copy of the source."""
    return lambda target: Copy(
        source=source,
        target=target,
        name="the source",
        over=False,
        ignore_servers=False,
        now=clock,
        tell=lambda _: None,
    )


async def same(one: Backend, other: Backend, clock: SetClock) -> None:
    """Whether both hold the same to whoever reads them, and nothing else."""
    for pk in ("T#a", "T#b", "T#c"):
        assert (await one.query(pk, limit=1000)).items == (await other.query(pk, limit=1000)).items
    for pk in ("USE#a", "USE#b", "USE#c"):
        assert await one.counters(pk) == await other.counters(pk)
    expired = {("item", "T#b", "gone"), ("item", "T#c", "gone")}
    assert contents(one) - expired == contents(other) - expired
    await require_whole(other)


@pytest.mark.parametrize("kinds", list(itertools.product(BACKENDS, BACKENDS)), ids=" to ".join)
async def test_it_is_the_same_in_the_end(
    source: Backend, target: Backend, clock: SetClock, copying: Callable[[Backend], Copy]
) -> None:
    assert (await copying(target).run()).items == len(ROWS)
    assert contents(target) == ROWS | COUNTERS
    await same(source, target, clock)


@pytest.mark.parametrize("fault", [Fault.cut, Fault.refused])
async def test_cut_off_at_any_write_the_next_one_ends_it(
    source: Backend,
    new_target: Open,
    clock: SetClock,
    copying: Callable[[Backend], Copy],
    fault: Fault,
) -> None:
    async def check(target: FaultyStore) -> None:
        await copying(target).run()
        await same(source, target.store, clock)

    writes = await every_cut(lambda target: copying(target).run(), check, new_target, fault)
    assert writes >= 3


async def test_cut_off_at_any_write_and_changed_meanwhile_the_next_one_heals_it(
    source: Backend, new_target: Open, clock: SetClock, copying: Callable[[Backend], Copy]
) -> None:
    """The first one is cut off while it mends, too: the source changes under it."""

    async def operation(target: FaultyStore) -> None:
        await replace(copying(target), source=Written(source, change)).run()

    async def check(target: FaultyStore) -> None:
        await source.put(Put("T#c", "META", {}))
        await source.delete(Delete("T#a", "A#5"))
        await replace(copying(target), over=await whole(target)).run()
        await same(source, target.store, clock)

    async def whole(target: Backend) -> bool:
        try:
            await require_whole(target)
        except StoreUnusable:
            return False
        return True

    assert await every_cut(operation, check, new_target) > 5


class Written(FaultyStore):
    """A source in which `write` writes once, when everything has been read of it."""

    def __init__(self, store: Backend, write: Callable[[Backend], Awaitable[None]], times: int = 1) -> None:
        super().__init__(store)
        self._write_to_it = write
        self._times = times

    async def rows(self, cursor: str | None = None) -> tuple[list[RawItem], str | None]:
        """See Backend."""
        page = await super().rows(cursor)
        if page[1] is None and self._times:
            self._times -= 1
            await self._write_to_it(self.store)
        return page


async def test_what_is_written_between_the_copy_and_its_end_is_copied_as_well(
    source: Backend, target: Backend, clock: SetClock, copying: Callable[[Backend], Copy]
) -> None:
    told: list[Progress] = []
    copy = replace(copying(target), source=Written(source, change), tell=told.append)
    assert (await copy.run()).items == len(ROWS) - 1
    await same(source, target, clock)
    assert {each.doing for each in told} == {
        "copying",
        "counting the source",
        "counting the target",
        "removing",
    }


async def test_a_source_that_never_holds_still_is_refused_and_servers_do_not_open_the_target(
    source: Backend, target: Backend, clock: SetClock, copying: Callable[[Backend], Copy]
) -> None:
    busy = Written(source, change, times=2 * ROUNDS)
    with pytest.raises(CopyError, match="being written to"):
        await replace(copying(target), source=busy).run()
    with pytest.raises(StoreUnusable, match="half a copy of the source"):
        await require_whole(target)
    await copying(target).run()
    await same(source, target, clock)


async def test_a_target_that_holds_something_else_is_made_equal_only_when_told(
    source: Backend, target: Backend, clock: SetClock, copying: Callable[[Backend], Copy]
) -> None:
    await target.put(Put("T#a", "A#1", {"of": "somebody else"}))
    await target.put(Put("T#c", "META", {"of": "somebody else"}))
    await target.incr([Delta("USE#a", "0", 99), Delta("USE#c", "0", 99)])
    before = contents(target)
    with pytest.raises(CopyError, match="--over"):
        await copying(target).run()
    assert contents(target) == before
    await require_whole(target)

    await replace(copying(target), over=True).run()
    await same(source, target, clock)


async def test_one_that_is_there_already_is_compared(
    source: Backend, target: Backend, clock: SetClock, copying: Callable[[Backend], Copy]
) -> None:
    """As when the answer to the last write of the first copy was lost."""
    done = await copying(target).run()
    writes = FaultyStore(target)
    assert await copying(writes).run() == done
    assert writes.writes == 0
    await change(target)
    with pytest.raises(CopyError, match="--over"):
        await copying(target).run()


async def test_half_a_copy_of_another_source_is_gone_on_with_only_when_told(
    source: Backend, target: Backend, clock: SetClock, copying: Callable[[Backend], Copy]
) -> None:
    half = FaultyStore(target, Fault.cut, at=2)
    with pytest.raises(StoreUnavailable):
        await replace(copying(half), name="another").run()
    with pytest.raises(CopyError, match="half a copy of another; --over"):
        await copying(target).run()
    await replace(copying(target), over=True).run()
    await same(source, target, clock)


@pytest.mark.parametrize("side", ["source", "target"])
async def test_it_refuses_while_a_server_runs_on_either_side(
    source: Backend, target: Backend, clock: SetClock, copying: Callable[[Backend], Copy], side: str
) -> None:
    await ServerLease({"source": source, "target": target}[side], "one", clock).renew()
    with pytest.raises(CopyError, match=f"1 servers use the {side}.*90 seconds; --ignore-servers"):
        await copying(target).run()
    assert ("item", "T#a", "A#1") not in contents(target)

    clock.now += LEASE_SECONDS
    done = await copying(target).run()
    await ServerLease(source, "one", clock).renew()
    assert await replace(copying(target), ignore_servers=True).run() == done
    assert ("item", "SERVERS", "one") not in contents(target) or side == "target"


async def test_a_server_that_starts_meanwhile_is_noticed(
    source: Backend, target: Backend, clock: SetClock, copying: Callable[[Backend], Copy]
) -> None:
    async def start(store: Backend) -> None:
        await ServerLease(store, "one", clock).renew()

    with pytest.raises(CopyError, match="1 servers use the source"):
        await replace(copying(target), source=Written(source, start)).run()
    with pytest.raises(StoreUnusable):
        await require_whole(target)


async def test_it_goes_on_where_it_was(
    source: Backend, target: Backend, clock: SetClock, copying: Callable[[Backend], Copy]
) -> None:
    """Unless what it had come to is gone: then it starts over."""
    told: list[Progress] = []
    for start in range(0, 600, 20):
        await source.transact(
            [Put(f"T#{n % 4}", f"{n}", {"text": "x" * 5000}) for n in range(start, start + 20)]
        )
    half = FaultyStore(target, Fault.cut, at=3)
    with pytest.raises(StoreUnavailable):
        await copying(half).run()
    await replace(copying(target), tell=told.append).run()
    first = next(each for each in told if each.doing == "copying")
    assert first.rows > 0
    await same(source, target, clock)
