"""Invitations over REST: a token is shown once, and lets one human in."""

from typing import Any

import httpx
import pytest

from artcafe.wire.codes import Code
from tests.kit.api import Api, good, problem

INVITATIONS = "/api/v1/tenants/acme/invitations"
ACCEPT = "/api/v1/invitations/accept"
NOON = "2025-11-24T16:00:00.000Z"


async def invite(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = good(await client.post(INVITATIONS, json=fields), 201)
    return made


async def test_somebody_is_invited_and_comes(api: Api, olivia: httpx.AsyncClient) -> None:
    made = await invite(olivia, email="zoe@example.com", role="admin", expires_in_days=1)

    assert made == {
        "invitation": {
            "id": made["invitation"]["id"],
            "email": "zoe@example.com",
            "role": "admin",
            "created_by": "olivia",
            "created_at": NOON,
            "expires_at": "2025-11-25T16:00:00.000Z",
        },
        "token": made["token"],
        "success": True,
    }
    assert made["token"].startswith(f"acme.{made['invitation']['id']}.")
    listed = await olivia.get(INVITATIONS)
    assert good(listed) == {"invitations": [made["invitation"]], "next_token": None}
    assert made["token"].split(".")[2] not in listed.text

    zoe = api.signed_in("zoe", None)
    answer = await zoe.post(ACCEPT, json={"token": made["token"]})
    assert good(answer) == {
        "tenant_id": "acme",
        "user_id": "zoe",
        "email": "zoe@example.com",
        "role": "admin",
        "joined_date": NOON,
        "active": True,
    }
    read = await zoe.get("/api/v1/tenants/acme/members/zoe")
    assert answer.headers["etag"] == read.headers["etag"]
    assert good(await olivia.get(INVITATIONS))["invitations"] == []
    problem(await api.signed_in("yan", None).post(ACCEPT, json={"token": made["token"]}), Code.not_found)


async def test_what_is_left_out_is_a_member_for_a_week(olivia: httpx.AsyncClient) -> None:
    invitation = (await invite(olivia))["invitation"]

    assert (invitation["email"], invitation["role"]) == (None, "member")
    assert invitation["expires_at"] == "2025-12-01T16:00:00.000Z"


async def test_one_that_is_withdrawn_lets_nobody_in(api: Api, olivia: httpx.AsyncClient) -> None:
    made = await invite(olivia)
    path = f"{INVITATIONS}/{made['invitation']['id']}"

    assert (await olivia.delete(path)).status_code == 204

    problem(await olivia.delete(path), Code.not_found)
    problem(await api.signed_in("zoe", None).post(ACCEPT, json={"token": made["token"]}), Code.not_found)


async def test_who_is_a_member_already_gets_no_less(api: Api, olivia: httpx.AsyncClient) -> None:
    made = await invite(olivia, role="viewer")

    problem(await api.signed_in("adam").post(ACCEPT, json={"token": made["token"]}), Code.conflict)

    assert good(await olivia.get("/api/v1/tenants/acme/members/adam"))["role"] == "admin"
    assert len(good(await olivia.get(INVITATIONS))["invitations"]) == 1


async def test_the_list_comes_in_pages(olivia: httpx.AsyncClient) -> None:
    made = {(await invite(olivia))["invitation"]["id"] for _ in range(5)}
    seen: list[str] = []
    query: dict[str, str | int] = {"limit": 2}
    while True:
        page = good(await olivia.get(INVITATIONS, params=query))
        assert len(page["invitations"]) <= 2
        seen += [invitation["id"] for invitation in page["invitations"]]
        if page["next_token"] is None:
            break
        query["next_token"] = page["next_token"]

    assert (len(seen), set(seen)) == (5, made)
    token = query["next_token"]
    problem(await olivia.get("/api/v1/tenants/acme/legal", params={"next_token": token}), Code.bad_request)


@pytest.mark.parametrize("user", ["mia", "vera"])
async def test_it_takes_who_manages_members(api: Api, olivia: httpx.AsyncClient, user: str) -> None:
    made = await invite(olivia)
    client = api.signed_in(user)

    problem(await client.post(INVITATIONS, json={}), Code.forbidden)
    problem(await client.get(INVITATIONS), Code.forbidden)
    problem(await client.delete(f"{INVITATIONS}/{made['invitation']['id']}"), Code.forbidden)


async def test_an_admin_invites_no_owner(api: Api) -> None:
    adam = api.signed_in("adam")

    problem(await adam.post(INVITATIONS, json={"role": "owner"}), Code.forbidden)
    await invite(adam, role="admin")


async def test_another_tenants_are_out_of_reach(api: Api, olivia: httpx.AsyncClient) -> None:
    made = await invite(olivia)
    nina = api.signed_in("nina", "acme-2")

    problem(await nina.get(INVITATIONS), Code.forbidden)
    theirs = f"/api/v1/tenants/acme-2/invitations/{made['invitation']['id']}"
    problem(await nina.delete(theirs), Code.not_found)
    assert len(good(await olivia.get(INVITATIONS))["invitations"]) == 1


@pytest.mark.parametrize(
    "body",
    [{"email": "zoe"}, {"role": "god"}, {"expires_in_days": 0}, {"expires_in_days": 31}, []],
    ids=str,
)
async def test_what_is_out_of_range_is_refused(olivia: httpx.AsyncClient, body: Any) -> None:
    problem(await olivia.post(INVITATIONS, json=body), Code.validation_failed)


async def test_to_accept_one_has_to_be_somebody(olivia: httpx.AsyncClient, anyone: httpx.AsyncClient) -> None:
    made = await invite(olivia)

    problem(await anyone.post(ACCEPT, json={"token": made["token"]}), Code.unauthorized)
    problem(await olivia.post(ACCEPT, json={"token": ""}), Code.validation_failed)
    problem(await olivia.post(ACCEPT, json={"token": "x" * 256}), Code.not_found)
