"""Channels over REST and publishing into them, in the shapes that clients in the field read."""

import json
from typing import Any

import httpx
import pytest

from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.tenant import Tenant
from artcafe.server.store.table import Table
from artcafe.server.store.tenants import TenantTable
from artcafe.wire.codes import Code
from tests.kit.api import Api, good, problem
from tests.kit.deadlines import eventually
from tests.kit.installation import ACME, OTHER

NOON = "2025-11-24T16:00:00.000Z"
JSON = {"content-type": "application/json"}
MESSAGES = "/api/v1/channels/tasks/messages"


@pytest.fixture
async def tasks(olivia: httpx.AsyncClient) -> dict[str, Any]:
    """The channel `tasks` of `acme`."""
    made: dict[str, Any] = good(
        await olivia.post("/api/v1/channels", json={"id": "tasks", "name": "Tasks"}), 201
    )["channel"]
    return made


async def listen(api: Api, tenant: Tenant) -> list[tuple[str, bytes]]:
    """Everything that arrives on the tenant's bus from now on."""
    heard: list[tuple[str, bytes]] = []
    link = await api.installation.bus.link(tenant)
    await link.subscribe(">", lambda subject, payload: heard.append((subject, payload)))
    return heard


@pytest.fixture
async def heard(api: Api) -> list[tuple[str, bytes]]:
    """What arrives in `acme`."""
    tenant = await TenantTable(Table(api.installation.memory)).get(ACME)
    assert tenant is not None
    return await listen(api, tenant)


