"""Idempotency-Key where the store fails: at every write of each creation a retry makes one."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from artcafe.server.domain.operators import TenantCreation
from artcafe.wire.codes import Code
from tests.kit.api import Api, furnished, good, problem
from tests.kit.faults import Fault, FaultyStore
from tests.kit.installation import Installation, counting
from tests.kit.issuers import StoppedClock
from tests.kit.signing import KeyPair
from tests.kit.stores import BACKENDS


@dataclass(frozen=True)
class Route:
    """A creation, and where what it made is listed."""

    path: str
    listed: str
    within: str | None

    def body(self, number: int) -> dict[str, Any]:
        """One that no request before had."""
        return {
            "/api/v1/agents": {"name": f"Agent {number}"},
            "/api/v1/agents/planner/keys": {"public_key": KeyPair().line},
            "/api/v1/channels": {"name": f"Channel {number}"},
            "/api/v1/tenants": {"name": f"Tenant {number}"},
            "/api/v1/tenants/acme/members": {"user_id": f"user-{number}", "role": "member"},
            "/api/v1/tenants/acme/invitations": {"role": "viewer"},
        }[self.path]

    async def count(self, client: httpx.AsyncClient) -> int:
        """How many there are."""
        found = good(await client.get(self.listed))
        return len(found if self.within is None else found[self.within])


ROUTES = {
    "agents": Route("/api/v1/agents", "/api/v1/agents", "agents"),
    "keys": Route("/api/v1/agents/planner/keys", "/api/v1/agents/planner/keys", "keys"),
    "channels": Route("/api/v1/channels", "/api/v1/channels", "channels"),
    "tenants": Route("/api/v1/tenants", "/api/v1/tenants", None),
    "members": Route("/api/v1/tenants/acme/members", "/api/v1/tenants/acme/members", None),
    "invitations": Route(
        "/api/v1/tenants/acme/invitations", "/api/v1/tenants/acme/invitations", "invitations"
    ),
}


@pytest.fixture(scope="session")
def other_application() -> FastAPI:
    """The one of another process."""
    return asyncio.run(furnished()).app


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[FaultyStore]:
    async with BACKENDS[request.param](tmp_path, StoppedClock().now) as backend:
        yield FaultyStore(backend)


@pytest.fixture
async def api(store: FaultyStore, application: FastAPI) -> Api:
    """One where there is an agent `planner` in `acme`."""
    installation = Installation(store, StoppedClock(), creation=TenantCreation(anybody=True, most=100))
    api = await furnished(application, installation=installation)
    good(await api.signed_in("olivia").post("/api/v1/agents", json={"id": "planner", "name": "x"}), 201)
    return api


@pytest.fixture
def olivia(api: Api) -> httpx.AsyncClient:
    """The owner of `acme`."""
    return api.signed_in("olivia")


@pytest.fixture
def elsewhere(api: Api, other_application: FastAPI) -> httpx.AsyncClient:
    """The same user at another process of the same installation."""
    first = api.installation
    ids = counting("elsewhere")
    second = Installation(first.memory, first.clock, first.bus, new_id=ids, creation=first.creation)
    return Api(second, other_application).signed_in("olivia")


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
async def test_a_retry_after_a_fault_makes_it_once_and_gives_its_answer(
    store: FaultyStore, olivia: httpx.AsyncClient, route: Route
) -> None:
    number, struck = 0, 0
    for fault in (Fault.refused, Fault.lost, Fault.cut):
        for at in range(1, 10):
            number += 1
            body, key = route.body(number), {"idempotency-key": f"key-{number}"}
            before = await route.count(olivia)
            store.arm(fault, at)

            first = await olivia.post(route.path, json=body, headers=key)
            came, store.dead = store.struck, False
            store.arm(None)
            again = await olivia.post(route.path, json=body, headers=key)

            assert again.is_success, (fault, at, again.text)
            assert await route.count(olivia) == before + 1, (fault, at)
            if first.is_success:
                assert again.text == first.text
                assert again.headers.get("etag") == first.headers.get("etag")
                assert again.headers["idempotency-replayed"] == "true"
            else:
                problem(first, Code.unavailable)
            third = await olivia.post(route.path, json=body, headers=key)
            assert third.text == again.text
            assert await route.count(olivia) == before + 1
            if not came:
                break
            struck += 1
        else:
            pytest.fail("the creation does not end")
    assert struck >= 3  # Each fault at one write at least.


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
async def test_a_lost_answer_is_found_at_once(
    store: FaultyStore, olivia: httpx.AsyncClient, route: Route
) -> None:
    store.arm(Fault.lost)

    answer = await olivia.post(route.path, json=route.body(1), headers={"idempotency-key": "k"})

    assert store.struck
    assert answer.is_success
    assert answer.headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
async def test_of_two_at_once_the_slower_one_gets_the_answer_of_the_faster(
    store: FaultyStore, olivia: httpx.AsyncClient, elsewhere: httpx.AsyncClient, route: Route
) -> None:
    body, key = route.body(1), {"idempotency-key": "k"}
    before = await route.count(olivia)
    store.arm(Fault.held)

    async with asyncio.TaskGroup() as both:
        slow = both.create_task(olivia.post(route.path, json=body, headers=key))
        await store.reached.wait()
        faster = await elsewhere.post(route.path, json=body, headers=key)
        store.let_go()

    slower = slow.result()
    assert faster.is_success
    assert "idempotency-replayed" not in faster.headers
    assert (slower.status_code, slower.text) == (faster.status_code, faster.text)
    assert slower.headers["idempotency-replayed"] == "true"
    assert slower.headers.get("etag") == faster.headers.get("etag")
    assert await route.count(olivia) == before + 1


async def test_of_two_at_once_with_other_bodies_the_slower_one_is_a_mismatch(
    store: FaultyStore, olivia: httpx.AsyncClient, elsewhere: httpx.AsyncClient
) -> None:
    route, key = ROUTES["agents"], {"idempotency-key": "k"}
    store.arm(Fault.held)

    async with asyncio.TaskGroup() as both:
        slow = both.create_task(olivia.post(route.path, json=route.body(1), headers=key))
        await store.reached.wait()
        good(await elsewhere.post(route.path, json=route.body(2), headers=key), 201)
        store.let_go()

    problem(slow.result(), Code.idempotency_mismatch)
    assert await route.count(olivia) == 2
