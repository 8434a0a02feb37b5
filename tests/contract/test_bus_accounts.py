"""What any bus promises about links, accounts and control: one suite on memory and on a real nats-server."""

import asyncio
import time

import msgspec
import pytest

from artcafe.server.domain.installation import MOST_STRANGERS, Mark
from artcafe.server.ports.bus import Link, Reconciled
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.buses import BUFFER_BYTES, IDLE_SECONDS, Buses
from tests.kit.deadlines import PATIENCE, eventually
from tests.kit.inboxes import Got, collect, everything_sent
from tests.kit.nats import make_tenant


async def test_a_link_is_shared_and_counted(buses: Buses) -> None:
    tenant = await buses.tenant()
    links = await asyncio.gather(*(buses.bus.link(tenant) for _ in range(10)))
    assert len(set(map(id, links))) == 1
    for _ in range(10):
        buses.bus.release(tenant.id)
    with pytest.raises(ValueError, match="more often"):
        buses.bus.release(tenant.id)


async def test_an_idle_link_is_closed_and_a_held_one_is_not(buses: Buses) -> None:
    tenant = await buses.tenant()
    first = await buses.bus.link(tenant)
    await buses.bus.link(tenant)
    buses.bus.release(tenant.id)
    await asyncio.sleep(2 * IDLE_SECONDS)
    first.publish("m.a.x", b"still held")

    buses.bus.release(tenant.id)
    again = await buses.bus.link(tenant)
    assert again is first, "closed before it was idle for long enough"
    await asyncio.sleep(2 * IDLE_SECONDS)
    first.publish("m.a.x", b"held again")

    buses.bus.release(tenant.id)
    await eventually(lambda: refused(first))
    fresh = await buses.bus.link(tenant)
    got: Got = []
    await fresh.subscribe("m.>", collect(got))
    fresh.publish("m.a.x", b"new")
    await eventually(lambda: got == [("m.a.x", b"new")])


def refused(link: Link) -> bool:
    """Whether the link takes nothing."""
    try:
        link.publish("m.a.nobody", b"")
    except ArtcafeError as error:
        return error.code is Code.unavailable
    return False


