"""Idempotency-Key: what is asked for twice is done once."""

import asyncio
import os
from dataclasses import replace
from typing import Any

import httpx
import pytest

from artcafe.server.api import once
from artcafe.server.api.once import KEPT_SECONDS
from artcafe.server.domain.operators import TenantCreation
from artcafe.server.identity.sealing import AesSealer
from artcafe.server.store.item import Put
from artcafe.wire.codes import Code
from tests.kit.api import Api, good, problem

AGENTS = "/api/v1/agents"
KEY = {"idempotency-key": "once-and-for-all"}


async def agents(client: httpx.AsyncClient) -> list[str]:
    return [agent["id"] for agent in good(await client.get(AGENTS))["agents"]]


async def test_the_same_request_is_answered_the_same_and_done_once(olivia: httpx.AsyncClient) -> None:
    first = await olivia.post(AGENTS, json={"name": "Planner"}, headers=KEY)
    again = await olivia.post(AGENTS, json={"name": "Planner"}, headers=KEY)

    assert good(first, 201)["private_key"]
    assert again.status_code == 201
    assert again.json() == first.json()
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert await agents(olivia) == ["planner"]


async def test_without_a_key_it_is_done_twice(olivia: httpx.AsyncClient) -> None:
    for _ in range(2):
        good(await olivia.post(AGENTS, json={"name": "Planner"}), 201)

    assert len(await agents(olivia)) == 2


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/channels", {"name": "Tasks"}),
        ("/api/v1/tenants", {"name": "New"}),
        ("/api/v1/tenants/acme/invitations", {"role": "viewer"}),
    ],
    ids=["channels", "tenants", "invitations"],
)
async def test_every_creation_knows_it(olivia: httpx.AsyncClient, path: str, body: dict[str, Any]) -> None:
    first = await olivia.post(path, json=body, headers=KEY)
    again = await olivia.post(path, json=body, headers=KEY)

    assert first.status_code == again.status_code == 201, first.text
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"


async def test_another_body_or_place_is_a_mismatch(olivia: httpx.AsyncClient) -> None:
    await olivia.post(AGENTS, json={"name": "Planner"}, headers=KEY)

    problem(await olivia.post(AGENTS, json={"name": "Other"}, headers=KEY), Code.idempotency_mismatch)
    problem(
        await olivia.post("/api/v1/channels", json={"name": "Planner"}, headers=KEY),
        Code.idempotency_mismatch,
    )
    assert await agents(olivia) == ["planner"]


async def test_a_key_is_its_users_own_in_each_tenant(api: Api, olivia: httpx.AsyncClient) -> None:
    await olivia.post(AGENTS, json={"name": "Planner"}, headers=KEY)

    adam = await api.signed_in("adam").post(AGENTS, json={"name": "Planner"}, headers=KEY)
    nina = await api.signed_in("nina", "acme-2").post(AGENTS, json={"name": "Planner"}, headers=KEY)

    assert good(adam, 201)["agent"]["id"] != "planner"
    assert good(nina, 201)["agent"]["tenant_id"] == "acme-2"


