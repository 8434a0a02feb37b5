"""A whole platform behind nginx: what passes, what is refused there, and what is written about it."""

import base64
import json
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from artcafe.server.gateway.websocket.handshake import Refuse, Upgrade
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.deadlines import eventually
from tests.kit.nginx import Nginx, free_port, running_nginx
from tests.kit.platform import RunningPlatform, running_platform
from tests.kit.servers import serving
from tests.kit.sockets import Socket, agent_url, legacy, proven
from tests.kit.ssh_keys import KeyRing

NewKey = Callable[[], Path]

APP = "https://app.example.com"
EVIL = "https://evil.example"
HERE = "127.0.0.9"
"""Where the clients of these tests come from: nginx itself is at 127.0.0.1."""


@dataclass
class Edge:
    """A platform, and nginx before it."""

    nginx: Nginx
    platform: RunningPlatform

    def rest(self, tenant: str | None = None, **headers: str) -> httpx.Client:
        """A client of the API through nginx, signed in."""
        named = {"authorization": f"Bearer {self.platform.token()}", **headers}
        if tenant is not None:
            named["x-tenant-id"] = tenant
        trust = ssl.create_default_context(cafile=self.nginx.certificate)
        transport = httpx.HTTPTransport(verify=trust, local_address=HERE)
        return httpx.Client(base_url=self.nginx.url, headers=named, transport=transport, timeout=15.0)


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """The platform is one of two upstreams; the other one is dead."""
    folder, port, dead = tmp_path_factory.mktemp("edge"), free_port(), socket.socket()
    dead.bind(("127.0.0.1", 0))
    settings = {
        "ARTCAFE_PUBLIC_URL": f"wss://localhost:{port}",
        "ARTCAFE_TRUSTED_PROXIES": "127.0.0.1/32",
        "ARTCAFE_ALLOWED_ORIGINS": APP,
    }
    with dead, running_platform(folder / "data", settings=settings) as platform:
        upstreams = [f"127.0.0.1:{dead.getsockname()[1]}", platform.url.removeprefix("http://")]
        with running_nginx(folder / "nginx", "--origin", APP, upstreams=upstreams, https_port=port) as nginx:
            yield Edge(nginx, platform)


