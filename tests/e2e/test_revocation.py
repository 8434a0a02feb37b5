"""A right that ends closes what lives by it, at once and with the right code."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kit.platform import RunningPlatform
from tests.kit.sockets import proven, unproven
from tests.kit.ssh_keys import ssh_keygen_sign

NewKey = Callable[[], Path]


async def test_revoking_a_key_closes_the_connections_it_proved_and_no_other(
    platform: RunningPlatform, tenant: str, new_key: NewKey
) -> None:
    first, second = new_key(), new_key()
    platform.make_agent(tenant, "a", first)
    with platform.rest(tenant) as rest:
        added = rest.post("/agents/a/keys", json={"public_key": Path(f"{second}.pub").read_text()})
        assert added.status_code == 201
        [revoked, kept] = rest.get("/agents/a/keys").json()["keys"]
        async with (
            proven(platform.ws, tenant, "a", first) as by_first,
            proven(platform.ws, tenant, "a", second) as by_second,
        ):
            answer = await asyncio.to_thread(
                rest.put, f"/agents/a/keys/{revoked['id']}", json={"status": "revoked"}
            )
            assert answer.json()["key"]["status"] == "revoked"
            await by_first.expect("error", code="key_revoked")
            assert await by_first.closed() == 4502
            await by_second.silence()
            async with unproven(platform.ws, tenant, "a") as again:
                challenge = await again.expect("challenge")
                await again.send(type="auth", signature=ssh_keygen_sign(first, challenge["text"]))
                assert await again.closed() == 4500
            removed = await asyncio.to_thread(rest.delete, f"/agents/a/keys/{kept['id']}")
            assert removed.status_code == 204
            assert await by_second.closed() == 4502


@pytest.mark.parametrize("how", ["delete the agent", "disable the agent", "delete the tenant"])
async def test_removal_closes_every_connection(
    platform: RunningPlatform, tenant: str, new_key: NewKey, how: str
) -> None:
    key, other = new_key(), new_key()
    platform.make_agent(tenant, "a", key)
    platform.make_agent(tenant, "b", other)
    with platform.rest(tenant) as rest:
        async with (
            proven(platform.ws, tenant, "a", key) as one,
            proven(platform.ws, tenant, "a", key) as two,
            proven(platform.ws, tenant, "b", other) as bystander,
        ):
            if how == "delete the agent":
                answer = await asyncio.to_thread(rest.delete, "/agents/a")
            elif how == "disable the agent":
                answer = await asyncio.to_thread(rest.put, "/agents/a", json={"enabled": False})
            else:
                answer = await asyncio.to_thread(rest.delete, f"/tenants/{tenant}")
            assert answer.is_success, answer.text
            assert [await one.closed(), await two.closed()] == [4503, 4503]
            if how == "delete the tenant":
                assert await bystander.closed() == 4503
                # Being deleted, or gone already.
                assert rest.get("/agents").json()["code"] in {"deleting", "forbidden"}
            else:
                await bystander.silence()
