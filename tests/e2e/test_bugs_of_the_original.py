"""Each bug of the service that clients were written for, once, so that it never comes back.

Two of them are told elsewhere: 7 (a store write per message) in tests/server/core/test_usage.py, and the
half of 8 about the secret's default in tests/server/test_settings.py.
"""

import base64
from collections.abc import Callable
from pathlib import Path

import httpx
import jwt
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from artcafe.server.identity.dev_issuer import KEY_FILE
from tests.kit.platform import RunningPlatform
from tests.kit.sockets import legacy, proven
from tests.kit.ssh_keys import KeyRing, raw_signature

NewKey = Callable[[], Path]


async def test_1_websockets_are_mounted_under_the_prefix_once(
    platform: RunningPlatform, tenant: str, new_key: NewKey
) -> None:
    """They answered at /api/v1/api/v1/ws/... alone."""
    key = new_key()
    platform.make_agent(tenant, "a", key)
    async with proven(platform.ws, tenant, "a", key) as a:
        await a.silence()
    with pytest.raises(InvalidStatus, match="404"):
        await connect(f"{platform.ws}/api/v1/api/v1/ws/agent/a?tenant_id={tenant}")


async def test_2_a_good_rsa_signature_verifies(platform: RunningPlatform, tenant: str, keys: KeyRing) -> None:
    """Verification passed None as the hash, and so failed always."""
    key = keys.path("rsa-2048")
    platform.make_agent(tenant, "a", key)
    async with legacy(platform.ws, tenant, "a", key, "2f1c6f1e-challenge") as a:
        await a.silence()


def test_3_a_tenant_header_proves_nothing(platform: RunningPlatform, tenant: str) -> None:
    """`Bearer garbage` with `X-Tenant-Id: X` read tenant X's agents."""
    for headers in (
        {"authorization": "Bearer garbage", "x-tenant-id": tenant},
        {"x-tenant-id": tenant},
        {"authorization": "Basic YTpi", "x-tenant-id": tenant},
    ):
        answer = httpx.get(f"{platform.url}/api/v1/agents", headers=headers)
        assert answer.status_code == 401, answer.text


def test_4_a_challenge_that_was_never_issued_is_refused(
    platform: RunningPlatform, tenant: str, new_key: NewKey
) -> None:
    """The endpoint took any challenge, also for a tenant that lets clients choose none."""
    key = new_key()
    platform.make_agent(tenant, "a", key)
    with platform.rest(tenant) as rest:
        rest.put(f"/tenants/{tenant}", json={"allow_client_challenge": False})
        issued = rest.post("/agents/auth/challenge", json={"tenant_id": tenant, "agent_id": "a"}).json()
        forged = issued["challenge"].replace("nonce=", "nonce=A", 1)
        for challenge in ("never issued", forged[: forged.index("nonce=")] + "nonce=" + "A" * 43 + "\n"):
            signature = base64.b64encode(raw_signature(key, challenge.encode())).decode()
            answer = rest.post(
                "/agents/auth/verify",
                json={
                    "tenant_id": tenant,
                    "agent_id": "a",
                    "challenge": challenge,
                    "response": signature,
                },
            )
            assert answer.status_code == 401, answer.text


async def test_5_presence_and_publishes_stay_in_their_tenant(
    platform: RunningPlatform, tenant: str, new_key: NewKey
) -> None:
    """agents.presence.* was one subject for all tenants, and any tenant's subject could be published to."""
    key, other = new_key(), f"{tenant}-other"
    platform.make_tenant(other)
    for owner in (tenant, other):
        platform.make_agent(owner, "a", key)
    async with (
        proven(platform.ws, tenant, "a", key) as here,
        proven(platform.ws, other, "a", key) as there,
    ):
        for pattern in ("agents.presence.*", ">", "agents.a.>"):
            await there.subscribe(pattern)
        await here.send(type="publish", subject="agents.presence.online", data={"agent_id": "a"}, id="1")
        await here.expect("ack", id="1")
        await here.send(type="publish", subject=f"tenant.{other}.channel.x", data=1, id="2")
        await here.expect("error", code="forbidden", id="2")
        await there.silence()


async def test_6_connections_of_one_id_do_not_steal_each_other(
    platform: RunningPlatform, tenant: str, new_key: NewKey
) -> None:
    """One socket per agent id, whatever the tenant: the second took the first one's place."""
    key, other = new_key(), f"{tenant}-other"
    platform.make_tenant(other)
    for owner in (tenant, other):
        platform.make_agent(owner, "a", key)
    async with proven(platform.ws, tenant, "a", key) as first:
        await first.subscribe("x")
        async with proven(platform.ws, other, "a", key) as second:
            await second.silence()
        async with proven(platform.ws, tenant, "a", key) as third:
            await third.silence()
        await first.send(type="publish", subject="x", data=1)
        await first.expect("message", subject="x", data=1)


def test_8_a_token_for_somebody_else_is_refused(platform: RunningPlatform, tenant: str) -> None:
    """`aud` was not looked at. The token below is ours in everything but the client it was made for."""
    token = platform.token()
    header, claims = jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})
    key = (platform.data_dir / "issuer" / KEY_FILE).read_text()

    def answer(**changes: object) -> int:
        made = jwt.encode({**claims, **changes}, key, "RS256", headers={"kid": header["kid"]})
        with platform.rest(tenant, token=made) as rest:
            return rest.get("/agents").status_code

    assert answer() == 200
    assert answer(client_id="another-client") == 401
    assert answer(client_id=None, aud="another-api") == 401
    assert answer(token_use="id") == 401
    assert answer(iss="http://127.0.0.1/elsewhere") == 401