@pytest.fixture(autouse=True)
def trusted(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the certificate, as who adds it to the system's."""
    monkeypatch.setenv("SSL_CERT_FILE", str(edge.nginx.certificate))


@pytest.fixture
def platform(edge: Edge) -> RunningPlatform:
    """The one behind nginx: the tenants of these tests are made there."""
    return edge.platform


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The answer is a problem document as the server itself would write it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document.keys() == {"type", "title", "status", "code", "detail", "request_id"}
    assert (document["status"], document["code"]) == (status, code)
    assert document["title"] == code.replace("_", " ")
    assert answer.headers.get_list("x-request-id") == [document["request_id"]]
    assert answer.headers.get_list("cache-control") == ["no-store"]
    return document


def test_the_api_and_where_a_change_came_from(edge: Edge, tenant: str) -> None:
    with edge.rest(tenant, **{"x-forwarded-for": "203.0.113.7"}) as rest:
        made = rest.post("/api/v1/channels", json={"name": "tasks"}, headers={"x-request-id": "one-word"})
        assert made.status_code == 201, made.text
        assert made.headers.get_list("x-request-id") == ["one-word"]
        assert made.headers.get_list("x-content-type-options") == ["nosniff"]
        assert made.headers.get_list("cache-control") == ["no-store"]
        assert made.headers["strict-transport-security"] == "max-age=31536000"
        assert "nginx/" not in made.headers["server"]
        [entry] = [e for e in rest.get("/api/v1/audit").json()["entries"] if e["action"] == "channel.create"]
        assert (entry["remote"], entry["request_id"]) == (HERE, "one-word")
        for path in (
            "/health",
            "/livez",
            "/readyz",
            "/openapi.json",
            "/docs",
            "/docs/start.js",
            "/console/",
            "/console/console.js",
        ):
            assert rest.get(path).status_code == 200, path


def test_the_console_and_how_to_sign_in_are_there_and_the_embedded_issuer_is_not(edge: Edge) -> None:
    with edge.rest() as rest:
        page = rest.get("/console/", headers={"origin": EVIL})
        assert (
            f"connect-src 'self' wss://localhost:{edge.nginx.https_port}"
            in (page.headers["content-security-policy"])
        )
        assert "access-control-allow-origin" not in page.headers
        assert rest.get("/api/v1/auth/config").status_code == 200
        for path in ("/local/oauth2/authorize", "/local/token", "/local/code"):
            assert rest.get(path).status_code == 404


def test_the_address_alone_leads_to_the_console_and_head_is_answered(edge: Edge) -> None:
    with edge.rest() as rest:
        home = rest.get("/")
        assert (home.status_code, home.headers["location"]) == (307, "console/")
        for path in ("/", "/health", "/livez", "/readyz", "/console/", "/openapi.json", "/api/v1/tenants"):
            got, head = rest.get(path), rest.head(path)
            assert (head.status_code, head.content) == (got.status_code, b"")
            assert head.headers["content-length"] == str(len(got.content)), path


@pytest.mark.parametrize("user", ["repo:org/app:ref:refs/heads/main", "a//b/../c", "%2F%", "a?b#c+d e"])
def test_a_member_is_named_by_any_identifier_directly_and_through_nginx(
    edge: Edge, tenant: str, user: str
) -> None:
    members = f"/tenants/{tenant}/members"
    member = f"{members}/{quote(user, safe='')}"
    for rest, prefix in ((edge.platform.rest(tenant), ""), (edge.rest(tenant), "/api/v1")):
        with rest:
            assert rest.post(prefix + members, json={"user_id": user, "role": "viewer"}).status_code == 200
            assert rest.get(prefix + member).json()["user_id"] == user
            assert rest.delete(prefix + member).status_code == 204
            assert rest.get(prefix + member).status_code == 404


def test_plain_http_only_leads_to_tls(edge: Edge) -> None:
    url = f"http://localhost:{edge.nginx.http_port}"
    answer = httpx.post(f"{url}/api/v1/tenants?a=b")
    assert (answer.status_code, answer.headers["location"]) == (308, f"{edge.nginx.url}/api/v1/tenants?a=b")
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(url, headers={"host": "another.example"})


def test_another_name_gets_no_handshake(edge: Edge) -> None:
    trust = ssl.create_default_context(cafile=edge.nginx.certificate)
    for name in ("another.example", "127.0.0.1"):
        with (
            socket.create_connection(("127.0.0.1", edge.nginx.https_port)) as connection,
            pytest.raises(ssl.SSLError, match="unrecognized name"),
        ):
            trust.wrap_socket(connection, server_hostname=name)


async def test_agents_and_dashboards_of_every_dialect(
    edge: Edge, tenant: str, keys: KeyRing, new_key: NewKey
) -> None:
    """Each handshake may meet the dead upstream first: it is tried at the other one."""
    modern, old = new_key(), keys.path("rsa-2048")
    edge.platform.make_agent(tenant, "modern", modern)
    edge.platform.make_agent(tenant, "old", old)
    ws = edge.nginx.ws
    async with (
        connect(f"{ws}/api/v1/ws/dashboard") as first,
        connect(f"{ws}/ws/dashboard", additional_headers={"origin": APP}) as second,
    ):
        humans = Socket(first), Socket(second)
        for human in humans:
            await human.send(type="auth", token=edge.platform.token(), tenant_id=tenant)
            await human.expect("connected", tenant_id=tenant)
            await human.send(type="subscribe", topic="tasks")
            await human.expect("subscribed", topic="tasks")
        async with (
            proven(ws, tenant, "modern", modern) as agent,
            legacy(ws, tenant, "old", old, "challenge-a") as dialect_a,
            legacy(ws, tenant, "old", old, "challenge-b", path="/ws/agent") as dialect_b,
        ):
            for human in humans:
                came = {(await human.expect("agent.online"))["topic"] for _ in range(2)}
                assert came == {"presence.modern", "presence.old"}
            for socket_ in (agent, dialect_a):
                await socket_.subscribe("tasks")
            await dialect_b.send(type="subscribe", subjects=[f"tenant.{tenant}.channel.tasks"])
            await dialect_b.send(type="heartbeat")
            await dialect_b.expect("heartbeat_ack")
            large = "x" * 500_000
            await agent.send(type="publish", subject="tasks", data={"text": large})
            assert (await agent.expect("message"))["data"] == {"text": large}
            assert (await dialect_a.expect("message"))["data"]["text"] == large
            assert (await dialect_b.expect("message"))["message"]["payload"] == {"text": large}
            for human in humans:
                assert (await human.expect("message"))["payload"] == {"text": large}


async def test_handshakes_pass_a_dead_upstream(edge: Edge, tenant: str, new_key: NewKey) -> None:
    key = new_key()
    edge.platform.make_agent(tenant, "a", key)
    for _ in range(6):
        async with proven(edge.nginx.ws, tenant, "a", key) as agent:
            await agent.silence()
    # nginx remembers for a while who was dead, and asks it again after that.
    tried = [line for line in edge.nginx.logged() if "," in line["upstream_status"]]
    assert tried
    assert {line["upstream_status"].split(", ")[0] for line in tried} == {"502"}


async def test_handshakes_pass_a_server_that_is_going_away(tmp_path: Path) -> None:
    async def leaving(upgrade: Upgrade) -> Refuse:
        return Refuse.because(ArtcafeError(Code.going_away))

    async def staying(upgrade: Upgrade) -> Refuse:
        return Refuse.because(ArtcafeError(Code.unauthorized))

    async with serving(FastAPI(), leaving) as one, serving(FastAPI(), staying) as two:
        upstreams = [f"127.0.0.1:{server.port}" for server in (one, two)]
        with running_nginx(tmp_path, upstreams=upstreams) as nginx:
            trust = ssl.create_default_context(cafile=nginx.certificate)
            for _ in range(4):
                with pytest.raises(InvalidStatus, match="401"):
                    await connect(f"{nginx.ws}/ws/dashboard", ssl=trust)
            statuses = {line["upstream_status"] for line in nginx.logged()}
    assert statuses == {"503, 401", "401"}


def test_cors_is_for_listed_origins_alone(edge: Edge) -> None:
    asking = {"access-control-request-method": "PATCH", "access-control-request-headers": "x-tenant-id"}
    with edge.rest() as rest:
        allowed = rest.options("/api/v1/agents", headers={"origin": APP, **asking})
        assert (allowed.status_code, allowed.content) == (204, b"")
        assert allowed.headers.get_list("access-control-allow-origin") == [APP]
        assert "PATCH" in allowed.headers["access-control-allow-methods"]
        assert "X-Tenant-Id" in allowed.headers["access-control-allow-headers"]
        assert allowed.headers["access-control-max-age"] == "600"
        assert allowed.headers.get_list("access-control-allow-credentials") == ["true"]

        for path, status in (("/api/v1/tenants", 200), ("/api/v1/no-such-thing", 404), ("/nowhere", 404)):
            answer = rest.get(path, headers={"origin": APP})
            assert answer.status_code == status
            assert answer.headers.get_list("access-control-allow-origin") == [APP]
            assert "ETag" in answer.headers["access-control-expose-headers"]
            assert answer.headers.get_list("access-control-allow-credentials") == ["true"]
            assert answer.headers["vary"] == "Origin"
            assert "access-control-allow-methods" not in answer.headers

        for origin in (EVIL, f"{APP}.evil.example", "https://app-example.com", "null"):
            for answer in (
                rest.options("/api/v1/agents", headers={"origin": origin, **asking}),
                rest.get("/api/v1/tenants", headers={"origin": origin}),
            ):
                assert not [name for name in answer.headers if name.startswith("access-control-")]
                assert answer.headers["vary"] == "Origin"


def test_only_nginx_speaks_of_origins(edge: Edge) -> None:
    answer = httpx.get(f"{edge.platform.url}/api/v1/tenants", headers={"origin": APP})
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    "path", ["/api/v1/ws/dashboard", "/ws/dashboard", "/ws/agent/a", "/api/v1/ws/agent/a"]
)
async def test_pages_of_other_origins_open_no_websocket(edge: Edge, path: str) -> None:
    for origin in (EVIL, "null", f"{edge.nginx.url}.evil.example"):
        with pytest.raises(InvalidStatus) as refusal:
            await connect(f"{edge.nginx.ws}{path}?token=SECRET", additional_headers={"origin": origin})
        answer = refusal.value.response
        assert answer.status_code == 403
        assert answer.headers["content-type"] == "application/problem+json"
        assert json.loads(answer.body)["code"] == "forbidden"


