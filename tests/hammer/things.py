"""What is done about agents, their keys and channels; and who looks."""

from dataclasses import replace
from functools import cache
from random import Random
from typing import Any
from urllib.parse import quote

from artcafe.server.domain.tenant import Role, Status
from tests.hammer.client import USERS, Client
from tests.hammer.model import Call, Outcome, Path
from tests.kit.signing import KeyPair

UNNAMED = "unnamed-"
"""What channels begin with that are made in no tenant by name: where, only the answer says."""

IDS = {"agent": ("a1", "a2", "a3", "a4"), "channel": ("c1", "c2", "c3")}


@cache
def keys() -> list[KeyPair]:
    """So few that agents contend for them."""
    return [KeyPair() for _ in range(4)]


async def make(client: Client, chance: Random) -> None:
    """An agent with a key, or a channel."""
    tenant, kind = client.place(chance), chance.choice(("agent", "agent", "channel"))
    name, number = chance.choice(IDS[kind]), f"{client.history.now}"
    body: dict[str, Any] = {"id": name, "name": name, "metadata": _metadata(chance, number)}
    effects: dict[Path, Any] = {(tenant, kind, name): True, (tenant, kind, name, "n"): number}
    if kind == "agent":
        key = chance.choice(keys())
        body["public_key"] = key.line
        effects[tenant, kind, name, "key", key.fingerprint] = "active"
    await client.ask(
        "POST",
        f"/{kind}s",
        client.who(chance, tenant, Role.member),
        tenant,
        action=f"{kind}.create",
        needs=Role.member,
        effects=effects,
        body=body,
        header=True,
    )


def _metadata(chance: Random, number: str) -> dict[str, str]:
    return {"n": number, "pad": "x" * chance.choice((0, 10, 1000))}


async def make_agent_once(client: Client, chance: Random) -> None:
    """Under an id made from its name, with a key pair that is shown once; most times not for long."""
    tenant = client.place(chance)
    user = client.who(chance, tenant, Role.member)

    async def ask(series: str) -> Call:
        return await client.ask(
            "POST",
            "/agents",
            user,
            tenant,
            action="agent.create",
            needs=Role.member,
            effects={(tenant, "agent", series): True},
            body={"name": series},
            series=series,
            header=True,
        )

    calls = await client.once(chance, ask)
    made = {call.answer["agent"]["id"] for call in calls if call.status == 201}
    for name in sorted(made):
        for call in calls:
            call.effects[tenant, "agent", name] = True
        if chance.random() < 0.8:
            await _delete(client, user, tenant, "agent", name)


async def change(client: Client, chance: Random) -> None:
    """What describes an agent or a channel."""
    tenant, kind = client.place(chance), chance.choice(("agent", "channel"))
    name, number = chance.choice(IDS[kind]), f"{client.history.now}"
    await client.ask(
        "PUT",
        f"/{kind}s/{name}",
        client.who(chance, tenant, Role.member),
        tenant,
        action=f"{kind}.update",
        needs=Role.member,
        effects={(tenant, kind, name, "n"): number},
        body={"metadata": _metadata(chance, number)},
        header=True,
    )


async def delete(client: Client, chance: Random) -> None:
    """An agent or a channel goes."""
    tenant, kind = client.place(chance), chance.choice(("agent", "agent", "channel"))
    await _delete(client, client.who(chance, tenant, Role.member), tenant, kind, chance.choice(IDS[kind]))


async def _delete(client: Client, user: str, tenant: str, kind: str, name: str) -> None:
    await client.ask(
        "DELETE",
        f"/{kind}s/{name}",
        user,
        tenant,
        action=f"{kind}.delete",
        needs=Role.member,
        effects={(tenant, kind, name): None},
        header=True,
    )


async def add_key(client: Client, chance: Random) -> None:
    """An agent gets one more; now and then with an Idempotency-Key."""
    tenant, name, key = client.place(chance), chance.choice(IDS["agent"]), chance.choice(keys())
    user = client.who(chance, tenant, Role.member)

    async def ask(series: str) -> Call:
        return await client.ask(
            "POST",
            f"/agents/{name}/keys",
            user,
            tenant,
            action="agent.add_key",
            needs=Role.member,
            effects={(tenant, "agent", name, "key", key.fingerprint): "active"},
            body={"public_key": key.line},
            series=series,
            header=True,
        )

    if chance.random() < 0.3:
        await client.once(chance, ask)
    else:
        await ask("")


async def end_key(client: Client, chance: Random) -> None:
    """A key is revoked, or forgotten."""
    tenant, name, key = client.place(chance), chance.choice(IDS["agent"]), chance.choice(keys())
    revoke = chance.random() < 0.5
    await client.ask(
        "PUT" if revoke else "DELETE",
        f"/agents/{name}/keys/{quote(key.fingerprint, safe='')}",
        client.who(chance, tenant, Role.member),
        tenant,
        action="agent.revoke_key" if revoke else "agent.remove_key",
        needs=Role.member,
        effects={(tenant, "agent", name, "key", key.fingerprint): "revoked" if revoke else None},
        body={"status": "revoked"} if revoke else None,
        header=True,
    )


async def look(client: Client, chance: Random) -> None:
    """Anybody looks into any tenant. At no list of agents or channels: FastAPI reads its query in a thread,
    and then the seed does not say what comes first."""
    tenant, user = client.place(chance), chance.choice(USERS)
    if chance.random() < 0.3:
        await client.ask("GET", "/audit", user, tenant, needs=Role.admin, header=True)
    else:
        path = chance.choice((f"/tenants/{tenant}", f"/tenants/{tenant}/members"))
        call = await client.ask("GET", path, user, tenant, needs=Role.viewer)
        if path == f"/tenants/{tenant}" and call.let_in and call.answer["status"] == Status.deleting:
            call.needs = None  # Its members may see that it goes.


async def look_around(client: Client, chance: Random) -> None:
    """Somebody asks where it belongs, and looks in without naming a tenant."""
    user = chance.choice(USERS)
    mine = await client.ask("GET", "/tenants", user)
    there = mine.answer if mine.outcome is Outcome.done else []
    for tenant in [tenant for tenant in there if tenant["status"] != Status.deleting]:
        client.history.begin(replace(mine, tenant=tenant["id"], needs=Role.viewer))
    made = await client.ask(
        "POST", "/channels", user, body={"name": f"{UNNAMED}{client.history.now}"}, action="channel.create"
    )
    if made.outcome is Outcome.done:
        channel = made.answer["channel"]
        made.tenant, made.needs = channel["tenant_id"], Role.member
        made.effects[made.tenant, "channel", channel["id"]] = True
        await _delete(client, user, made.tenant, "channel", channel["id"])
