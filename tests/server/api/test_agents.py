"""Agents and their keys over REST, in the shapes that clients in the field read."""

from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from artcafe.server.core.usage import ENDING_SECONDS
from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.server.identity.ssh_keys import openssh_line
from artcafe.wire.codes import Code
from tests.kit.api import Api, good, problem
from tests.kit.holders import Holder
from tests.kit.installation import ACME
from tests.kit.signing import KeyPair
from tests.kit.usage import count_message

NOON = "2025-11-24T16:00:00.000Z"
AGENT_KEYS = {
    "id", "tenant_id", "name", "type", "status", "enabled", "capabilities", "capability_definitions",
    "metadata", "public_key", "key_fingerprint", "last_seen", "active_connections", "created_at",
    "updated_at", "policy", "channel_subscriptions", "total_messages_sent", "total_messages_received",
}  # fmt: skip
ANYTHING: dict[str, Any] = {"publish": {"allow": None, "deny": []}, "subscribe": {"allow": None, "deny": []}}
A1 = AgentId("a1")
HOLDER = Holder("tasks.*", "jobs")


async def make(client: httpx.AsyncClient, agent: str = "a1", **fields: Any) -> dict[str, Any]:
    """An agent with a key of its own."""
    body = {"id": agent, "name": agent, "public_key": KeyPair().line, **fields}
    made: dict[str, Any] = good(await client.post("/api/v1/agents", json=body), 201)["agent"]
    return made


class TestCreate:
    async def test_with_a_public_key_the_agent_is_answered_and_no_private_key(
        self, olivia: httpx.AsyncClient
    ) -> None:
        key = KeyPair()
        body = {
            "name": "Trip Planner",
            "type": "planner",
            "public_key": f"{key.line} laptop",
            "capabilities": ["plan", "book"],
            "capability_definitions": [{"name": "plan", "in": {"n": None}}],
            "metadata": {"description": "d", "owner": "o", "tags": ["t"], "custom": {"deep": [1.5]}},
        }

        answer = good(await olivia.post("/api/v1/agents", json=body), 201)

        assert set(answer) == {"agent", "private_key", "success"}
        assert answer["private_key"] is None
        assert answer["success"] is True
        assert answer["agent"] == {
            "id": "trip-planner",
            "tenant_id": "acme",
            "name": "Trip Planner",
            "type": "planner",
            "status": "offline",
            "enabled": True,
            "capabilities": ["plan", "book"],
            "capability_definitions": [{"name": "plan", "in": {"n": None}}],
            "metadata": body["metadata"],
            "public_key": key.line,
            "key_fingerprint": key.fingerprint,
            "last_seen": None,
            "active_connections": 0,
            "policy": ANYTHING,
            "channel_subscriptions": [],
            "total_messages_sent": 0,
            "total_messages_received": 0,
            "created_at": NOON,
            "updated_at": NOON,
        }
        assert set(answer["agent"]) == AGENT_KEYS

    async def test_an_ed25519_key_in_the_form_of_openssh_is_made_for_who_asks_for_it(
        self, olivia: httpx.AsyncClient
    ) -> None:
        asked = {"id": "a1", "name": "x", "key_type": "ed25519"}
        answer = good(await olivia.post("/api/v1/agents", json=asked), 201)

        private = serialization.load_ssh_private_key(answer["private_key"].encode(), None)
        assert isinstance(private, ed25519.Ed25519PrivateKey)
        assert openssh_line(private.public_key()) == answer["agent"]["public_key"]
        problem(
            await olivia.post("/api/v1/agents", json={"name": "x", "key_type": "dsa"}),
            Code.validation_failed,
        )

    async def test_public_keys_are_taken_as_tools_write_them(self, olivia: httpx.AsyncClient) -> None:
        line = KeyPair().line
        await make(olivia)
        for comment in ("Zoë@büro", "bot 🤖"):
            text = "\ufeff" + KeyPair().line.replace(" ", "\t") + f"\t{comment}\r\n"
            added = await olivia.post("/api/v1/agents/a1/keys", json={"public_key": text})
            assert good(added, 201)["key"]["comment"] == comment
        both = {"public_key": f"{line}\n{KeyPair().line}"}
        problem(await olivia.post("/api/v1/agents/a1/keys", json=both), Code.validation_failed)

    async def test_without_one_the_private_key_is_shown_once_as_pem(self, olivia: httpx.AsyncClient) -> None:
        answer = good(await olivia.post("/api/v1/agents", json={"name": "p", "type": "x"}), 201)

        assert answer["private_key"].startswith("-----BEGIN PRIVATE KEY-----\n")
        again = await olivia.get("/api/v1/agents/p")
        assert "PRIVATE" not in again.text
        assert good(again)["private_key"] is None

    async def test_a_taken_id_or_key_is_a_conflict(self, olivia: httpx.AsyncClient) -> None:
        key = KeyPair().line
        await make(olivia, "a1", public_key=key)

        for body in ({"id": "a1", "name": "x"}, {"id": "a2", "name": "x", "public_key": key}):
            problem(await olivia.post("/api/v1/agents", json=body), Code.conflict)

    async def test_the_plans_limit_is_payment_required(self, api: Api) -> None:
        zoe = api.signed_in("zoe", "small")
        await api.installation.make_tenant(TenantId("small"), "zoe", subscription_tier="free")
        for number in range(3):
            await make(zoe, f"a{number}")

        answer = await zoe.post("/api/v1/agents", json={"name": "one more"})

        assert answer.status_code == 402
        problem(answer, Code.quota_exceeded)

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"name": ""},
            {"name": "x", "id": "a.b"},
            {"name": "x", "id": "presence"},
            {"name": "x", "id": "u-olivia"},
            {"name": "x", "id": "acme"},
            {"name": "x", "public_key": ""},
            {"name": "x", "public_key": "garbage"},
            {"name": "x", "public_key": "x" * 16_385},
            {"name": "x", "capabilities": "plan"},
            {"name": "x", "metadata": "none"},
        ],
        ids=lambda body: f"{body}"[:60],
    )
    async def test_what_is_out_of_range_is_refused(
        self, olivia: httpx.AsyncClient, body: dict[str, Any]
    ) -> None:
        problem(await olivia.post("/api/v1/agents", json=body), Code.validation_failed)

        assert good(await olivia.get("/api/v1/agents"))["agents"] == []

    async def test_a_private_key_sent_as_a_public_one_is_refused_and_not_repeated(
        self, olivia: httpx.AsyncClient
    ) -> None:
        pem = KeyPair().pem

        answer = await olivia.post("/api/v1/agents", json={"name": "x", "public_key": pem})

        problem(answer, Code.validation_failed)
        assert pem.splitlines()[1] not in answer.text


