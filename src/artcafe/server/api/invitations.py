"""Invitations over REST."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from artcafe.server.api.admission import AdmittingRoute
from artcafe.server.api.deps import Cases, NamedHuman, Resources, RoamingUser
from artcafe.server.api.etags import set_tag
from artcafe.server.api.fields import Body, Email, Integral, RoleName
from artcafe.server.api.members import MemberView
from artcafe.server.api.once import CreateOnce, Creation
from artcafe.server.api.pages import Limit, NextToken
from artcafe.server.api.unreadable import tell_unreadable
from artcafe.server.domain.ids import PATTERN
from artcafe.server.domain.invitation import MAX_DAYS, Invitation, InvitationToken
from artcafe.server.domain.tenant import Role
from artcafe.server.ports.answers import Keep

router = APIRouter(route_class=AdmittingRoute, prefix="/api/v1", tags=["invitations"])

_TOKEN = "acme.0f8fad5bd9cb469fa16570867728950e.p5sL3bq0uYk1hT8rJ2mXcV7wZ4nGdQ9eA6fKiOyBtRs"

InvitationId = Annotated[str, Field(pattern=PATTERN, examples=["0f8fad5bd9cb469fa16570867728950e"])]
Secret = Annotated[str, Field(min_length=1, max_length=256, examples=[_TOKEN])]


class NewInvitation(Body):
    """A new invitation. The email is a note for people: any bearer of the token is let in."""

    email: Email | None = None
    role: RoleName = Role.member
    expires_in_days: Annotated[int, Field(ge=1, le=MAX_DAYS), Integral] = 7


class InvitationView(BaseModel):
    """An open invitation."""

    id: InvitationId
    email: str | None
    role: Role
    created_by: str
    created_at: str
    expires_at: str

    @classmethod
    def of(cls, invitation: Invitation) -> "InvitationView":
        """An invitation as managers of members see it: without the digest."""
        return cls(
            id=invitation.id,
            email=invitation.email or None,
            role=invitation.role,
            created_by=invitation.created_by,
            created_at=invitation.created_at,
            expires_at=invitation.expires_at,
        )


class InvitationCreated(BaseModel):
    """The token opens the tenant once. It is shown here and never again."""

    invitation: InvitationView
    token: Secret
    success: bool = True


class InvitationList(BaseModel):
    """A page of open invitations; the end is reached when `next_token` is null."""

    invitations: list[InvitationView]
    next_token: str | None


class InvitationAcceptance(Body):
    """The token of an invitation."""

    token: Secret


class Joined(MemberView):
    """The member one became, and of which tenant."""

    tenant_id: str


@router.post("/tenants/{tenant_id}/invitations", status_code=201)
async def create_invitation(
    body: NewInvitation, cases: Cases, human: NamedHuman, once: CreateOnce
) -> InvitationCreated:
    """Invite a human into the tenant."""

    async def make(keep: Keep[tuple[Invitation, InvitationToken]]) -> tuple[Invitation, InvitationToken]:
        return await cases.invitations.create(human, body.role, body.email or "", body.expires_in_days, keep)

    async def view(made: tuple[Invitation, InvitationToken]) -> InvitationCreated:
        invitation, token = made
        return InvitationCreated(invitation=InvitationView.of(invitation), token=f"{token}")

    check = partial(cases.invitations.require, human, body.role)
    return await once(human, body, Creation(kind=InvitationCreated, check=check, make=make, view=view))


@router.get("/tenants/{tenant_id}/invitations")
async def list_invitations(
    cases: Cases,
    resources: Resources,
    human: NamedHuman,
    response: Response,
    limit: Limit = 50,
    next_token: NextToken = None,
) -> InvitationList:
    """List the open invitations, by id."""
    cursor = resources.pages.open(human.tenant, "invitations", next_token)
    page = await cases.invitations.list(human, limit, cursor)
    tell_unreadable(response, page)
    return InvitationList(
        invitations=[InvitationView.of(invitation) for invitation in page.items],
        next_token=resources.pages.seal(human.tenant, "invitations", page.cursor),
    )


@router.delete("/tenants/{tenant_id}/invitations/{invitation_id}", status_code=204)
async def delete_invitation(invitation_id: InvitationId, cases: Cases, human: NamedHuman) -> None:
    """Withdraw an invitation."""
    await cases.invitations.delete(human, invitation_id)


@router.post("/invitations/accept")
async def accept_invitation(
    body: InvitationAcceptance, cases: Cases, user: RoamingUser, response: Response
) -> Joined:
    """Become a member by an invitation's token."""
    member = await cases.invitations.accept(user, body.token)
    set_tag(response, member)
    return Joined(tenant_id=member.tenant, **MemberView.of(member).model_dump())
