"""What lists go without is in a header that fits into any head."""

from fastapi import Response

from artcafe.server.api.unreadable import HEADER, MOST_NAMED, tell_unreadable
from artcafe.server.domain.listing import Page
from artcafe.server.store import addresses as at
from artcafe.server.store.item import Put
from tests.kit.api import furnished


def told(*ids: str) -> str | None:
    response = Response()
    tell_unreadable(response, Page([], None, ids))
    header: str | None = response.headers.get(HEADER)
    return header


def test_ids_are_named_and_counted_beyond_what_fits() -> None:
    assert told() is None
    assert told("bot", "auth0|olivia@x.com", "a, b\r\n") == "bot, auth0%7Colivia@x.com, a%2C%20b%0D%0A"
    assert told(*(["é" * 255] * 200)) == ", ".join([*["%C3%A9" * 255] * MOST_NAMED, f"+{200 - MOST_NAMED}"])


async def test_a_record_of_another_release_is_answered_for_it_alone() -> None:
    api = await furnished()
    store = api.installation.memory
    async with api.signed_in("mia") as client:
        for name in ("bot", "old"):
            assert (await client.post("/api/v1/agents", json={"id": name, "name": name})).status_code == 201
        pk = at.tenant(await api.installation.partition())
        row = await store.get(pk, "AGENT#old")
        assert row is not None
        kept = {name: value for name, value in row.data.items() if name != "updated_at"}
        await store.put(Put(pk, "AGENT#old", kept))

        listed = await client.get("/api/v1/agents")
        alone = await client.get("/api/v1/agents/old")

    assert ([agent["id"] for agent in listed.json()["agents"]], listed.headers[HEADER]) == (["bot"], "old")
    assert (alone.status_code, alone.json()["code"]) == (503, "unreadable_record")


async def test_a_tier_of_another_release_has_the_limits_of_the_smallest_plan() -> None:
    api = await furnished()
    store = api.installation.memory
    pk = at.tenant(await api.installation.partition())
    row = await store.get(pk, "META")
    assert row is not None
    await store.put(Put(pk, "META", {**row.data, "subscription_tier": "team", "limits": {"agents": 7}}))
    api.installation.clock.advance(10)
    async with api.signed_in("mia") as client:
        shown = await client.get("/api/v1/tenants/acme")
        others = [
            await client.get(path) for path in ("/api/v1/agents", "/api/v1/channels", "/api/v1/tenants")
        ]

    assert (shown.status_code, shown.json()["subscription_tier"]) == (200, "team")
    assert (shown.json()["limits"]["max_agents"], shown.json()["limits"]["max_channels"]) == (7, 10)
    assert [answer.status_code for answer in others] == [200, 200, 200]