class TestOne:
    async def test_it_is_read_changed_and_deleted(self, api: Api, olivia: httpx.AsyncClient) -> None:
        made = await make(olivia)
        assert good(await olivia.get("/api/v1/agents/a1")) == {
            "agent": made,
            "private_key": None,
            "success": True,
        }

        api.installation.clock.advance(60)
        given: dict[str, Any] = {
            "name": "New",
            "capabilities": [],
            "metadata": {"a": 1},
            "type": None,
        }
        changed = good(await olivia.put("/api/v1/agents/a1", json=given))["agent"]
        assert changed == {
            **made,
            "name": "New",
            "metadata": {"a": 1},
            "updated_at": "2025-11-24T16:01:00.000Z",
        }

        deleted = await olivia.delete("/api/v1/agents/a1")
        assert (deleted.status_code, deleted.content) == (204, b"")
        for method in ("GET", "PUT", "DELETE"):
            problem(await olivia.request(method, "/api/v1/agents/a1", json={}), Code.not_found)

    async def test_status_says_who_is_connected_and_when_it_was_last_seen(
        self, api: Api, olivia: httpx.AsyncClient
    ) -> None:
        await make(olivia)
        presence = api.installation.process.presence
        presence.arrived(ACME, A1, HOLDER)
        presence.arrived(ACME, A1, HOLDER)
        agent = good(await olivia.get("/api/v1/agents/a1"))["agent"]
        assert (agent["status"], agent["active_connections"], agent["last_seen"]) == ("online", 2, None)
        assert agent["channel_subscriptions"] == ["jobs", "tasks.*"]

        presence.left(ACME, A1, HOLDER)
        presence.left(ACME, A1, HOLDER)
        await presence.announce()
        agent = good(await olivia.get("/api/v1/agents/a1"))["agent"]
        assert (agent["status"], agent["active_connections"], agent["last_seen"]) == ("offline", 0, NOON)
        assert agent["channel_subscriptions"] == []

    async def test_what_it_sent_and_got_is_counted_until_it_is_deleted(
        self, api: Api, olivia: httpx.AsyncClient
    ) -> None:
        await make(olivia)
        meter = api.installation.process.meter
        known = await api.installation.process.directory.agent(ACME, A1)
        assert known is not None
        for _ in range(3):
            count_message(meter, ACME, known.counted_as, [], 1)
        await meter.flush()
        count_message(meter, ACME, known.counted_as, [], 1)
        meter.received(ACME, known.counted_as, 7)

        agent = good(await olivia.get("/api/v1/agents/a1"))["agent"]
        assert (agent["total_messages_sent"], agent["total_messages_received"]) == (4, 7)

        await olivia.delete("/api/v1/agents/a1")
        again = await make(olivia)
        assert (again["total_messages_sent"], again["total_messages_received"]) == (0, 0)

        # Another process, that had not heard of it yet, writes what it counted of the former one.
        late = api.installation.start("p2").meter
        late.received(ACME, known.counted_as, 50)
        for each in (meter, late):
            await each.flush()
        again = good(await olivia.get("/api/v1/agents/a1"))["agent"]
        assert (again["total_messages_sent"], again["total_messages_received"]) == (0, 0)
        # What is left of the former one goes after some days, the late write with it.
        place = f"USE#{await api.installation.partition()}"
        assert len(await api.installation.memory.counters(place, "ever#")) == 2
        api.installation.clock.advance(ENDING_SECONDS)
        assert await api.installation.memory.counters(place, "ever#") == {}

    async def test_its_public_key_is_the_first_that_is_active(self, olivia: httpx.AsyncClient) -> None:
        first, second = KeyPair(), KeyPair()
        await make(olivia, public_key=first.line)
        added = good(await olivia.post("/api/v1/agents/a1/keys", json={"public_key": second.line}), 201)
        assert added["key"]["fingerprint"] == second.fingerprint
        keys = good(await olivia.get("/api/v1/agents/a1/keys"))["keys"]

        await olivia.put(f"/api/v1/agents/a1/keys/{keys[0]['id']}", json={"status": "revoked"})
        agent = good(await olivia.get("/api/v1/agents/a1"))["agent"]
        assert (agent["public_key"], agent["key_fingerprint"]) == (second.line, second.fingerprint)

        await olivia.delete(f"/api/v1/agents/a1/keys/{keys[1]['id']}")
        agent = good(await olivia.get("/api/v1/agents/a1"))["agent"]
        assert (agent["public_key"], agent["key_fingerprint"]) == (None, None)


