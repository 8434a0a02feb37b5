"""Members of a tenant: who is let in by whom, and that an owner stays."""

import pytest
from msgspec.structs import replace

from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.domain.principal import Human, User
from artcafe.server.domain.tenant import Member, Role
from artcafe.server.domain.version import tag
from artcafe.wire.codes import Code
from tests.kit.installation import ACME, Installation, acting
from tests.kit.outcomes import race, refused

OLIVIA = User(UserId("olivia"), "olivia@example.com")
PAUL = User(UserId("paul"), "paul@example.com")

BELOW_ADMIN = [Role.viewer, Role.member]
BELOW_OWNER = [*BELOW_ADMIN, Role.admin]


async def roles(installation: Installation, human: Human) -> dict[str, Role]:
    return {member.user: member.role for member in await installation.process.tenants.members(human)}


class TestMembers:
    async def test_a_member_is_added_listed_changed_and_removed(
        self, installation: Installation, olivia: Human
    ) -> None:
        tenants = installation.process.tenants

        added = await tenants.put_member(olivia, PAUL.id, Role.member, PAUL.email)
        installation.clock.advance(60)
        changed = await tenants.put_member(olivia, PAUL.id, Role.viewer, "")

        assert added == Member(
            tenant=ACME,
            user=PAUL.id,
            role=Role.member,
            email=PAUL.email,
            joined_at="2025-11-24T16:00:00.000Z",
        )
        assert changed == replace(added, role=Role.viewer, version=2)
        assert {member.user for member in await tenants.members(olivia)} == {OLIVIA.id, PAUL.id}

        await tenants.remove_member(olivia, PAUL.id)

        with refused(Code.forbidden):
            await tenants.enter(PAUL, ACME)
        with refused(Code.not_found):
            await tenants.remove_member(olivia, PAUL.id)

    @pytest.mark.parametrize("role", BELOW_ADMIN)
    async def test_only_admins_and_owners_manage_members(
        self, installation: Installation, olivia: Human, role: Role
    ) -> None:
        with refused(Code.forbidden):
            await installation.process.tenants.put_member(acting(olivia, role), PAUL.id, Role.viewer, "")
        await installation.process.tenants.put_member(olivia, PAUL.id, Role.viewer, "")
        with refused(Code.forbidden):
            await installation.process.tenants.remove_member(acting(olivia, role), PAUL.id)
        assert await roles(installation, olivia) == {"olivia": Role.owner, "paul": Role.viewer}

    async def test_an_admin_makes_changes_and_removes_no_owner(
        self, installation: Installation, olivia: Human
    ) -> None:
        tenants = installation.process.tenants
        admin = acting(olivia, Role.admin)
        await tenants.put_member(olivia, PAUL.id, Role.owner, "")

        with refused(Code.forbidden):
            await tenants.put_member(admin, UserId("nina"), Role.owner, "")
        with refused(Code.forbidden):
            await tenants.put_member(admin, PAUL.id, Role.viewer, "")
        with refused(Code.forbidden):
            await tenants.remove_member(admin, PAUL.id)

        roles = {member.user: member.role for member in await tenants.members(olivia)}
        assert roles == {OLIVIA.id: Role.owner, PAUL.id: Role.owner}

    async def test_the_last_owner_stays(self, installation: Installation, olivia: Human) -> None:
        tenants = installation.process.tenants
        await tenants.put_member(olivia, PAUL.id, Role.admin, "")

        with refused(Code.conflict):
            await tenants.remove_member(olivia, OLIVIA.id)
        with refused(Code.conflict):
            await tenants.put_member(olivia, OLIVIA.id, Role.admin, "")

        await tenants.put_member(olivia, PAUL.id, Role.owner, "")
        await tenants.remove_member(olivia, OLIVIA.id)
        assert [member.user for member in await tenants.members(olivia)] == [PAUL.id]

    async def test_the_operator_admits_anybody_in_exactly_one_role(
        self, installation: Installation, olivia: Human
    ) -> None:
        tenants = installation.process.tenants

        await tenants.admit(ACME, PAUL, Role.viewer)
        assert (await tenants.enter(PAUL, ACME)).role is Role.viewer
        await tenants.admit(ACME, PAUL, Role.owner)
        assert (await tenants.enter(PAUL, ACME)).role is Role.owner
        with refused(Code.not_found):
            await tenants.admit(TenantId("nowhere"), PAUL, Role.owner)

    @pytest.mark.parametrize("role", BELOW_OWNER)
    async def test_everybody_may_leave(self, installation: Installation, olivia: Human, role: Role) -> None:
        tenants = installation.process.tenants
        await tenants.put_member(olivia, PAUL.id, role, "")

        await tenants.remove_member(await tenants.enter(PAUL, ACME), PAUL.id)

        assert await roles(installation, olivia) == {"olivia": Role.owner}
        with refused(Code.forbidden):
            await tenants.enter(PAUL, ACME)

    async def test_an_owner_leaves_when_another_stays(
        self, installation: Installation, olivia: Human
    ) -> None:
        tenants = installation.process.tenants
        await tenants.put_member(olivia, PAUL.id, Role.owner, "")
        paul = await tenants.enter(PAUL, ACME)

        await tenants.remove_member(paul, PAUL.id)
        with refused(Code.conflict):
            await tenants.remove_member(olivia, OLIVIA.id)

        assert await roles(installation, olivia) == {"olivia": Role.owner}

    async def test_two_owners_who_demote_each_other_leave_one(
        self, installation: Installation, olivia: Human
    ) -> None:
        tenants = installation.process.tenants
        await tenants.put_member(olivia, PAUL.id, Role.owner, "")
        paul = await tenants.enter(PAUL, ACME)

        outcomes = await race(
            tenants.put_member(olivia, PAUL.id, Role.viewer, ""),
            tenants.put_member(paul, OLIVIA.id, Role.viewer, ""),
        )

        assert outcomes.count(Code.conflict) == 1
        assert sorted((await roles(installation, olivia)).values()) == [Role.owner, Role.viewer]

    async def test_one_is_read_and_each_change_makes_it_another_version(
        self, installation: Installation, olivia: Human
    ) -> None:
        tenants = installation.process.tenants
        first = await tenants.put_member(olivia, PAUL.id, Role.member, "old@example.com")
        assert await tenants.member(acting(olivia, Role.viewer), PAUL.id) == first

        second = await tenants.put_member(olivia, PAUL.id, Role.admin, "new@example.com", tag(first))

        assert (second.version, second.role, second.email) == (2, Role.admin, "new@example.com")
        with refused(Code.precondition_failed):
            await tenants.put_member(olivia, PAUL.id, Role.viewer, "", tag(first))
        with refused(Code.precondition_failed):
            await tenants.remove_member(olivia, PAUL.id, tag(first))
        assert await tenants.member(olivia, PAUL.id) == second
        await tenants.remove_member(olivia, PAUL.id, tag(second))
        with refused(Code.not_found):
            await tenants.member(olivia, PAUL.id)

    async def test_a_version_of_nobody_makes_nobody_a_member(
        self, installation: Installation, olivia: Human
    ) -> None:
        for version in ('"1-00000000"', "*"):
            with refused(Code.precondition_failed):
                await installation.process.tenants.put_member(olivia, PAUL.id, Role.viewer, "", version)

        assert await roles(installation, olivia) == {"olivia": Role.owner}
