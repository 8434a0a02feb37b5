"""The REST API on AWS Lambda: the events of API Gateway and of an ALB, as AWS documents them."""

import asyncio
import base64
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from artcafe.server import lambda_handler
from artcafe.server.app import Platform
from artcafe.server.lambda_handler import Function
from artcafe.server.settings import load
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit import dynoxide
from tests.kit.installations import running_bus
from tests.kit.issuers import new_key, running_issuer

Call = Callable[..., Any]


def api_gateway(method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> dict[str, Any]:
    """A request of an HTTP API: payload format version 2.0."""
    path, _, query = path.partition("?")
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": "abc.execute-api.eu-central-1.amazonaws.com", **headers},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abc",
            "domainName": "abc.execute-api.eu-central-1.amazonaws.com",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "curl/8",
            },
            "requestId": "id",
            "routeKey": "$default",
            "stage": "$default",
            "time": "26/Nov/2026:12:00:00 +0000",
            "timeEpoch": 1,
        },
        "body": None if body is None else base64.b64encode(body).decode(),
        "isBase64Encoded": body is not None,
    }


def rest_api(method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> dict[str, Any]:
    """A request of a REST API in the stage `prod`: payload format version 1.0, no stage in its path."""
    path, _, query = path.partition("?")
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": {"Host": "abc.execute-api.eu-central-1.amazonaws.com", **headers},
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": {name: value for name, _, value in pairs} or None,
        "multiValueQueryStringParameters": {name: [value] for name, _, value in pairs} or None,
        "pathParameters": {"proxy": path.removeprefix("/")},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abc",
            "domainName": "abc.execute-api.eu-central-1.amazonaws.com",
            "httpMethod": method,
            "identity": {"sourceIp": "203.0.113.7", "userAgent": "curl/8"},
            "path": f"/prod{path}",
            "protocol": "HTTP/1.1",
            "stage": "prod",
        },
        "body": None if body is None else body.decode(),
        "isBase64Encoded": False,
    }


def staged(stage: str, domain: str = "abc.execute-api.eu-central-1.amazonaws.com") -> Call:
    """Makes requests of an HTTP API in a stage: under the name that AWS gave it, that stands in the path."""

    def make(method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> dict[str, Any]:
        own = domain.startswith("abc.")
        event = api_gateway(method, f"/{stage}{path}" if own else path, headers, body)
        event["requestContext"] |= {"stage": stage, "domainName": domain}
        return event

    return make


def load_balancer(
    method: str, path: str, headers: dict[str, str], body: bytes | None = None
) -> dict[str, Any]:
    """A request of an Application Load Balancer with multi-value headers."""
    path, _, query = path.partition("?")
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    return {
        "requestContext": {
            "elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:eu-central-1:1:targetgroup/x/y"}
        },
        "httpMethod": method,
        "path": path,
        "multiValueQueryStringParameters": {name: [value] for name, _, value in pairs},
        "multiValueHeaders": {
            "host": ["lb.example.com"],
            "x-forwarded-port": ["443"],
            "x-forwarded-proto": ["https"],
            **{name: [value] for name, value in headers.items() if name != "x-forwarded-for"},
            "x-forwarded-for": [", ".join([*_forwarded(headers), "203.0.113.7"])],
        },
        "body": "" if body is None else body.decode(),
        "isBase64Encoded": False,
    }


def single_headers(
    method: str, path: str, headers: dict[str, str], body: bytes | None = None
) -> dict[str, Any]:
    """The same without multi-value headers."""
    event = load_balancer(method, path, headers, body)
    event["headers"] = {name: value for name, [value] in event.pop("multiValueHeaders").items()}
    event["queryStringParameters"] = {
        name: value for name, [value] in event.pop("multiValueQueryStringParameters").items()
    }
    return event


