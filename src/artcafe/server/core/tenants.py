"""Tenants and their members."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from artcafe.server.domain.access import Action, require
from artcafe.server.domain.audit import OPERATOR, AuditWriter
from artcafe.server.domain.change import Change, Kind
from artcafe.server.domain.groups import Granted, Groups
from artcafe.server.domain.ids import TenantId, UserId, slug, tenant_id
from artcafe.server.domain.legal import Document, Documents, acceptances, check_whole
from artcafe.server.domain.listing import Page
from artcafe.server.domain.operators import Operators, TenantCreation
from artcafe.server.domain.plan import TIERS, check_tier, plan_named
from artcafe.server.domain.principal import Human, User
from artcafe.server.domain.tenant import Member, Role, Tenant, changed_member, require_served, taken
from artcafe.server.domain.version import require_match
from artcafe.server.ports.answers import Keep, keep_nothing
from artcafe.server.ports.bus import Accounts
from artcafe.server.ports.clock import Clock
from artcafe.server.ports.events import AccountChanged, AccountUnowned, Events
from artcafe.server.ports.records import Directory, MemberRecords, TenantIndex, TenantRecords
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.times import rfc3339

OPERATORS_FIELDS = frozenset({"subscription_tier", "status"})
"""Fields of a tenant that its members may send, as they read them, and only an operator sets."""

NO_MEMBER = "You are not a member of this tenant."
"""In the same words where there is no such tenant."""

Withdraw = Callable[[Human, UserId], Awaitable[None]]
"""Takes back the invitations that a member, or who was one, may not make any more; raises nothing."""


class Tenants:
    """Make, change and delete tenants; let users in."""

    def __init__(
        self,
        *,
        records: TenantRecords,
        index: TenantIndex,
        members: MemberRecords,
        directory: Directory,
        accounts: Accounts,
        events: Events,
        clock: Clock,
        new_id: Callable[[], str],
        default_tier: str,
        documents: Documents,
        groups: Groups,
        operators: Operators,
        creation: TenantCreation,
        withdraw: Withdraw,
    ) -> None:
        self._records = records
        self._index = index
        self._members = members
        self._directory = directory
        self._accounts = accounts
        self._events = events
        self._clock = clock
        self._new_id = new_id
        self._audit_writer = AuditWriter(clock.now, new_id)
        self._default_tier = default_tier
        self._documents = documents
        self._groups = groups
        self._operators = operators
        self._creation = creation
        self._withdraw = withdraw

    async def enter(self, user: User, wanted: str | None, *, even_suspended: bool = False) -> Human:
        """The user as a member of a tenant: the wanted one, else the token's hint, else the only one.

        Who is a member by the store and by a group of the token has the higher of the two roles; a stored
        membership that is not active keeps the user out, whatever a group says. Raises forbidden when the
        user is no member of it (or it does not exist: the same words), bad_request when the user has
        several tenants and named none, and suspended or deleting when the tenant is so, unless that is no
        hindrance.
        """
        wanted = wanted or user.hint
        if wanted is None:
            mine = await self._everywhere(user)
            if len(mine) > 1:  # Who has left one of two needs no header.
                mine = [human for human in mine if await self._directory.tenant(human.tenant) is not None]
            if len(mine) > 1:
                raise ArtcafeError(
                    Code.bad_request, "You belong to several tenants: name one in the x-tenant-id header."
                )
            human = mine[0] if mine else None
        else:
            human = await self._in(TenantId(wanted), user)
        if human is None:
            raise ArtcafeError(Code.forbidden, NO_MEMBER)
        if not even_suspended:
            tenant = await self._directory.tenant(human.tenant) or await self._records.get(human.tenant)
            if tenant is None:  # It was swept to the end since its membership was read.
                raise ArtcafeError(Code.forbidden, NO_MEMBER)
            require_served(tenant)
        return human

    async def _in(self, tenant: TenantId, user: User) -> Human | None:
        granted = self._groups.granted(user.groups).get(tenant)
        return await self._placed(tenant, user, await self._members.get(tenant, user.id), granted)

    async def _everywhere(self, user: User) -> list[Human]:
        """The user in each tenant it belongs to, by the tenants' ids."""
        stored = {member.tenant: member for member in await self._members.of_user(user.id)}
        granted = self._groups.granted(user.groups)
        mine = [
            await self._placed(tenant, user, stored.get(tenant), granted.get(tenant))
            for tenant in sorted(stored.keys() | granted.keys())
        ]
        return [human for human in mine if human is not None]

    async def _placed(
        self, tenant: TenantId, user: User, stored: Member | None, granted: Granted | None
    ) -> Human | None:
        """The user in a tenant, by the higher of two roles, or of one; None where neither lets it in."""
        if stored is not None and not stored.active:
            return None
        if stored is not None and (granted is None or not granted.exceeds(stored.role)):
            return _inside(tenant, user, stored.role)
        # A stored membership goes with its tenant; what a group says does not.
        if granted is None or (stored is None and await self._records.get(tenant) is None):
            return None
        return _inside(tenant, user, granted.role, granted.group)

    async def create(
        self,
        user: User,
        wanted: str | None,
        fields: Mapping[str, Any],
        versions: Mapping[Document, str] | None = None,
        keep: Keep[Tenant] = keep_nothing,
    ) -> Tenant:
        """A new tenant, owned by the user. `wanted` is its id; else one is made from the name.

        `versions` are of the operator's documents, which the user accepts. The account is pushed before
        the record is stored: a tenant that exists can be connected to. Raises conflict when the id is
        taken, validation_failed for a bad id or tier, or for versions that are not the current ones. Where
        the settings let operators alone make tenants it raises forbidden for others, and quota_exceeded for a
        user who made as many as one user may. An operator chooses the tier; of others it is read, and the
        tenant gets the installation's default.

        A tenant that groups are let into is made by whom a group makes its owner and by nobody else: the
        people of those groups would be members of a stranger's tenant. Raises forbidden. The operator listed
        it, so neither rule about who makes tenants holds for it.
        """
        versions = versions or {}
        check_whole(self._documents, versions)
        at = rfc3339(self._clock.now())
        check_tier(fields.get("subscription_tier", self._default_tier))
        operates = self._operators.include(user)
        fields = {"subscription_tier": self._default_tier, **(fields if operates else _of_tenants(fields))}
        name = slug(fields["name"])
        identifier = tenant_id(wanted or name or self._new_id())
        most = None if operates or identifier in self._groups.tenants else await self._most(user)
        set_aside = self._is_set_aside(identifier, user)
        if wanted is None and (set_aside or await self._records.get(identifier) is not None):
            identifier = tenant_id(f"{name}-{self._new_id()[-6:]}")
        elif set_aside and not operates:
            raise ArtcafeError(Code.forbidden, "This id is set aside by the operator of the platform.")
        elif (known := await self._records.get(identifier)) is not None:  # Nothing is made on the bus yet.
            raise taken(known)
        tenant = Tenant(
            id=identifier,
            account=self._new_id(),
            created_at=at,
            updated_at=at,
            created_by=user.id,
            **fields,
        )
        owner = Member(tenant=identifier, user=user.id, role=Role.owner, email=user.email, joined_at=at)
        human = _inside(identifier, user, owner.role)
        done = self._audit_writer.entry(human, "tenant.create", identifier, fields)
        kept = await keep(tenant)
        await self._accounts.push(tenant)
        try:
            await self._records.create(tenant, owner, done, acceptances(versions, human, at=at), most, kept)
        except ArtcafeError as error:
            # Where the outcome is unknown the account stays: a record without one could not connect,
            # and an account without a record is removed by the next reconciliation.
            if error.code is not Code.unavailable:
                await self._events.tell(AccountUnowned(tenant))
            raise
        await self._events.tell(Change(identifier, Kind.tenant, identifier))
        return tenant

    def require_making(self, user: User) -> None:
        """Raises forbidden for who may make no tenant at all."""
        granted = self._groups.granted(user.groups).values()
        if not self._operators.include(user) and all(each.role is not Role.owner for each in granted):
            self._require_anybody()

    async def get(self, human: Human) -> Tenant:
        """The tenant of a member. Raises not_found when it was deleted meanwhile."""
        require(human, Action.read)
        tenant = await self._records.get(human.tenant)
        if tenant is None:
            raise ArtcafeError(Code.not_found)
        return tenant

    async def space(self, human: Human) -> int:
        """How many bytes the tenant's agents and channels take."""
        require(human, Action.read)
        return await self._records.space(human.tenant)

    async def of_user(self, user: User) -> Page[Tenant]:
        """The tenants the user belongs to, those that groups of the token make it a member of among them."""
        found, unreadable = [], []
        for human in await self._everywhere(user):
            try:
                tenant = await self._records.get(human.tenant)
            except ArtcafeError as error:
                if error.code is not Code.unreadable_record:
                    raise
                unreadable.append(human.tenant)
            else:
                found += [tenant] if tenant is not None else []
        return Page(found, None, tuple(unreadable))

    async def change(self, human: Human, fields: Mapping[str, Any], if_match: str | None = None) -> Tenant:
        """Set some fields. Raises not_found, precondition_failed, validation_failed for an unknown tier.

        Tier and status may be named as they are; another one raises forbidden, unless an operator sets it.
        """
        require(human, Action.change_tenant)
        wanted = fields if self._operators.include(human) else _of_tenants(fields)
        done = self._audit_writer.entry(human, "tenant.update", human.tenant, wanted)

        def edit(tenant: Tenant) -> Tenant:
            require_match(tenant, if_match)
            tier = fields.get("subscription_tier", tenant.subscription_tier)
            if tier != tenant.subscription_tier:
                check_tier(tier)
            if wanted is not fields:
                _check_kept(tenant, fields)
            return msgspec.structs.replace(tenant, **wanted, version=tenant.version + 1, updated_at=done.at)

        tenant = await self._records.change(human.tenant, edit, done)
        # Of all other fields the account says nothing.
        account = [] if OPERATORS_FIELDS.isdisjoint(wanted) else [AccountChanged(tenant)]
        await self._events.tell(Change(tenant.id, Kind.tenant, tenant.id), *account)
        return tenant

    async def members(self, human: Human) -> list[Member]:
        """Everybody whose membership is stored; who is in a group is known to the issuer."""
        require(human, Action.read)
        return await self._members.of_tenant(human.tenant)

    async def member(self, human: Human, user: UserId) -> Member:
        """One of them. Raises not_found."""
        require(human, Action.read)
        member = await self._members.get(human.tenant, user)
        if member is None:
            raise ArtcafeError(Code.not_found)
        return member

    def require_managing(self, human: Human, *roles: Role) -> None:
        """Raises forbidden for who may not make members of these roles, or change them: owners are made and
        changed by owners alone."""
        require(human, Action.manage_members)
        if human.role is not Role.owner and Role.owner in roles:
            raise ArtcafeError(Code.forbidden, "Only an owner makes or changes an owner.")

    async def put_member(
        self,
        human: Human,
        user: UserId,
        role: Role,
        email: str,
        if_match: str | None = None,
        keep: Keep[Member] = keep_nothing,
    ) -> Member:
        """Add a member or change its role; without an email the one that is known stays.

        Only an owner makes or changes owners. Invitations that the member may not make any more go. Raises
        conflict when no owner would be left, precondition_failed.
        """
        require(human, Action.manage_members)
        done = self._audit_writer.entry(human, "member.put", user, ["role", "email"] if email else ["role"])

        def edit(known: Member | None) -> Member:
            self.require_managing(human, role, *([known.role] if known else []))
            if known is not None:
                require_match(known, if_match)
                return changed_member(known, role, email)
            if if_match is not None:
                raise ArtcafeError(Code.precondition_failed, "There is no such member.")
            return Member(tenant=human.tenant, user=user, role=role, email=email, joined_at=done.at)

        member = await self._members.put(human.tenant, user, edit, done, keep)
        await self._events.tell(Change(human.tenant, Kind.member, user))
        if member.version > 1:
            await self._withdraw(human, user)
        return member

    async def remove_member(self, human: Human, user: UserId, if_match: str | None = None) -> None:
        """Remove a member, and its invitations; everybody may leave. Only an owner removes owners.

        Raises not_found, precondition_failed, and conflict for the last owner.
        """
        if user != human.user:
            require(human, Action.manage_members)

        def check(known: Member) -> None:
            if known.role is Role.owner and human.role is not Role.owner and user != human.user:
                raise ArtcafeError(Code.forbidden, "Only an owner removes an owner.")
            require_match(known, if_match)

        await self._members.delete(
            human.tenant, user, check, self._audit_writer.entry(human, "member.remove", user)
        )
        await self._events.tell(Change(human.tenant, Kind.member, user))
        await self._withdraw(human, user)

    async def admit(self, tenant: TenantId, user: User, role: Role) -> Member:
        """Make the user a member with exactly this role, on the word of the installation's operator.

        Raises not_found when there is no such tenant.
        """
        known = await self._members.get(tenant, user.id)
        if known is not None and known.role is role:
            return known
        acting = Human(tenant, UserId(OPERATOR), Role.owner)
        return await self.put_member(acting, user.id, role, user.email)

    async def addressed(self, tenant: TenantId, email: str) -> User:
        """The member with this address, great and small letters alike, on the word of who owns the machine.

        Raises not_found where nobody has it, or an operator: what members write about each other hands out no
        operator's rights. Raises conflict where several have it.
        """
        members = await self._members.of_tenant(tenant)
        found = [
            User(member.user, member.email, tenant)
            for member in members
            if member.active and member.email.casefold() == email.casefold()
        ]
        found = [user for user in found if not self._operators.include(user)]
        if not found:
            raise ArtcafeError(Code.not_found, "No member of this tenant has this address.")
        if len(found) > 1:
            raise ArtcafeError(Code.conflict, "Several members of this tenant have this address.")
        return found[0]

    def _require_anybody(self) -> None:
        if not self._creation.anybody:
            raise ArtcafeError(Code.forbidden, "Only an operator of the platform makes tenants here.")

    async def _most(self, user: User) -> int:
        """How many tenants the user may have made, with one more. Raises forbidden, quota_exceeded."""
        self._require_anybody()
        most = self._creation.most
        # Asked once more, exactly, when the tenant is stored; before that nothing is made on the bus.
        if await self._index.made_by(user.id) >= most:
            raise ArtcafeError(Code.quota_exceeded, f"One user may make {most} tenants; you did.")
        return most

    def _is_set_aside(self, tenant: TenantId, user: User) -> bool:
        granted = self._groups.granted(user.groups).get(tenant)
        return tenant in self._groups.tenants and (granted is None or granted.role is not Role.owner)


def _inside(tenant: TenantId, user: User, role: Role, group: str = "") -> Human:
    return Human(tenant, user.id, role, user.email, user.remote, user.request, user.groups, group)


def _of_tenants(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that a tenant sets for itself."""
    return {name: value for name, value in fields.items() if name not in OPERATORS_FIELDS}


def _check_kept(tenant: Tenant, fields: Mapping[str, Any]) -> None:
    """Raises forbidden where a field of the operator's is named with another value than the tenant has."""
    before, tier = tenant.subscription_tier, fields.get("subscription_tier", tenant.subscription_tier)
    if tier != before and (before not in TIERS or plan_named(tier) != plan_named(before)):
        raise ArtcafeError(Code.forbidden, "The subscription tier is set by the operator of the platform.")
    if fields.get("status", tenant.status) != tenant.status:
        raise ArtcafeError(Code.forbidden, "The status is set by the operator of the platform.")
