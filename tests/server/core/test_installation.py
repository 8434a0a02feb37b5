"""A store and a bus: which belong together, which are refused, and what keeps them in step."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from artcafe.server.bus.memory import MemoryBus
from artcafe.server.core.installation import AT_START_SECONDS, RECONCILE_SECONDS, RETRY_SECONDS
from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.installation import MOST_STRANGERS, UNMARKED, Mark, WrongInstallation
from artcafe.server.domain.tenant import Tenant
from artcafe.server.ports.bus import Reconciled
from artcafe.server.ports.installation import Survey
from artcafe.server.store.item import Backend, Put
from artcafe.server.store.memory import MemoryStore
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.installation import Installation, counting
from tests.kit.nats import make_tenant
from tests.kit.outcomes import refused
from tests.kit.stores import new_rev


class FaultyBus(MemoryBus):
    """A bus that refuses changes of accounts while `full`, and may have marks under other seeds."""

    full = False
    old: tuple[Mark, ...] = ()

    async def push(self, tenant: object) -> None:
        """See MemoryBus."""
        if self.full:
            raise ArtcafeError(Code.unavailable, "The disk of the message bus is full.")
        await super().push(tenant)  # type: ignore[arg-type]

    async def survey(self, tenants: object) -> Survey:
        """See MemoryBus."""
        return Survey((await super().survey(tenants)).strangers, self.old)  # type: ignore[arg-type]


@pytest.fixture
async def installation() -> Installation:
    opened = await Installation.open()
    return Installation(opened.memory, opened.clock, FaultyBus())


@pytest.fixture
async def tenant(installation: Installation) -> Tenant:
    """A tenant of an installation whose first process runs."""
    await installation.process.installed.join()
    return await installation.process.tenants.get(await installation.make_tenant())


async def copied(installation: Installation, *, empty: bool = False) -> MemoryStore:
    """Another store with the same rows, or with none."""
    store = MemoryStore(clock=installation.clock.now, new_rev=new_rev)
    await store.open()
    cursor = None
    while not empty:
        rows, cursor = await installation.memory.rows(cursor)
        await store.restore(rows)
        if cursor is None:
            break
    return store


def at_the_bus(installation: Installation, store: Backend, bus: MemoryBus | None = None) -> Installation:
    """What uses another store at the same bus, or a store at another bus."""
    return Installation(store, installation.clock, bus or installation.bus, counting("other"))


async def refusal(installation: Installation, adopt: str | None = None) -> str:
    """Why a process of it does not start; nothing has changed then."""
    records = installation.process.installed._records
    before = set(installation.bus._accounts), await installation.bus.mark(), await records.mark()
    with pytest.raises(WrongInstallation) as raised:
        await installation.start("p9", adopt=adopt).installed.join()
    assert (set(installation.bus._accounts), await installation.bus.mark(), await records.mark()) == before
    assert "\n" not in f"{raised.value}"
    return f"{raised.value}"


@contextmanager
def unsound(part: str) -> Iterator[None]:
    """The block says that something is wrong with the installation, in words with this part."""
    with refused(Code.unavailable) as refusal:
        yield
    assert part in refusal.message


class TestJoin:
    async def test_a_new_store_and_a_new_bus_get_one_mark(self, installation: Installation) -> None:
        assert await installation.process.installed.join() == Reconciled()
        mark = await installation.bus.mark()
        assert mark is not None
        assert mark == await installation.process.installed._records.mark()
        assert await installation.start("p2").installed.join() is None
        assert await installation.bus.mark() == mark
        await installation.process.installed.check()

    async def test_of_many_that_start_at_once_one_gives_the_id(self, installation: Installation) -> None:
        processes = [installation.start(f"p{number}") for number in range(12)]
        await asyncio.gather(*(process.installed.join() for process in processes))
        mark = await installation.bus.mark()
        assert mark is not None
        assert {process.installed._mark.id for process in processes} == {mark.id}
        for process in processes:
            await process.installed.check()

    async def test_an_installation_of_an_older_release_gets_a_mark(self, installation: Installation) -> None:
        tenant = await installation.process.tenants.get(await installation.make_tenant())
        await installation.process.installed.join()
        assert await installation.bus.mark() is not None
        assert installation.bus._accounts == {(tenant.id, tenant.account)}

    async def test_a_new_bus_is_filled_from_the_store(
        self, installation: Installation, tenant: Tenant
    ) -> None:
        moved = at_the_bus(installation, installation.memory, MemoryBus())
        assert await moved.process.installed.join() == Reconciled(pushed=1)
        assert moved.bus._accounts == {(tenant.id, tenant.account)}


class TestRefusals:
    async def test_an_empty_store(self, installation: Installation, tenant: Tenant) -> None:
        said = await refusal(at_the_bus(installation, await copied(installation, empty=True)))
        assert "the store is new" in said
        assert f"--adopt-bus {await installation.bus.mark()}:" in said
        await installation.process.installed.check()

    async def test_the_store_of_another_installation(
        self, installation: Installation, tenant: Tenant
    ) -> None:
        other = at_the_bus(installation, await copied(installation, empty=True), MemoryBus())
        await other.process.installed.join()
        mine = await other.bus.mark()
        said = await refusal(at_the_bus(installation, other.memory))
        assert f"another installation ({await installation.bus.mark()}) than the store ({mine})" in said

    async def test_an_older_store(self, installation: Installation, tenant: Tenant) -> None:
        """A backup, or one that was copied and left behind."""
        old = await copied(installation)
        installation.clock.advance(RECONCILE_SECONDS)
        await installation.process.installed.tend()
        assert "older than the bus knows it" in await refusal(at_the_bus(installation, old))
        await installation.process.installed.check()

    async def test_an_empty_store_at_the_bus_of_an_older_release(self, installation: Installation) -> None:
        await installation.make_tenant()
        said = await refusal(at_the_bus(installation, await copied(installation, empty=True)))
        assert "holds 1 accounts of tenants that the store does not know" in said
        assert f"--adopt-bus {UNMARKED}:" in said

    async def test_after_a_rotation_the_mark_of_the_seed_before_counts(
        self, installation: Installation, tenant: Tenant
    ) -> None:
        before = await installation.bus.mark()
        assert before is not None
        bus = FaultyBus()
        bus.old = (before,)
        wrong = at_the_bus(installation, await copied(installation, empty=True), bus)
        assert f"--adopt-bus {before}:" in await refusal(wrong)
        right = at_the_bus(installation, installation.memory, bus)
        assert await right.process.installed.join() == Reconciled(pushed=1)
        mark = await bus.mark()
        assert mark is not None
        assert mark.id == before.id


class TestAdoption:
    async def test_a_store_takes_over_the_bus_that_its_operator_names(
        self, installation: Installation, tenant: Tenant
    ) -> None:
        for number in range(MOST_STRANGERS):
            await installation.bus.push(make_tenant(f"t{number}"))
        other = at_the_bus(installation, await copied(installation, empty=True))
        mark = f"{await installation.bus.mark()}"
        for wrong in (UNMARKED, "somebody.1", mark + "0"):
            await refusal(other, adopt=wrong)
        done = await other.start("p2", adopt=mark).installed.join()
        assert done == Reconciled(removed=MOST_STRANGERS + 1)
        assert installation.bus._accounts == set()

        with unsound("another installation"):
            await installation.process.installed.check()
        assert "another installation" in await refusal(installation, adopt=mark)
        assert await other.start("p3", adopt=mark).installed.join() is None, "it was once"

    async def test_a_backup_takes_over_and_the_store_of_before_is_the_older_one(
        self, installation: Installation, tenant: Tenant
    ) -> None:
        old = at_the_bus(installation, await copied(installation))
        later = await installation.process.tenants.get(await installation.make_tenant(TenantId("later")))
        installation.clock.advance(RECONCILE_SECONDS)
        await installation.process.installed.tend()
        await old.start("p2", adopt=f"{await installation.bus.mark()}").installed.join()
        assert (later.id, later.account) not in installation.bus._accounts
        assert (tenant.id, tenant.account) in installation.bus._accounts

        with unsound("older than the bus"):
            await installation.process.installed.check()
        with unsound("older than the bus"):
            installation.clock.advance(2 * RECONCILE_SECONDS)
            await installation.process.installed.tend()
        assert (later.id, later.account) not in installation.bus._accounts
        await refusal(installation)

    async def test_a_bus_of_an_older_release_is_called_unmarked(self, installation: Installation) -> None:
        await installation.make_tenant()
        other = at_the_bus(installation, await copied(installation, empty=True))
        assert await other.start("p2", adopt=UNMARKED).installed.join() == Reconciled(removed=1)


class TestTend:
    async def test_one_process_reconciles_soon_after_the_start_and_then_now_and_again(
        self, installation: Installation, tenant: Tenant
    ) -> None:
        processes = [installation.process, *(installation.start(f"p{number}") for number in range(5))]
        for process in processes[1:]:
            await process.installed.join()

        async def reconciled() -> int:
            return [await process.installed.tend() for process in processes].count(Reconciled())

        assert await reconciled() == 1
        assert await reconciled() == 0
        installation.clock.advance(AT_START_SECONDS + 1)
        assert await reconciled() == 0
        for _ in range(3):
            installation.clock.advance(RECONCILE_SECONDS + 1)
            assert await reconciled() == 1
        late = installation.start("late")
        await late.installed.join()
        installation.clock.advance(AT_START_SECONDS + 1)
        assert await late.installed.tend() == Reconciled()

    async def test_an_account_that_is_gone_comes_back_and_one_too_much_goes(
        self, installation: Installation, tenant: Tenant
    ) -> None:
        await installation.bus.remove(tenant)
        await installation.bus.push(make_tenant("orphan"))
        assert await installation.process.installed.tend() == Reconciled(pushed=1, removed=1)
        assert installation.bus._accounts == {(tenant.id, tenant.account)}

    async def test_too_many_are_kept_and_the_mark_stays_what_it_was_told_to_be(
        self, installation: Installation, tenant: Tenant
    ) -> None:
        for number in range(MOST_STRANGERS + 1):
            await installation.bus.push(make_tenant(f"t{number}"))
        await installation.bus.remove(tenant)
        mark = await installation.bus.mark()
        done = await installation.process.installed.tend()
        assert done == Reconciled(pushed=1, kept=MOST_STRANGERS + 1)
        assert await installation.bus.mark() == mark
        await installation.process.installed.check()

        again = installation.start("p2", adopt=f"{mark}")
        assert await again.installed.join() == Reconciled(removed=MOST_STRANGERS + 1)
        assert installation.bus._accounts == {(tenant.id, tenant.account)}

    async def test_a_bus_that_was_emptied_is_filled_anew(
        self, installation: Installation, tenant: Tenant
    ) -> None:
        installation.bus._accounts.clear()
        installation.bus._mark = None
        with unsound("filled anew"):
            await installation.process.installed.check()
        assert await installation.process.installed.tend() == Reconciled(pushed=1)
        await installation.process.installed.check()

    async def test_while_accounts_cannot_be_made_it_is_unsound_and_tried_again(
        self, installation: Installation, tenant: Tenant
    ) -> None:
        assert isinstance(installation.bus, FaultyBus)
        await installation.bus.remove(tenant)
        installation.bus.full = True
        for _ in range(2):
            with refused(Code.unavailable):
                await installation.process.installed.tend()
            with unsound("disk of the message bus is full"):
                await installation.process.installed.check()
            assert await installation.process.installed.tend() is None, "not at once"
            installation.clock.advance(2 * RETRY_SECONDS)
        installation.bus.full = False
        assert await installation.process.installed.tend() == Reconciled(pushed=1)
        await installation.process.installed.check()
        assert await installation.process.installed.tend() is None

    @pytest.mark.parametrize("seconds", [86_400, -86_400])
    async def test_a_clock_that_is_set_changes_nothing_of_when_it_is_done(
        self, installation: Installation, tenant: Tenant, seconds: float
    ) -> None:
        assert isinstance(installation.bus, FaultyBus)
        tend = installation.process.installed.tend
        await installation.bus.remove(tenant)
        installation.bus.full = True
        with refused(Code.unavailable):
            await tend()
        installation.bus.full = False
        installation.clock.set(seconds)
        assert await tend() is None, "not at once"
        installation.clock.advance(2 * RETRY_SECONDS)
        assert await tend() == Reconciled(pushed=1)
        await installation.bus.remove(tenant)
        installation.clock.set(seconds)
        assert await tend() is None, "not before it is due"
        installation.clock.advance(2 * RECONCILE_SECONDS)
        assert await tend() == Reconciled(pushed=1)

    async def test_while_the_store_is_away_it_is_tried_again(
        self, installation: Installation, tenant: Tenant
    ) -> None:
        await installation.bus.remove(tenant)
        installation.store.away = True
        with refused(Code.unavailable):
            await installation.process.installed.tend()
        installation.store.heal()
        assert await installation.process.installed.tend() is None
        installation.clock.advance(2 * RETRY_SECONDS)
        assert await installation.process.installed.tend() == Reconciled(pushed=1)

    async def test_a_tenant_that_cannot_be_read_keeps_its_account_and_hinders_nobody(
        self, installation: Installation, tenant: Tenant
    ) -> None:
        """A newer release wrote it, perhaps: whose account is whose is not known then, so none is removed."""
        other = await installation.process.tenants.get(await installation.make_tenant(TenantId("other")))
        await installation.bus.push(orphan := make_tenant("orphan"))
        await installation.bus.remove(other)
        pk = f"T#{await installation.partition(tenant.id)}"
        await installation.memory.put(Put(pk, "META", {"v": 99}))
        assert await installation.process.installed.tend() == Reconciled(pushed=1, kept=2)
        accounts = {(each.id, each.account) for each in (tenant, other, orphan)}
        assert installation.bus._accounts == accounts
        await installation.process.installed.check()

    async def test_a_bus_that_belongs_to_another_store_by_now_is_left_alone(
        self, installation: Installation, tenant: Tenant
    ) -> None:
        """Its accounts are lost, its mark is another one's, and whoever tries does not try without end."""
        await installation.bus.remove(tenant)
        await installation.bus.put_mark(Mark("another", 1))
        with unsound("another installation"):
            await installation.process.installed.tend()
        assert await installation.process.installed.tend() is None
        assert installation.bus._accounts == set()


