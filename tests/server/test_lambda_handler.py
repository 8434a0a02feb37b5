"""The REST API on AWS Lambda: the events of API Gateway and of an ALB, as AWS documents them."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import pytest_asyncio

from artcafe.server.lambda_handler import Function
from artcafe.server.settings import load
from artcafe.wire.codes import Code
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
            "x-forwarded-for": ["203.0.113.7"],
            "x-forwarded-port": ["443"],
            "x-forwarded-proto": ["https"],
            **{name: [value] for name, value in headers.items()},
        },
        "body": "" if body is None else body.decode(),
        "isBase64Encoded": False,
    }


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def call(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Call]:
    """Calls the function in a container of its own, signed in, and gives (status, answer, headers)."""
    folder = tmp_path_factory.mktemp("lambda")
    place = await dynoxide.new_place()
    patch = pytest.MonkeyPatch()
    for name, value in dynoxide.environment().items():
        patch.setenv(name, value)
    loop = asyncio.get_running_loop()
    with running_bus(folder) as nats, ThreadPoolExecutor(1) as container:
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
            )
            function = await loop.run_in_executor(container, Function, settings)
            now = int(time.time())
            token = issuer.token(sub="ada", iat=now, nbf=now, exp=now + 600)

            async def act(make: Any, method: str, path: str, data: Any = None, **headers: str) -> Any:
                named = {"authorization": f"Bearer {token}", "content-type": "application/json", **headers}
                body = None if data is None else json.dumps(data).encode()
                event = make(method, path, named, body)
                answer = await loop.run_in_executor(container, function, event, None)
                text = answer["body"] or "null"
                if answer["isBase64Encoded"]:
                    text = base64.b64decode(text)
                return answer["statusCode"], json.loads(text), answer

            yield act
            await loop.run_in_executor(container, function.close)
    patch.undo()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("make", "tenant"), [(api_gateway, "acme"), (load_balancer, "globex")])
async def test_a_tenant_is_managed_and_what_is_published_is_counted(
    call: Call, make: Any, tenant: str
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


@pytest.mark.asyncio(loop_scope="module")
async def test_it_is_ready(call: Call) -> None:
    status, said, _ = await call(api_gateway, "GET", "/readyz")
    assert (status, said["status"]) == (200, "ok")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("make", [api_gateway, load_balancer])
async def test_websockets_are_refused_with_a_word(call: Call, make: Any) -> None:
    status, problem, _ = await call(make, "GET", "/api/v1/ws/agent/a?tenant_id=acme", upgrade="websocket")
    assert (status, problem["code"]) == (501, Code.no_websockets.name)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_websocket_api_is_refused_with_a_word(call: Call) -> None:
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