class TestList:
    async def test_pages_follow_each_other(self, olivia: httpx.AsyncClient) -> None:
        for agent in ("a3", "a1", "a2"):
            await make(olivia, agent)

        first = good(await olivia.get("/api/v1/agents?limit=2"))
        second = good(
            await olivia.get("/api/v1/agents", params={"limit": 2, "next_token": first["next_token"]})
        )

        assert set(first) == {"agents", "next_token"}
        assert [agent["id"] for agent in [*first["agents"], *second["agents"]]] == ["a1", "a2", "a3"]
        assert set(first["agents"][0]) == AGENT_KEYS
        assert second["next_token"] is None

    async def test_fifty_are_a_page_unless_told(self, api: Api, olivia: httpx.AsyncClient) -> None:
        human = await api.installation.make_tenant(TenantId("big"), "olivia")
        for number in range(51):
            await api.installation.make_agent(human, f"a{number:02}")

        page = good(await api.signed_in("olivia", "big").get("/api/v1/agents"))

        assert len(page["agents"]) == 50
        assert page["next_token"]

    async def test_status_filters(self, api: Api, olivia: httpx.AsyncClient) -> None:
        for agent in ("a1", "a2"):
            await make(olivia, agent)
        api.installation.process.presence.arrived(ACME, A1, HOLDER)

        online = good(await olivia.get("/api/v1/agents?status=online"))["agents"]
        offline = good(await olivia.get("/api/v1/agents?status=offline"))["agents"]

        assert [agent["id"] for agent in online] == ["a1"]
        assert [agent["id"] for agent in offline] == ["a2"]

    async def test_everything_that_is_named_has_to_fit(self, olivia: httpx.AsyncClient) -> None:
        await make(olivia, "a1", name="Zoë", type="planner", capabilities=["x", "y"])
        await make(olivia, "a2", name="Yan", type="planner", metadata={"tags": ["red", "new"]})
        await make(olivia, "a3", name="Xi", capabilities=["y"], metadata={"tags": "red"})
        await olivia.put("/api/v1/agents/a3", json={"enabled": False})

        async def found(**query: Any) -> list[str]:
            answer = await olivia.get("/api/v1/agents", params=query)
            return [agent["id"] for agent in good(answer)["agents"]]

        assert await found(type="planner") == ["a1", "a2"]
        assert await found(capability="y") == ["a1", "a3"]
        assert await found(tag="red") == ["a2"]
        assert await found(enabled="false") == ["a3"]
        assert await found(q="ZO") == ["a1"]
        assert await found(q="A2") == ["a2"]
        assert await found(type="planner", capability="y") == ["a1"]
        assert await found(order="name") == ["a3", "a2", "a1"]
        assert await found(order="-name", type="planner") == ["a1", "a2"]
        problem(await olivia.get("/api/v1/agents?order=keys"), Code.validation_failed)