async def test_the_hosts_own_pages_and_listed_ones_do(edge: Edge) -> None:
    for origin in (edge.nginx.url, APP):
        async with connect(
            f"{edge.nginx.ws}/api/v1/ws/dashboard", additional_headers={"origin": origin}
        ) as connection:
            await connection.ping()


def test_a_page_of_the_host_may_leave_the_default_port_out(edge: Edge) -> None:
    upgrade = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "A" * 22 + "==",
    }
    with edge.rest() as rest:
        del rest.headers["authorization"]  # The token may come in the first frame.
        for origin, host, status in (
            ("https://localhost", "localhost:443", 101),
            ("https://localhost:443", "localhost", 101),
            ("https://localhost", "localhost:80", 403),
            ("https://localhost:80", "localhost", 403),
        ):
            headers = {**upgrade, "origin": origin, "host": host}
            with rest.stream("GET", "/api/v1/ws/dashboard", headers=headers) as answer:
                assert answer.status_code == status, (origin, host)


def test_what_nginx_refuses_is_a_problem_document(edge: Edge) -> None:
    with edge.rest() as rest:
        assert_problem(rest.get("/nowhere?x=1"), 404, "not_found")
        assert_problem(rest.post("/local/token", json={"secret": "guess"}), 404, "not_found")
        assert_problem(rest.post("/api/v1/tenants", content=b"x" * 3_000_000), 413, "too_large")
        long_field = {"x-long": "x" * 70_000}
        assert_problem(rest.get("/api/v1/tenants", headers=long_field), 431, "headers_too_large")
        long = {"target": b"/api/v1/tenants?" + b"x" * 70_000}  # httpx itself takes no such URL
        assert_problem(rest.get("/api/v1/tenants", extensions=long), 414, "too_large")


