"""Two tenants with one name for everything in both: nothing crosses, over WebSocket, REST and NATS."""

import asyncio
import json
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import nats
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from artcafe.server.bus.accounts.operator import Operator
from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.tenant import Tenant
from artcafe.server.process import SystemClock
from tests.kit.deadlines import PATIENCE
from tests.kit.platform import RunningPlatform
from tests.kit.sockets import Socket, proven
from tests.kit.ssh_keys import make_key

TOKEN = st.text("abcdefgXYZ019_-", min_size=1, max_size=6)
SUBJECT = (
    st.lists(TOKEN, min_size=1, max_size=4)
    .map(".".join)
    .filter(
        lambda text: (
            text.split(".")[0] not in {"sys", "presence", "dlq", "inbox", "agents", "tenant", "channels"}
        )
    )
)
EVERYTHING = ("a", "b")


class Twins:
    """Two tenants made alike: the same agents, channels and keys, only the tenant's id differs."""

    def __init__(self, platform: RunningPlatform, folder: Path) -> None:
        self.platform = platform
        self.tenants = tuple(f"twin{number}-{secrets.token_hex(4)}" for number in (1, 2))
        self.key = {agent: make_key(folder, name=agent) for agent in EVERYTHING}
        for tenant in self.tenants:
            platform.make_tenant(tenant)
            for agent, key in self.key.items():
                platform.make_agent(tenant, agent, key)
            with platform.rest(tenant) as rest:
                assert rest.post("/channels", json={"id": "tasks", "name": "tasks"}).status_code == 201


@pytest.fixture(scope="module")
def twins(platform: RunningPlatform, tmp_path_factory: pytest.TempPathFactory) -> Twins:
    """The two tenants of this module."""
    return Twins(platform, tmp_path_factory.mktemp("twins"))


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One loop for all examples of a property, so that its connections stay open."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def listeners(twins: Twins, runner: asyncio.Runner) -> Iterator[dict[str, dict[str, Socket]]]:
    """Both agents of both tenants, subscribed to all they can: {tenant: {agent: socket}}."""
    stack = AsyncExitStack()

    async def enter() -> dict[str, dict[str, Socket]]:
        sockets: dict[str, dict[str, Socket]] = {}
        for tenant in twins.tenants:
            for agent, key in twins.key.items():
                socket = await stack.enter_async_context(proven(twins.platform.ws, tenant, agent, key))
                for pattern in (">", f"agents.{agent}.>", f"inbox.{agent}.>", "presence.>"):
                    await socket.subscribe(pattern)
                sockets.setdefault(tenant, {})[agent] = socket
        first, last = EVERYTHING[0], EVERYTHING[-1]
        for tenant in twins.tenants:  # That everybody is online is told first, and is no secret.
            while (await sockets[tenant][first].receive()).get("subject") != f"presence.{last}":
                pass
            for socket in sockets[tenant].values():
                await _heard(socket)
        return sockets

    yield runner.run(enter())
    runner.run(stack.aclose())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    side=st.integers(0, 1),
    sender=st.sampled_from(EVERYTHING),
    receiver=st.sampled_from(EVERYTHING),
    subject=SUBJECT,
    kind=st.sampled_from(["shared", "direct", "inbox", "full form", "presence", "channel"]),
)
def test_a_message_is_seen_in_its_own_tenant_and_nowhere_else(
    twins: Twins,
    runner: asyncio.Runner,
    listeners: dict[str, dict[str, Socket]],
    side: int,
    sender: str,
    receiver: str,
    subject: str,
    kind: str,
) -> None:
    here, there = twins.tenants[side], twins.tenants[1 - side]
    secret = secrets.token_hex(8)

    async def example() -> None:
        speaker = listeners[here][sender]
        heard_by = set(EVERYTHING)
        if kind == "presence":
            await speaker.send(type="presence", status=secret)
        elif kind == "channel":
            with twins.platform.rest(here) as rest:
                answer = await asyncio.to_thread(
                    rest.post, "/channels/tasks/messages", json={"secret": secret}
                )
                assert answer.status_code == 200
        else:
            full = {
                "shared": subject,
                "full form": f"tenant.{here}.channel.{subject}",
                "direct": f"agents.{receiver}.{subject}",
                "inbox": f"inbox.{receiver}.{subject}",
            }[kind]
            heard_by = {receiver} if kind in {"direct", "inbox"} else heard_by
            await speaker.send(type="publish", subject=full, data=secret)
        for agent in EVERYTHING:
            heard = await _heard(listeners[here][agent])
            assert (secret in heard) == (agent in heard_by), (kind, agent, heard)
        for agent in EVERYTHING:
            assert await _heard(listeners[there][agent]) == "[]", (kind, agent)

    runner.run(example())


