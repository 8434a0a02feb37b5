"""Leases of servers, on every backend."""

import pytest

from artcafe.server.store.item import Delete, ItemStore
from artcafe.server.store.servers import LEASE_SECONDS, RENEW_SECONDS, Lease, ServerLease, leases
from artcafe.wire.codes import Code
from tests.kit.outcomes import refused
from tests.kit.stores import SetClock
from tests.kit.unreliable_store import UnreliableStore


@pytest.fixture
def lease(unreliable: UnreliableStore, clock: SetClock) -> ServerLease:
    return ServerLease(unreliable, "one", clock)


async def test_a_lease_stands_until_it_is_given_up(
    backend: ItemStore, clock: SetClock, lease: ServerLease
) -> None:
    assert await leases(backend) == []
    await lease.renew()
    other = ServerLease(backend, "other", clock)
    await other.renew()
    assert [each.server for each in await leases(backend)] == ["one", "other"]

    await lease.leave()
    assert await leases(backend) == [Lease("other", int(clock.now) + LEASE_SECONDS)]
    await lease.leave()


async def test_that_of_a_server_that_was_killed_ends_after_a_while(
    backend: ItemStore, clock: SetClock, lease: ServerLease
) -> None:
    await lease.renew()
    clock.now += LEASE_SECONDS - 1
    assert await leases(backend) != []
    await lease.renew()
    clock.now += LEASE_SECONDS - 1
    assert await leases(backend) != []
    clock.now += 1
    assert await leases(backend) == []


async def test_it_outlives_three_attempts_to_renew_it_that_fail(
    backend: ItemStore, clock: SetClock, unreliable: UnreliableStore, lease: ServerLease
) -> None:
    await lease.renew()
    unreliable.away = True
    for _ in range(3):
        clock.now += RENEW_SECONDS
        with refused(Code.unavailable):
            await lease.renew()
    assert await leases(backend) != []
    with refused(Code.unavailable):
        await lease.leave()


async def test_holding_it_writes_only_when_it_is_time(
    backend: ItemStore, clock: SetClock, lease: ServerLease
) -> None:
    await lease.hold()
    assert await leases(backend) != []
    await backend.delete(Delete("SERVERS", "one"))
    clock.now += RENEW_SECONDS - 1
    await lease.hold()
    assert await leases(backend) == []
    clock.now += 1
    await lease.hold()
    assert await leases(backend) != []


async def test_a_clock_that_was_set_back_keeps_nobody_from_holding_it(
    backend: ItemStore, clock: SetClock, lease: ServerLease
) -> None:
    await lease.hold()
    clock.now -= 86_400
    await lease.hold()
    clock.now += LEASE_SECONDS - 1
    assert await leases(backend) != []
    clock.now += 1
    assert await leases(backend) == [], "it ends by the clock as it is now"


async def test_many_servers_are_all_found(backend: ItemStore, clock: SetClock) -> None:
    for number in range(120):
        await ServerLease(backend, f"s{number:03}", clock).renew()
    assert len(await leases(backend)) == 120
