"""The log of the installation, for operators, over REST."""

from typing import Any

import httpx
import pytest

from artcafe.server.api.unreadable import HEADER
from artcafe.server.store import addresses as at
from artcafe.server.store.item import Put
from artcafe.wire.codes import Code
from tests.kit.api import Api, good, problem

LOG = "/api/v1/operator/log"


@pytest.fixture
def oscar(api: Api) -> httpx.AsyncClient:
    """An operator, who is in no tenant."""
    return api.signed_in("oscar", None)


async def told(client: httpx.AsyncClient, **query: Any) -> list[tuple[str, str, str]]:
    page = good(await client.get(LOG, params=query))
    return [(entry["tenant_id"], entry["action"], entry["actor"]) for entry in page["entries"]]


async def test_who_made_operated_and_deleted_a_tenant_is_told_when_it_is_gone(
    api: Api, oscar: httpx.AsyncClient, olivia: httpx.AsyncClient
) -> None:
    api.installation.clock.advance(1)
    good(await oscar.patch("/api/v1/operator/tenants/acme", json={"status": "suspended"}))
    api.installation.clock.advance(1)
    good(await oscar.patch("/api/v1/operator/tenants/acme", json={"status": "active"}))
    api.installation.clock.advance(1)
    good(await olivia.put("/api/v1/tenants/acme", json={"name": "its own business"}))
    assert (await olivia.delete("/api/v1/tenants/acme")).status_code == 204
    await api.installation.process.deletions.work()

    assert await told(oscar, tenant="acme") == [
        ("acme", "tenant.delete", "olivia"),
        ("acme", "tenant.resume", "oscar"),
        ("acme", "tenant.suspend", "oscar"),
        ("acme", "tenant.create", "olivia"),
    ]
    assert await told(oscar, action="tenant.delete", actor="olivia") == [("acme", "tenant.delete", "olivia")]
    [deleted] = good(await oscar.get(LOG, params={"action": "tenant.delete"}))["entries"]
    assert (deleted["email"], deleted["target"]) == ("olivia@example.com", "acme")
    assert deleted["request_id"]


async def test_pages_follow_each_other(api: Api, oscar: httpx.AsyncClient) -> None:
    whole = good(await oscar.get(LOG))["entries"]
    assert len(whole) >= 2

    first = good(await oscar.get(LOG, params={"limit": 1}))
    second = good(await oscar.get(LOG, params={"limit": 1, "next_token": first["next_token"]}))

    assert [*first["entries"], *second["entries"]] == whole[:2]
    wrong = {"tenant": "acme", "next_token": first["next_token"]}
    problem(await oscar.get(LOG, params=wrong), Code.bad_request)


async def test_an_entry_that_cannot_be_read_is_named(api: Api, oscar: httpx.AsyncClient) -> None:
    whole = good(await oscar.get(LOG))["entries"]
    store = api.installation.store
    newest = (await store.query(at.INSTALLATION_LOG, limit=1)).items[0]
    await store.put(Put(newest.pk, newest.sk, {**newest.data, "v": 2}))

    page = await oscar.get(LOG)

    assert good(page)["entries"] == whole[1:]
    assert whole[0]["id"] in page.headers[HEADER]


@pytest.mark.parametrize("user", ["olivia", "adam", "vera", "zoe"])
async def test_nobody_else_reads_it(api: Api, user: str) -> None:
    problem(await api.signed_in(user, None).get(LOG), Code.forbidden)
