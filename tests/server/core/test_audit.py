"""The audit: who reads it, in which order, and what its filters leave."""

import pytest

from artcafe.server.domain.audit import AuditEntry
from artcafe.server.domain.ids import UserId
from artcafe.server.domain.legal import Document, Edition
from artcafe.server.domain.principal import Human
from artcafe.server.domain.tenant import Role
from artcafe.wire.codes import Code
from tests.kit.installation import OTHER, Installation, acting
from tests.kit.outcomes import outcome, refused


@pytest.fixture
async def busy(installation: Installation, olivia: Human) -> Human:
    """Olivia, in whose tenant things were changed by several."""
    paul = Human(olivia.tenant, UserId("paul"), Role.admin, "paul@example.com", "192.0.2.7", "r-7")
    for human, user in ((olivia, "ann"), (paul, "bob"), (paul, "ann")):
        installation.clock.advance(1)
        await installation.process.tenants.put_member(human, UserId(user), Role.member, "")
    installation.clock.advance(1)
    await installation.process.tenants.change(paul, {"name": "New", "description": "secret plans"})
    return olivia


async def read(installation: Installation, human: Human, **filters: str) -> list[tuple[str, str, str]]:
    page = await installation.process.audit.list(human, 50, None, **filters)
    return [(entry.actor, entry.action, entry.target) for entry in page.items]


async def test_it_has_every_change_the_newest_first(installation: Installation, busy: Human) -> None:
    assert await read(installation, busy) == [
        ("paul", "tenant.update", "acme"),
        ("paul", "member.put", "ann"),
        ("paul", "member.put", "bob"),
        ("olivia", "member.put", "ann"),
        ("olivia", "tenant.create", "acme"),
    ]


async def test_an_entry_says_who_and_what_but_no_value(installation: Installation, busy: Human) -> None:
    [latest] = (await installation.process.audit.list(busy, 1, None)).items

    assert latest == AuditEntry(
        id=latest.id,
        tenant=busy.tenant,
        at="2025-11-24T16:00:04.000Z",
        actor="paul",
        email="paul@example.com",
        action="tenant.update",
        target="acme",
        fields=["description", "name"],
        remote="192.0.2.7",
        request="r-7",
    )


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        ({"actor": "paul"}, [0, 1, 2]),
        ({"action": "member.put"}, [1, 2, 3]),
        ({"target": "ann"}, [1, 3]),
        ({"actor": "paul", "action": "member.put", "target": "ann"}, [1]),
        ({"actor": "pau"}, []),
        ({"target": ""}, []),
    ],
    ids=str,
)
async def test_filters_leave_what_fits_all_of_them(
    installation: Installation, busy: Human, filters: dict[str, str], left: list[int]
) -> None:
    everything = await read(installation, busy)

    assert await read(installation, busy, **filters) == [everything[index] for index in left]


async def test_pages_go_on_where_they_ended(installation: Installation, busy: Human) -> None:
    found: list[str] = []
    cursor = None
    while True:
        page = await installation.process.audit.list(busy, 2, cursor, actor="olivia")
        assert len(page.items) <= 2
        found += [entry.action for entry in page.items]
        cursor = page.cursor
        if cursor is None:
            break

    assert found == ["member.put", "tenant.create"]
    with refused(Code.bad_request):
        await installation.process.audit.list(busy, 2, "no cursor")


@pytest.mark.parametrize("role", [Role.viewer, Role.member])
async def test_it_is_for_admins_and_owners(installation: Installation, busy: Human, role: Role) -> None:
    with refused(Code.forbidden):
        await installation.process.audit.list(acting(busy, role), 10, None)

    assert len(await read(installation, acting(busy, Role.admin))) == 5


async def test_nobody_sees_another_tenants(installation: Installation, busy: Human) -> None:
    nina = await installation.make_tenant(OTHER, "nina")

    assert await read(installation, nina) == [("nina", "tenant.create", OTHER)]


async def test_a_change_that_the_store_did_not_take_leaves_no_entry(
    installation: Installation, busy: Human
) -> None:
    before = await read(installation, busy)
    installation.store.writes_left = 0
    tenants, invitations, legal = (
        installation.process.tenants,
        installation.process.invitations,
        installation.process.legal,
    )
    installation.documents[Document.terms] = Edition("v1")
    for work in (
        tenants.change(busy, {"name": "x"}),
        tenants.put_member(busy, UserId("zoe"), Role.viewer, ""),
        tenants.remove_member(busy, UserId("ann")),
        invitations.create(busy, Role.viewer, "", 1),
        legal.accept(busy, {Document.terms: "v1"}),
    ):
        assert await outcome(work) is Code.unavailable
    installation.store.heal()

    assert await read(installation, busy) == before
    assert (await tenants.get(busy)).name == "New"
    assert [member.user for member in await tenants.members(busy)] == ["ann", "bob", "olivia"]