def test_what_the_server_refuses_passes_as_it_is(edge: Edge) -> None:
    with edge.rest() as rest:
        answer = rest.post("/api/v1/tenants", content=b"x" * 1_100_000)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
        assert "bytes at most" in answer.json()["detail"]
        # Tokens with hundreds of groups are long, and it is the server that looks at them.
        for token in ("nonsense", "x" * 60_000):
            refused = rest.get("/api/v1/tenants", headers={"authorization": f"Bearer {token}"})
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")


async def test_what_is_refused_before_the_upgrade_says_why(edge: Edge, tenant: str) -> None:
    for url, status in (
        (f"{edge.nginx.ws}/api/v1/ws/dashboard?token=nonsense", 401),
        (agent_url(edge.nginx.ws, tenant, "a", challenge="c", signature="eA=="), 401),
        (f"{edge.nginx.ws}/api/v1/ws/nothing", 404),
    ):
        with pytest.raises(InvalidStatus) as refusal:
            await connect(url)
        assert refusal.value.response.status_code == status
        assert refusal.value.response.headers["content-type"] == "application/problem+json"


def test_who_asks_too_often_is_told_when_to_come_back(edge: Edge, tmp_path: Path) -> None:
    upstream = edge.platform.url.removeprefix("http://")
    limits = ("--address-rate", "1", "--origin", APP)
    with running_nginx(tmp_path, *limits, upstreams=[upstream]) as nginx:
        with Edge(nginx, edge.platform).rest() as rest:
            answers = [rest.get("/livez", headers={"origin": APP}) for _ in range(12)]
        assert answers[0].status_code == 200
        assert_problem(answers[-1], 429, "rate_limited")
        assert answers[-1].headers["retry-after"] == "1"
        assert answers[-1].headers["access-control-allow-origin"] == APP
        assert nginx.logged()[-1]["limited"] == "REJECTED"


