"""What operators do with tenants, and that nobody else does any of it."""

from typing import Any

from msgspec.structs import replace

from artcafe.server.core.operations import TenantChange
from artcafe.server.domain.change import TOPIC
from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.domain.listing import Query
from artcafe.server.domain.principal import Human, User
from artcafe.server.domain.tenant import Status
from artcafe.server.domain.version import tag
from artcafe.wire.codes import Code
from tests.kit.deadlines import eventually
from tests.kit.installation import ACME, OSCAR, OTHER, Installation
from tests.kit.outcomes import outcome, refused

OLIVIA = User(UserId("olivia"), "olivia@example.com")


async def test_who_is_no_operator_does_nothing(installation: Installation, olivia: Human) -> None:
    operations = installation.process.operations
    for attempt in (
        operations.list(OLIVIA, Query(limit=10)),
        operations.get(OLIVIA, ACME),
        operations.get(OLIVIA, TenantId("nowhere")),
        operations.change(OLIVIA, ACME, TenantChange(plan="growth")),
    ):
        with refused(Code.forbidden):
            await attempt

    assert (await installation.process.tenants.get(olivia)).subscription_tier == "enterprise"


async def test_the_list_has_every_tenant_page_by_page(installation: Installation, olivia: Human) -> None:
    await installation.make_tenant(OTHER, "nina")
    await installation.suspend(OTHER)
    operations = installation.process.operations

    first = await operations.list(OSCAR, Query(limit=1))
    second = await operations.list(OSCAR, Query(limit=1, cursor=first.cursor))

    assert [tenant.id for tenant in (*first.items, *second.items)] == [ACME, OTHER]
    suspended = await operations.list(OSCAR, Query(limit=10, keep=lambda tenant: tenant.suspended))
    assert [tenant.id for tenant in suspended.items] == [OTHER]


async def test_what_is_set_is_stored_and_what_is_left_out_stays(
    installation: Installation, olivia: Human
) -> None:
    first = await installation.operate(plan="pro", limits={"agents": 7, "channels": None})
    second = await installation.operate(limits={"connections": 0}, restored=frozenset({"channels", "agents"}))

    assert (first.subscription_tier, first.limits) == ("pro", {"agents": 7, "channels": None})
    assert (second.subscription_tier, second.limits) == ("pro", {"connections": 0})
    assert second.version == first.version + 1
    assert await installation.process.operations.get(OSCAR, ACME) == second


async def test_what_cannot_be_is_refused_and_changes_nothing(
    installation: Installation, olivia: Human
) -> None:
    operations = installation.process.operations
    before = await operations.get(OSCAR, ACME)

    for change in (
        TenantChange(plan="platinum"),
        TenantChange(limits={"agent": 1}),
        TenantChange(restored=frozenset({"agent"})),
        TenantChange(limits={"agents": -1}, status=Status.suspended),
    ):
        with refused(Code.validation_failed):
            await operations.change(OSCAR, ACME, change)
    with refused(Code.not_found):
        await operations.change(OSCAR, TenantId("nowhere"), TenantChange(plan="pro"))
    with refused(Code.precondition_failed):
        await operations.change(OSCAR, ACME, TenantChange(plan="pro"), tag(replace(before, version=9)))

    assert await operations.get(OSCAR, ACME) == before
    await operations.change(OSCAR, ACME, TenantChange(plan="pro"), tag(before))


async def test_each_is_in_the_tenants_audit_as_an_operators(
    installation: Installation, olivia: Human
) -> None:
    changes: list[dict[str, Any]] = [
        {"plan": "pro", "limits": {"agents": 7}, "restored": frozenset({"channels"})},
        {"status": Status.suspended},
        {"status": Status.active},
    ]
    for change in changes:
        installation.clock.advance(1)
        await installation.operate(**change)

    page = await installation.process.audit.list(olivia, 3, None)

    assert [(entry.action, entry.fields) for entry in reversed(page.items)] == [
        ("tenant.set", ["limits.agents", "limits.channels", "subscription_tier"]),
        ("tenant.suspend", ["status"]),
        ("tenant.resume", ["status"]),
    ]
    for entry in page.items:
        assert (entry.actor, entry.target, entry.operator) == ("oscar", ACME, True)
        assert (entry.email, entry.remote) == ("", ""), "the tenant reads this"


async def test_every_process_is_told_and_the_bus_takes_the_tenant_in_again_when_it_is_resumed(
    installation: Installation, olivia: Human
) -> None:
    told: list[bytes] = []
    await installation.bus.hear(TOPIC, lambda _, payload: told.append(payload))

    suspended = await installation.operate(status=Status.suspended)
    await eventually(lambda: len(told) == 1)
    assert await outcome(installation.bus.link(suspended)) is Code.unavailable

    resumed = await installation.operate(status=Status.active)
    await eventually(lambda: len(told) == 2)
    await installation.bus.link(resumed)
    installation.bus.release(ACME)