class TestRestore:
    async def test_the_account_of_a_tenant_is_made_anew(
        self, installation: Installation, tenant: Tenant
    ) -> None:
        await installation.bus.remove(tenant)
        assert await installation.process.installed.restore(tenant)
        assert installation.bus._accounts == {(tenant.id, tenant.account)}

    async def test_that_of_no_tenant_is_not(self, installation: Installation, tenant: Tenant) -> None:
        for nobody in (make_tenant("nobody"), make_tenant("acme", account="of another acme")):
            assert not await installation.process.installed.restore(nobody)
        assert installation.bus._accounts == {(tenant.id, tenant.account)}

    async def test_on_another_installations_bus_nothing_is_made(
        self, installation: Installation, tenant: Tenant
    ) -> None:
        await installation.bus.remove(tenant)
        await installation.bus.put_mark(Mark("another", 1))
        with unsound("another installation"):
            await installation.process.installed.restore(tenant)
        assert installation.bus._accounts == set()

    async def test_where_it_cannot_be_made_the_installation_is_unsound(
        self, installation: Installation, tenant: Tenant
    ) -> None:
        assert isinstance(installation.bus, FaultyBus)
        await installation.bus.remove(tenant)
        installation.bus.full = True
        with refused(Code.unavailable):
            await installation.process.installed.restore(tenant)
        with unsound("Accounts cannot be made"):
            await installation.process.installed.check()
        installation.bus.full = False
        assert await installation.process.installed.restore(tenant)
        installation.clock.advance(2 * RETRY_SECONDS)
        assert await installation.process.installed.tend() is not None
        await installation.process.installed.check()
