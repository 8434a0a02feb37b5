"""The platform: `artcafe up` with its nats-server, each client an agent that proves its SSH key."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from artcafe.cli.connection import running
from artcafe.cli.key_pair import make_key_pair
from artcafe.client import login
from artcafe.client.rest import Rest as RestClient
from artcafe.client.signer import KeyFile
from artcafe.wire import frames
from artcafe.wire.errors import ArtcafeError
from benchmarks.dialect import Dialect, Talk, WebSocketDialect
from benchmarks.payload import Stamp
from benchmarks.peers.http import HttpDialect
from benchmarks.peers.peer import ROOT, Failed, Place, Server, address, place
from benchmarks.websocket import HungUp, stamp

TENANT = "bench"
AGENTS = 20
"""The clients are shared out among so many agents."""

_LIMITS = {"ARTCAFE_MAX_AGENT_CONNECTIONS": "100000", "ARTCAFE_LOG_LEVEL": "warning"}

_decode = msgspec.json.Decoder(frames.Message | frames.Error).decode


class ArtCafe:
    """The platform itself, with everything on: login, access control, rate limit, metering, the bus."""

    name = "artcafe"
    title = "ArtCafe"

    def __init__(
        self, tenants: int = 1, *, name: str | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        """So many tenants are made, for whoever says in the place that its clients belong to several. Another
        `name` tells one of other `settings` from the platform as it is."""
        if name is not None:
            self.name = name
        self._tenants = tenants
        self._settings = settings or {}

    def missing(self) -> str | None:
        """It is always here."""
        return None

    def start(self, folder: Path, core: int | None) -> tuple[Server, Place]:
        """Start it and make a tenant with agents and a channel."""
        data = folder / "data"
        command = [sys.executable, "-m", "benchmarks.peers.unthrottled", "up", "--port", "0"]
        environment = {**_LIMITS, **self._settings, "PYTHONPATH": str(ROOT)}
        server = Server([*command, "--data-dir", str(data)], folder, core, environment)
        server.until(lambda: running(data) is not None)
        url = running(data)
        assert url is not None
        try:
            token = asyncio.run(_furnish(url, data, folder, self._tenants))
        except ArtcafeError as error:
            server.stop()
            raise Failed(f"it cannot be furnished: {error}") from error
        return server, place(int(url.rpartition(":")[2]), token=token, keys=str(folder))

    def dialect(self, place: Place) -> Dialect:
        """The protocol of docs/protocol.md.

        Besides where it is, a place may say over how many `tenants` the clients are shared out, and how many
        `patterns` each subscribes to.
        """
        tenants, patterns = place.get("tenants", 1), place.get("patterns", 1)
        return ArtCafeDialect(address(place), Path(place["keys"]), tenants, patterns)


class ArtCafeRest(ArtCafe):
    """The platform, published to over REST."""

    name = "artcafe-rest"

    def dialect(self, place: Place) -> Dialect:
        """POST to a channel, as a human."""
        path = "/api/v1/channels/bench/messages"
        headers = {"Authorization": f"Bearer {place['token']}", "X-Tenant-Id": TENANT}
        return HttpDialect(address(place), path, headers)


async def _furnish(url: str, data: Path, folder: Path, tenants: int) -> str:
    """A tenant, its agents with fresh keys, a channel; more tenants with one agent; gives a token of all."""
    secret = (data / "issuer" / "secret").read_text().strip()
    async with RestClient(url) as stranger:
        token: str = (await stranger.local_token(secret))["access_token"]
    async with RestClient(url, token) as rest:
        for number in range(tenants):
            await rest.create_tenant(id=_tenant(number), name=f"Benchmark {number}")
    async with RestClient(url, token, tenant=TENANT) as rest:
        for agent in range(AGENTS):
            public_key = make_key_pair(folder / f"agent-{agent}")
            await rest.create_agent(id=f"agent-{agent}", name=f"{agent}", public_key=public_key)
        await rest.create_channel(id="bench", name="Bench")
    public_key = (folder / "agent-0.pub").read_text()
    for number in range(1, tenants):
        async with RestClient(url, token, tenant=_tenant(number)) as rest:
            await rest.create_agent(id="agent-0", name="0", public_key=public_key)
    return token


def _tenant(number: int) -> str:
    return f"{TENANT}-{number}" if number else TENANT


class ArtCafeDialect(WebSocketDialect):
    """The platform's own dialect, logged in in band with an SSHSIG."""

    subprotocol = frames.SUBPROTOCOL

    def __init__(self, address: str, keys: Path, tenants: int = 1, patterns: int = 1) -> None:
        super().__init__(address)
        self._keys = [KeyFile(keys / f"agent-{agent}") for agent in range(AGENTS)]
        self._tenants = tenants
        self._patterns = patterns

    def opening(self, client: int) -> bytes:
        """The agent and its tenant stand in the URL."""
        tenant, agent = self._who(client)
        self.path = f"/api/v1/ws/agent/agent-{agent}?tenant_id={tenant}"
        return super().opening(client)

    def join(self, client: int, subject: str | None) -> Talk:
        """Sign the challenge, be welcomed, subscribe."""
        challenge = frames.decode_server((yield b""))
        if not isinstance(challenge, frames.Challenge):
            raise HungUp(f"no challenge: {challenge}")
        tenant, agent = self._who(client)
        text = login.text_to_sign(
            challenge, server=f"ws://{self.address}", tenant=tenant, agent=f"agent-{agent}"
        )
        signed = login.answer(self._keys[agent].sign(text), name="benchmark", version="1")
        _expect(frames.Welcome, (yield self.framed(signed)))
        if subject is not None:
            # Besides the lane's subject, patterns that no message matches.
            for pattern in (subject, *(f"bench.other{each}.*" for each in range(1, self._patterns))):
                said = frames.encode(frames.Subscribe(subject=pattern))
                _expect(frames.Subscribed, (yield self.framed(said)))

    def _who(self, client: int) -> tuple[str, int]:
        """The tenant and the number of the agent: every tenant but the first has a single one."""
        tenant = client % self._tenants
        return _tenant(tenant), client % AGENTS if self._tenants == 1 else 0

    def publish(self, subject: str, body: bytes) -> Stamp:
        """Without an id: nothing is answered."""
        command = frames.encode(frames.Publish(subject=subject, data=msgspec.Raw(body)))
        return stamp(self.opcode, command)

    def body(self, message: bytes) -> bytes | None:
        """The data of a message; an error ends the run."""
        got = _decode(message)
        if isinstance(got, frames.Error):
            raise HungUp(f"{got.code}: {got.message}")
        return bytes(got.data)


def _expect(kind: type[frames.ServerFrame], message: bytes) -> None:
    got = frames.decode_server(message)
    if not isinstance(got, kind):
        raise HungUp(f"{got} came in place of {kind.__name__}")
