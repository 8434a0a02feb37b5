"""Members by a group of their token: there while the token says so, and nowhere stored."""

import pytest
from msgspec.structs import replace

from artcafe.server.core.tenants import Tenants
from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.domain.principal import Human, User
from artcafe.server.domain.tenant import Role
from artcafe.server.store.members import MemberTable
from artcafe.server.store.table import Table
from artcafe.wire.codes import Code
from tests.kit.installation import ACME, OTHER, Installation
from tests.kit.outcomes import refused
from tests.kit.seats import seat

GROUPS = "staff=acme:viewer, ops=acme:admin, ops=acme-2:member, founders=acme-3:owner, staff=acme-3:member"
THIRD = TenantId("acme-3")


def ada(*groups: str, hint: str | None = None) -> User:
    """A user who is no member by the store, in these groups."""
    return User(UserId("ada"), "ada@example.com", hint, groups=frozenset(groups))


@pytest.fixture
async def other(installation: Installation) -> Human:
    """The owner of the tenant `acme-2`."""
    return await installation.make_tenant(OTHER, "nina")


@pytest.fixture
def tenants(installation: Installation, olivia: Human) -> Tenants:
    """The use cases, once the operator said what groups are; `acme` was there before."""
    installation.let_in(GROUPS)
    return installation.process.tenants


class TestEnter:
    async def test_a_group_makes_a_member(self, tenants: Tenants) -> None:
        human = await tenants.enter(ada("staff", "unknown"), ACME)

        assert (human.tenant, human.role, human.group) == (ACME, Role.viewer, "staff")

    async def test_the_only_tenant_needs_no_name(self, tenants: Tenants) -> None:
        assert (await tenants.enter(ada("ops"), None)).tenant == ACME, "acme-2 is not there"

    async def test_of_several_the_hint_picks(self, other: Human, tenants: Tenants) -> None:
        with refused(Code.bad_request):
            await tenants.enter(ada("ops"), None)
        assert (await tenants.enter(ada("ops", hint=OTHER), None)).role is Role.member

    async def test_the_group_that_goes_takes_the_membership_along(
        self, tenants: Tenants, olivia: Human
    ) -> None:
        await tenants.enter(ada("ops"), ACME)

        for groups in ((), ("OPS",), ("ops ",), ("acme",), ("acme:owner",), ("ops=acme:owner",)):
            with refused(Code.forbidden):
                await tenants.enter(ada(*groups), ACME)
        assert [member.user for member in await tenants.members(olivia)] == ["olivia"]

    async def test_nobody_comes_into_a_tenant_that_is_not(self, tenants: Tenants) -> None:
        for wanted in (THIRD, None):
            with refused(Code.forbidden):
                await tenants.enter(ada("founders"), wanted)

    @pytest.mark.parametrize(
        ("stored", "groups", "role", "group"),
        [
            (Role.member, ("staff",), Role.member, ""),
            (Role.viewer, ("staff",), Role.viewer, ""),
            (Role.member, ("ops",), Role.admin, "ops"),
            (Role.owner, ("ops", "staff"), Role.owner, ""),
            (Role.member, (), Role.member, ""),
        ],
    )
    async def test_the_higher_role_counts(
        self,
        tenants: Tenants,
        olivia: Human,
        stored: Role,
        groups: tuple[str, ...],
        role: Role,
        group: str,
    ) -> None:
        await tenants.put_member(olivia, UserId("ada"), stored, "")

        human = await tenants.enter(ada(*groups), ACME)

        assert (human.role, human.group) == (role, group)

    async def test_who_was_put_out_in_the_store_is_out(
        self, installation: Installation, tenants: Tenants, olivia: Human
    ) -> None:
        table = Table(installation.store)
        await tenants.put_member(olivia, UserId("ada"), Role.viewer, "")
        known = await MemberTable(table).get(ACME, UserId("ada"))
        assert known is not None
        await seat(table, replace(known, active=False))

        for wanted in (ACME, None):
            with refused(Code.forbidden):
                await tenants.enter(ada("ops"), wanted)
        assert (await tenants.of_user(ada("ops"))).items == []


class TestOfUser:
    async def test_stored_and_granted_ones_come_once_each(
        self, olivia: Human, other: Human, tenants: Tenants
    ) -> None:
        await tenants.put_member(olivia, UserId("ada"), Role.member, "")

        listed = await tenants.of_user(ada("ops", "founders"))

        assert [tenant.id for tenant in listed.items] == [ACME, OTHER]


class TestCreate:
    async def test_a_tenant_that_groups_are_let_into_is_made_by_whom_a_group_makes_its_owner(
        self, tenants: Tenants
    ) -> None:
        """Else the people of those groups would find themselves in a stranger's tenant."""
        for user in (ada(), ada("staff"), ada("ops")):
            with refused(Code.forbidden):
                await tenants.create(user, THIRD, {"name": "Acme"})

        made = await tenants.create(ada("founders"), THIRD, {"name": "Acme"})

        assert made.id == THIRD
        assert (await tenants.enter(ada(), THIRD)).role is Role.owner, "that is stored"

    async def test_a_name_does_not_become_an_id_that_is_set_aside(self, tenants: Tenants) -> None:
        made = await tenants.create(ada(), None, {"name": "Acme 3"})

        assert made.id.startswith("acme-3-")


class TestAudit:
    async def test_an_entry_names_the_group_that_made_the_actor_a_member(
        self, installation: Installation, tenants: Tenants, olivia: Human
    ) -> None:
        human = await tenants.enter(ada("ops"), ACME)
        await tenants.put_member(human, UserId("zoe"), Role.viewer, "")
        await tenants.put_member(olivia, UserId("zoe"), Role.member, "")

        page = await installation.process.audit.list(olivia, 2, None)

        assert {(entry.actor, entry.group) for entry in page.items} == {("ada", "ops"), ("olivia", "")}