def own_line(method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> dict[str, Any]:
    """The same, the balancer's addition on a line of its own, with the client's port."""
    event = load_balancer(method, path, headers, body)
    event["multiValueHeaders"]["x-forwarded-for"] = [*_forwarded(headers), "203.0.113.7:51234"]
    return event


def _forwarded(headers: dict[str, str]) -> list[str]:
    return [headers["x-forwarded-for"]] if "x-forwarded-for" in headers else []


@dataclass
class Container:
    """A container of the function, in a thread of its own. Called, it gives (status, JSON, whole answer)."""

    function: Function
    thread: ThreadPoolExecutor
    token: str

    async def __call__(
        self, make: Call, method: str, path: str, data: Any = None, context: Any = None, **headers: str
    ) -> Any:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        named = {"authorization": f"Bearer {self.token}", "content-type": "application/json", **given}
        event = make(method, path, named, None if data is None else json.dumps(data).encode())
        answer = await self.run(self.function, event, context)
        text = answer["body"] or "null"
        if answer["isBase64Encoded"]:
            text = base64.b64decode(text)
        return answer["statusCode"], json.loads(text), answer

    async def run(self, work: Call, *given: Any) -> Any:
        """Do something in its thread."""
        return await asyncio.get_running_loop().run_in_executor(self.thread, work, *given)

    @property
    def opened(self) -> Platform:
        """What it stands on."""
        assert self.function._platform is not None
        return self.function._platform


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def call(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Container]:
    """A container, whose caller is signed in."""
    folder = tmp_path_factory.mktemp("lambda")
    place = await dynoxide.new_place()
    patch = pytest.MonkeyPatch()
    for name, value in dynoxide.environment().items():
        patch.setenv(name, value)
    with running_bus(folder) as nats, ThreadPoolExecutor(1) as thread:
        async with running_issuer({"key-1": new_key()}) as issuer:
            settings = load(
                data_dir=folder / "none",
                store=f"dynamodb:{place.table}",
                nats_url=nats,
                operator_seed=(folder / "data" / "operator.seed").read_text().strip(),
                oidc_issuer=issuer.url,
                oidc_jwks_url=issuer.jwks_url,
                oidc_client_ids=",".join(issuer.config().client_ids),
                oidc_allow_loopback_http=True,
                public_url="wss://pubsub.example.com",
                max_tenants_per_user=100,
            )
            function = await asyncio.get_running_loop().run_in_executor(thread, Function, settings)
            now = int(time.time())
            token = issuer.token(sub="ada", iat=now, nbf=now, exp=now + 600)
            container = Container(function, thread, token)
            yield container
            await container.run(function.close)
    patch.undo()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("make", "tenant"), [(api_gateway, "acme"), (load_balancer, "globex")])
async def test_a_tenant_is_managed_and_what_is_published_is_counted(
    call: Container, make: Any, tenant: str
) -> None:
    status, made, _ = await call(make, "POST", "/api/v1/tenants", {"id": tenant, "name": "Ä & Söhne"})
    assert (status, made["tenant_id"]) == (201, tenant)
    _, listed, _ = await call(make, "GET", "/api/v1/tenants")
    assert "Ä & Söhne" in [each["name"] for each in listed]
    inside = {"x-tenant-id": tenant}
    assert (await call(make, "POST", "/api/v1/channels", {"id": "tasks", "name": "T"}, **inside))[0] == 201
    for _ in range(3):
        assert (await call(make, "POST", "/api/v1/channels/tasks/messages", {"n": 1}, **inside))[0] < 300
    status, agents, _ = await call(make, "GET", "/api/v1/agents?limit=5", **inside)
    assert (status, agents["agents"]) == (200, [])
    usage = await call(make, "GET", "/api/v1/usage-metrics", **inside)
    assert usage[1]["totals"]["messages_count"] == 3
    status, problem, answer = await call(make, "GET", "/api/v1/agents/nobody", **inside)
    assert (status, problem["code"]) == (404, "not_found")
    headers = answer.get("headers") or {n: v[0] for n, v in answer["multiValueHeaders"].items()}
    assert headers["content-type"] == "application/problem+json"


