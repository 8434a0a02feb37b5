"""Changes while the bus is away: what is stored succeeds, and is told as soon as the bus is back."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI

from artcafe.server.domain.change import TOPIC as CHANGED
from artcafe.server.domain.change import Change
from artcafe.server.domain.revocation import TOPIC as REVOKED
from artcafe.server.domain.revocation import Revocation
from artcafe.server.store.item import Op
from artcafe.server.store.memory import MemoryStore
from artcafe.wire.codes import Code
from tests.kit.api import Api, furnished, good, problem
from tests.kit.installation import Installation
from tests.kit.issuers import StoppedClock
from tests.kit.signing import KeyPair
from tests.kit.stores import new_rev
from tests.kit.unreliable_bus import DeafBus

Call = Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]

KEY = KeyPair()


class World:
    """An API whose bus can go away, and what was heard of it."""

    def __init__(self, api: Api, bus: DeafBus) -> None:
        self.api, self.bus = api, bus
        self.heard: list[str] = []
        self.owner = api.signed_in("olivia", groups=["platform-operators"])

    async def settled(self) -> list[str]:
        """What was heard, in short, once all is delivered."""
        await self.api.installation.process.events.again()
        for _ in range(3):
            await self.owner.get("/api/v1/agents")
        return self.heard

    def hear(self, topic: str, payload: bytes) -> None:
        if topic == CHANGED:
            change = msgspec.json.decode(payload, type=Change)
            self.heard.append(f"{change.kind} {change.id}")
        else:
            gone = msgspec.json.decode(payload, type=Revocation)
            self.heard.append(f"revoked {gone.agent}" + (" key" if gone.fingerprint else ""))


@pytest.fixture
async def world(application: FastAPI) -> World:
    clock, bus = StoppedClock(), DeafBus()
    memory = MemoryStore(clock=clock.now, new_rev=new_rev)
    await memory.open()
    api = await furnished(application, installation=Installation(memory, clock, bus))
    world = World(api, bus)
    good(
        await world.owner.post("/api/v1/agents", json={"id": "a1", "name": "x", "public_key": KEY.line}), 201
    )
    good(await world.owner.post("/api/v1/channels", json={"id": "c1", "name": "x"}), 201)
    for topic in (CHANGED, REVOKED):
        await bus.hear(topic, world.hear)
    return world


def call(method: str, path: str, body: Any = None) -> Call:
    async def act(client: httpx.AsyncClient) -> httpx.Response:
        return await client.request(method, f"/api/v1{path}", json=body)

    return act


_KEY_PATH = "/agents/a1/keys/" + KEY.fingerprint.removeprefix("SHA256:").replace("+", "-").replace("/", "_")

CHANGES: dict[str, tuple[Call, int, list[str]]] = {
    "create_agent": (call("POST", "/agents", {"id": "a2", "name": "y"}), 201, ["agent a2"]),
    "update_agent": (call("PUT", "/agents/a1", {"type": "z"}), 200, ["agent a1"]),
    "disable_agent": (call("PUT", "/agents/a1", {"enabled": False}), 200, ["agent a1", "revoked a1"]),
    "delete_agent": (call("DELETE", "/agents/a1"), 204, ["agent a1", "revoked a1"]),
    "add_key": (call("POST", "/agents/a1/keys", {"public_key": KeyPair().line}), 201, ["agent a1"]),
    "revoke_key": (call("PUT", _KEY_PATH, {"status": "revoked"}), 200, ["agent a1", "revoked a1 key"]),
    "remove_key": (call("DELETE", _KEY_PATH), 204, ["agent a1", "revoked a1 key"]),
    "create_channel": (call("POST", "/channels", {"id": "c2", "name": "y"}), 201, ["channel c2"]),
    "move_channel": (call("PUT", "/channels/c1", {"subject": "d.*"}), 200, ["channel c1"]),
    "update_channel": (call("PUT", "/channels/c1", {"max_message_bytes": 9}), 200, ["channel c1"]),
    "delete_channel": (call("DELETE", "/channels/c1"), 204, ["channel c1"]),
    "add_member": (call("POST", "/tenants/acme/members", {"user_id": "otto"}), 200, ["member otto"]),
    "change_member": (call("PUT", "/tenants/acme/members/mia", {"role": "viewer"}), 200, ["member mia"]),
    "remove_member": (call("DELETE", "/tenants/acme/members/mia"), 204, ["member mia"]),
    "invite": (call("POST", "/tenants/acme/invitations", {"role": "viewer"}), 201, []),
    "update_tenant": (call("PUT", "/tenants/acme", {"description": "x"}), 200, ["tenant acme"]),
    "update_plan": (call("PUT", "/tenants/acme", {"subscription_tier": "pro"}), 200, ["tenant acme"]),
    "operate": (
        call("PATCH", "/operator/tenants/acme-2", {"plan": "starter"}),
        200,
        ["tenant acme-2"],
    ),
}


@pytest.mark.parametrize(("act", "status", "told"), CHANGES.values(), ids=CHANGES)
async def test_a_change_that_is_stored_succeeds_and_is_told_later(
    world: World, act: Call, status: int, told: list[str]
) -> None:
    world.bus.leave()

    answer = await act(world.owner)

    assert answer.status_code == status, answer.text
    assert await world.settled() == []
    world.bus.come_back()
    assert sorted(await world.settled()) == sorted(told)
    assert world.api.installation.process.events.waiting == 0


@pytest.mark.parametrize(("act", "status", "told"), CHANGES.values(), ids=CHANGES)
async def test_with_the_bus_there_it_is_told_when_it_is_answered(
    world: World, act: Call, status: int, told: list[str]
) -> None:
    answer = await act(world.owner)

    assert answer.status_code == status, answer.text
    assert world.api.installation.process.events.waiting == 0
    assert sorted(await world.settled()) == sorted(told)


@pytest.mark.parametrize(("act", "status", "told"), CHANGES.values(), ids=CHANGES)
async def test_a_change_that_is_stored_succeeds_though_the_store_goes_away_after_it(
    world: World, act: Call, status: int, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = world.api.installation.store
    write = store.transact

    async def last(ops: Sequence[Op]) -> list[str | None]:
        done = await write(ops)
        store.away = True
        return done

    monkeypatch.setattr(store, "transact", last)

    answer = await act(world.owner)

    assert answer.status_code == status, answer.text
    monkeypatch.undo()
    store.heal()
    assert sorted(await world.settled()) == sorted(told)
    assert world.api.installation.process.events.waiting == 0


async def test_this_process_knows_at_once_of_a_key_that_was_revoked(world: World) -> None:
    world.bus.leave()

    good(await world.owner.put(f"/api/v1{_KEY_PATH}", json={"status": "revoked"}))

    told = [event for event in world.api.installation.here if isinstance(event, Revocation)]
    assert [(each.agent, each.fingerprint) for each in told] == [("a1", KEY.fingerprint)]


async def test_a_suspension_reaches_the_account_as_soon_as_the_bus_is_back(world: World) -> None:
    bus = world.bus
    bus.leave()

    good(await world.owner.patch("/api/v1/operator/tenants/acme-2", json={"status": "suspended"}))

    assert [account for account, _ in bus._suspended] == []
    bus.come_back()
    await world.settled()
    assert [account for account, _ in bus._suspended] == ["acme-2"]


async def test_a_tenant_is_not_made_while_the_bus_is_away_and_nothing_of_it_is_stored(world: World) -> None:
    world.bus.leave()

    problem(await world.owner.post("/api/v1/tenants", json={"id": "new", "name": "n"}), Code.unavailable)

    world.bus.come_back()
    assert "new" not in [tenant["id"] for tenant in good(await world.owner.get("/api/v1/tenants"))]


async def test_a_refused_tenant_is_refused_though_its_account_cannot_be_removed_now(world: World) -> None:
    accounts = set(world.bus._accounts)
    world.bus.leave()
    world.bus.pushing.failure = None

    refused = await world.owner.post("/api/v1/tenants", json={"id": "acme", "name": "n"})

    problem(refused, Code.conflict)
    world.bus.come_back()
    await world.settled()
    assert world.bus._accounts == accounts
