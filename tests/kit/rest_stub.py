"""A small server that answers as the platform does, and remembers what it was asked.

It is a stand-in for tests of the command line and of REST calls: it checks no rule of the platform
and no signature, and keeps what it is told in dictionaries.
"""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse, Response

from artcafe.wire.local_proof import ProofExchange, address, signer
from tests.kit.agent_stub import Broker
from tests.kit.deadlines import PATIENCE

Json = dict[str, Any]

SECRET = "the-local-secret"
TOKEN = "a.local.token"
SIGN_IN_CODE = "BCDF-GHJK-LMNP-QRST-VWXZ"
TAG = '"1-5d41402a"'
PAGE = 2
"""Items per page: small, so that every list of three has two."""


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]


@dataclass
class RestStub:
    """What the stand-in holds and heard.

    `answers` overrides one route: (method, path) to a response; `keep_tenants` is what deleting any
    tenant is answered with. `events`, frames or their text, is what a dashboard is told after this many
    `subscriptions`, before it is closed with `farewell`; `heard` is what it said, `refusals` are errors by
    the type of the frame that they answer.
    """

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    tenants: dict[str, Json] = field(default_factory=dict)
    agents: dict[str, Json] = field(default_factory=dict)
    keys: dict[str, list[Json]] = field(default_factory=dict)
    channels: dict[str, Json] = field(default_factory=dict)
    stored: list[Json] = field(default_factory=list)
    answers: dict[tuple[str, str], Response] = field(default_factory=dict)
    keep_tenants: Response | None = None
    broker: Broker = field(default_factory=Broker)
    events: list[Json | str] = field(default_factory=list)
    subscriptions: int = 1
    farewell: int = 1012
    heard: list[Json] = field(default_factory=list)
    refusals: dict[str, Json] = field(default_factory=dict)

    def forget(self) -> None:
        """Be as new."""
        self.__dict__.update(RestStub(url=self.url).__dict__)

    def last(self) -> Asked:
        """The latest request but for sign-ins."""
        return next(asked for asked in reversed(self.asked) if not asked.path.startswith("/local/"))

    def add_agent(self, name: str, *fingerprints: str) -> None:
        """Put an agent there, with keys."""
        self.agents[name] = {
            "id": name,
            "tenant_id": "acme",
            "name": name.title(),
            "type": "agent",
            "status": "offline",
            "enabled": True,
            "capabilities": ["travel", "maps"],
            "metadata": {},
            "key_fingerprint": fingerprints[0] if fingerprints else None,
            "last_seen": None,
        }
        self.keys[name] = [
            {
                "id": fingerprint.removeprefix("SHA256:").replace("/", "_").replace("+", "-"),
                "fingerprint": fingerprint,
                "type": "ssh-ed25519",
                "comment": "",
                "status": "active",
                "public_key": "ssh-ed25519 AAAA",
                "created_at": "2026-11-23T00:00:00.000Z",
                "last_used_at": None,
                "revoked_at": None,
            }
            for fingerprint in fingerprints
        ]


def problem(status: int, code: str, detail: str, **headers: str) -> JSONResponse:
    """An error as the platform tells it (RFC 9457)."""
    body = {
        "type": f"urn:artcafe:error:{code}",
        "title": code,
        "status": status,
        "code": code,
        "detail": detail,
    }
    return JSONResponse(body, status, headers, media_type="application/problem+json")


