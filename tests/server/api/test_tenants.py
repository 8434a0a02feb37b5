"""Tenants and members over REST, in the shapes that clients in the field read."""

from typing import Any

import httpx
import pytest

from artcafe.wire.codes import Code
from tests.kit.api import MEMBERS, Api, good, problem

NOON = "2025-11-24T16:00:00.000Z"
TENANT_KEYS = {
    "id", "tenant_id", "name", "status", "subscription_tier", "admin_email", "description", "website",
    "logo_url", "primary_color", "secondary_color", "metadata", "allow_client_challenge", "created_at",
    "updated_at",
}  # fmt: skip

EVERYTHING = {
    "name": "Blue Sky",
    "admin_email": "zoe@example.com",
    "subscription_tier": "pro",
    "description": "what it is",
    "website": "https://example.com",
    "logo_url": "https://example.com/logo.svg",
    "primary_color": "#0000ff",
    "secondary_color": "#ffffff",
    "metadata": {"region": "eu", "n": [1, None]},
    "trial_days": 14,
}
"""The request of the original's clients; a tenant has no trial here, and that is no error."""


class TestTenants:
    async def test_one_is_made_as_clients_in_the_field_make_it(self, api: Api) -> None:
        zoe = api.signed_in("zoe", None)

        made = good(await zoe.post("/api/v1/tenants", json=EVERYTHING), 201)

        assert made == {
            "tenant_id": "blue-sky",
            "api_key": None,
            "admin_token": api.tokens.give("zoe"),
            "success": True,
        }
        # The token that was handed out opens the tenant, as its owner.
        opened = api.client(authorization=f"Bearer {made['admin_token']}", x_tenant_id="blue-sky")
        tenant = good(await opened.get("/api/v1/tenants/blue-sky"))
        assert set(tenant) == TENANT_KEYS
        assert tenant == {
            **{name: value for name, value in EVERYTHING.items() if name != "trial_days"},
            "id": "blue-sky",
            "tenant_id": "blue-sky",
            "status": "active",
            "allow_client_challenge": False,
            "created_at": NOON,
            "updated_at": NOON,
        }
        assert good(await opened.get("/api/v1/tenants/blue-sky/members")) == [
            {
                "user_id": "zoe",
                "email": "zoe@example.com",
                "role": "owner",
                "joined_date": NOON,
                "active": True,
            }
        ]

    async def test_the_list_has_the_callers_own_and_is_bare(self, api: Api) -> None:
        listed = good(await api.signed_in("olivia", None).get("/api/v1/tenants"))

        assert [tenant["id"] for tenant in listed] == ["acme"]
        assert set(listed[0]) == TENANT_KEYS
        assert good(await api.signed_in("zoe", None).get("/api/v1/tenants")) == []

    async def test_a_taken_id_is_a_conflict(self, api: Api) -> None:
        answer = await api.signed_in("zoe", None).post("/api/v1/tenants", json={"id": "acme", "name": "x"})

        problem(answer, Code.conflict)
        assert good(await api.signed_in("zoe", None).get("/api/v1/tenants")) == []

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"name": ""},
            {"name": "x" * 129},
            {"name": "x", "id": "a.b"},
            {"name": "x", "id": "x" * 64},
            {"name": "x", "id": ""},
            {"name": "x", "subscription_tier": "platinum"},
            {"name": "x", "metadata": []},
            {"name": "x", "allow_client_challenge": "perhaps"},
        ],
        ids=str,
    )
    async def test_what_is_out_of_range_is_refused(self, api: Api, body: dict[str, Any]) -> None:
        problem(await api.signed_in("zoe", None).post("/api/v1/tenants", json=body), Code.validation_failed)

    async def test_what_is_given_changes_and_the_rest_stays(
        self, api: Api, olivia: httpx.AsyncClient
    ) -> None:
        before = good(await olivia.get("/api/v1/tenants/acme"))
        api.installation.clock.advance(60)
        given = {"description": "new", "allow_client_challenge": True, "name": None}

        changed = good(await olivia.put("/api/v1/tenants/acme", json=given))

        assert changed == {
            **before,
            "description": "new",
            "allow_client_challenge": True,
            "updated_at": "2025-11-24T16:01:00.000Z",
        }
        cleared = good(await olivia.put("/api/v1/tenants/acme", json={"description": None}))
        assert cleared["description"] is None
        assert cleared["allow_client_challenge"] is True

    async def test_nobody_suspends_or_renumbers_a_tenant_by_the_way(self, olivia: httpx.AsyncClient) -> None:
        given = {"status": "suspended", "id": "other", "account": "x", "version": 9, "created_at": "never"}

        changed = good(await olivia.put("/api/v1/tenants/acme", json=given))

        assert (changed["id"], changed["status"], changed["created_at"]) == ("acme", "active", NOON)

    async def test_a_deleted_tenant_is_gone_for_everybody(self, api: Api, olivia: httpx.AsyncClient) -> None:
        answer = await olivia.delete("/api/v1/tenants/acme")

        assert (answer.status_code, answer.content) == (204, b"")
        problem(await olivia.get("/api/v1/tenants/acme"), Code.forbidden)
        problem(await olivia.delete("/api/v1/tenants/acme"), Code.forbidden)
        problem(await api.signed_in("vera").get("/api/v1/agents"), Code.forbidden)
        assert good(await api.signed_in("vera", None).get("/api/v1/tenants")) == []
        good(await api.signed_in("nina", "acme-2").get("/api/v1/agents"))


