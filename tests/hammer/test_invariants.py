"""What the hammer looks for, it finds: each fault is made on purpose, in a store where all is well."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from artcafe.server.domain.tenant import Role
from artcafe.server.store.item import Delete, Delta, Put
from artcafe.server.store.memory import MemoryStore
from tests.hammer.client import Client
from tests.hammer.invariants import faults
from tests.hammer.model import Call, History, Outcome
from tests.hammer.rows import Contents
from tests.hammer.servers import Servers
from tests.kit.signing import KeyPair
from tests.kit.stores import SetClock, new_rev


class World:
    """A tenant with an agent, a channel, two members and an invitation, made by calls that are remembered."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.history = History()
        self.servers = Servers(store, Random(1), calm=True)
        self.client = Client(self.servers, self.history, Random(1))

    async def make(self) -> None:
        """All of it."""
        ask = self.client.ask
        effects: dict[Any, Any] = {("red",): True, ("red", "member", "ada"): Role.owner}
        body: dict[str, Any] = {"id": "red", "name": "red"}
        await ask("POST", "/tenants", "ada", "red", action="tenant.create", effects=effects, body=body)
        await ask(
            "PUT",
            "/tenants/red/members/bob",
            "ada",
            "red",
            action="member.put",
            needs=Role.admin,
            effects={("red", "member", "bob"): Role.member},
            body={"role": "member"},
        )
        key, agent = KeyPair(), ("red", "agent", "a1")
        await ask(
            "POST",
            "/agents",
            "bob",
            "red",
            action="agent.create",
            needs=Role.member,
            effects={agent: True, (*agent, "n"): "1", (*agent, "key", key.fingerprint): "active"},
            body={"id": "a1", "name": "a1", "metadata": {"n": "1"}, "public_key": key.line},
            series="s1",
            header=True,
        )
        await ask("GET", "/tenants/red", "bob", "red", needs=Role.viewer)
        assert all(call.outcome is Outcome.done for call in self.history.calls), self.history.told(("red",))

    async def faults(self) -> list[str]:
        """What is found."""
        server = await self.servers.settle()
        contents = await Contents.read(self.store, self.servers.clock.now())
        return [what for what, _ in await faults(self.history, contents, server)]

    async def partition(self, prefix: str = "T#") -> str:
        """One of the tenant's."""
        return prefix + (await Contents.read(self.store, self.servers.clock.now())).partition("red")

    async def rewrite(self, sk: str, **fields: Any) -> None:
        """Change a row of the tenant behind everybody's back."""
        item = await self.store.get(await self.partition(), sk)
        assert item is not None
        await self.store.put(Put(item.pk, sk, {**item.data, **fields}))


@pytest.fixture
async def world() -> World:
    store = MemoryStore(clock=SetClock(), new_rev=new_rev)
    await store.open()
    made = World(store)
    await made.make()
    return made


async def test_where_all_is_well_nothing_is_found(world: World) -> None:
    assert await world.faults() == []


async def _no_owner(world: World) -> None:
    await world.rewrite("MEMBER#ada", role="admin")


async def _another_role(world: World) -> None:
    await world.rewrite("MEMBER#bob", role="viewer")


async def _a_hidden_member(world: World) -> None:
    await world.store.put(Put("U#eve", "TENANT#red", {}))


async def _a_member_without_a_row(world: World) -> None:
    await world.store.delete(Delete("U#bob", "TENANT#red"))


async def _no_record(world: World) -> None:
    await world.store.delete(Delete(await world.partition(), "META"))


async def _an_orphan(world: World) -> None:
    await world.store.put(Put("LOG#gone", "x", {}))


async def _an_orphaned_counter(world: World) -> None:
    await world.store.incr([Delta("USE#gone", "x", 1)])


async def _a_claim(world: World) -> None:
    await world.store.put(Put(await world.partition(), "FP#x", {"agent": "a1"}))


async def _another_agent(world: World) -> None:
    agent = await world.store.get(await world.partition(), "AGENT#a1")
    assert agent is not None
    await world.store.put(Put(agent.pk, "AGENT#a2", {**agent.data, "id": "a2"}))


async def _a_description(world: World) -> None:
    await world.store.put(Put(await world.partition(), "DETAIL#AGENT#a2", {}))


async def _bytes(world: World) -> None:
    await world.store.incr([Delta(await world.partition("SIZE#"), "ALL", 1)])