class TestChannels:
    async def test_one_is_made_read_changed_and_deleted(self, api: Api, olivia: httpx.AsyncClient) -> None:
        body = {"name": "New Tasks", "description": "what is to do", "metadata": {"deep": [1, None]}}

        made = good(await olivia.post("/api/v1/channels", json=body), 201)

        assert made == {
            "channel": {
                **body,
                "id": "new-tasks",
                "tenant_id": "acme",
                "status": "active",
                "subject": "new-tasks",
                "max_message_bytes": None,
                "publishers": None,
                "subscribers": None,
                "durability": None,
                "subscriber_count": 0,
                "active_subscribers": 0,
                "total_messages": 0,
                "last_message_at": None,
                "created_at": NOON,
                "updated_at": NOON,
            },
            "success": True,
        }
        assert good(await olivia.get("/api/v1/channels/new-tasks")) == made

        api.installation.clock.advance(60)
        given = {"description": "new", "name": None}
        changed = good(await olivia.put("/api/v1/channels/new-tasks", json=given))
        assert changed == {
            "channel": {**made["channel"], "description": "new", "updated_at": "2025-11-24T16:01:00.000Z"},
            "success": True,
        }

        deleted = await olivia.delete("/api/v1/channels/new-tasks")
        assert (deleted.status_code, deleted.content) == (204, b"")
        for method in ("GET", "PUT", "DELETE"):
            problem(await olivia.request(method, "/api/v1/channels/new-tasks", json={}), Code.not_found)

    async def test_pages_follow_each_other(self, olivia: httpx.AsyncClient) -> None:
        for channel in ("c", "a.b", "a"):
            await olivia.post("/api/v1/channels", json={"id": channel, "name": "x"})

        first = good(await olivia.get("/api/v1/channels?limit=2"))
        second = good(
            await olivia.get("/api/v1/channels", params={"limit": 2, "next_token": first["next_token"]})
        )

        assert set(first) == {"channels", "next_token"}
        assert [channel["id"] for channel in first["channels"]] == ["a", "a.b"]
        assert [channel["id"] for channel in second["channels"]] == ["c"]
        assert second["next_token"] is None

    async def test_a_taken_id_is_a_conflict(self, olivia: httpx.AsyncClient, tasks: dict[str, Any]) -> None:
        problem(await olivia.post("/api/v1/channels", json={"id": "tasks", "name": "x"}), Code.conflict)

    @pytest.mark.parametrize(
        ("channel", "code"),
        [
            ("*", Code.validation_failed),
            ("a b", Code.validation_failed),
            ("sys.x", Code.invalid_subject),
            ("agents.a1.x", Code.invalid_subject),
            ("channels.acme-2.x", Code.forbidden),
            ("", Code.validation_failed),
            ("x" * 256, Code.validation_failed),
        ],
    )
    async def test_what_is_no_shared_subject_is_no_channel(
        self, olivia: httpx.AsyncClient, channel: str, code: Code
    ) -> None:
        problem(await olivia.post("/api/v1/channels", json={"id": channel, "name": "x"}), code)

    async def test_the_plans_limit_is_payment_required(self, api: Api) -> None:
        zoe = api.signed_in("zoe", "small")
        await api.installation.make_tenant(TenantId("small"), "zoe", subscription_tier="free")
        for number in range(10):
            good(await zoe.post("/api/v1/channels", json={"name": f"c{number}"}), 201)

        problem(await zoe.post("/api/v1/channels", json={"name": "one more"}), Code.quota_exceeded)

    async def test_a_list_is_filtered_and_sorted(self, api: Api, olivia: httpx.AsyncClient) -> None:
        for channel, name in (("a", "Zebra"), ("b", "Ape"), ("c", "Yak"), ("zoo", "Empty")):
            good(await olivia.post("/api/v1/channels", json={"id": channel, "name": name}), 201)

        by_name = await ids(olivia, order="name")
        assert by_name == ["b", "zoo", "c", "a"]
        assert await ids(olivia, order="-name") == by_name[::-1]
        assert await ids(olivia, q="Z", limit=1) == ["a", "zoo"]

    async def test_a_page_token_is_good_for_its_own_question_alone(
        self, api: Api, olivia: httpx.AsyncClient
    ) -> None:
        for channel in ("a", "b"):
            await olivia.post("/api/v1/channels", json={"id": channel, "name": "x"})
            await api.signed_in("nina", "acme-2").post("/api/v1/channels", json={"id": channel, "name": "x"})
        token = good(await olivia.get("/api/v1/channels?limit=1"))["next_token"]
        query = {"limit": 1, "next_token": token}

        assert good(await olivia.get("/api/v1/channels", params=query))["channels"][0]["id"] == "b"
        problem(await olivia.get("/api/v1/channels", params={**query, "order": "name"}), Code.bad_request)
        problem(await olivia.get("/api/v1/agents", params=query), Code.bad_request)
        nina = api.signed_in("nina", "acme-2")
        problem(await nina.get("/api/v1/channels", params=query), Code.bad_request)

    async def test_rules_are_kept_in_their_short_form_and_cleared_by_null(
        self, olivia: httpx.AsyncClient, tasks: dict[str, Any]
    ) -> None:
        rules = {
            "subject": "channels.acme.tasks.>",
            "max_message_bytes": 100,
            "publishers": ["a1", "role:admin"],
            "subscribers": [],
        }
        ruled = good(await olivia.put("/api/v1/channels/tasks", json=rules))["channel"]
        assert {name: ruled[name] for name in rules} == {**rules, "subject": "tasks.>"}

        cleared = good(await olivia.put("/api/v1/channels/tasks", json=dict.fromkeys(rules)))["channel"]
        assert cleared == tasks

    async def test_durability_is_set_as_a_whole_shown_and_cleared_by_null(
        self, olivia: httpx.AsyncClient, tasks: dict[str, Any]
    ) -> None:
        path = f"/api/v1/channels/{tasks['id']}"
        default = {
            "max_bytes": 8 * 1024 * 1024,
            "max_age_seconds": None,
            "max_messages": None,
            "when_full": "drop_oldest",
        }
        given = {"max_bytes": 100_000, "max_age_seconds": 3600, "max_messages": 5, "when_full": "refuse"}
        for sent, shown in (
            (given, given),
            ({}, default),
            ({"max_messages": 7.0}, {**default, "max_messages": 7}),
            (None, None),
        ):
            changed = good(await olivia.put(path, json={"durability": sent}))["channel"]
            assert changed["durability"] == shown
            assert good(await olivia.put(path, json={"description": "x"}))["channel"]["durability"] == shown
            assert good(await olivia.get(path))["channel"]["durability"] == shown

    async def test_durable_channels_that_overlap_and_a_durable_channels_other_subject_are_refused(
        self, olivia: httpx.AsyncClient, tasks: dict[str, Any]
    ) -> None:
        good(await olivia.put(f"/api/v1/channels/{tasks['id']}", json={"durability": {}}))
        new = {"id": "new", "name": "New", "subject": ">", "durability": {}}

        told = problem(await olivia.post("/api/v1/channels", json=new), Code.conflict)

        assert "durable channel tasks, tasks:" in told["detail"]
        problem(await olivia.get("/api/v1/channels/new"), Code.not_found)
        moved = {"subject": "tasks.*"}
        problem(await olivia.put(f"/api/v1/channels/{tasks['id']}", json=moved), Code.conflict)

    @pytest.mark.parametrize(
        ("rule", "code"),
        [
            ({"subject": "agents.a1.x"}, Code.invalid_subject),
            ({"subject": "sys.>"}, Code.invalid_subject),
            ({"subject": "channels.acme-2.x"}, Code.forbidden),
            ({"subject": "a..b"}, Code.validation_failed),
            ({"publishers": ["role:king"]}, Code.validation_failed),
            ({"subscribers": ["u-olivia"]}, Code.validation_failed),
            ({"subscribers": ["a b"]}, Code.validation_failed),
            ({"max_message_bytes": 0}, Code.validation_failed),
            ({"durability": True}, Code.validation_failed),
            ({"durability": {"max_age": 200}}, Code.validation_failed),
            ({"durability": {"max_bytes": 65_535}}, Code.validation_failed),
            ({"durability": {"max_bytes": 2**40 + 1}}, Code.validation_failed),
            ({"durability": {"max_bytes": None}}, Code.validation_failed),
            ({"durability": {"max_bytes": "100000"}}, Code.validation_failed),
            ({"durability": {"max_age_seconds": 119}}, Code.validation_failed),
            ({"durability": {"max_age_seconds": 400_000_000}}, Code.validation_failed),
            ({"durability": {"max_messages": 0}}, Code.validation_failed),
            ({"durability": {"when_full": "burst"}}, Code.validation_failed),
            ({"durability": {"max_bytes": 2**40}}, Code.quota_exceeded),
        ],
        ids=lambda value: f"{value}"[:40],
    )
    async def test_a_rule_that_is_none_is_refused(
        self, olivia: httpx.AsyncClient, tasks: dict[str, Any], rule: dict[str, Any], code: Code
    ) -> None:
        problem(await olivia.put("/api/v1/channels/tasks", json=rule), code)
        problem(await olivia.post("/api/v1/channels", json={"id": "other", "name": "x", **rule}), code)

        assert good(await olivia.get("/api/v1/channels"))["channels"] == [tasks]

    async def test_nobody_overwrites_what_somebody_else_changed(
        self, olivia: httpx.AsyncClient, tasks: dict[str, Any]
    ) -> None:
        before = (await olivia.get("/api/v1/channels/tasks")).headers["etag"]
        changed = await olivia.put(
            "/api/v1/channels/tasks", json={"name": "New"}, headers={"if-match": before}
        )
        assert changed.headers["etag"] != before

        for method in ("PUT", "DELETE"):
            late = await olivia.request(
                method, "/api/v1/channels/tasks", json={"name": "Late"}, headers={"if-match": before}
            )
            problem(late, Code.precondition_failed)

        assert good(await olivia.get("/api/v1/channels/tasks"))["channel"]["name"] == "New"
        gone = await olivia.delete("/api/v1/channels/tasks", headers={"if-match": changed.headers["etag"]})
        assert gone.status_code == 204