@contextmanager
def rest_stub() -> Iterator[RestStub]:
    """Run the stand-in on a random port of this machine."""
    stub = RestStub()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        stub.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(_app(stub), ws="websockets-sansio", lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            deadline = time.monotonic() + PATIENCE
            while not server.started and time.monotonic() < deadline:
                time.sleep(0.005)
            yield stub
        finally:
            server.should_exit = True
            thread.join()


def unused_url() -> str:
    """An address on this machine where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def _page(items: dict[str, Json], name: str, after: str | None) -> Json:
    ids = sorted(key for key in items if after is None or key > after)
    rows = [items[key] for key in ids[:PAGE]]
    return {name: rows, "next_token": ids[PAGE - 1] if len(ids) > PAGE else None}


def _app(stub: RestStub) -> FastAPI:
    app = FastAPI()

    @app.websocket("/api/v1/ws/agent/{agent}")
    async def agent_socket(socket: WebSocket, agent: str, tenant_id: str) -> None:
        await stub.broker.serve(socket, stub.url.replace("http:", "ws:"), tenant_id, agent)

    @app.websocket("/api/v1/ws/dashboard")
    async def dashboard_socket(socket: WebSocket) -> None:
        await socket.accept()
        with suppress(WebSocketDisconnect):
            await _dashboard(stub, socket)

    @app.api_route("/{path:path}", methods=["GET", "POST", "PATCH", "PUT", "DELETE"])
    async def answer(path: str, request: Request) -> Response:
        raw = await request.body()
        body = json.loads(raw) if raw else None
        asked = Asked(
            request.method,
            request.scope["raw_path"].decode(),
            dict(request.query_params),
            body,
            dict(request.headers),
        )
        stub.asked.append(asked)
        fixed = stub.answers.get((asked.method, asked.path))
        if fixed is not None:
            return fixed
        if asked.path.startswith("/local/"):
            return _local(asked.path, body, address(*request.scope["server"]))
        if asked.path == "/api/v1/health":
            return JSONResponse({"status": "ok"})
        if "authorization" not in asked.headers:
            return problem(401, "unauthorized", "The login was refused.")
        return _route(stub, asked, path.removeprefix("api/v1/").split("/"))

    return app


async def _dashboard(stub: RestStub, socket: WebSocket) -> None:
    """One dashboard, from its sign-in to the farewell."""
    answers = {"auth": "connected", "subscribe_topic_preview": "subscribed", "ping": "pong"}
    subscribed = -1  # the sign-in counts as well
    while subscribed < stub.subscriptions:
        said = await socket.receive_json()
        stub.heard.append(said)
        kind = said["type"]
        echo = {"id": said["id"]} if "id" in said else {}
        if kind in stub.refusals:
            await socket.send_json({"type": "error", **stub.refusals[kind], **echo})
            if not echo:
                await socket.close(4500)
                return
            continue
        answer = "renewed" if kind == "auth" and echo else answers.get(kind, f"{kind}d")
        told = {"topic": said.get("topic", "topic_preview")}
        if answer == "connected":
            told = {"tenant_id": said.get("tenant_id", "acme"), "user_id": "ada", "role": "owner"}
        await socket.send_json({"type": answer, **told, **echo})
        subscribed += answer in {"connected", "subscribed"}
    for event in stub.events:
        await (socket.send_text(event) if isinstance(event, str) else socket.send_json(event))
    await socket.close(stub.farewell)


def _local(path: str, body: Any, place: str) -> Response:
    exchange, sign = ProofExchange(body["nonce"], place), signer(SECRET)
    if path == "/local/challenge":
        return JSONResponse({"challenge": "c", "proof": exchange.of_platform(sign, "c")})
    wanted = {name: body[name] for name in ("tenant", "role", "email") if name in body}
    if body["proof"] != exchange.of_caller(sign, "c", path, wanted):
        return problem(401, "unauthorized", "The login was refused.")
    if path == "/local/code":
        return JSONResponse({"code": SIGN_IN_CODE, "expires_in": 300})
    named = "-".join([TOKEN, *(str(body[key]) for key in ("tenant", "role", "email") if key in body)])
    answer = {"access_token": named, "token_type": "Bearer", "expires_in": 3600}
    return JSONResponse({**answer, "user": "local", "tenant": body.get("tenant")})


def _route(stub: RestStub, asked: Asked, parts: list[str]) -> Response:
    noun, rest = parts[0], parts[1:]
    if noun == "tenants":
        return _tenants(stub, asked, rest)
    if noun == "agents" and len(rest) > 1:
        return _keys(stub, asked, rest)
    if noun == "agents":
        return _things(stub.agents, "agent", asked, rest)
    if noun == "channels" and rest[1:] == ["messages"] and asked.method == "GET":
        return JSONResponse({"messages": stub.stored, "after": None, "before": None})
    if noun == "channels" and rest[1:] == ["messages"]:
        sent = {"message_id": "m1", "timestamp": "2026-11-23T00:00:00.000Z", "success": True}
        return JSONResponse(sent)
    if noun == "channels":
        return _things(stub.channels, "channel", asked, rest)
    return problem(404, "not_found", "No such thing.")


def _tenants(stub: RestStub, asked: Asked, rest: list[str]) -> Response:
    if asked.method == "POST":
        tenant = asked.body.get("id") or asked.body["name"].lower()
        if tenant in stub.tenants:
            return problem(409, "conflict", "A tenant has this id already.")
        stub.tenants[tenant] = {"id": tenant, "tenant_id": tenant, **asked.body, "status": "active"}
        made = {"tenant_id": tenant, "api_key": None, "admin_token": "your.own.token", "success": True}
        return JSONResponse(made, 201)
    if not rest:
        return JSONResponse(list(stub.tenants.values()))
    if asked.method == "DELETE" and stub.keep_tenants is not None:
        return stub.keep_tenants
    return _one(stub.tenants, asked, rest[0], lambda tenant: tenant)


def _things(items: dict[str, Json], name: str, asked: Asked, rest: list[str]) -> Response:
    if asked.method == "POST":
        key = asked.body.get("id") or asked.body["name"].lower()
        items[key] = {**asked.body, "id": key, "tenant_id": "acme", "key_fingerprint": "SHA256:made"}
        made: Json = {name: items[key], "success": True}
        if name == "agent" and "public_key" not in asked.body:
            made["agent"] = {**made["agent"], "public_key": "ssh-ed25519 AAAA"}
            made["private_key"] = "-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n"
        return JSONResponse(made, 201)
    if not rest:
        return JSONResponse(_page(items, f"{name}s", asked.query.get("next_token")))
    return _one(items, asked, rest[0], lambda item: {name: item, "success": True})


def _keys(stub: RestStub, asked: Asked, rest: list[str]) -> Response:
    held = stub.keys.setdefault(rest[0], [])
    if asked.method == "POST":
        key = {"id": "new", "fingerprint": "SHA256:new", "type": "ssh-ed25519", "status": "active"}
        return JSONResponse({"key": key, "success": True}, 201)
    if asked.method == "GET":
        return JSONResponse({"keys": held})
    key = next(key for key in held if key["id"] == rest[2])
    if asked.method == "DELETE":
        held.remove(key)
        return Response(status_code=204)
    key.update(asked.body)
    return JSONResponse({"key": key, "success": True})


def _one(items: dict[str, Json], asked: Asked, key: str, shape: Any) -> Response:
    if key not in items:
        return problem(404, "not_found", "No such thing in this tenant.")
    if asked.method == "DELETE":
        del items[key]
        return Response(status_code=204)
    if asked.method == "PUT":
        items[key].update(asked.body)
    return JSONResponse(shape(items[key]), headers={"etag": TAG})