async def back(link: Link) -> None:
    """Wait until the link is there again; how long it pauses before that grows with each attempt."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            await link.flush()
        except ArtcafeError:
            assert time.monotonic() < deadline, "it does not come back"
            await asyncio.sleep(0.02)
        else:
            return


async def away(link: Link) -> None:
    """Wait until the link has noticed that its account is gone."""
    deadline = asyncio.get_running_loop().time() + 5
    while asyncio.get_running_loop().time() < deadline:
        try:
            await link.flush()
        except ArtcafeError as error:
            if error.code is Code.unavailable:
                return
    pytest.fail("the link still answers")


async def test_a_dropped_link_takes_and_delivers_nothing(buses: Buses) -> None:
    tenant = await buses.tenant()
    ours = await buses.bus.link(tenant)
    got: Got = []
    subscription = await ours.subscribe("m.>", collect(got))
    ours.publish("m.a.x", b"before")
    await eventually(lambda: got)

    await buses.bus.drop(tenant.id)
    with pytest.raises(ArtcafeError) as publish:
        ours.publish("m.a.x", b"after")
    with pytest.raises(ArtcafeError) as flush:
        await ours.flush()
    with pytest.raises(ArtcafeError) as subscribe:
        await ours.subscribe("m.>", collect(got))
    assert {error.value.code for error in (publish, flush, subscribe)} == {Code.unavailable}
    await subscription.close()
    await buses.bus.drop(tenant.id)

    # Suspended and active again: a fresh link, while the first holder has not let go of the old one.
    fresh = await buses.bus.link(tenant)
    assert fresh is not ours
    buses.bus.release(tenant.id)
    await asyncio.sleep(2 * IDLE_SECONDS)
    fresh.publish("m.a.x", b"after")
    await fresh.flush()
    assert got == [("m.a.x", b"before")]


async def test_a_tenant_without_an_account_gets_no_link(buses: Buses) -> None:
    tenant = make_tenant("nobody")
    with pytest.raises(ArtcafeError) as refusal:
        await buses.bus.link(tenant)
    assert refusal.value.code is Code.unavailable
    with pytest.raises(ValueError, match="more often"):
        buses.bus.release(tenant.id)

    await buses.accounts.push(tenant)
    await (await buses.bus.link(tenant)).flush()


async def test_a_removed_account_is_unavailable_until_it_is_back(buses: Buses) -> None:
    tenant = await buses.tenant()
    link = await buses.bus.link(tenant)
    got: Got = []
    await link.subscribe("m.>", collect(got))
    await link.flush()

    await buses.accounts.remove(tenant)
    await away(link)
    for number in range(3):
        link.publish("m.a.x", b"%d" % number)

    await buses.accounts.push(tenant)
    await eventually(lambda: len(got) == 3)
    assert [payload for _, payload in got] == [b"0", b"1", b"2"]
    await back(link)


async def test_the_account_of_a_suspended_tenant_takes_no_link_until_it_is_resumed(buses: Buses) -> None:
    tenant = await buses.tenant()
    link = await buses.bus.link(tenant)
    await link.flush()
    suspended = msgspec.structs.replace(tenant, status="suspended")

    await buses.accounts.push(suspended)
    await away(link)
    await buses.bus.drop(tenant.id)
    with pytest.raises(ArtcafeError) as refusal:
        await buses.bus.link(tenant)
    assert refusal.value.code is Code.unavailable
    await buses.accounts.reconcile([suspended])
    assert await buses.accounts.reconcile([suspended]) == Reconciled()

    assert await buses.accounts.reconcile([tenant]) == Reconciled(pushed=1)
    await (await buses.bus.link(tenant)).flush()


async def test_removing_and_pushing_twice_is_allowed(buses: Buses) -> None:
    tenant = await buses.tenant()
    await buses.accounts.push(tenant)
    await buses.accounts.remove(tenant)
    await buses.accounts.remove(tenant)
    await buses.accounts.push(tenant)
    await (await buses.bus.link(tenant)).flush()


async def test_a_full_buffer_refuses_and_keeps_what_it_took(buses: Buses) -> None:
    tenant = await buses.tenant()
    link = await buses.bus.link(tenant)
    got: Got = []
    await link.subscribe("m.>", collect(got))
    await buses.accounts.remove(tenant)
    await away(link)

    sent: Got = []
    payload = b"x" * 10_000

    def fill() -> None:
        for number in range(1000):
            link.publish(f"m.a.n{number}", payload)
            sent.append((f"m.a.n{number}", payload))

    with pytest.raises(ArtcafeError) as refusal:
        fill()
    assert refusal.value.code is Code.unavailable
    assert BUFFER_BYTES - 11_000 < len(sent) * len(payload) <= BUFFER_BYTES

    await buses.accounts.push(tenant)
    await back(link)
    await everything_sent(link)
    assert got[: len(sent)] == sent
    link.publish("m.a.x", payload)


async def test_a_tenant_made_again_under_its_id_is_another_one(buses: Buses) -> None:
    first = await buses.tenant("acme")
    old = await buses.bus.link(first)
    got: Got = []
    await old.subscribe("m.>", collect(got))

    second = await buses.tenant("acme")
    new = await buses.bus.link(second)
    assert new is not old
    new.publish("m.a.x", b"the second's")
    await everything_sent(new)
    await everything_sent(old)
    assert [subject for subject, _ in got] == ["m.test.mark"]

    await buses.bus.drop(first.id)
    assert refused(old)
    assert refused(new)


async def test_reconcile_makes_the_bus_agree_with_the_store(buses: Buses) -> None:
    orphan = await buses.tenant("orphan")
    known = await buses.tenant("known")
    missing = make_tenant("missing")
    await buses.accounts.reconcile([known, orphan])
    assert await buses.accounts.reconcile([known, orphan]) == Reconciled()
    assert await buses.accounts.reconcile([known, missing]) == Reconciled(1, 1)
    assert await buses.accounts.reconcile([known, missing]) == Reconciled()
    await (await buses.bus.link(known)).flush()
    await (await buses.bus.link(missing)).flush()
    with pytest.raises(ArtcafeError) as refusal:
        await buses.bus.link(orphan)
    assert refusal.value.code is Code.unavailable


async def test_a_bus_keeps_the_mark_it_was_given(buses: Buses) -> None:
    await buses.marked.put_mark(Mark("one", 1))
    assert await buses.marked.mark() == Mark("one", 1)
    await buses.marked.put_mark(Mark("two", 9))
    assert await buses.marked.mark() == Mark("two", 9)
    known, stranger = await buses.tenant("known"), await buses.tenant("stranger")
    await buses.accounts.reconcile([known, stranger])
    assert (await buses.marked.survey([known])).strangers == 1
    assert (await buses.marked.survey([known, stranger])).strangers == 0
    assert await buses.marked.mark() == Mark("two", 9)


async def test_too_many_accounts_are_kept_unless_told(buses: Buses) -> None:
    await buses.accounts.reconcile([], many=True)
    for number in range(MOST_STRANGERS + 1):
        await buses.tenant(f"t{number}")
    assert await buses.accounts.reconcile([]) == Reconciled(kept=MOST_STRANGERS + 1)
    assert await buses.accounts.reconcile([], many=True) == Reconciled(removed=MOST_STRANGERS + 1)


async def test_no_account_is_removed_where_the_list_of_tenants_is_not_whole(buses: Buses) -> None:
    await buses.accounts.reconcile([], many=True)
    known, unread = await buses.tenant("known"), await buses.tenant("unread")
    assert await buses.accounts.reconcile([known], many=True, whole=False) == Reconciled(kept=1)
    await (await buses.bus.link(unread)).flush()
    assert await buses.accounts.reconcile([known]) == Reconciled(removed=1)


async def test_processes_hear_what_they_tell_each_other(buses: Buses) -> None:
    ours: Got = []
    theirs: Got = []
    subscription = await buses.control.hear("near_cache", collect(ours))
    await buses.other_control.hear("near_cache", collect(theirs))
    await buses.other_control.hear("other", collect(theirs))
    await buses.control.tell("near_cache", b"1")
    await buses.other_control.tell("near_cache", b"2")
    told = [("near_cache", b"1"), ("near_cache", b"2")]
    await eventually(lambda: len(theirs) == 2)
    await eventually(lambda: len(ours) == 2)
    assert sorted(ours) == told
    assert sorted(theirs) == told

    await subscription.close()
    await buses.control.tell("near_cache", b"3")
    await eventually(lambda: len(theirs) == 3)
    assert sorted(ours) == told


async def test_the_control_channel_is_no_tenants(buses: Buses) -> None:
    link = await buses.bus.link(await buses.tenant())
    heard: Got = []
    got: Got = []
    await buses.control.hear("topic", collect(heard))
    await link.subscribe("m.>", collect(got))
    link.publish("m.a.topic", b"a tenant's")
    await buses.control.tell("topic", b"ours")
    await eventually(lambda: heard and got)
    await everything_sent(link)
    assert heard == [("topic", b"ours")]
    assert [payload for _, payload in got if payload] == [b"a tenant's"]


async def test_the_bus_answers(buses: Buses) -> None:
    await buses.bus.ping()
    await buses.bus.ping()