async def ids(client: httpx.AsyncClient, **query: Any) -> list[str]:
    """The ids of every channel that is asked for, page by page."""
    found: list[str] = []
    while True:
        page = good(await client.get("/api/v1/channels", params=query))
        found += [channel["id"] for channel in page["channels"]]
        if page["next_token"] is None:
            return found
        query["next_token"] = page["next_token"]


class TestPublish:
    async def test_an_object_arrives_as_it_was_written_under_the_humans_name(
        self, olivia: httpx.AsyncClient, tasks: dict[str, Any], heard: list[tuple[str, bytes]]
    ) -> None:
        body = b'{ "city":"Roma",  "n": 1.50, "big": 12345678901234567890 }'

        answer = good(await olivia.post(MESSAGES, content=body, headers=JSON))

        assert answer == {"message_id": "p1-000001", "timestamp": NOON, "success": True}
        await eventually(lambda: heard)
        [(subject, payload)] = heard
        assert subject == "m.u-olivia.tasks"
        assert body in payload
        assert json.loads(payload)["id"] == answer["message_id"]

    @pytest.mark.parametrize(
        "data",
        [b"1e999", b"1" * 5000, b"[" * 60 + b"]" * 60, b'{"a":' * 3000 + b"1" + b"}" * 3000],
        ids=lambda data: ascii(data[:10]),
    )
    async def test_what_receivers_could_not_read_is_refused_as_on_a_websocket(
        self,
        olivia: httpx.AsyncClient,
        tasks: dict[str, Any],
        heard: list[tuple[str, bytes]],
        data: bytes,
    ) -> None:
        answer = await olivia.post(MESSAGES, content=b'{"a":%b}' % data, headers=JSON)

        problem(answer, Code.bad_frame)
        await olivia.post(MESSAGES, json={"last": True})
        await eventually(lambda: heard)
        assert b"last" in heard[0][1]

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"[]",
            b'"x"',
            b"1",
            b"null",
            b"{",
            b"{} {}",
            b'{"a": 1}, "from": "somebody"',
            b'{"a": NaN}',
            b'{"a": "\xff"}',
            b"\xef\xbb\xbf{}",
            b"{'a': 1}",
        ],
        ids=lambda body: ascii(body[:30]),
    )
    async def test_what_is_not_one_json_object_is_refused(
        self,
        olivia: httpx.AsyncClient,
        tasks: dict[str, Any],
        heard: list[tuple[str, bytes]],
        body: bytes,
    ) -> None:
        answer = await olivia.post(MESSAGES, content=body, headers=JSON)

        problem(answer, Code.validation_failed)
        await olivia.post(MESSAGES, json={"last": True})
        await eventually(lambda: heard)
        assert b"last" in heard[0][1]

    async def test_a_channel_that_is_not_there_is_not_found(
        self, olivia: httpx.AsyncClient, tasks: dict[str, Any]
    ) -> None:
        for channel in ("none", "*", ">", "tasks.x", "sys"):
            problem(await olivia.post(f"/api/v1/channels/{channel}/messages", json={}), Code.not_found)

    async def test_it_is_counted_once(
        self, api: Api, olivia: httpx.AsyncClient, tasks: dict[str, Any]
    ) -> None:
        await olivia.post(MESSAGES, content=b'{"n":1}', headers=JSON)
        await olivia.post(MESSAGES, content=b"[]", headers=JSON)

        await api.installation.process.meter.flush()

        counters = await api.installation.memory.counters(f"USE#{await api.installation.partition()}")
        assert counters["2025-11-24#messages"] == counters["2025-11-24#active_channels"] == 1
        assert counters["2025-11-24#bytes"] == 7

    async def test_a_channel_of_many_subjects_wants_one_named(
        self, olivia: httpx.AsyncClient, tasks: dict[str, Any], heard: list[tuple[str, bytes]]
    ) -> None:
        await olivia.put("/api/v1/channels/tasks", json={"subject": "tasks.*"})

        problem(await olivia.post(MESSAGES, json={}), Code.invalid_subject)
        problem(await olivia.post(f"{MESSAGES}?subject=jobs.new", json={}), Code.invalid_subject)
        problem(await olivia.post(f"{MESSAGES}?subject=channels.acme-2.x", json={}), Code.forbidden)
        for subject in ("tasks.new", "channels.acme.tasks.old"):
            good(await olivia.post(f"{MESSAGES}?subject={subject}", json={}))

        await eventually(lambda: len(heard) == 2)
        assert [subject for subject, _ in heard] == ["m.u-olivia.tasks.new", "m.u-olivia.tasks.old"]
        shown = good(await olivia.get("/api/v1/channels/tasks"))["channel"]
        assert (shown["total_messages"], shown["last_message_at"]) == (2, NOON)

    async def test_a_channel_takes_what_it_says_from_whom_it_says(
        self, api: Api, olivia: httpx.AsyncClient, tasks: dict[str, Any], heard: list[tuple[str, bytes]]
    ) -> None:
        rules = {"max_message_bytes": 10, "publishers": ["role:admin"]}
        await olivia.put("/api/v1/channels/tasks", json=rules)

        problem(await olivia.post(MESSAGES, json={"a": "too long"}), Code.too_large)
        problem(await api.signed_in("mia").post(MESSAGES, json={}), Code.forbidden)
        good(await api.signed_in("adam").post(MESSAGES, json={}))

        await eventually(lambda: heard)
        assert [subject for subject, _ in heard] == ["m.u-adam.tasks"]

    async def test_admins_speak_as_the_platform_and_members_do_not(
        self, api: Api, olivia: httpx.AsyncClient, tasks: dict[str, Any], heard: list[tuple[str, bytes]]
    ) -> None:
        problem(await api.signed_in("mia").post(f"{MESSAGES}?as=system", json={}), Code.forbidden)
        problem(await olivia.post(f"{MESSAGES}?as=somebody", json={}), Code.validation_failed)
        good(await api.signed_in("adam").post(f"{MESSAGES}?as=system", json={}))

        await eventually(lambda: heard)
        assert [subject for subject, _ in heard] == ["m.sys.tasks"]

    async def test_a_bus_that_is_away_is_worth_another_try(
        self, api: Api, olivia: httpx.AsyncClient, tasks: dict[str, Any]
    ) -> None:
        tenant = await TenantTable(Table(api.installation.memory)).get(ACME)
        assert tenant is not None
        await api.installation.bus.remove(tenant)

        problem(await olivia.post(MESSAGES, json={}), Code.unavailable)


