"""docs/operating.md, "Restore": a server with the wrong store at the bus of another one; lost accounts."""

import asyncio
import json
import re
import secrets
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx

from artcafe.server.bus.accounts.authority import Authority
from artcafe.server.bus.accounts.operator import Operator
from tests.kit.installations import running_bus
from tests.kit.issuers import Issuer, new_key, running_issuer
from tests.kit.nats import WallClock
from tests.kit.nginx import free_port
from tests.kit.platform import artcafe, environment

SECONDS = 30.0


@contextmanager
def serving(data: Path, settings: dict[str, str]) -> Iterator[str]:
    """A server with the store in this data directory, ready; where."""
    port = free_port()
    words = artcafe("serve", "--port", f"{port}", "--data-dir", f"{data}")
    with (data.parent / f"{secrets.token_hex(4)}.log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, env=environment(**settings))
    try:
        deadline = time.monotonic() + SECONDS
        while True:
            assert process.poll() is None, Path(log.name).read_text()
            assert time.monotonic() < deadline, Path(log.name).read_text()
            try:
                if httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(SECONDS)


def refused(data: Path, settings: dict[str, str]) -> str:
    """What a server says that does not start with this store, and whose the bus is."""
    done = subprocess.run(
        artcafe("serve", "--port", "0", "--data-dir", f"{data}"),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env=environment(**settings),
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    found = re.search(r"--adopt-bus (\w+)\.\d+:", done.stderr)
    assert found, done.stderr
    return found[1]


def installation(data: Path) -> str | None:
    """The id of a store's installation."""
    with closing(sqlite3.connect(data / "store.sqlite")) as db:
        row = db.execute("SELECT data FROM items WHERE pk = 'INSTALLATION' AND sk = 'MARK'").fetchone()
    return None if row is None else json.loads(row[0])["id"]


def rest(url: str, issuer: Issuer, tenant: str) -> httpx.Client:
    """The API, as the human who owns everything."""
    now = int(time.time())
    token = issuer.token(sub="ada", iat=now, nbf=now, exp=now + 3600)
    headers = {"authorization": f"Bearer {token}", "x-tenant-id": tenant}
    return httpx.Client(base_url=f"{url}/api/v1", headers=headers, timeout=20)


def make(url: str, issuer: Issuer, tenant: str) -> None:
    with rest(url, issuer, tenant) as api:
        assert api.post("/tenants", json={"id": tenant, "name": tenant}).status_code == 201
        assert api.post("/channels", json={"id": "tasks", "name": "Tasks"}).status_code == 201


def publishes(url: str, issuer: Issuer, tenant: str) -> int:
    with rest(url, issuer, tenant) as api:
        return api.post("/channels/tasks/messages", json={"a": 1}).status_code


async def take_accounts_away(nats: str, seed: str) -> None:
    """Delete those of all tenants from the bus."""
    operator = Operator(bytes.fromhex(seed), WallClock())
    async with Authority(nats, operator) as authority:
        for account in (await authority._every()).keys() - operator.own_accounts:
            await authority._delete(account)


async def test_a_server_with_a_mistyped_store_does_not_start_and_takes_nobodys_account(
    tmp_path: Path,
) -> None:
    right, typo = tmp_path / "data", tmp_path / "typo"
    with running_bus(tmp_path) as nats:
        async with running_issuer({"key-1": new_key()}) as issuer:
            settings = {
                "NATS_URL": nats,
                "ARTCAFE_OPERATOR_SEED": (right / "operator.seed").read_text().strip(),
                "ARTCAFE_OIDC_ISSUER": issuer.url,
                "ARTCAFE_OIDC_JWKS_URL": issuer.jwks_url,
                "ARTCAFE_OIDC_CLIENT_IDS": ",".join(issuer.config().client_ids),
                "ARTCAFE_OIDC_ALLOW_LOOPBACK_HTTP": "1",
                "ARTCAFE_PUBLIC_URL": "wss://pubsub.example.com",
            }

            def meet() -> None:
                with serving(right, settings) as url:
                    make(url, issuer, "acme")
                    assert refused(typo, settings) == installation(right)
                    assert installation(typo) is None
                    assert publishes(url, issuer, "acme") == 200
                    asyncio.run(take_accounts_away(nats, settings["ARTCAFE_OPERATOR_SEED"]))
                    assert publishes(url, issuer, "acme") == 200
                    assert httpx.get(f"{url}/readyz").json()["checks"]["installation"] == "ok"

            await asyncio.to_thread(meet)
