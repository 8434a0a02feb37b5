"""Tenants and their members."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from artcafe.server.domain.access import Action, require
from artcafe.server.domain.ids import TenantId, UserId, slug, tenant_id
from artcafe.server.domain.plan import plan_named
from artcafe.server.domain.principal import Human, User
from artcafe.server.domain.revocation import TOPIC, Revocation
from artcafe.server.domain.tenant import Member, Role, Tenant
from artcafe.server.ports import Accounts, Clock, Control, MemberRecords, TenantRecords
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.times import rfc3339


class Tenants:
    """Make, change and delete tenants; let users in; keep the bus in step with the store."""

    def __init__(
        self,
        *,
        records: TenantRecords,
        members: MemberRecords,
        accounts: Accounts,
        control: Control,
        clock: Clock,
        new_id: Callable[[], str],
        default_tier: str,
    ) -> None:
        self._records = records
        self._members = members
        self._accounts = accounts
        self._control = control
        self._clock = clock
        self._new_id = new_id
        self._default_tier = default_tier

    async def enter(self, user: User, wanted: str | None) -> Human:
        """The user as a member of a tenant: the wanted one, else the token's hint, else the only one.

        Raises forbidden when the user is no member of it (or it does not exist: the same words), and
        bad_request when the user has several tenants and named none.
        """
        wanted = wanted or user.hint
        if wanted is None:
            memberships = [member for member in await self._members.of_user(user.id) if member.active]
            if len(memberships) > 1:
                raise ArtcafeError(
                    Code.bad_request, "You belong to several tenants: name one in the x-tenant-id header."
                )
            member = memberships[0] if memberships else None
        else:
            member = await self._members.get(TenantId(wanted), user.id)
        if member is None or not member.active:
            raise ArtcafeError(Code.forbidden, "You are not a member of this tenant.")
        return Human(member.tenant, user.id, member.role, user.email)

    async def create(self, user: User, wanted: str | None, fields: Mapping[str, Any]) -> Tenant:
        """A new tenant, owned by the user. `wanted` is its id; else one is made from the name.

        The account is pushed before the record is stored: a tenant that exists can be connected to.
        Raises conflict when the id is taken, validation_failed for a bad id or tier.
        """
        at = rfc3339(self._clock.now())
        fields = {"subscription_tier": self._default_tier, **fields}
        _check_tier(fields["subscription_tier"])
        name = slug(fields["name"])
        identifier = tenant_id(wanted or name or self._new_id())
        if wanted is None and await self._records.get(identifier) is not None:
            identifier = tenant_id(f"{name}-{self._new_id()[-6:]}")
        tenant = Tenant(id=identifier, account=self._new_id(), created_at=at, updated_at=at, **fields)
        owner = Member(tenant=identifier, user=user.id, role=Role.owner, email=user.email, joined_at=at)
        await self._accounts.push(tenant)
        try:
            await self._records.create(tenant, owner)
        except ArtcafeError as error:
            # Where the outcome is unknown the account stays: a record without one could not connect,
            # and an account without a record is removed by the next reconciliation.
            if error.code is not Code.unavailable:
                await self._accounts.remove(tenant)
            raise
        return tenant

    async def get(self, human: Human) -> Tenant:
        """The tenant of a member. Raises not_found when it was deleted meanwhile."""
        require(human, Action.read)
        tenant = await self._records.get(human.tenant)
        if tenant is None:
            raise ArtcafeError(Code.not_found)
        return tenant

    async def of_user(self, user: User) -> list[Tenant]:
        """The tenants the user belongs to."""
        found = [await self._records.get(member.tenant) for member in await self._members.of_user(user.id)]
        return [tenant for tenant in found if tenant is not None]

    async def change(self, human: Human, fields: Mapping[str, Any]) -> Tenant:
        """Set some fields. Raises not_found, validation_failed for an unknown tier."""
        require(human, Action.change_tenant)
        if "subscription_tier" in fields:
            _check_tier(fields["subscription_tier"])
        at = rfc3339(self._clock.now())

        def edit(tenant: Tenant) -> Tenant:
            return msgspec.structs.replace(tenant, **fields, version=tenant.version + 1, updated_at=at)

        tenant = await self._records.change(human.tenant, edit)
        await self._accounts.push(tenant)
        return tenant

    async def delete(self, human: Human) -> None:
        """Delete the tenant, its account with its streams and everything stored; its connections end."""
        require(human, Action.delete_tenant)
        tenant = await self.get(human)
        told = msgspec.json.encode(Revocation(tenant.id))
        await self._control.tell(TOPIC, told)
        await self._accounts.remove(tenant)
        await self._records.delete(tenant.id)
        # Again, for who logged in while the record was still there.
        await self._control.tell(TOPIC, told)

    async def members(self, human: Human) -> list[Member]:
        """Everybody in the tenant."""
        require(human, Action.read)
        return await self._members.of_tenant(human.tenant)

    async def put_member(self, human: Human, user: UserId, role: Role, email: str) -> Member:
        """Add a member or change its role. Only an owner makes owners; the last owner stays one."""
        require(human, Action.manage_members)
        known = await self._members.get(human.tenant, user)
        if human.role is not Role.owner and (role is Role.owner or (known and known.role is Role.owner)):
            raise ArtcafeError(Code.forbidden, "Only an owner makes or changes an owner.")
        if known and known.role is Role.owner and role is not Role.owner:
            await self._require_other_owner(human.tenant, user)
        joined = known.joined_at if known else rfc3339(self._clock.now())
        email = email or (known.email if known else "")
        member = Member(tenant=human.tenant, user=user, role=role, email=email, joined_at=joined)
        await self._members.put(member)
        return member

    async def remove_member(self, human: Human, user: UserId) -> None:
        """Remove a member; the last owner stays. Raises not_found, conflict."""
        require(human, Action.manage_members)
        known = await self._members.get(human.tenant, user)
        if known is None:
            raise ArtcafeError(Code.not_found)
        if known.role is Role.owner:
            if human.role is not Role.owner:
                raise ArtcafeError(Code.forbidden, "Only an owner removes an owner.")
            await self._require_other_owner(human.tenant, user)
        await self._members.delete(human.tenant, user)

    async def _require_other_owner(self, tenant: TenantId, user: UserId) -> None:
        members = await self._members.of_tenant(tenant)
        if not any(member.role is Role.owner and member.user != user for member in members):
            raise ArtcafeError(Code.conflict, "A tenant keeps at least one owner.")

    async def admit(self, tenant: TenantId, user: User, role: Role) -> Member:
        """Make the user a member with exactly this role, on the word of the installation's operator.

        Raises not_found when there is no such tenant.
        """
        known = await self._members.get(tenant, user.id)
        if known is not None and known.role is role:
            return known
        at = rfc3339(self._clock.now())
        member = Member(tenant=tenant, user=user.id, role=role, email=user.email, joined_at=at)
        await self._members.put(member)
        return member

    async def reconcile(self) -> int:
        """Make the bus agree with the store, at start-up; how many accounts changed."""
        return await self._accounts.reconcile([tenant async for tenant in self._records.every()])


def _check_tier(tier: str) -> None:
    try:
        plan_named(tier)
    except KeyError:
        raise ArtcafeError(Code.validation_failed, "There is no such subscription tier.") from None