class TestWhoMay:
    @pytest.mark.parametrize(("user", "allowed"), [("adam", True), ("mia", True), ("vera", False)])
    async def test_members_publish_and_manage_and_viewers_look(
        self, api: Api, tasks: dict[str, Any], user: str, *, allowed: bool
    ) -> None:
        client = api.signed_in(user)
        answers = [
            await client.post("/api/v1/channels", json={"id": "more", "name": "x"}),
            await client.post(MESSAGES, json={}),
            await client.put("/api/v1/channels/tasks", json={"name": "x"}),
            await client.delete("/api/v1/channels/tasks"),
        ]
        for answer in answers:
            if allowed:
                assert answer.is_success, answer.text
            else:
                problem(answer, Code.forbidden)
        assert good(await client.get("/api/v1/channels"))["channels"]

    async def test_another_tenants_channels_are_out_of_reach(
        self, api: Api, olivia: httpx.AsyncClient, tasks: dict[str, Any]
    ) -> None:
        theirs = await TenantTable(Table(api.installation.memory)).get(OTHER)
        assert theirs is not None
        heard = await listen(api, theirs)
        nina = api.signed_in("nina", "acme-2")

        for method, path in [
            ("GET", "/api/v1/channels/tasks"),
            ("PUT", "/api/v1/channels/tasks"),
            ("DELETE", "/api/v1/channels/tasks"),
            ("POST", MESSAGES),
        ]:
            problem(await nina.request(method, path, json={}), Code.not_found)
        await olivia.post(MESSAGES, json={})

        assert good(await nina.get("/api/v1/channels"))["channels"] == []
        after = good(await olivia.get("/api/v1/channels/tasks"))["channel"]
        assert after == {**tasks, "total_messages": 1, "last_message_at": NOON}
        assert heard == []
