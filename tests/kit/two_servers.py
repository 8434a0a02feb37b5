"""Two `artcafe serve` on one NATS and one store, with an issuer of their own."""

import asyncio
import signal
import subprocess
import sysconfig
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.kit.deadlines import PATIENCE
from tests.kit.issuers import Issuer, new_key, running_issuer
from tests.kit.platform import RunningPlatform, artcafe, environment, running_platform

NATS_SERVER = Path(sysconfig.get_path("scripts")) / "nats-server"


@dataclass
class Installation:
    """Two servers, their issuer, and the settings they share."""

    one: RunningPlatform
    two: RunningPlatform
    issuer: Issuer
    settings: dict[str, str]

    def headers(self, user: str = "ada") -> dict[str, str]:
        """Headers of a signed-in human."""
        now = int(time.time())
        token = self.issuer.token(sub=user, iat=now, nbf=now, exp=now + 600)
        return {"authorization": f"Bearer {token}"}


@asynccontextmanager
async def running_installation(folder: Path) -> AsyncIterator[Installation]:
    """What docs/operating would have one set up by hand."""
    data = folder / "data"
    config = subprocess.run(
        artcafe(
            "nats-config",
            "--data-dir",
            str(data),
            "--listen",
            "127.0.0.1:-1",
            "--nats-data-dir",
            str(folder / "nats"),
        ),
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )
    (folder / "nats.conf").write_text(config.stdout)
    async with running_issuer({"key-1": new_key()}) as issuer:
        with ExitStack() as stack:
            nats = subprocess.Popen(
                [str(NATS_SERVER), "-c", str(folder / "nats.conf"), "--ports_file_dir", str(folder)],
                stderr=subprocess.DEVNULL,
            )
            stack.callback(nats.wait)
            stack.callback(nats.terminate)
            settings = {
                "NATS_URL": await asyncio.to_thread(_nats_url, folder),
                "ARTCAFE_OIDC_ISSUER": issuer.url,
                "ARTCAFE_OIDC_JWKS_URL": issuer.jwks_url,
                "ARTCAFE_OIDC_CLIENT_IDS": ",".join(issuer.config().client_ids),
                "ARTCAFE_OIDC_ALLOW_LOOPBACK_HTTP": "true",
                "ARTCAFE_OPERATORS": "ada",
                "ARTCAFE_DEFAULT_TIER": "enterprise",
            }
            one, two = [
                await asyncio.to_thread(
                    stack.enter_context, running_platform(data, command="serve", settings=settings)
                )
                for _ in range(2)
            ]
            yield Installation(one, two, issuer, settings)


@asynccontextmanager
async def another_server(installation: Installation) -> AsyncIterator[RunningPlatform]:
    """One server more, which a test may kill or stop."""
    with ExitStack() as stack:
        server = await asyncio.to_thread(
            stack.enter_context,
            running_platform(installation.one.data_dir, command="serve", settings=installation.settings),
        )
        stack.callback(server.process.send_signal, signal.SIGCONT)
        yield server


def _nats_url(folder: Path) -> str:
    deadline = time.monotonic() + PATIENCE
    while not (ports := list(folder.glob("*.ports"))) or not (text := ports[0].read_text()).strip():
        assert time.monotonic() < deadline, "nats-server does not come up"
        time.sleep(0.02)
    url: str = httpx.Response(200, text=text).json()["nats"][0]
    return url


async def make_tenant(installation: Installation, tenant: str, **agents: Path) -> None:
    """Make a tenant and agents with these keys, by the first server."""
    async with httpx.AsyncClient(
        base_url=f"{installation.one.url}/api/v1", headers=installation.headers()
    ) as rest:
        made = await rest.post(
            "/tenants", json={"id": tenant, "name": tenant, "allow_client_challenge": True}
        )
        assert made.status_code == 201, made.text
        for agent, key in agents.items():
            answer = await rest.post(
                "/agents",
                json={"id": agent, "name": agent, "public_key": Path(f"{key}.pub").read_text()},
                headers={"x-tenant-id": tenant},
            )
            assert answer.status_code == 201, answer.text
