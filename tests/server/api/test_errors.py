"""Whatever goes wrong: one kind of answer, nothing of the input in it, and never a stack trace."""

import json
import re

import httpx
import pytest
from fastapi import APIRouter

from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.api import Api, furnished, good, problem

SECRET = "hunter2-do-not-repeat"
JSON = {"content-type": "application/json"}

PUBLIC = {
    "/livez",
    "/readyz",
    "/health",
    "/api/v1/health",
    "/api/v1/agents/auth/challenge",
    "/api/v1/auth/agent/challenge",
    "/api/v1/agents/auth/verify",
    "/api/v1/auth/agent/verify",
    "/api/v1/legal/versions",
    "/local/challenge",
    "/local/token",
    "/local/code",
    "/api/v1/auth/config",
    "/local/.well-known/jwks.json",
    "/local/.well-known/openid-configuration",
    "/openapi.json",
}
"""What needs no token; whoever adds a route to this list has thought about it."""

PROTECTED = [
    ("GET", "/api/v1/tenants"),
    ("POST", "/api/v1/tenants"),
    ("GET", "/api/v1/tenants/acme"),
    ("PUT", "/api/v1/tenants/acme"),
    ("DELETE", "/api/v1/tenants/acme"),
    ("GET", "/api/v1/tenants/acme/members"),
    ("POST", "/api/v1/tenants/acme/members"),
    ("GET", "/api/v1/tenants/acme/members/vera"),
    ("PUT", "/api/v1/tenants/acme/members/vera"),
    ("DELETE", "/api/v1/tenants/acme/members/vera"),
    ("GET", "/api/v1/tenants/acme/invitations"),
    ("POST", "/api/v1/tenants/acme/invitations"),
    ("DELETE", "/api/v1/tenants/acme/invitations/i1"),
    ("POST", "/api/v1/invitations/accept"),
    ("GET", "/api/v1/tenants/acme/legal"),
    ("GET", "/api/v1/tenants/acme/metrics"),
    ("POST", "/api/v1/tenants/acme/legal"),
    ("GET", "/api/v1/audit"),
    ("GET", "/api/v1/agents"),
    ("POST", "/api/v1/agents"),
    ("GET", "/api/v1/agents/a1"),
    ("PUT", "/api/v1/agents/a1"),
    ("DELETE", "/api/v1/agents/a1"),
    ("GET", "/api/v1/agents/a1/keys"),
    ("POST", "/api/v1/agents/a1/keys"),
    ("PUT", "/api/v1/agents/a1/keys/k"),
    ("DELETE", "/api/v1/agents/a1/keys/k"),
    ("GET", "/api/v1/channels"),
    ("POST", "/api/v1/channels"),
    ("GET", "/api/v1/channels/c"),
    ("PUT", "/api/v1/channels/c"),
    ("DELETE", "/api/v1/channels/c"),
    ("GET", "/api/v1/channels/c/messages"),
    ("POST", "/api/v1/channels/c/messages"),
    ("GET", "/api/v1/channels/c/subscriptions"),
    ("DELETE", "/api/v1/channels/c/subscriptions/w"),
    ("GET", "/api/v1/channels/c/dead-letters"),
    ("DELETE", "/api/v1/channels/c/dead-letters"),
    ("DELETE", "/api/v1/channels/c/dead-letters/1"),
    ("POST", "/api/v1/channels/c/dead-letters/1/retry"),
    ("GET", "/api/v1/operator/log"),
    ("GET", "/api/v1/operator/tenants"),
    ("GET", "/api/v1/operator/tenants/acme"),
    ("PATCH", "/api/v1/operator/tenants/acme"),
    ("GET", "/api/v1/usage-metrics"),
    ("GET", "/api/v1/usage-metrics/billing"),
]


def paths(api: Api) -> dict[str, set[str]]:
    """Every path of the API with its methods, as OpenAPI names them and the hidden ones besides."""
    found: dict[str, set[str]] = {}
    for path, operations in api.app.openapi()["paths"].items():
        found[path] = {method.upper() for method in operations}
    return found