FORMS = {
    "http-api": api_gateway,
    "http-api-stage": staged("prod"),
    "http-api-stage-api": staged("api"),
    "http-api-own-domain": staged("api", "api.example.com"),
    "rest-api": rest_api,
    "balancer": load_balancer,
    "balancer-single-headers": single_headers,
    "balancer-own-line": own_line,
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", FORMS)
async def test_the_audit_has_the_address_that_aws_says_whatever_the_client_wrote(
    call: Container, name: str
) -> None:
    tenant, make = f"t-{name}", FORMS[name]
    assert (await call(make, "POST", "/api/v1/tenants", {"id": tenant, "name": "T"}))[0] == 201

    status, _, _ = await call(
        make, "POST", "/api/v1/channels", {"name": "c"}, x_tenant_id=tenant, x_forwarded_for="198.51.100.66"
    )

    assert status == 201
    path = "/api/v1/audit?action=channel.create"
    status, audit, _ = await call(make, "GET", path, x_tenant_id=tenant)
    assert (status, [entry["remote"] for entry in audit["entries"]]) == (200, ["203.0.113.7"])


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", ["/api/v1/tenants", "/readyz"])
async def test_a_path_is_found_in_every_form(call: Container, path: str) -> None:
    assert {(await call(make, "GET", path))[0] for make in FORMS.values()} == {200}


@pytest.mark.asyncio(loop_scope="module")
async def test_only_a_whole_segment_is_a_stage(call: Container) -> None:
    def other(method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> dict[str, Any]:
        event: dict[str, Any] = staged("prod")(method, f"uction{path}", headers, body)
        return event

    assert (await call(other, "GET", "/api/v1/tenants"))[0] == 404


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("fault", [ArtcafeError(Code.unavailable, "The store is away."), RuntimeError("x")])
async def test_an_answer_is_given_though_the_counts_cannot_be_written_and_they_are_written_later(
    call: Container, fault: Exception, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = f"kept-{type(fault).__name__.lower()}"
    assert (await call(api_gateway, "POST", "/api/v1/tenants", {"id": tenant, "name": "T"}))[0] == 201
    inside = {"x_tenant_id": tenant}

    async def away() -> None:
        raise fault

    monkeypatch.setattr(call.function, "_platform", replace(call.opened, flush=away))
    with caplog.at_level(logging.WARNING):
        status, made, _ = await call(api_gateway, "POST", "/api/v1/agents", {"name": "planner"}, **inside)

    assert (status, made["agent"]["id"]) == (201, "planner")
    assert "PRIVATE KEY" in made["private_key"]
    assert "not_written" in [record.getMessage() for record in caplog.records]
    monkeypatch.undo()
    await call(api_gateway, "GET", "/api/v1/agents", **inside)
    _, usage, _ = await call(api_gateway, "GET", "/api/v1/usage-metrics", **inside)
    assert usage["totals"]["api_calls_count"] >= 2


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("make", [api_gateway, load_balancer])
async def test_where_the_store_is_away_before_a_request_that_is_answered(
    call: Container, make: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away() -> None:
        raise ArtcafeError(Code.unavailable, "The store is away.")

    await call(api_gateway, "GET", "/readyz")
    monkeypatch.setattr(call.function, "_platform", replace(call.opened, hold=away))

    status, problem, answer = await call(make, "GET", "/api/v1/tenants")

    assert (status, problem["code"]) == (503, "unavailable")
    assert "retry-after" in (answer.get("headers") or answer["multiValueHeaders"])


@pytest.mark.asyncio(loop_scope="module")
async def test_counts_that_take_long_do_not_keep_an_answer_back(
    call: Container, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write goes on when the container is called again, and there is never a second one beside it."""
    gate, writes = asyncio.Event(), []

    async def slow() -> None:
        writes.append("begun")
        await gate.wait()
        writes.append("done")

    await call(api_gateway, "GET", "/readyz")
    monkeypatch.setattr(call.function, "_platform", replace(call.opened, flush=slow))
    monkeypatch.setattr(lambda_handler, "WRITE_SECONDS", 0.05)
    soon_over = SimpleNamespace(get_remaining_time_in_millis=lambda: 1010)
    with caplog.at_level(logging.WARNING):
        assert (await call(api_gateway, "GET", "/readyz"))[0] == 200
        assert (await call(api_gateway, "GET", "/readyz", context=soon_over))[0] == 200
    assert writes == ["begun"]
    assert caplog.messages == ["not_written", "not_written"]

    await call.run(gate.set)
    assert (await call(api_gateway, "GET", "/readyz"))[0] == 200
    assert writes == ["begun", "done", "begun", "done"]


@pytest.mark.asyncio(loop_scope="module")
async def test_it_is_ready(call: Container) -> None:
    status, said, _ = await call(api_gateway, "GET", "/readyz")
    assert (status, said["status"]) == (200, "ok")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("make", [api_gateway, load_balancer])
async def test_websockets_are_refused_with_a_word(call: Container, make: Any) -> None:
    status, problem, _ = await call(make, "GET", "/api/v1/ws/agent/a?tenant_id=acme", upgrade="websocket")
    assert (status, problem["code"]) == (501, Code.no_websockets.name)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_websocket_api_is_refused_with_a_word(call: Container) -> None:
    def connect(*_: Any) -> dict[str, Any]:
        return {"requestContext": {"routeKey": "$connect", "eventType": "CONNECT", "connectionId": "x="}}

    status, problem, _ = await call(connect, "GET", "/")
    assert (status, problem["code"]) == (501, Code.no_websockets.name)


@pytest.mark.parametrize("missing", ["nats_url", "operator_seed"])
def test_what_has_to_be_set(missing: str) -> None:
    given = {"nats_url": "nats://127.0.0.1:4222", "operator_seed": "ab" * 32}
    del given[missing]
    with pytest.raises(ValueError, match="have to be set"):
        Function(load(**given))
