"""The audit over REST."""

import httpx
import pytest

from artcafe.wire.codes import Code
from tests.kit.api import Api, good, problem

AUDIT = "/api/v1/audit"


async def test_an_entry_says_who_did_what_and_from_where(api: Api, olivia: httpx.AsyncClient) -> None:
    api.installation.clock.advance(1)
    change = await api.signed_in("adam").put("/api/v1/tenants/acme", json={"name": "New", "website": None})
    assert change.is_success

    page = good(await olivia.get(AUDIT, params={"limit": 1}))

    [entry] = page["entries"]
    assert entry == {
        "id": entry["id"],
        "at": "2025-11-24T16:00:01.000Z",
        "actor": "adam",
        "email": "adam@example.com",
        "group": "",
        "action": "tenant.update",
        "target": "acme",
        "fields": ["name", "website"],
        "remote": "127.0.0.1",
        "request_id": change.headers["x-request-id"],
        "operator": False,
    }
    assert page["next_token"] is not None


async def test_it_comes_in_pages_the_newest_first(api: Api, olivia: httpx.AsyncClient) -> None:
    api.installation.clock.advance(1)
    good(await olivia.post("/api/v1/tenants/acme/members", json={"user_id": "zoe"}))
    api.installation.clock.advance(1)
    assert (await olivia.delete("/api/v1/tenants/acme/members/zoe")).is_success

    seen: list[str] = []
    query: dict[str, str | int] = {"limit": 3}
    while True:
        page = good(await olivia.get(AUDIT, params=query))
        assert len(page["entries"]) <= 3
        seen += [entry["action"] for entry in page["entries"]]
        if page["next_token"] is None:
            break
        query["next_token"] = page["next_token"]

    assert seen[:2] == ["member.remove", "member.put"]
    assert sorted(seen[2:]) == ["member.put", "member.put", "member.put", "tenant.create"]


@pytest.mark.parametrize(
    ("query", "targets"),
    [
        ({"actor": "olivia", "action": "member.put"}, ["adam", "mia", "vera"]),
        ({"action": "member.put", "target": "mia"}, ["mia"]),
        ({"action": "tenant.create"}, ["acme"]),
        ({"actor": "nina"}, []),
    ],
    ids=str,
)
async def test_filters_leave_what_fits(
    olivia: httpx.AsyncClient, query: dict[str, str], targets: list[str]
) -> None:
    entries = good(await olivia.get(AUDIT, params=query))["entries"]

    assert sorted(entry["target"] for entry in entries) == targets


async def test_a_token_is_good_for_the_same_question_only(olivia: httpx.AsyncClient) -> None:
    asked = {"limit": "1", "actor": "olivia"}
    token = good(await olivia.get(AUDIT, params=asked))["next_token"]

    assert good(await olivia.get(AUDIT, params={**asked, "next_token": token}))["entries"]
    for other in ({}, {"actor": "adam"}, {"actor": "olivia", "target": "acme"}):
        problem(await olivia.get(AUDIT, params={**other, "next_token": token}), Code.bad_request)


@pytest.mark.parametrize(("user", "allowed"), [("adam", True), ("mia", False), ("vera", False)])
async def test_it_is_for_admins_and_owners(api: Api, user: str, *, allowed: bool) -> None:
    answer = await api.signed_in(user).get(AUDIT)

    if allowed:
        assert {entry["target"] for entry in good(answer)["entries"]} == {"acme", "adam", "mia", "vera"}
    else:
        problem(answer, Code.forbidden)


async def test_another_tenants_is_out_of_reach(api: Api) -> None:
    problem(await api.signed_in("nina", "acme").get(AUDIT), Code.forbidden)
    [entry] = good(await api.signed_in("nina", "acme-2").get(AUDIT))["entries"]
    assert entry["target"] == "acme-2"