class TestWhoMayAsk:
    @pytest.mark.parametrize(
        "authorization",
        [None, "", "Bearer", "Bearer ", "Bearer garbage", "Basic b2xpdmlhOng=", "garbage", "bearer\tx"],
    )
    async def test_without_a_valid_token_nothing_is_answered(
        self, anyone: httpx.AsyncClient, authorization: str | None
    ) -> None:
        """Bug of the original: `Bearer garbage` with `X-Tenant-Id: X` read tenant X's agents."""
        anyone.headers["x-tenant-id"] = "acme"
        if authorization is not None:
            anyone.headers["authorization"] = authorization
        for method, path in PROTECTED:
            answer = await anyone.request(method, path, json={"name": "x"})

            problem(answer, Code.unauthorized)
            assert answer.headers["www-authenticate"] == "Bearer"

    def test_every_path_is_public_on_purpose_or_tried_above(self, api: Api) -> None:
        places = {
            "/tenants/acme": "/tenants/{tenant_id}",
            "/members/vera": "/members/{user_id}",
            "/invitations/i1": "/invitations/{invitation_id}",
            "/agents/a1": "/agents/{agent_id}",
            "/keys/k": "/keys/{key_id}",
            "/channels/c": "/channels/{channel_id}",
            "/subscriptions/w": "/subscriptions/{subscription_name}",
            "/dead-letters/1": "/dead-letters/{seq}",
        }

        def template(path: str) -> str:
            for named, place in places.items():
                path = re.sub(rf"{named}(?=/|$)", place, path)
            return path

        tried = {(method, template(path)) for method, path in PROTECTED}

        described = {
            (method, path) for path, methods in paths(api).items() for method in methods if path not in PUBLIC
        }

        assert described == tried

    async def test_an_expired_token_says_so(self, api: Api) -> None:
        answer = await api.client(authorization="Bearer expired").get("/api/v1/agents")

        problem(answer, Code.token_expired)

    async def test_an_issuer_that_is_away_is_not_the_users_fault(self, api: Api) -> None:
        api.tokens.away = True

        answer = await api.signed_in("olivia").get("/api/v1/agents")

        problem(answer, Code.unavailable)
        assert answer.headers["retry-after"] == "1"

    async def test_a_token_is_asked_for_before_anything_is_checked(self, anyone: httpx.AsyncClient) -> None:
        problem(await anyone.get("/api/v1/agents?limit=none"), Code.unauthorized)
        problem(await anyone.post("/api/v1/agents", json={"no": "name"}), Code.unauthorized)
        problem(await anyone.get("/api/v1/agents", headers={"x-tenant-id": "x" * 100}), Code.unauthorized)

    @pytest.mark.parametrize("body", [b"{", b"", b"[]", b"\xff\xfe", b'{"a": ' * 3000])
    async def test_a_token_is_asked_for_before_a_body_is_read(self, api: Api, body: bytes) -> None:
        """FastAPI reads it first; its complaint is for those who may write."""
        for headers, code in (
            ({}, Code.unauthorized),
            ({"authorization": "Bearer garbage"}, Code.unauthorized),
            ({"authorization": "Bearer expired"}, Code.token_expired),
        ):
            answer = await api.client(**headers).post("/api/v1/agents", content=body, headers=JSON)
            problem(answer, code)

    async def test_who_needs_no_token_hears_what_is_wrong_with_the_body(
        self, anyone: httpx.AsyncClient
    ) -> None:
        answer = await anyone.post("/api/v1/agents/auth/challenge", content=b"{", headers=JSON)

        problem(answer, Code.validation_failed)


