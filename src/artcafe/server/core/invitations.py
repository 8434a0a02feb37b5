"""Invitations: membership for a human whose subject is not known beforehand."""

from collections.abc import Callable

from artcafe.server.domain.access import LADDER, Action, may_invite, require
from artcafe.server.domain.audit import AuditEntry, AuditWriter
from artcafe.server.domain.change import Change, Kind
from artcafe.server.domain.groups import Groups
from artcafe.server.domain.ids import UserId
from artcafe.server.domain.invitation import SECRET_BYTES, Invitation, InvitationToken, new_token, read_token
from artcafe.server.domain.listing import Page
from artcafe.server.domain.principal import Human, User
from artcafe.server.domain.tenant import Member, Role, changed_member, require_served
from artcafe.server.ports.answers import Keep, keep_nothing
from artcafe.server.ports.clock import Clock
from artcafe.server.ports.events import Events
from artcafe.server.ports.records import Directory, InvitationRecords
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.times import rfc3339

_DAY = 86_400


class Invitations:
    """Invite, withdraw, accept. A token is shown once and good once; only its digest is stored.

    An invitation is good while its maker may still make it. Who made it by a group of a token is known to the
    issuer alone: such a one is good while the settings give that group the right.
    """

    def __init__(
        self,
        *,
        records: InvitationRecords,
        directory: Directory,
        events: Events,
        clock: Clock,
        new_id: Callable[[], str],
        random: Callable[[int], bytes],
        groups: Groups,
    ) -> None:
        self._records = records
        self._directory = directory
        self._events = events
        self._clock = clock
        self._new_id = new_id
        self._audit_writer = AuditWriter(clock.now, new_id)
        self._random = random
        self._groups = groups

    def require(self, human: Human, role: Role) -> None:
        """Raises forbidden for who may not invite into this role; only an owner invites owners."""
        require(human, Action.manage_members)
        if not may_invite(human.role, role):
            raise ArtcafeError(Code.forbidden, "Only an owner invites an owner.")

    async def create(
        self,
        human: Human,
        role: Role,
        email: str,
        days: int,
        keep: Keep[tuple[Invitation, InvitationToken]] = keep_nothing,
    ) -> tuple[Invitation, InvitationToken]:
        """A new invitation, and its token. Raises not_found, and what `require` raises."""
        self.require(human, role)
        now = int(self._clock.now())
        token = new_token(human.tenant, self._new_id(), self._random(SECRET_BYTES))
        invitation = Invitation(
            id=token.id,
            tenant=human.tenant,
            role=role,
            email=email,
            created_by=human.user,
            group=human.group,
            created_at=rfc3339(now),
            expires_at=rfc3339(now + days * _DAY),
            digest=token.digest,
        )
        done = self._audit_writer.entry(
            human, "invitation.create", token.id, ["role", "email"] if email else ["role"]
        )
        await self._records.create(invitation, done, await keep((invitation, token)))
        return invitation, token

    async def list(self, human: Human, limit: int, cursor: str | None) -> Page[Invitation]:
        """A page of the open invitations, by id."""
        require(human, Action.manage_members)
        return await self._records.list(human.tenant, limit, cursor)

    async def delete(self, human: Human, invitation: str) -> None:
        """Withdraw an invitation. Raises not_found."""
        require(human, Action.manage_members)
        done = self._audit_writer.entry(human, "invitation.delete", invitation)
        await self._records.delete(human.tenant, invitation, done)

    async def withdraw(self, human: Human, maker: UserId) -> None:
        """Withdraw what somebody made and may make no more, by the role that is stored now.

        Raises nothing, since the change of the member is stored: what stays listed is refused when brought.
        """

        def lost(invitation: Invitation, member: Member | None) -> AuditEntry | None:
            role = member.role if member else None
            if invitation.created_by != maker or self._stands(invitation, role):
                return None
            return self._audit_writer.entry(human, "invitation.withdraw", invitation.id)

        await self._records.withdraw(human.tenant, maker, lost)

    def _stands(self, invitation: Invitation, role: Role | None) -> bool:
        """Whether its maker, who has this stored role now or none, may still make it."""
        if invitation.group:
            granted = self._groups.granted([invitation.group]).get(invitation.tenant)
            role = None if granted is None else granted.role
        return role is not None and may_invite(role, invitation.role)

    async def accept(self, user: User, text: str) -> Member:
        """Become what the token's invitation says, once.

        A token that is unknown, used, expired or wrong, or whose maker may not make it any more, raises
        not_found in the same words; suspended when the tenant is, and conflict when the user is a member who
        may do as much already: then the invitation stays.
        """
        token = read_token(text)
        if token is None:
            raise ArtcafeError(Code.not_found)
        tenant = await self._directory.tenant(token.tenant)
        human = Human(token.tenant, user.id, Role.viewer, user.email, user.remote, user.request)
        done = self._audit_writer.entry(human, "invitation.accept", token.id)

        def join(invitation: Invitation, known: Member | None, maker: Member | None) -> Member:
            if not token.opens(invitation) or not self._stands(invitation, maker.role if maker else None):
                raise ArtcafeError(Code.not_found)
            require_served(tenant)
            role = invitation.role
            if known is None:
                return Member(
                    tenant=token.tenant, user=user.id, role=role, email=user.email, joined_at=done.at
                )
            if LADDER.index(role) <= LADDER.index(known.role):
                raise ArtcafeError(Code.conflict, f"You are a member already, as {known.role}.")
            return changed_member(known, role, user.email)

        member = await self._records.accept(token.tenant, token.id, user.id, join, done)
        await self._events.tell(Change(token.tenant, Kind.member, user.id))
        return member
