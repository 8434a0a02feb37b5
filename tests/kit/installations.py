"""An installation as docs/operating.md has it: a NATS, two servers, nginx before them; parts may be lost."""

import asyncio
import secrets
import signal
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.kit.clusters import NATS_SERVER
from tests.kit.fleet import Fleet
from tests.kit.issuers import Issuer, new_key, running_issuer
from tests.kit.nginx import Nginx, free_port, running_nginx
from tests.kit.platform import artcafe, environment
from tests.kit.preloaded import Preloaded
from tests.kit.ssh_keys import make_key

SERVERS = 2
SECONDS = 30.0
SHIELDS = ["--address-rate", "5000", "--address-connections", "5000"]
LIMITS = {
    "ARTCAFE_MAX_AGENT_CONNECTIONS": "5000",
    "ARTCAFE_MAX_PENDING_LOGINS_PER_ADDRESS": "5000",
    "ARTCAFE_MAX_PENDING_LOGINS": "5000",
}
"""One machine plays a thousand."""


@dataclass
class Installation:
    """Two servers at fixed ports, which `restart`, `kill` and `start` are about."""

    folder: Path
    nginx: Nginx
    issuer: Issuer
    ports: list[int]
    settings: dict[str, str]
    processes: dict[int, Preloaded] = field(default_factory=dict)

    def start(self, number: int) -> None:
        """Start a server, and wait until it is ready."""
        with (self.folder / f"server-{number}.log").open("ab") as log:
            words = ["serve", "--port", f"{self.ports[number]}", "--data-dir", f"{self.folder / 'data'}"]
            self.processes[number] = Preloaded(words, environment(**self.settings), log)
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                if httpx.get(f"http://127.0.0.1:{self.ports[number]}/readyz", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            assert self.processes[number].poll() is None, self.log(number)
            assert time.monotonic() < deadline, self.log(number)
            time.sleep(0.05)

    def log(self, number: int) -> str:
        """What a server logged."""
        return (self.folder / f"server-{number}.log").read_text()

    def stop(self, number: int, kind: signal.Signals = signal.SIGTERM) -> int:
        """End a server; its exit code."""
        process = self.processes.pop(number)
        process.send_signal(kind)
        return process.wait(SECONDS)

    def restart(self, number: int) -> int:
        """Stop it kindly and start it again; the exit code of the stop."""
        code = self.stop(number)
        self.start(number)
        return code

    def rest(self, tenant: str = "acme") -> httpx.Client:
        """The API through nginx, as a human who owns everything."""
        now = int(time.time())
        token = self.issuer.token(sub="ada", iat=now, nbf=now, exp=now + 3600)
        return httpx.Client(
            base_url=f"{self.nginx.url}/api/v1",
            headers={"authorization": f"Bearer {token}", "x-tenant-id": tenant},
            verify=self.tls(),
            timeout=20,
        )

    def tls(self) -> ssl.SSLContext:
        """Trusts nginx."""
        return ssl.create_default_context(cafile=self.nginx.certificate)

    def fleet(self) -> Fleet:
        """Agents of a new tenant. Blocks, so call it in a thread where the servers need this loop."""
        tenant, key = f"t{secrets.token_hex(4)}", make_key(self.folder, name=secrets.token_hex(4))
        with self.rest(tenant) as rest:
            answer = rest.post("/tenants", json={"id": tenant, "name": tenant})
            assert answer.status_code == 201, answer.text
            public = Path(f"{key}.pub").read_text()
            answer = rest.post("/agents", json={"id": "a", "name": "a", "public_key": public})
            assert answer.status_code == 201, answer.text
        return Fleet(self.nginx.ws, tenant, "a", key, self.tls())


@asynccontextmanager
async def installed(
    folder: Path, nats: dict[str, str] | None = None, **more: str
) -> AsyncIterator[Installation]:
    """The whole of it. `nats` are settings that lead to a NATS, else one is started; `more` are others."""
    https = free_port()
    async with AsyncExitStack() as stack:
        issuer = await stack.enter_async_context(running_issuer({"key-1": new_key()}))
        if nats is None:
            nats = {"NATS_URL": stack.enter_context(running_bus(folder))}
        settings = {
            **nats,
            **LIMITS,
            "ARTCAFE_OIDC_ISSUER": issuer.url,
            "ARTCAFE_OIDC_JWKS_URL": issuer.jwks_url,
            "ARTCAFE_OIDC_CLIENT_IDS": ",".join(issuer.config().client_ids),
            "ARTCAFE_OIDC_ALLOW_LOOPBACK_HTTP": "true",
            "ARTCAFE_PUBLIC_URL": f"wss://localhost:{https}",
            "ARTCAFE_TRUSTED_PROXIES": "127.0.0.0/8",
            "ARTCAFE_LOG_LEVEL": "warning",
            "ARTCAFE_DEFAULT_TIER": "enterprise",
            **more,
        }
        ports = [free_port() for _ in range(SERVERS)]
        upstreams = [f"127.0.0.1:{port}" for port in ports]
        nginx = stack.enter_context(
            running_nginx(folder / "nginx", *SHIELDS, upstreams=upstreams, https_port=https)
        )
        installation = Installation(folder, nginx, issuer, ports, settings)
        stack.push_async_callback(asyncio.to_thread, _end, installation)
        for number in range(SERVERS):
            await asyncio.to_thread(installation.start, number)
        yield installation


def _end(installation: Installation) -> None:
    for number in list(installation.processes):
        installation.stop(number)


@contextmanager
def running_bus(folder: Path) -> Iterator[str]:
    """A nats-server of the installation whose seed is in `folder / "data"`; its address."""
    port = free_port()
    words = ["nats-config", "--data-dir", folder / "data", "--listen", f"127.0.0.1:{port}"]
    config = subprocess.run(
        artcafe(*map(str, words), "--nats-data-dir", str(folder / "nats")),
        capture_output=True,
        check=True,
        env=environment(),
    )
    (folder / "nats.conf").write_bytes(config.stdout)
    process = subprocess.Popen([NATS_SERVER, "-c", folder / "nats.conf"], stderr=subprocess.DEVNULL)
    try:
        yield f"nats://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