class TestWhichTenant:
    async def test_a_foreign_tenant_and_one_that_is_not_are_refused_alike(self, api: Api) -> None:
        answers = [
            problem(await api.signed_in("olivia", tenant).get(path), Code.forbidden)
            for tenant in ("acme-2", "nowhere", "ACME", "#", "T#acme")
            for path in ("/api/v1/agents", "/api/v1/channels", "/api/v1/usage-metrics")
        ]
        answers += [
            problem(await api.signed_in("olivia").get(f"/api/v1/tenants/{tenant}"), Code.forbidden)
            for tenant in ("acme-2", "nowhere")
        ]

        assert len({str({**answer, "request_id": ""}) for answer in answers}) == 1

    async def test_whoever_belongs_nowhere_gets_nowhere(self, api: Api) -> None:
        for tenant in (None, "acme", "nowhere"):
            problem(await api.signed_in("zoe", tenant).get("/api/v1/agents"), Code.forbidden)
        # Not by a claim in the token either: it picks among memberships, and there are none.
        problem(await api.signed_in("zoe", None, claim="acme").get("/api/v1/agents"), Code.forbidden)

    async def test_the_header_picks_among_several(self, api: Api) -> None:
        nina = api.signed_in("nina", "acme-2")
        added = await nina.post(
            "/api/v1/tenants/acme-2/members", json={"user_id": "olivia", "role": "viewer"}
        )
        assert added.is_success
        await api.signed_in("olivia", "acme").post("/api/v1/agents", json={"id": "ours", "name": "x"})
        await nina.post("/api/v1/agents", json={"id": "theirs", "name": "x"})

        async def agents(tenant: str | None, claim: str | None = None) -> list[str]:
            answer = await api.signed_in("olivia", tenant, claim).get("/api/v1/agents")
            return [agent["id"] for agent in good(answer)["agents"]]

        assert await agents("acme") == ["ours"]
        assert await agents("acme-2") == ["theirs"]
        assert await agents(None, claim="acme-2") == ["theirs"]
        assert await agents("acme", claim="acme-2") == ["ours"]
        problem(await api.signed_in("olivia", None).get("/api/v1/agents"), Code.bad_request)
        # As a viewer there, whatever she is here.
        refused = await api.signed_in("olivia", "acme-2").post("/api/v1/agents", json={"name": "x"})
        problem(refused, Code.forbidden)

    async def test_the_only_tenant_needs_no_header(self, api: Api) -> None:
        good(await api.signed_in("olivia", None).get("/api/v1/agents"))

    async def test_the_header_does_not_change_what_a_path_names(self, api: Api) -> None:
        problem(await api.signed_in("olivia", "acme").get("/api/v1/tenants/acme-2"), Code.forbidden)
        answer = await api.signed_in("olivia", "acme-2").get("/api/v1/tenants/acme")
        assert good(answer)["tenant_id"] == "acme"

    @pytest.mark.parametrize("tenant", ["x" * 64, "x" * 5000, "a\x85b"])
    async def test_a_header_that_names_no_tenant_at_all_is_refused(self, api: Api, tenant: str) -> None:
        answer = await api.signed_in("olivia", None).get(
            "/api/v1/agents", headers=[(b"x-tenant-id", tenant.encode("latin-1"))]
        )

        assert answer.status_code in {400, 403, 422}
        assert answer.headers["content-type"] == "application/problem+json"


class TestRouting:
    @pytest.mark.parametrize(
        "path",
        [
            "/nowhere",
            "/api/v1",
            "/api/v1/nowhere",
            "/api/v1/agents/",
            "/api/v1/agents/a/b/c/d",
            "/api/v1/ws/agent/a1",
            "/api/v1/api/v1/ws/agent/a1",
            "/docs/",
            "/docs/redoc.standalone.js",
            "/redoc",
            "/%00",
            "/api/v1/%ff%fe",
        ],
    )
    async def test_an_unknown_path_is_not_found(self, olivia: httpx.AsyncClient, path: str) -> None:
        problem(await olivia.get(path), Code.not_found)

    async def test_a_method_that_is_not_there_names_all_that_are(
        self, api: Api, olivia: httpx.AsyncClient
    ) -> None:
        for path, methods in paths(api).items():
            concrete = path.replace("{", "").replace("}", "")
            answer = await olivia.request("TRACE", concrete)

            problem(answer, Code.method_not_allowed)
            allowed = answer.headers["allow"].split(", ")
            assert allowed == sorted(set(allowed)), concrete
            assert set(allowed) - {"HEAD"} == methods, concrete

    async def test_an_id_that_no_store_takes_is_a_bad_request(self, olivia: httpx.AsyncClient) -> None:
        for path in ("/api/v1/agents/%00", "/api/v1/channels/a%0Ab", f"/api/v1/agents/{'x' * 600}"):
            body = problem(await olivia.get(path), Code.bad_request)
            assert "xxx" not in body["detail"]


BODIES = {
    "not JSON": b"{",
    "nothing": b"",
    "a list": b"[]",
    "a text": b'"x"',
    "null": b"null",
    "a wrong type": json.dumps({"name": {"x": SECRET}}).encode(),
    "a value too long": json.dumps({"name": SECRET * 20}).encode(),
    "a pattern that does not fit": json.dumps({"name": "x", "id": f"#{SECRET}"}).encode(),
    "a lone surrogate": json.dumps({"name": "x", "id": "\ud800" + SECRET}).encode(),
    "a lone surrogate as a name": json.dumps({"name": "\ud800" + SECRET}).encode(),
    "a wrong item of a list": json.dumps({"name": "x", "capabilities": [SECRET, 7]}).encode(),
}


