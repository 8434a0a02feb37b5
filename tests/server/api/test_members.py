"""Members over REST, in the shapes that clients in the field read."""

import httpx
import pytest

from artcafe.wire.codes import Code
from tests.kit.api import MEMBERS, Api, good, problem

NOON = "2025-11-24T16:00:00.000Z"


async def test_one_is_added_changed_and_removed(olivia: httpx.AsyncClient) -> None:
    members = "/api/v1/tenants/acme/members"
    zoe = {
        "user_id": "zoe",
        "email": "z@example.com",
        "role": "member",
        "joined_date": NOON,
        "active": True,
    }

    added = await olivia.post(members, json={"user_id": "zoe", "email": "z@example.com"})
    assert good(added) == zoe
    changed = await olivia.put(f"{members}/zoe", json={"role": "viewer"})
    assert good(changed) == {**zoe, "role": "viewer"}
    listed = good(await olivia.get(members))
    assert {**zoe, "role": "viewer"} in listed
    assert {member["user_id"] for member in listed} == {"olivia", "zoe", *MEMBERS}

    removed = await olivia.delete(f"{members}/zoe")
    assert (removed.status_code, removed.content) == (204, b"")
    problem(await olivia.delete(f"{members}/zoe"), Code.not_found)


async def test_a_change_without_a_role_is_refused_and_demotes_nobody(olivia: httpx.AsyncClient) -> None:
    answer = await olivia.put("/api/v1/tenants/acme/members/adam", json={"email": "new@example.com"})

    problem(answer, Code.validation_failed)
    roles = {m["user_id"]: m["role"] for m in good(await olivia.get("/api/v1/tenants/acme/members"))}
    assert roles["adam"] == "admin"


async def test_the_last_owner_stays(olivia: httpx.AsyncClient) -> None:
    olivias = "/api/v1/tenants/acme/members/olivia"

    problem(await olivia.delete(olivias), Code.conflict)
    problem(await olivia.put(olivias, json={"role": "admin"}), Code.conflict)


async def test_an_admin_makes_no_owner(api: Api) -> None:
    adam = api.signed_in("adam")

    for user in ("adam", "zoe"):
        answer = await adam.post("/api/v1/tenants/acme/members", json={"user_id": user, "role": "owner"})
        problem(answer, Code.forbidden)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"user_id": ""},
        {"user_id": "x" * 256},
        {"user_id": "x", "role": "god"},
        {"user_id": "a\nb"},
        {"user_id": "é"},
        {"user_id": "x", "email": "x"},
    ],
    ids=str,
)
async def test_what_is_out_of_range_is_refused(olivia: httpx.AsyncClient, body: dict[str, str]) -> None:
    problem(await olivia.post("/api/v1/tenants/acme/members", json=body), Code.validation_failed)


async def test_a_user_of_any_name_is_reached_by_its_path(olivia: httpx.AsyncClient) -> None:
    added = await olivia.post("/api/v1/tenants/acme/members", json={"user_id": "auth0|a#b c"})
    assert added.is_success

    removed = await olivia.delete("/api/v1/tenants/acme/members/auth0%7Ca%23b%20c")

    assert removed.status_code == 204


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_another_tenants_members_are_out_of_reach(api: Api, method: str) -> None:
    path = "/api/v1/tenants/acme/members" + ("/vera" if method in {"PUT", "DELETE"} else "")
    body = {"user_id": "nina", "role": "owner"}

    problem(await api.signed_in("nina", "acme-2").request(method, path, json=body), Code.forbidden)


async def test_one_is_read_with_its_tag_and_changed_only_as_it_was_read(
    api: Api, olivia: httpx.AsyncClient
) -> None:
    adam = "/api/v1/tenants/acme/members/adam"
    answer = await api.signed_in("vera").get(adam)
    read = answer.headers["etag"]
    assert good(answer) == {
        "user_id": "adam",
        "email": "adam@example.com",
        "role": "admin",
        "joined_date": NOON,
        "active": True,
    }

    changed = await olivia.put(adam, json={"role": "member"}, headers={"if-match": read})
    assert good(changed)["email"] == "adam@example.com"

    for refused in (
        await olivia.put(adam, json={"role": "admin"}, headers={"if-match": read}),
        await olivia.delete(adam, headers={"if-match": read}),
    ):
        problem(refused, Code.precondition_failed)
    assert (await olivia.get(adam)).headers["etag"] == changed.headers["etag"] != read
    assert (await olivia.delete(adam, headers={"if-match": changed.headers["etag"]})).status_code == 204
    problem(await olivia.get(adam), Code.not_found)


async def test_a_new_one_comes_with_its_tag(olivia: httpx.AsyncClient) -> None:
    made = await olivia.post("/api/v1/tenants/acme/members", json={"user_id": "zoe"})

    read = await olivia.get("/api/v1/tenants/acme/members/zoe")
    assert made.headers["etag"] == read.headers["etag"]


@pytest.mark.parametrize("user", MEMBERS)
async def test_everybody_may_leave(api: Api, olivia: httpx.AsyncClient, user: str) -> None:
    client = api.signed_in(user)

    assert (await client.delete(f"/api/v1/tenants/acme/members/{user}")).status_code == 204

    problem(await client.get("/api/v1/tenants/acme"), Code.forbidden)
    members = good(await olivia.get("/api/v1/tenants/acme/members"))
    assert {member["user_id"] for member in members} == {"olivia", *MEMBERS} - {user}