class TestPolicy:
    async def test_it_is_kept_in_short_forms(self, olivia: httpx.AsyncClient) -> None:
        policy = {
            "publish": {"allow": ["channels.acme.tasks.*", "inbox.*.>"], "deny": ["tasks.secret"]},
            "subscribe": {"allow": [], "deny": ["agents.a1.>"]},
        }
        made = await make(olivia, policy=policy)

        short = {**policy, "publish": {"allow": ["tasks.*", "inbox.*.>"], "deny": ["tasks.secret"]}}
        assert made["policy"] == short
        partly = good(await olivia.put("/api/v1/agents/a1", json={"policy": {"publish": {"deny": ["x"]}}}))
        assert partly["agent"]["policy"] == {**ANYTHING, "publish": {"allow": None, "deny": ["x"]}}

    @pytest.mark.parametrize(
        ("pattern", "code"),
        [
            ("a..b", Code.validation_failed),
            ("agents.>", Code.invalid_subject),
            ("channels.acme-2.x", Code.forbidden),
            (1, Code.validation_failed),
        ],
    )
    async def test_a_pattern_that_is_none_is_refused(
        self, olivia: httpx.AsyncClient, pattern: Any, code: Code
    ) -> None:
        made = await make(olivia)

        problem(
            await olivia.put("/api/v1/agents/a1", json={"policy": {"subscribe": {"allow": [pattern]}}}), code
        )

        assert good(await olivia.get("/api/v1/agents/a1"))["agent"] == made


class TestVersions:
    async def test_nobody_overwrites_what_somebody_else_changed(self, olivia: httpx.AsyncClient) -> None:
        await make(olivia)
        before = (await olivia.get("/api/v1/agents/a1")).headers["etag"]
        match = {"if-match": f'"other", {before}'}

        changed = await olivia.put("/api/v1/agents/a1", json={"name": "New"}, headers=match)
        assert changed.status_code == 200
        assert changed.headers["etag"] != before
        for method in ("PUT", "DELETE"):
            late = await olivia.request(method, "/api/v1/agents/a1", json={"name": "Late"}, headers=match)
            problem(late, Code.precondition_failed)

        agent = await olivia.get("/api/v1/agents/a1")
        assert good(agent)["agent"]["name"] == "New"
        assert agent.headers["etag"] == changed.headers["etag"]

    async def test_an_agent_made_again_is_another_one(self, api: Api, olivia: httpx.AsyncClient) -> None:
        await make(olivia)
        before = (await olivia.get("/api/v1/agents/a1")).headers["etag"]
        await olivia.delete("/api/v1/agents/a1")
        api.installation.clock.advance(1)
        await make(olivia)

        late = await olivia.delete("/api/v1/agents/a1", headers={"if-match": before})

        problem(late, Code.precondition_failed)