class TestValidation:
    @pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
    async def test_what_is_wrong_is_told_and_nothing_is_repeated(
        self, olivia: httpx.AsyncClient, body: bytes
    ) -> None:
        answer = await olivia.post("/api/v1/agents", content=body, headers=JSON)

        detail = problem(answer, Code.validation_failed)["detail"]
        assert detail.isascii()
        assert SECRET not in answer.text
        assert "body" in detail
        assert good(await olivia.get("/api/v1/agents"))["agents"] == []

    @pytest.mark.parametrize("body", [b"\xff\xfe{}", b'{"name": "\xff"}', b'{"a":' * 100_000])
    async def test_what_cannot_be_read_at_all_is_refused(
        self, olivia: httpx.AsyncClient, body: bytes
    ) -> None:
        answer = await olivia.post("/api/v1/agents", content=body[:19_000], headers=JSON)

        assert answer.status_code in {400, 422}
        problem(answer, Code[answer.json()["code"]])

    @pytest.mark.parametrize(
        "metadata",
        ['{"n": 1e400}', '{"n": "\\ud800"}', '{"\\ud800": 1}', '{"n": NaN}', '{"n": 9999999999999999999999}'],
    )
    async def test_values_that_no_json_carries_back_are_refused(
        self, olivia: httpx.AsyncClient, metadata: str
    ) -> None:
        body = f'{{"name": "x", "id": "x", "metadata": {metadata}}}'.encode()

        answer = await olivia.post("/api/v1/agents", content=body, headers=JSON)

        problem(answer, Code.validation_failed)

    @pytest.mark.parametrize(
        "query",
        ["limit=0", "limit=201", "limit=x", f"limit={SECRET}", "status=away", "next_token=" + "x" * 2049],
    )
    async def test_a_query_out_of_range_is_told(self, olivia: httpx.AsyncClient, query: str) -> None:
        answer = await olivia.get(f"/api/v1/agents?{query}")

        detail = problem(answer, Code.validation_failed)["detail"]
        assert query.partition("=")[0] in detail
        assert SECRET not in answer.text

    async def test_a_page_token_of_nothing_is_a_bad_request(self, olivia: httpx.AsyncClient) -> None:
        problem(await olivia.get("/api/v1/agents?next_token=garbage"), Code.bad_request)
        problem(await olivia.get("/api/v1/channels?next_token=garbage"), Code.bad_request)

    async def test_many_faults_make_a_long_answer_and_not_an_endless_one(
        self, olivia: httpx.AsyncClient
    ) -> None:
        answer = await olivia.post("/api/v1/agents", json={"name": "x", "capabilities": [1] * 2000})

        assert len(problem(answer, Code.validation_failed)["detail"]) <= 1000


class TestFaults:
    async def test_a_store_that_is_away_is_worth_another_try(self, api: Api) -> None:
        anybody = api.signed_in("olivia", groups=["platform-operators"])
        api.installation.store.away = True

        for method, path in PROTECTED:
            token = {"token": f"acme.i1.{'s' * 43}"}
            body: dict[str, str] = token if path.endswith("/accept") else {"name": "x"}
            answer = await anybody.request(method, path, json={} if "operator" in path else body)
            problem(answer, Code.unavailable)
            assert answer.headers["retry-after"] == "1"

    async def test_a_wait_is_told_twice(self) -> None:
        api = await furnished()
        router = APIRouter()

        @router.get("/limited")
        async def limited() -> None:
            raise ArtcafeError(Code.rate_limited, retry_after=1.2)

        api.app.include_router(router)

        answer = await api.client().get("/limited")

        assert problem(answer, Code.rate_limited)["retry_after_ms"] == 1200
        assert answer.headers["retry-after"] == "2"

    async def test_a_fault_is_logged_and_says_nothing(self, caplog: pytest.LogCaptureFixture) -> None:
        api = await furnished()
        router = APIRouter()

        @router.get("/fault/{name}")
        async def fault() -> None:
            raise ZeroDivisionError(SECRET)

        api.app.include_router(router)

        answer = await api.client().get("/fault/of%0Amine", headers={"x-request-id": "call-7"})

        assert problem(answer, Code.internal)["request_id"] == "call-7"
        assert SECRET not in answer.text
        assert "ZeroDivisionError" not in answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert SECRET in caplog.text
        assert "fault in GET '/fault/of\\nmine', request call-7" in caplog.text

    async def test_an_error_without_an_http_form_is_a_fault_here(self) -> None:
        api = await furnished()
        router = APIRouter()

        @router.get("/slow")
        async def slow() -> None:
            raise ArtcafeError(Code.slow_consumer)

        api.app.include_router(router)

        problem(await api.client().get("/slow"), Code.slow_consumer, 500)
