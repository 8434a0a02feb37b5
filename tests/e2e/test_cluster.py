"""Two `artcafe serve` on different nodes of one NATS cluster, with TLS and one table: one platform, also
when a node is lost, and under another operator seed."""

import asyncio
import base64
import itertools
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.kit import dynoxide
from tests.kit.clusters import NODES, Cluster, running_cluster
from tests.kit.deadlines import PATIENCE
from tests.kit.issuers import Issuer, new_key, running_issuer
from tests.kit.platform import RunningPlatform, artcafe, environment, running_platform
from tests.kit.sockets import Socket, agent_url, proven
from tests.kit.ssh_keys import make_key, raw_signature

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Servers:
    """The first knows node 0, the second node 1; of the others they hear from these."""

    cluster: Cluster
    data: Path
    issuer: Issuer
    settings: dict[str, str]
    keys: Path
    running: list[RunningPlatform]
    stack: ExitStack

    async def start(self) -> None:
        """Both servers."""
        places = [{**self.settings, "NATS_URL": self.cluster.urls[node]} for node in range(2)]
        self.running = await asyncio.gather(
            *(
                asyncio.to_thread(
                    self.stack.enter_context,
                    running_platform(self.data, command="serve", settings=settings),
                )
                for settings in places
            )
        )

    def rest(self, server: int, tenant: str = "acme") -> httpx.AsyncClient:
        """The API of one server."""
        now = int(time.time())
        token = self.issuer.token(sub="ada", iat=now, nbf=now, exp=now + 600)
        return httpx.AsyncClient(
            base_url=f"{self.running[server].url}/api/v1",
            headers={"authorization": f"Bearer {token}", "x-tenant-id": tenant},
            timeout=10,
        )

    def agent(self, server: int, agent: str) -> Any:
        """An agent of acme, at one server."""
        return proven(self.running[server].ws, "acme", agent, self.keys / agent)

    async def admit(self, server: int, *agents: str) -> None:
        """Make agents, each with a key."""
        async with self.rest(server) as rest:
            for agent in agents:
                public = Path(f"{make_key(self.keys, name=agent)}.pub").read_text()
                made = await rest.post("/agents", json={"id": agent, "name": agent, "public_key": public})
                assert made.status_code == 201, made.text


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    folder = tmp_path_factory.mktemp("cluster")
    place = await dynoxide.new_place()
    with ExitStack() as stack:
        cluster = stack.enter_context(running_cluster(folder, folder / "data"))
        async with running_issuer({"key-1": new_key()}) as issuer:
            settings = {
                "ARTCAFE_NATS_CA": f"{cluster.ca}",
                "ARTCAFE_STORE": f"dynamodb:{place.table}",
                "ARTCAFE_OIDC_ISSUER": issuer.url,
                "ARTCAFE_OIDC_JWKS_URL": issuer.jwks_url,
                "ARTCAFE_OIDC_CLIENT_IDS": ",".join(issuer.config().client_ids),
                "ARTCAFE_OIDC_ALLOW_LOOPBACK_HTTP": "true",
                **dynoxide.environment(),
            }
            with ExitStack() as processes:
                servers = Servers(cluster, folder / "data", issuer, settings, folder, [], processes)
                await servers.start()
                async with servers.rest(0) as rest:
                    assert (await rest.post("/tenants", json={"id": "acme", "name": "acme"})).is_success
                await servers.admit(0, "a", "b")
                yield servers


async def exchange(here: Socket, there: Socket) -> None:
    """Each says something to the other; both subscribed to their own."""
    await heard(here, there, "agents.b.hello")
    await heard(there, here, "agents.a.hello")


async def heard(sender: Socket, receiver: Socket, subject: str) -> None:
    """Publish until it arrives. What is subscribed at one node takes a moment to be known at the other
    (docs/protocol.md); from the first message that arrives on, none is missing."""
    async with asyncio.timeout(PATIENCE):
        for number in itertools.count():
            await sender.send(type="publish", subject=subject, data=number, id="1")
            await sender.expect("ack", id="1")
            try:
                first = await receiver.receive(0.2)
            except TimeoutError:
                continue
            for later in range(first["data"], number + 1):
                frame = first if later == first["data"] else await receiver.receive()
                assert (frame["type"], frame["subject"], frame["data"]) == ("message", subject, later)
            return