class TestKeys:
    async def test_a_key_is_shown_with_all_that_is_known_of_it(
        self, api: Api, olivia: httpx.AsyncClient
    ) -> None:
        key = KeyPair()
        await make(olivia, public_key=f"{key.line} my laptop")
        process = api.installation.process
        text = process.login.challenge("wss://x", ACME, A1).text()
        await process.login.answer_text(ACME, A1, text, key.sign(text))

        [shown] = good(await olivia.get("/api/v1/agents/a1/keys"))["keys"]

        assert shown == {
            "id": key.fingerprint.removeprefix("SHA256:").replace("+", "-").replace("/", "_"),
            "fingerprint": key.fingerprint,
            "type": "ssh-ed25519",
            "comment": "my laptop",
            "status": "active",
            "public_key": key.line,
            "created_at": NOON,
            "revoked_at": None,
            "last_used_at": NOON,
        }

    async def test_whatever_its_fingerprint_holds_a_key_has_a_url(self, olivia: httpx.AsyncClient) -> None:
        keys = [KeyPair() for _ in range(6)]
        while not any("/" in key.fingerprint for key in keys):
            keys[0] = KeyPair()
        await make(olivia)
        for key in keys:
            added = await olivia.post("/api/v1/agents/a1/keys", json={"public_key": key.line})
            shown = good(added, 201)["key"]
            answer = await olivia.put(f"/api/v1/agents/a1/keys/{shown['id']}", json={"status": "revoked"})
            assert good(answer)["key"] == {**shown, "status": "revoked", "revoked_at": NOON}

    async def test_a_removed_key_is_gone(self, olivia: httpx.AsyncClient) -> None:
        await make(olivia)
        [key] = good(await olivia.get("/api/v1/agents/a1/keys"))["keys"]

        removed = await olivia.delete(f"/api/v1/agents/a1/keys/{key['id']}")

        assert (removed.status_code, removed.content) == (204, b"")
        assert good(await olivia.get("/api/v1/agents/a1/keys")) == {"keys": []}
        problem(await olivia.delete(f"/api/v1/agents/a1/keys/{key['id']}"), Code.not_found)

    @pytest.mark.parametrize("key", ["x", "garbage", "é", "A" * 43, "!", "AAAAA"])
    async def test_a_key_that_is_not_there_is_not_found(self, olivia: httpx.AsyncClient, key: str) -> None:
        await make(olivia)

        problem(await olivia.put(f"/api/v1/agents/a1/keys/{key}", json={"status": "revoked"}), Code.not_found)
        problem(await olivia.delete(f"/api/v1/agents/a1/keys/{key}"), Code.not_found)

    @pytest.mark.parametrize("status", ["active", "", None, "REVOKED"])
    async def test_a_revoked_key_never_becomes_active_again(
        self, olivia: httpx.AsyncClient, status: str | None
    ) -> None:
        await make(olivia)
        [key] = good(await olivia.get("/api/v1/agents/a1/keys"))["keys"]

        answer = await olivia.put(f"/api/v1/agents/a1/keys/{key['id']}", json={"status": status})

        problem(answer, Code.validation_failed)


WRITES: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/api/v1/agents", {"name": "x"}),
    ("PUT", "/api/v1/agents/a1", {"name": "x"}),
    ("DELETE", "/api/v1/agents/a1", {}),
    ("POST", "/api/v1/agents/a1/keys", {"public_key": KeyPair().line}),
    ("PUT", f"/api/v1/agents/a1/keys/{'A' * 43}", {"status": "revoked"}),
    ("DELETE", f"/api/v1/agents/a1/keys/{'A' * 43}", {}),
]
READS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/api/v1/agents/a1", {}),
    ("GET", "/api/v1/agents/a1/keys", {}),
]


class TestWhoMay:
    @pytest.mark.parametrize("user", ["adam", "mia", "vera"])
    async def test_members_manage_agents_and_viewers_look(self, api: Api, user: str) -> None:
        client = api.signed_in(user)
        if user == "vera":
            before = await make(api.signed_in("olivia"))
            for method, path, body in WRITES:
                problem(await client.request(method, path, json=body), Code.forbidden)
            assert good(await client.get("/api/v1/agents/a1"))["agent"] == before
            assert len(good(await client.get("/api/v1/agents/a1/keys"))["keys"]) == 1
        else:
            await make(client)
            assert (await client.delete("/api/v1/agents/a1")).status_code == 204

    async def test_another_tenants_agents_are_out_of_reach(self, api: Api, olivia: httpx.AsyncClient) -> None:
        before = await make(olivia)
        nina = api.signed_in("nina", "acme-2")

        for method, path, body in [*WRITES[1:], *READS]:
            problem(await nina.request(method, path, json=body), Code.not_found)

        assert good(await nina.get("/api/v1/agents"))["agents"] == []
        assert good(await olivia.get("/api/v1/agents/a1"))["agent"] == before