async def _heard(socket: Socket) -> str:
    """Everything on its way to a client, as text.

    The pong comes behind what the bus delivered before: a flush of the same link lies between, by
    way of the ack.
    """
    await socket.send(type="publish", subject=f"agents.{secrets.token_hex(4)}.mark", data=0, id="mark")
    frames: list[dict[str, Any]] = []
    while (frame := await socket.receive())["type"] != "ack":
        frames.append(frame)
    await socket.send(type="ping")
    while (frame := await socket.receive())["type"] != "pong":
        frames.append(frame)
    return json.dumps(frames)


def test_rest_shows_nothing_of_another_tenant(twins: Twins) -> None:
    here, there = twins.tenants
    platform = twins.platform
    stranger = platform.token(tenant=there, role="member")
    with platform.rest(here, token=stranger) as rest:
        rest.headers["x-request-id"] = "the-same"
        for method, path in (
            ("GET", "/agents"),
            ("GET", "/agents/a"),
            ("GET", "/agents/a/keys"),
            ("PUT", "/agents/a"),
            ("DELETE", "/agents/a"),
            ("GET", "/channels"),
            ("POST", "/channels/tasks/messages"),
            ("GET", "/usage-metrics"),
            ("GET", f"/tenants/{here}"),
            ("PUT", f"/tenants/{here}"),
            ("DELETE", f"/tenants/{here}"),
            ("GET", f"/tenants/{here}/members"),
        ):
            body = {"json": {"name": "x"}} if method in {"POST", "PUT"} else {}
            answer = rest.request(method, path, **body)  # type: ignore[arg-type]
            assert answer.status_code == 403, (method, path, answer.text)
            nowhere = {"x-tenant-id": "no-such-tenant"}
            if "/tenants/" not in path:
                same = rest.request(method, path, headers=nowhere, **body)  # type: ignore[arg-type]
                assert same.json() == answer.json(), "a tenant that does not exist looks the same"
    with platform.rest(here) as rest, platform.rest(there) as other:
        rest.put("/agents/a", json={"name": "changed"}).raise_for_status()
        assert other.get("/agents/a").json()["agent"]["name"] == "a"
        cursor = rest.get("/agents", params={"limit": 1}).json()["next_token"]
        refused = other.get("/agents", params={"limit": 1, "next_token": cursor})
        assert (refused.status_code, refused.json()["code"]) == (400, "bad_request")


async def test_a_tenants_credentials_reach_nothing_of_another_on_nats(twins: Twins) -> None:
    platform = twins.platform
    here, there = twins.tenants
    seed = bytes.fromhex((platform.data_dir / "operator.seed").read_text().strip())
    operator = Operator(seed, SystemClock())
    [ports] = (platform.data_dir / "nats" / "ports").glob("*.ports")
    [url, *_] = json.loads(ports.read_text())["nats"]
    accounts = _accounts(platform)
    heard: list[bytes] = []

    async def hear(message: Any) -> None:
        heard.append(message.data)

    credentials = operator.credentials(
        Tenant(id=TenantId(here), name=here, account=accounts[here], created_at="", updated_at="")
    )
    spy = await nats.connect(
        url, user_jwt_cb=credentials.jwt, signature_cb=credentials.sign, allow_reconnect=False
    )
    try:
        for space in ("m", "d", "i", "r"):
            await spy.subscribe(f"{space}.>", cb=hear)
        await spy.flush()
        async with proven(platform.ws, there, "a", twins.key["a"]) as a:
            await a.send(type="publish", subject="tasks", data="theirs", id="1")
            await a.expect("ack", id="1")
        async with proven(platform.ws, here, "a", twins.key["a"]) as a:
            await a.send(type="publish", subject="tasks", data="ours", id="1")
            await a.expect("ack", id="1")
        async with asyncio.timeout(PATIENCE):
            while not heard:
                await asyncio.sleep(0.01)
        await spy.flush()
        assert [json.loads(data)["data"] for data in heard] == ["ours"]
    finally:
        await spy.close()


def _accounts(platform: RunningPlatform) -> dict[str, str]:
    """The random part of each tenant's account, from the store's file."""
    with sqlite3.connect(f"file:{platform.data_dir / 'store.sqlite'}?mode=ro", uri=True) as db:
        rows = db.execute("SELECT data FROM items WHERE sk = 'META'").fetchall()
    records = [json.loads(row[0]) for row in rows]
    return {record["id"]: record["account"] for record in records}