async def test_of_requests_at_the_same_time_one_is_done(olivia: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(
        *(olivia.post(AGENTS, json={"name": "Planner"}, headers=KEY) for _ in range(5))
    )

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert [answer.headers.get("idempotency-replayed") for answer in answers].count(None) == 1
    assert await agents(olivia) == ["planner"]


async def test_what_failed_may_be_tried_again_with_the_same_key(api: Api, olivia: httpx.AsyncClient) -> None:
    await olivia.post(AGENTS, json={"id": "planner", "name": "x"})
    problem(await olivia.post(AGENTS, json={"id": "planner", "name": "y"}, headers=KEY), Code.conflict)
    await olivia.delete(f"{AGENTS}/planner")

    good(await olivia.post(AGENTS, json={"id": "planner", "name": "y"}, headers=KEY), 201)


async def test_an_answer_is_forgotten_after_a_day(api: Api, olivia: httpx.AsyncClient) -> None:
    await olivia.post(AGENTS, json={"name": "Planner"}, headers=KEY)
    api.installation.clock.advance(KEPT_SECONDS - 1)
    assert (await olivia.post(AGENTS, json={"name": "Planner"}, headers=KEY)).status_code == 201
    assert await agents(olivia) == ["planner"]

    api.installation.clock.advance(2)
    good(await olivia.post(AGENTS, json={"name": "Planner"}, headers=KEY), 201)
    assert len(await agents(olivia)) == 2


async def test_a_request_that_a_server_of_an_earlier_release_works_on_is_waited_for(
    api: Api, olivia: httpx.AsyncClient
) -> None:
    await olivia.post(AGENTS, json={"name": "Planner"}, headers=KEY)
    pk = f"T#{await api.installation.partition()}"
    [kept] = (await api.installation.memory.query(pk, "ANSWER#", 10, None)).items
    await api.installation.memory.put(Put(kept.pk, kept.sk, {**kept.data, "sealed": None}))

    busy = await olivia.post(AGENTS, json={"name": "Planner"}, headers=KEY)

    assert problem(busy, Code.conflict)["retry_after_ms"] == 1000


async def test_an_answer_that_cannot_be_opened_any_more_is_said_to_be_so(
    api: Api, olivia: httpx.AsyncClient
) -> None:
    made = good(await olivia.post(AGENTS, json={"name": "Planner"}, headers=KEY), 201)
    rotated = replace(api.resources, sealer=AesSealer(b"another secret of 32 bytes here.", os.urandom))
    api.app.state.resources = rotated

    again = problem(await olivia.post(AGENTS, json={"name": "Planner"}, headers=KEY), Code.conflict)

    assert "This was done" in again["detail"]
    assert "retry_after_ms" not in again
    assert await agents(olivia) == [made["agent"]["id"]]
    good(await olivia.post(AGENTS, json={"name": "Planner"}, headers={"idempotency-key": "another"}), 201)


async def test_who_may_no_longer_do_it_is_not_given_the_answer(api: Api, olivia: httpx.AsyncClient) -> None:
    adam = api.signed_in("adam")
    body = {"name": "Planner"}
    good(await adam.post(AGENTS, json=body, headers=KEY), 201)

    good(await olivia.put("/api/v1/tenants/acme/members/adam", json={"role": "viewer"}))
    problem(await adam.post(AGENTS, json=body, headers=KEY), Code.forbidden)
    await olivia.delete("/api/v1/tenants/acme/members/adam")
    problem(await adam.post(AGENTS, json=body, headers=KEY), Code.forbidden)

    good(await olivia.put("/api/v1/tenants/acme/members/adam", json={"role": "member"}))
    assert (await adam.post(AGENTS, json=body, headers=KEY)).headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/tenants/acme/invitations", {"role": "owner"}),
        ("/api/v1/tenants/acme/members", {"user_id": "otto", "role": "owner"}),
    ],
    ids=["invitations", "members"],
)
async def test_what_an_owner_alone_may_do_an_admin_is_not_answered_again(
    api: Api, olivia: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    good(await olivia.put("/api/v1/tenants/acme/members/adam", json={"role": "owner"}))
    adam = api.signed_in("adam")
    first = await adam.post(path, json=body, headers=KEY)
    assert first.is_success

    good(await olivia.put("/api/v1/tenants/acme/members/adam", json={"role": "admin"}))
    problem(await adam.post(path, json=body, headers=KEY), Code.forbidden)

    good(await olivia.put("/api/v1/tenants/acme/members/adam", json={"role": "owner"}))
    again = await adam.post(path, json=body, headers=KEY)
    assert (again.status_code, again.text) == (first.status_code, first.text)


async def test_a_tenant_is_not_answered_again_where_operators_alone_make_them_now(api: Api) -> None:
    zoe = api.signed_in("zoe", None)
    good(await zoe.post("/api/v1/tenants", json={"name": "New"}, headers=KEY), 201)
    api.installation.creation = TenantCreation(anybody=False, most=3)
    process = api.installation.start("p1")
    api.app.state.use_cases = replace(api.cases, tenants=process.tenants)

    problem(await zoe.post("/api/v1/tenants", json={"name": "New"}, headers=KEY), Code.forbidden)


async def test_what_is_kept_can_only_be_read_with_the_key(api: Api, olivia: httpx.AsyncClient) -> None:
    made = good(await olivia.post(AGENTS, json={"name": "Planner"}, headers=KEY), 201)
    secret = made["private_key"].splitlines()[1]

    page = await api.installation.memory.query(f"T#{await api.installation.partition()}", "ANSWER#", 10, None)

    assert len(page.items) == 1
    assert secret not in f"{page.items[0]}"
    assert KEY["idempotency-key"] not in f"{page.items[0]}"


@pytest.mark.parametrize("key", ["", "a b", "x" * 256])
async def test_a_key_that_is_none_is_refused(olivia: httpx.AsyncClient, key: str) -> None:
    answer = await olivia.post(AGENTS, json={"name": "Planner"}, headers={"idempotency-key": key})

    problem(answer, Code.validation_failed)
    assert await agents(olivia) == []


async def test_a_body_whose_answer_cannot_be_kept_is_refused_before_anything_is_done(
    olivia: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(once, "MOST_BYTES", 100)

    answer = await olivia.post(AGENTS, json={"name": "x" * 100}, headers=KEY)

    problem(answer, Code.too_large)
    assert await agents(olivia) == []
