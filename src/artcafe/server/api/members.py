"""Members of a tenant over REST."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from artcafe.server.api.admission import AdmittingRoute
from artcafe.server.api.deps import Cases, NamedHuman
from artcafe.server.api.etags import IfMatch, set_tag
from artcafe.server.api.fields import Body, Email, RoleName
from artcafe.server.api.once import CreateOnce, Creation
from artcafe.server.domain.ids import USER_PATTERN, UserId
from artcafe.server.domain.tenant import Member, Role
from artcafe.server.ports.answers import Keep

router = APIRouter(route_class=AdmittingRoute, prefix="/api/v1/tenants/{tenant_id}/members", tags=["members"])

User = Annotated[str, Field(min_length=1, max_length=255, pattern=USER_PATTERN)]
"""A subject at the issuer: 255 ASCII characters at most (OpenID Connect Core section 2). In a
path it is percent-encoded, slashes too."""


class MemberFields(Body):
    """A member's role; without an email the one that is known stays."""

    role: RoleName
    email: Email | None = None


class NewMember(MemberFields):
    """A user to add, by its subject at the issuer. One that is a member already changes."""

    user_id: User
    role: RoleName = Role.member


class MemberView(BaseModel):
    """A human in a tenant."""

    user_id: str
    email: str
    role: Role
    joined_date: str
    active: bool

    @classmethod
    def of(cls, member: Member) -> "MemberView":
        """A member as members see it."""
        return cls(
            user_id=member.user,
            email=member.email,
            role=member.role,
            joined_date=member.joined_at,
            active=member.active,
        )


@router.get("")
async def list_members(cases: Cases, human: NamedHuman) -> list[MemberView]:
    """List everybody in the tenant."""
    return [MemberView.of(member) for member in await cases.tenants.members(human)]


@router.post("")
async def add_member(
    body: NewMember, cases: Cases, human: NamedHuman, response: Response, once: CreateOnce
) -> MemberView:
    """Add a user to the tenant."""

    async def make(keep: Keep[Member]) -> Member:
        return await cases.tenants.put_member(
            human, UserId(body.user_id), body.role, body.email or "", keep=keep
        )

    async def view(member: Member) -> MemberView:
        set_tag(response, member)
        return MemberView.of(member)

    check = partial(cases.tenants.require_managing, human, body.role)
    return await once(human, body, Creation(kind=MemberView, check=check, make=make, view=view))


@router.get("/{user_id}")
async def get_member(user_id: User, cases: Cases, human: NamedHuman, response: Response) -> MemberView:
    """Get one member."""
    member = await cases.tenants.member(human, UserId(user_id))
    set_tag(response, member)
    return MemberView.of(member)


@router.put("/{user_id}")
async def change_member(
    user_id: User,
    body: MemberFields,
    cases: Cases,
    human: NamedHuman,
    response: Response,
    if_match: IfMatch = None,
) -> MemberView:
    """Change a member's role."""
    member = await cases.tenants.put_member(human, UserId(user_id), body.role, body.email or "", if_match)
    set_tag(response, member)
    return MemberView.of(member)


@router.delete("/{user_id}", status_code=204)
async def remove_member(user_id: User, cases: Cases, human: NamedHuman, if_match: IfMatch = None) -> None:
    """Remove a member from the tenant; everybody may leave, but for the last owner."""
    await cases.tenants.remove_member(human, UserId(user_id), if_match)
