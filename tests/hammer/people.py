"""What is done about tenants and the people in them."""

from contextlib import suppress
from random import Random
from typing import Any

from artcafe.server.domain.tenant import Role
from artcafe.wire.errors import ArtcafeError
from tests.hammer.client import TENANTS, USERS, Client
from tests.hammer.model import Call, Outcome, Path

ROLES = tuple(Role)


async def make_tenant(client: Client, chance: Random) -> None:
    """Under one of few ids; seldom under one that is taken."""
    tenant, user = chance.choice(TENANTS), chance.choice(USERS)
    if client.exists(tenant) and chance.random() < 0.8:
        return
    await client.ask(
        "POST",
        "/tenants",
        user,
        tenant,
        action="tenant.create",
        effects={(tenant,): True, (tenant, "member", user): Role.owner},
        body={"id": tenant, "name": tenant},
    )


async def make_tenant_once(client: Client, chance: Random) -> None:
    """Under an id that is made from its name, and most times not for long."""
    user = chance.choice(USERS)

    async def ask(series: str) -> Call:
        call = await client.ask(
            "POST",
            "/tenants",
            user,
            series,
            action="tenant.create",
            effects={(series,): True, (series, "member", user): Role.owner},
            body={"name": series},
            series=series,
        )
        if call.status == 201:
            call.tenant = call.answer["tenant_id"]
            call.effects = {(call.tenant,): True, (call.tenant, "member", user): Role.owner}
        return call

    calls = await client.once(chance, ask)
    for tenant in sorted({call.tenant for call in calls if call.status == 201}):
        if chance.random() < 0.8:
            await end_tenant(client, user, tenant)


async def delete_tenant(client: Client, chance: Random) -> None:
    """By an owner."""
    tenant = client.place(chance)
    await end_tenant(client, client.who(chance, tenant, Role.owner), tenant)


async def end_tenant(client: Client, user: str, tenant: str) -> None:
    """Ask for its end."""
    effects: dict[Path, Any] = {(tenant,): None}
    await client.ask("DELETE", f"/tenants/{tenant}", user, tenant, needs=Role.owner, effects=effects)


async def work(client: Client, chance: Random) -> None:
    """A server does what is to be done in the background; what it cannot do now is done another time."""
    with suppress(ArtcafeError):
        await client.servers.any().api.cases.deletions.work()


async def change_tenant(client: Client, chance: Random) -> None:
    """What describes it."""
    tenant, text = client.place(chance), f"{client.history.now}"
    await client.ask(
        "PUT",
        f"/tenants/{tenant}",
        client.who(chance, tenant, Role.admin),
        tenant,
        action="tenant.update",
        needs=Role.admin,
        effects={(tenant, "description"): text},
        body={"description": text},
    )


def _makers(role: Role) -> Role:
    """The least role that gives this one."""
    return Role.owner if role is Role.owner else Role.admin


async def put_member(client: Client, chance: Random) -> None:
    """Somebody comes, or gets another role."""
    tenant, member, role = client.place(chance), chance.choice(USERS), chance.choice(ROLES)
    await client.ask(
        "PUT",
        f"/tenants/{tenant}/members/{member}",
        client.who(chance, tenant, _makers(role)),
        tenant,
        action="member.put",
        needs=_makers(role),
        effects={(tenant, "member", member): role},
        body={"role": role},
    )


async def add_member_once(client: Client, chance: Random) -> None:
    """The same by the other route, with a key."""
    tenant, member, role = client.place(chance), chance.choice(USERS), chance.choice(ROLES)
    user = client.who(chance, tenant, _makers(role))

    async def ask(series: str) -> Call:
        return await client.ask(
            "POST",
            f"/tenants/{tenant}/members",
            user,
            tenant,
            action="member.put",
            needs=_makers(role),
            effects={(tenant, "member", member): role},
            body={"user_id": member, "role": role},
            series=series,
        )

    await client.once(chance, ask)


async def remove_member(client: Client, chance: Random) -> None:
    """Somebody goes, or is sent."""
    tenant, member = client.place(chance), chance.choice(USERS)
    user = member if chance.random() < 0.3 else client.who(chance, tenant, Role.owner)
    await client.ask(
        "DELETE",
        f"/tenants/{tenant}/members/{member}",
        user,
        tenant,
        action="member.remove",
        needs=Role.viewer if user == member else Role.admin,
        effects={(tenant, "member", member): None},
    )


async def invite(client: Client, chance: Random) -> None:
    """A token is shown, with a key or without."""
    tenant, role = client.place(chance), chance.choice(ROLES)
    user = client.who(chance, tenant, _makers(role))

    async def ask(series: str) -> Call:
        return await client.ask(
            "POST",
            f"/tenants/{tenant}/invitations",
            user,
            tenant,
            action="invitation.create",
            needs=_makers(role),
            body={"role": role},
            series=series,
        )

    calls = await client.once(chance, ask) if chance.random() < 0.4 else [await ask("")]
    for shown in [call for call in calls if call.status == 201]:
        invitation, token = shown.answer["invitation"]["id"], shown.answer["token"]
        for call in calls:
            call.effects[tenant, "invitation", invitation] = role
        if shown.outcome is Outcome.done or len(calls) > 1:
            client.invitations.append((tenant, invitation, token, role))


async def accept(client: Client, chance: Random) -> None:
    """Somebody comes by one of the last tokens."""
    if client.invitations:
        tenant, invitation, token, role = chance.choice(client.invitations[-6:])
        user = chance.choice(USERS)
        await client.ask(
            "POST",
            "/invitations/accept",
            user,
            tenant,
            action="invitation.accept",
            effects={(tenant, "invitation", invitation): None, (tenant, "member", user): role},
            body={"token": token},
        )


async def withdraw(client: Client, chance: Random) -> None:
    """One of the last tokens is good no more."""
    if client.invitations:
        tenant, invitation, _, _ = chance.choice(client.invitations[-6:])
        await client.ask(
            "DELETE",
            f"/tenants/{tenant}/invitations/{invitation}",
            client.who(chance, tenant, Role.admin),
            tenant,
            action="invitation.delete",
            needs=Role.admin,
            effects={(tenant, "invitation", invitation): None},
        )