async def both(servers: Servers) -> None:
    """An agent at each server, and they exchange messages."""
    async with servers.agent(0, "a") as a, servers.agent(1, "b") as b:
        await a.subscribe("agents.a.>")
        await b.subscribe("agents.b.>")
        await exchange(a, b)


async def soon(servers: Servers) -> None:
    """The same, while a node that was lost is noticed: who came too soon comes again."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await both(servers)
            except (AssertionError, ConnectionClosed, TimeoutError):
                await asyncio.sleep(0.1)
            else:
                return


async def test_they_are_one_platform_while_a_node_is_gone(servers: Servers) -> None:
    await both(servers)
    async with servers.agent(0, "a") as a, servers.agent(1, "b") as b:
        await a.subscribe("agents.a.>")
        await b.subscribe("agents.b.>")
        await exchange(a, b)
        servers.cluster.kill(0)
        assert await a.closed() == 1013, "who subscribed may have missed something"
        await b.silence()
    await soon(servers)

    # Everything else, whichever server it meets, while the node is still gone.
    await servers.admit(1, "c")
    await _a_challenge_of_one_is_answered_at_the_other(servers)
    async with servers.rest(1) as rest, servers.agent(0, "c") as c:
        await _until(rest, "c", connections=1)
        [key] = (await rest.get("/agents/c/keys")).json()["keys"]
        await rest.put(f"/agents/c/keys/{key['id']}", json={"status": "revoked"})
        assert await c.closed() == 4502
        await _until(rest, "c", connections=0)


async def test_a_node_that_comes_back_knows_the_tenants_made_meanwhile(servers: Servers) -> None:
    if 0 in servers.cluster.running:
        servers.cluster.kill(0)
    async with servers.rest(1, "late") as rest:
        assert (await rest.post("/tenants", json={"id": "late", "name": "late"})).is_success
    servers.cluster.start(0)
    await soon(servers)
    with ExitStack() as stack:
        settings = {**servers.settings, "NATS_URL": servers.cluster.urls[0]}
        third = await asyncio.to_thread(
            stack.enter_context, running_platform(servers.data, command="serve", settings=settings)
        )
        servers.running.append(third)
        async with servers.rest(2, "late") as rest:
            sent = await rest.post("/channels", json={"id": "news", "name": "news"})
            assert sent.is_success, sent.text
            sent = await rest.post("/channels/news/messages", json={"data": 1})
            assert sent.is_success, sent.text
        servers.running.pop()


async def test_what_was_counted_at_both_is_one_number(servers: Servers) -> None:
    async with servers.rest(0) as rest:
        before = (await rest.get("/usage-metrics")).json()["totals"]["messages_count"]
    await both(servers)
    async with asyncio.timeout(PATIENCE):
        for server in range(2):
            async with servers.rest(server) as rest:
                while (await rest.get("/usage-metrics")).json()["totals"]["messages_count"] < before + 2:
                    await asyncio.sleep(0.1)


async def test_the_cluster_goes_on_under_the_next_seed(servers: Servers) -> None:
    """docs/operating.md, "Rotate", with several nodes."""
    where = ["--data-dir", str(servers.data)]

    def operator(*words_of: str) -> None:
        words = artcafe("operator", *words_of, *where)
        subprocess.run(words, check=True, env=environment(), stdout=subprocess.DEVNULL)

    def rotate() -> None:
        operator("rotate")
        servers.stack.close()
        for node in list(servers.cluster.running):
            servers.cluster.kill(node)
        servers.cluster.configure("--next")
        operator("switch")
        for node in range(NODES):
            servers.cluster.start(node)
        operator("forget", "--yes")

    await asyncio.to_thread(rotate)
    await servers.start()
    await both(servers)


async def _a_challenge_of_one_is_answered_at_the_other(servers: Servers) -> None:
    async with servers.rest(0) as rest:
        asked = {"tenant_id": "acme", "agent_id": "a"}
        challenge = (await rest.post("/agents/auth/challenge", json=asked)).json()["challenge"]
    signature = base64.b64encode(raw_signature(servers.keys / "a", challenge.encode())).decode()
    url = agent_url(servers.running[1].ws, "acme", "a", challenge=challenge, signature=signature)
    async with connect(url) as connection:
        await Socket(connection).silence()


async def _until(rest: httpx.AsyncClient, agent: str, *, connections: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await rest.get(f"/agents/{agent}")).json()["agent"]["active_connections"] != connections:
            await asyncio.sleep(0.05)