class TestRoles:
    @pytest.mark.parametrize("user", MEMBERS)
    async def test_every_member_reads(self, api: Api, user: str) -> None:
        client = api.signed_in(user)

        assert good(await client.get("/api/v1/tenants/acme"))["id"] == "acme"
        assert len(good(await client.get("/api/v1/tenants/acme/members"))) == 4

    @pytest.mark.parametrize(("user", "allowed"), [("adam", True), ("mia", False), ("vera", False)])
    async def test_admins_change_the_tenant_and_its_members(
        self, api: Api, user: str, *, allowed: bool
    ) -> None:
        client = api.signed_in(user)
        answers = [
            await client.put("/api/v1/tenants/acme", json={"name": "x"}),
            await client.post("/api/v1/tenants/acme/members", json={"user_id": "zoe"}),
            await client.put("/api/v1/tenants/acme/members/zoe", json={"role": "viewer"}),
            await client.delete("/api/v1/tenants/acme/members/zoe"),
        ]

        for answer in answers:
            if allowed:
                assert answer.is_success, answer.text
            else:
                problem(answer, Code.forbidden)

    @pytest.mark.parametrize("user", MEMBERS)
    async def test_only_an_owner_deletes_the_tenant(self, api: Api, user: str) -> None:
        problem(await api.signed_in(user).delete("/api/v1/tenants/acme"), Code.forbidden)

        good(await api.signed_in("olivia").get("/api/v1/tenants/acme"))


class TestMembers:
    async def test_one_is_added_changed_and_removed(self, olivia: httpx.AsyncClient) -> None:
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

    async def test_a_change_without_a_role_is_refused_and_demotes_nobody(
        self, olivia: httpx.AsyncClient
    ) -> None:
        answer = await olivia.put("/api/v1/tenants/acme/members/adam", json={"email": "new@example.com"})

        problem(answer, Code.validation_failed)
        roles = {m["user_id"]: m["role"] for m in good(await olivia.get("/api/v1/tenants/acme/members"))}
        assert roles["adam"] == "admin"

    async def test_the_last_owner_stays(self, olivia: httpx.AsyncClient) -> None:
        olivias = "/api/v1/tenants/acme/members/olivia"

        problem(await olivia.delete(olivias), Code.conflict)
        problem(await olivia.put(olivias, json={"role": "admin"}), Code.conflict)

    async def test_an_admin_makes_no_owner(self, api: Api) -> None:
        adam = api.signed_in("adam")

        for user in ("adam", "zoe"):
            answer = await adam.post("/api/v1/tenants/acme/members", json={"user_id": user, "role": "owner"})
            problem(answer, Code.forbidden)

    @pytest.mark.parametrize(
        "body", [{}, {"user_id": ""}, {"user_id": "x" * 256}, {"user_id": "x", "role": "god"}], ids=str
    )
    async def test_what_is_out_of_range_is_refused(
        self, olivia: httpx.AsyncClient, body: dict[str, str]
    ) -> None:
        problem(await olivia.post("/api/v1/tenants/acme/members", json=body), Code.validation_failed)

    @pytest.mark.parametrize("user", ["a\nb", "\u65e5" * 200])
    async def test_a_user_that_no_store_takes_is_a_bad_request(
        self, olivia: httpx.AsyncClient, user: str
    ) -> None:
        answer = await olivia.post("/api/v1/tenants/acme/members", json={"user_id": user})

        problem(answer, Code.bad_request)

    async def test_a_user_of_any_name_is_reached_by_its_path(self, olivia: httpx.AsyncClient) -> None:
        added = await olivia.post("/api/v1/tenants/acme/members", json={"user_id": "auth0|a#b é"})
        assert added.is_success

        removed = await olivia.delete("/api/v1/tenants/acme/members/auth0%7Ca%23b%20%C3%A9")

        assert removed.status_code == 204

    @pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
    async def test_another_tenants_members_are_out_of_reach(self, api: Api, method: str) -> None:
        path = "/api/v1/tenants/acme/members" + ("/vera" if method in {"PUT", "DELETE"} else "")
        body = {"user_id": "nina", "role": "owner"}

        problem(await api.signed_in("nina", "acme-2").request(method, path, json=body), Code.forbidden)