def test_strangers_who_name_a_tenant_do_not_lock_it_out(edge: Edge, tmp_path: Path) -> None:
    """Each address is slowed for itself; what a tenant may is asked where it is proven."""
    upstream = edge.platform.url.removeprefix("http://")
    with running_nginx(tmp_path, "--address-rate", "5", upstreams=[upstream]) as nginx:
        trust = ssl.create_default_context(cafile=nginx.certificate)
        refused = 0
        for stranger in range(1, 31):
            transport = httpx.HTTPTransport(verify=trust, local_address=f"127.0.1.{stranger}")
            with httpx.Client(
                base_url=nginx.url, headers={"x-tenant-id": "acme"}, transport=transport
            ) as one:
                refused += [one.get("/livez").status_code for _ in range(15)].count(429)
        with Edge(nginx, edge.platform).rest("acme") as rest:
            mine = [rest.get("/livez").status_code for _ in range(5)]
    assert refused >= 30
    assert mine == [200] * 5


def test_one_customer_has_one_share_whatever_its_addresses(edge: Edge, tmp_path: Path) -> None:
    """Of IPv6 the first 64 bits count, and IPv4 written as IPv6 is IPv4."""
    upstream = edge.platform.url.removeprefix("http://")
    words = ("--address-rate", "1", "--balancer", "127.0.0.0/8")
    with (
        running_nginx(tmp_path, *words, upstreams=[upstream]) as nginx,
        Edge(nginx, edge.platform).rest() as rest,
    ):

        def passed(*addresses: str) -> bool:
            """Whether some of so many requests are left over, from each address in turn."""
            return 200 in [
                rest.get("/livez", headers={"x-forwarded-for": it}).status_code for it in addresses
            ]

        assert passed("2001:db8:1:2::1")
        passed(*(f"2001:db8:1:2:{n}::{n}" for n in range(1, 9)))
        assert not passed("2001:db8:1:2:ffff:ffff:ffff:ffff")
        assert passed("2001:db8:1:3::1")
        passed(*(f"::ffff:203.0.113.{7}" for _ in range(8)))
        assert not passed("203.0.113.7")
        assert passed("::ffff:203.0.113.8")
        assert passed("203.0.113.9")


def test_without_any_server_it_is_a_502(edge: Edge, tmp_path: Path) -> None:
    dead = socket.socket()
    dead.bind(("127.0.0.1", 0))
    with dead, running_nginx(tmp_path, upstreams=[f"127.0.0.1:{dead.getsockname()[1]}"]) as nginx:
        with Edge(nginx, edge.platform).rest() as rest:
            answer = rest.get("/api/v1/tenants?token=SECRET")
        assert_problem(answer, 502, "unavailable")
        assert answer.headers["retry-after"] == "1"
        for name in ("artcafe-access.log", "artcafe-error.log"):
            assert "SECRET" not in (nginx.log_dir / name).read_text()


async def test_no_query_and_no_referer_is_written(edge: Edge, tenant: str, new_key: NewKey) -> None:
    key = new_key()
    edge.platform.make_agent(tenant, "a", key)
    packed = base64.b64encode(json.dumps({"token": "SECRET", "tenantId": tenant}).encode()).decode()
    with edge.rest(tenant, referer="https://app.example.com/?SECRET=1") as rest:
        rest.get("/api/v1/agents?SECRET=1&limit=1")
        rest.get('/api/v1/a"b%0A?SECRET')
    for query in (f"auth={packed}", "token=SECRET"):
        with pytest.raises(InvalidStatus):
            await connect(f"{edge.nginx.ws}/api/v1/ws/dashboard?{query}")
    async with legacy(edge.nginx.ws, tenant, "a", key, "SECRET") as agent:
        await agent.silence()
    with edge.rest() as rest:
        rest.get("/livez", headers={"x-request-id": "the-last"})

    # nginx writes a line when it is done with the request, a moment after the answer.
    await eventually(lambda: [line for line in edge.nginx.logged() if line["request_id"] == "the-last"])
    lines = edge.nginx.logged()
    [last] = [line for line in lines if line["request_id"] == "the-last"]
    assert (last["path"], last["status"], last["remote"]) == ("/livez", 200, HERE)
    assert {line["tenant"] for line in lines if line["path"] == "/api/v1/ws/agent/a"} >= {tenant}
    for name in ("artcafe-access.log", "artcafe-error.log"):
        written = (edge.nginx.log_dir / name).read_text()
        assert "SECRET" not in written
        assert packed not in written
        assert "?" not in written