async def _no_agent(world: World) -> None:
    await world.store.delete(Delete(await world.partition(), "AGENT#a1"))


async def _another_field(world: World) -> None:
    await world.rewrite("DETAIL#AGENT#a1", metadata={"n": "2"})


async def _not_counted(world: World) -> None:
    await world.store.delete(Delete("U#ada", "MADE"))


async def _no_entry(world: World) -> None:
    [first, *_] = (await world.store.query(await world.partition("LOG#"))).items
    await world.store.delete(Delete(first.pk, first.sk))


async def _a_second_entry(world: World) -> None:
    [first, *_] = (await world.store.query(await world.partition("LOG#"))).items
    await world.store.put(Put(first.pk, f"{first.sk}x", first.data))


async def _refused_and_done(world: World) -> None:
    world.history.calls[1].outcome = Outcome.refused


async def _let_in(world: World) -> None:
    world.history.begin(replace(world.history.calls[-1], user="eve"))


async def _let_in_for_more(world: World) -> None:
    world.history.begin(replace(world.history.calls[-1], needs=Role.admin))


async def _two_answers(world: World) -> None:
    again = replace(world.history.calls[2], answer={}, outcome=Outcome.replayed, idle=True)
    world.history.begin(again)


async def _done_twice(world: World) -> None:
    [first, *_] = (await world.store.query(await world.partition("LOG#"))).items
    world.history.begin(replace(world.history.calls[2], request="again"))
    await world.store.put(Put(first.pk, f"{first.sk}x", {**first.data, "request": "again"}))


async def _a_fault(world: World) -> None:
    world.history.calls[-1].status = 500


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (_no_owner, "a tenant without an owner"),
        (_another_role, "bob is viewer in red, which nobody made it"),
        (_a_hidden_member, "a user's row of no membership"),
        (_a_member_without_a_row, "a membership without its user's row"),
        (_no_record, "a tenant without its record"),
        (_an_orphan, "rows of no tenant: LOG#gone"),
        (_an_orphaned_counter, "rows of no tenant: USE#gone"),
        (_a_claim, "a claim without its key"),
        (_another_agent, "a key of two agents"),
        (_another_agent, "1 agents are counted, 2 are there"),
        (_another_agent, "2 agents by one key"),
        (_a_description, "a description of nothing"),
        (_bytes, "bytes are counted"),
        (_no_agent, "('red', 'agent', 'a1') is None after"),
        (_another_field, "('red', 'agent', 'a1', 'n') is '2' after"),
        (_not_counted, "a tenant that ada made is miscounted"),
        (_no_entry, "no entry for"),
        (_a_second_entry, "2 entries of agent.create"),
        (_refused_and_done, "1 entries of member.put for"),
        (_let_in, "let in as viewer without a grant"),
        (_let_in_for_more, "let in as admin without a grant"),
        (_two_answers, "two answers with one key"),
        (_done_twice, "2 entries of what was asked with one key"),
        (_a_fault, "an answer of 500"),
    ],
)
async def test_a_fault_is_found(world: World, spoil: Callable[[World], Any], found: str) -> None:
    await spoil(world)
    assert any(found in what for what in await world.faults()), await world.faults()


async def test_an_invitation_that_is_good_too_often_is_found(world: World) -> None:
    """Twice, after it was withdrawn, and when its maker was an admin no more."""
    place = ("red", "invitation", "i1")
    made = Call(
        "i1", "", "ada", "red", "", world.history.tick(), {place: Role.viewer}, ended=world.history.tick()
    )
    taken = replace(
        made, action="invitation.accept", user="eve", began=world.history.tick(), ended=world.history.tick()
    )
    taken.effects = {place: None, ("red", "member", "eve"): Role.viewer}
    made.outcome = taken.outcome = Outcome.done
    less = replace(made, effects={("red", "member", "ada"): Role.viewer})
    world.history.calls += [made, taken]
    assert not any("an invitation" in what for what in await world.faults())
    world.history.calls += [replace(taken, began=world.history.tick(), ended=world.history.tick())]
    found = await world.faults()
    assert sum("an invitation was good twice" in what for what in found) == 1
    assert sum("an invitation was good that did not stand" in what for what in found) == 1
    less.began, less.ended = made.ended, made.ended
    world.history.calls += [less]
    assert any(
        "an invitation of ada was good, who could not make it any more" in what
        for what in await world.faults()
    )
