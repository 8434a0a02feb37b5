"""A run: some clients at once, then silence, then everything is looked at."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

from artcafe.server.store.item import Backend
from tests.hammer import people, things
from tests.hammer.client import Client
from tests.hammer.invariants import faults
from tests.hammer.model import History
from tests.hammer.rows import Contents
from tests.hammer.servers import Servers

CLIENTS = 8

ACTS: dict[Callable[[Client, Random], Awaitable[None]], int] = {
    people.make_tenant: 12,
    people.make_tenant_once: 2,
    people.delete_tenant: 4,
    people.work: 10,
    people.change_tenant: 3,
    people.put_member: 10,
    people.add_member_once: 3,
    people.remove_member: 5,
    people.invite: 6,
    people.accept: 8,
    people.withdraw: 2,
    things.make: 12,
    things.make_agent_once: 5,
    things.change: 6,
    things.delete: 8,
    things.add_key: 6,
    things.end_key: 5,
    things.look: 8,
    things.look_around: 4,
}
"""What is done, and how often."""


async def run(backend: Backend, seed: str, acts: int) -> tuple[Servers, History, list[str]]:
    """So many acts by all clients, and what is wrong then, a text for each fault."""
    servers, history = Servers(backend, Random(seed)), History()
    client = Client(servers, history, Random(f"{seed}/bodies"))
    async with asyncio.TaskGroup() as clients:
        for number in range(CLIENTS):
            clients.create_task(_acts(client, Random(f"{seed}/{number}"), acts // CLIENTS))
    server = await servers.settle()
    contents = await Contents.read(backend, servers.clock.now())
    found = await faults(history, contents, server)
    return servers, history, [f"{what}\n{history.told(path)}" for what, path in found]


async def _acts(client: Client, chance: Random, number: int) -> None:
    for _ in range(number):
        [act] = chance.choices([*ACTS], [*ACTS.values()])
        await act(client, chance)
