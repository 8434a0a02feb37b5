"""Tenants over REST, in the shapes that clients in the field read."""

from typing import Any

import httpx
import pytest

from artcafe.server.domain.legal import Document, Edition
from artcafe.wire.codes import Code
from tests.kit.api import MEMBERS, Api, good, problem

NOON = "2025-11-24T16:00:00.000Z"
TENANT_KEYS = {
    "id", "tenant_id", "name", "status", "subscription_tier", "admin_email", "description", "website",
    "logo_url", "primary_color", "secondary_color", "metadata", "allow_client_challenge", "limits",
    "created_at", "updated_at",
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
        """The tier that they name is read; the tenant gets the installation's."""
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
            "subscription_tier": "enterprise",
            "id": "blue-sky",
            "tenant_id": "blue-sky",
            "status": "active",
            "allow_client_challenge": False,
            "limits": {
                "max_agents": None,
                "max_channels": None,
                "max_messages_per_day": None,
                "max_api_calls_per_day": None,
                "max_storage_bytes": 1024 * 1024 * 1024,
                "max_durable_bytes": 4096 * 1024 * 1024,
                "max_inbox_messages": 1000,
                "max_inbox_bytes": 1024 * 1024 * 1024,
                "concurrent_connections": None,
            },
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
            {"name": "x", "admin_email": "nobody"},
            {"name": "x", "admin_email": "a@b c"},
            {"name": "x", "admin_email": "a@" + "b" * 253},
            {"name": "x", "website": "javascript:alert(1)"},
            {"name": "x", "logo_url": "https://"},
            {"name": "x", "primary_color": "red"},
            {"name": "x", "secondary_color": "#1234567"},
            {"name": "x", "terms_version": "#"},
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

    async def test_a_change_of_what_somebody_else_changed_is_refused(self, olivia: httpx.AsyncClient) -> None:
        acme = "/api/v1/tenants/acme"
        read = (await olivia.get(acme)).headers["etag"]
        first = await olivia.put(acme, json={"name": "first"}, headers={"if-match": read})
        written = first.headers["etag"]

        for refused in (
            await olivia.put(acme, json={"name": "second"}, headers={"if-match": read}),
            await olivia.delete(acme, headers={"if-match": read}),
        ):
            problem(refused, Code.precondition_failed)

        answer = await olivia.get(acme)
        assert (good(answer)["name"], answer.headers["etag"]) == ("first", written)
        assert written != read
        assert (await olivia.delete(acme, headers={"if-match": written})).status_code == 204

    async def test_what_is_published_has_to_be_accepted(self, api: Api) -> None:
        api.installation.documents[Document.terms] = Edition("v1")
        zoe = api.signed_in("zoe", None)

        refused = problem(await zoe.post("/api/v1/tenants", json={"name": "x"}), Code.validation_failed)
        assert "terms_version" in refused["detail"]
        assert "v1" in refused["detail"]

        good(await zoe.post("/api/v1/tenants", json={"name": "x", "terms_version": "v1"}), 201)
        listed = good(await zoe.get("/api/v1/tenants/x/legal"))
        assert [(one["document"], one["version"]) for one in listed["acceptances"]] == [("terms", "v1")]

    async def test_plan_and_status_may_be_sent_as_they_are_and_are_the_operators_to_set(
        self, api: Api, olivia: httpx.AsyncClient
    ) -> None:
        acme = "/api/v1/tenants/acme"
        await api.installation.operate(plan="free")
        before = good(await olivia.get(acme))
        for given in (
            {"subscription_tier": "enterprise", "name": "x"},
            {"subscription_tier": "growth"},
            {"status": "suspended", "name": "x"},
        ):
            problem(await olivia.put(acme, json=given), Code.forbidden)
        problem(await olivia.put(acme, json={"status": "away"}), Code.validation_failed)
        problem(await olivia.put(acme, json={"subscription_tier": "gold"}), Code.validation_failed)
        assert good(await olivia.get(acme)) == before

        same = {"subscription_tier": "starter", "status": "active", "name": "Acme"}
        assert good(await olivia.put(acme, json=same)) == {**before, "name": "Acme"}
        api.installation.clock.advance(1)
        read = {name: before[name] for name in ("name", "status", "subscription_tier", "metadata")}
        assert good(await olivia.put(acme, json=read))["subscription_tier"] == "free"
        [entry, *_] = good(await olivia.get("/api/v1/audit"))["entries"]
        assert "subscription_tier" not in entry["fields"]
        assert "status" not in entry["fields"]

    async def test_an_operator_who_makes_a_tenant_chooses_its_plan(self, api: Api) -> None:
        oscar = api.signed_in("oscar", None)

        good(await oscar.post("/api/v1/tenants", json={"name": "x", "subscription_tier": "growth"}), 201)
        assert good(await oscar.get("/api/v1/tenants/x"))["subscription_tier"] == "growth"

        changed = good(await oscar.put("/api/v1/tenants/x", json={"subscription_tier": "scale"}))
        assert changed["limits"]["max_agents"] == 50

    async def test_one_user_makes_as_many_as_the_operator_lets_it(self, api: Api) -> None:
        zoe = api.signed_in("zoe", None)
        for name in ("z1", "z2", "z3"):
            good(await zoe.post("/api/v1/tenants", json={"name": name}), 201)
        told = problem(await zoe.post("/api/v1/tenants", json={"name": "z4"}), Code.quota_exceeded)
        assert "3 tenants" in told["detail"]
        # Whoever owns it now: it counts for who made it, until it is gone.
        await zoe.post("/api/v1/tenants/z1/members", json={"user_id": "yan", "role": "owner"})
        assert (await zoe.delete("/api/v1/tenants/z1/members/zoe")).status_code == 204
        problem(await zoe.post("/api/v1/tenants", json={"name": "z4"}), Code.quota_exceeded)

        assert (await api.signed_in("yan", None).delete("/api/v1/tenants/z1")).status_code == 204

        problem(await zoe.post("/api/v1/tenants", json={"name": "z4"}), Code.quota_exceeded)
        await api.installation.process.deletions.work()
        good(await zoe.post("/api/v1/tenants", json={"name": "z4"}), 201)
        for number in range(5):
            good(await api.signed_in("oscar", None).post("/api/v1/tenants", json={"name": f"o{number}"}), 201)

    async def test_nobody_renumbers_a_tenant_by_the_way(self, olivia: httpx.AsyncClient) -> None:
        before = good(await olivia.get("/api/v1/tenants/acme"))
        given = {"id": "other", "account": "x", "version": 9, "created_at": "never"}

        for name, value in given.items():
            refused = await olivia.put("/api/v1/tenants/acme", json={"description": "new", name: value})
            assert repr(name) in problem(refused, Code.validation_failed)["detail"]

        assert good(await olivia.get("/api/v1/tenants/acme")) == before

    async def test_a_deleted_tenant_is_gone_for_everybody(self, api: Api, olivia: httpx.AsyncClient) -> None:
        answer = await olivia.delete("/api/v1/tenants/acme")

        assert (answer.status_code, answer.content) == (204, b"")
        await api.installation.process.deletions.work()
        problem(await olivia.get("/api/v1/tenants/acme"), Code.forbidden)
        problem(await olivia.delete("/api/v1/tenants/acme"), Code.forbidden)
        problem(await api.signed_in("vera").get("/api/v1/agents"), Code.forbidden)
        assert good(await api.signed_in("vera", None).get("/api/v1/tenants")) == []
        good(await api.signed_in("nina", "acme-2").get("/api/v1/agents"))

    async def test_one_that_is_being_deleted_is_shown_and_nothing_else(
        self, api: Api, olivia: httpx.AsyncClient
    ) -> None:
        before = await olivia.get("/api/v1/tenants/acme")
        assert (await olivia.delete("/api/v1/tenants/acme")).status_code == 204

        shown = await olivia.get("/api/v1/tenants/acme")

        assert good(shown)["status"] == "deleting"
        assert shown.headers["etag"] != before.headers["etag"]
        vera = api.signed_in("vera")
        assert [each["status"] for each in good(await vera.get("/api/v1/tenants"))] == ["deleting"]
        for answer in (
            await olivia.delete("/api/v1/tenants/acme"),
            await olivia.put("/api/v1/tenants/acme", json={"name": "x"}),
            await olivia.get("/api/v1/tenants/acme/members"),
            await olivia.post("/api/v1/agents", json={"name": "x"}),
            await vera.get("/api/v1/agents"),
            await api.signed_in("vera", None).get("/api/v1/channels"),
        ):
            problem(answer, Code.deleting)
        taken = await api.signed_in("zoe", None).post("/api/v1/tenants", json={"id": "acme", "name": "x"})
        assert "being deleted" in problem(taken, Code.conflict)["detail"]
        oscar = api.signed_in("oscar", None)
        page = good(await oscar.get("/api/v1/operator/tenants", params={"status": "deleting"}))
        assert [tenant["id"] for tenant in page["tenants"]] == ["acme"]
        problem(await oscar.patch("/api/v1/operator/tenants/acme", json={"status": "active"}), Code.not_found)

    async def test_nobody_sets_the_status_that_only_a_deletion_has(
        self, api: Api, olivia: httpx.AsyncClient
    ) -> None:
        oscar = api.signed_in("oscar", None)

        refused = await oscar.patch("/api/v1/operator/tenants/acme", json={"status": "deleting"})
        problem(refused, Code.validation_failed)
        problem(await olivia.put("/api/v1/tenants/acme", json={"status": "deleting"}), Code.validation_failed)


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
