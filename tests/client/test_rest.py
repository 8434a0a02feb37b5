"""Management calls against a stand-in server: what is asked for, and what of the answer is given."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi.responses import JSONResponse, Response

from artcafe.client.rest import Rest
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.local_proof import ProofExchange, address, signer
from tests.kit.outcomes import refused
from tests.kit.rest_stub import SECRET, SIGN_IN_CODE, TAG, TOKEN, RestStub, problem


async def test_the_token_and_the_tenant_travel_as_headers(stub: RestStub) -> None:
    async with Rest(stub.url + "/", "t.o.k", tenant="acme") as rest:
        assert await rest.tenants() == []

    asked = stub.last()
    assert asked.path == "/api/v1/tenants"
    assert asked.headers["authorization"] == "Bearer t.o.k"
    assert asked.headers["x-tenant-id"] == "acme"


async def test_without_a_tenant_none_is_claimed(stub: RestStub) -> None:
    async with Rest(stub.url, "t") as rest:
        await rest.agents()

    assert "x-tenant-id" not in stub.last().headers


async def test_the_life_of_a_tenant(stub: RestStub) -> None:
    async with Rest(stub.url, "t") as rest:
        made = await rest.create_tenant(name="Acme", id="acme", subscription_tier="growth")
        assert made["tenant_id"] == "acme"
        assert stub.last().body == {"name": "Acme", "id": "acme", "subscription_tier": "growth"}

        assert (await rest.change_tenant("acme", allow_client_challenge=True))[
            "allow_client_challenge"
        ] is True
        assert (stub.last().method, stub.last().body) == ("PUT", {"allow_client_challenge": True})
        assert (await rest.tenant("acme"))["name"] == "Acme"

        await rest.delete_tenant("acme")
        with pytest.raises(ArtcafeError) as refused:
            await rest.tenant("acme")

    assert refused.value.code is Code.not_found


async def test_lists_are_followed_to_their_end(stub: RestStub) -> None:
    for name in "abcde":
        stub.add_agent(name)

    async with Rest(stub.url, "t") as rest:
        found = await rest.agents(status="offline")

    assert [agent["id"] for agent in found] == list("abcde")
    assert [asked.query for asked in stub.asked] == [
        {"status": "offline"},
        {"status": "offline", "next_token": "b"},
        {"status": "offline", "next_token": "d"},
    ]


async def test_the_life_of_an_agent_and_its_keys(stub: RestStub) -> None:
    async with Rest(stub.url, "t") as rest:
        made = await rest.create_agent(name="Planner", id="planner")
        assert made["private_key"].startswith("-----BEGIN PRIVATE KEY-----")
        assert (await rest.change_agent("planner", name="P"))["name"] == "P"
        assert (await rest.agent("planner"))["name"] == "P"

        stub.add_agent("planner", "SHA256:one")
        assert (await rest.add_key("planner", "ssh-ed25519 AAAA"))["fingerprint"] == "SHA256:new"
        assert stub.last().body == {"public_key": "ssh-ed25519 AAAA"}
        assert (await rest.revoke_key("planner", "one"))["status"] == "revoked"
        assert (stub.last().method, stub.last().body) == ("PUT", {"status": "revoked"})
        await rest.delete_key("planner", "one")
        assert await rest.keys("planner") == []

        await rest.delete_agent("planner")

    assert stub.agents == {}


async def test_the_life_of_a_channel(stub: RestStub) -> None:
    async with Rest(stub.url, "t") as rest:
        assert (await rest.create_channel(name="tasks"))["id"] == "tasks"
        assert (await rest.channel("tasks"))["name"] == "tasks"
        assert [channel["id"] for channel in await rest.channels()] == ["tasks"]
        assert (await rest.publish("tasks", {"n": 1}))["message_id"] == "m1"
        assert (stub.last().path, stub.last().body) == ("/api/v1/channels/tasks/messages", {"n": 1})
        await rest.delete_channel("tasks")

    assert stub.channels == {}


async def test_a_local_token_is_asked_for_with_what_was_given_and_a_proof(stub: RestStub) -> None:
    async with Rest(stub.url) as rest:
        assert (await rest.local_token(SECRET))["access_token"] == TOKEN
        assert stub.asked[-1].body.keys() == {"nonce", "challenge", "proof"}
        await rest.local_token(SECRET, tenant="acme", role="viewer")
        assert await rest.sign_in_code(SECRET, tenant="acme") == SIGN_IN_CODE

    assert [asked.path.removeprefix("/local/") for asked in stub.asked] == [
        *("challenge", "token") * 2,
        *("challenge", "code"),
    ]
    assert (stub.asked[3].body["tenant"], stub.asked[3].body["role"]) == ("acme", "viewer")
    assert len({asked.body["nonce"] for asked in stub.asked}) == 3
    assert SECRET not in f"{stub.asked}"


async def test_who_does_not_know_the_secret_is_told_nothing(stub: RestStub) -> None:
    """Another program, a platform of another secret, and one that repeats what it heard elsewhere."""
    answers: list[Any] = [
        {},
        {"challenge": "c"},
        {"challenge": "c", "proof": "0" * 64},
        {"challenge": 1, "proof": None},
        {"challenge": "c", "proof": "é\ud800"},
    ]
    async with Rest(stub.url) as rest:
        await rest.local_token(SECRET)
        [heard, _] = stub.asked
        sign, place = signer(SECRET), address("127.0.0.1", urlsplit(stub.url).port)
        again = ProofExchange(heard.body["nonce"], place).of_platform(sign, "c")
        for given in (*answers, {"challenge": "c", "proof": again}):
            stub.answers["POST", "/local/challenge"] = Response(json.dumps(given))
            stub.asked.clear()
            with refused(Code.unauthorized) as refusal:
                await rest.local_token(SECRET, tenant="acme")
            assert "does not know the secret" in refusal.message
            [asked] = stub.asked
            assert asked.body.keys() == {"nonce"}


async def test_a_platform_of_an_older_release_is_named(stub: RestStub) -> None:
    stub.answers["POST", "/local/challenge"] = problem(404, "not_found", "There is nothing here.")
    async with Rest(stub.url) as rest:
        with refused(Code.not_found) as refusal:
            await rest.local_token(SECRET)
    assert refusal.message == (
        "There is nothing here. A platform of an older release has to be restarted with this one."
    )
    assert len(stub.asked) == 1


async def test_who_listens_in_the_platforms_place_and_passes_on_learns_nothing(stub: RestStub) -> None:
    """A relay has another address than the platform behind it, and both ends say theirs."""
    passed: list[bytes] = []

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", urlsplit(stub.url).port)
        with closing(writer), closing(there[1]):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            passed.append(await reader.readexactly(length))
            there[1].write(head + passed[-1])
            writer.write(await there[0].readuntil(b"\r\n\r\n"))
            writer.write(await there[0].read(65_536))
            await writer.drain()

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    async with server, Rest(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as rest:
        with refused(Code.unauthorized) as refusal:
            await rest.local_token(SECRET)
    assert "does not know the secret" in refusal.message
    assert [*json.loads(passed[0])] == ["nonce"]
    assert [asked.path for asked in stub.asked] == ["/local/challenge"]


async def test_agents_are_asked_for_by_what_is_named(stub: RestStub) -> None:
    async with Rest(stub.url, "t") as rest:
        await rest.agents(type="llm", capability="travel", tag="eu", enabled=False, q="plan", order="-name")
        assert stub.last().query == {
            "type": "llm",
            "capability": "travel",
            "tag": "eu",
            "enabled": "false",
            "q": "plan",
            "order": "-name",
        }
        await rest.channels(q="task", order="created_at")

    assert stub.last().query == {"q": "task", "order": "created_at"}


async def test_a_record_has_the_tag_that_a_change_can_be_bound_to(stub: RestStub) -> None:
    stub.add_agent("planner")
    stub.channels["tasks"] = {"id": "tasks"}

    async with Rest(stub.url, "t") as rest:
        await rest.create_tenant(id="acme", name="Acme")
        assert (await rest.agent("planner"))["etag"] == TAG
        assert (await rest.channel("tasks"))["etag"] == TAG
        assert (await rest.tenant("acme"))["etag"] == TAG
        changes: list[Callable[[], Awaitable[Any]]] = [
            lambda: rest.change_agent("planner", if_match=TAG, name="P"),
            lambda: rest.change_channel("tasks", if_match=TAG, subject=None),
            lambda: rest.change_tenant("acme", if_match=TAG, name="A"),
            lambda: rest.delete_agent("planner", if_match=TAG),
            lambda: rest.delete_channel("tasks", if_match=TAG),
            lambda: rest.delete_tenant("acme", if_match=TAG),
        ]
        for change in changes:
            await change()
            assert stub.last().headers["if-match"] == TAG
            assert "if_match" not in (stub.last().body or {})


async def test_a_creation_can_be_asked_for_once(stub: RestStub) -> None:
    stub.answers["POST", "/api/v1/tenants/acme/members"] = JSONResponse({"user_id": "u"})
    stub.answers["POST", "/api/v1/tenants/acme/invitations"] = JSONResponse({"invitation": {}, "token": "x"})

    async with Rest(stub.url, "t") as rest:
        creations: list[Callable[[], Awaitable[Any]]] = [
            lambda: rest.create_tenant(name="a", idempotency_key="k"),
            lambda: rest.create_agent(name="a", idempotency_key="k"),
            lambda: rest.add_key("a", "ssh-ed25519 AAAA", idempotency_key="k"),
            lambda: rest.create_channel(name="a", idempotency_key="k"),
            lambda: rest.add_member("acme", user_id="u", idempotency_key="k"),
            lambda: rest.create_invitation("acme", idempotency_key="k"),
        ]
        for create in creations:
            await create()
            assert stub.last().headers["idempotency-key"] == "k"
            assert "idempotency_key" not in stub.last().body


async def test_a_message_may_name_its_subject_and_be_the_platforms(stub: RestStub) -> None:
    async with Rest(stub.url, "t") as rest:
        await rest.publish("tasks", {"n": 1})
        assert stub.last().query == {}
        await rest.publish("tasks", {"n": 1}, "tasks.new", as_system=True)

    assert stub.last().query == {"subject": "tasks.new", "as": "system"}


MEMBERS = "/api/v1/tenants/acme/members"
INVITATIONS = "/api/v1/tenants/acme/invitations"
GONE = Response(status_code=204)

Call = Callable[[Rest], Awaitable[Any]]


@pytest.mark.parametrize(
    ("call", "method", "path", "body", "query", "answer", "given"),
    [
        (lambda rest: rest.members("acme"), "GET", MEMBERS, None, {}, [{"user_id": "u"}], [{"user_id": "u"}]),
        (lambda rest: rest.member("acme", "a|b"), "GET", f"{MEMBERS}/a%7Cb", None, {}, {"n": 1}, {"n": 1}),
        (
            lambda rest: rest.add_member("acme", user_id="u", role="admin"),
            "POST",
            MEMBERS,
            {"user_id": "u", "role": "admin"},
            {},
            {"n": 1},
            {"n": 1},
        ),
        (
            lambda rest: rest.change_member("acme", "u", role="viewer"),
            "PUT",
            f"{MEMBERS}/u",
            {"role": "viewer"},
            {},
            {"n": 1},
            {"n": 1},
        ),
        (lambda rest: rest.remove_member("acme", "u"), "DELETE", f"{MEMBERS}/u", None, {}, None, None),
        (
            lambda rest: rest.invitations("acme"),
            "GET",
            INVITATIONS,
            None,
            {},
            {"invitations": [{"id": "i"}], "next_token": None},
            [{"id": "i"}],
        ),
        (
            lambda rest: rest.create_invitation("acme", role="admin"),
            "POST",
            INVITATIONS,
            {"role": "admin"},
            {},
            {"token": "x"},
            {"token": "x"},
        ),
        (
            lambda rest: rest.revoke_invitation("acme", "i"),
            "DELETE",
            f"{INVITATIONS}/i",
            None,
            {},
            None,
            None,
        ),
        (
            lambda rest: rest.accept_invitation("a.b.c"),
            "POST",
            "/api/v1/invitations/accept",
            {"token": "a.b.c"},
            {},
            {"tenant_id": "acme"},
            {"tenant_id": "acme"},
        ),
        (
            lambda rest: rest.legal_versions(),
            "GET",
            "/api/v1/legal/versions",
            None,
            {},
            {"terms": None},
            {"terms": None},
        ),
        (
            lambda rest: rest.acceptances("acme"),
            "GET",
            "/api/v1/tenants/acme/legal",
            None,
            {},
            {"acceptances": [{"version": "1"}], "next_token": None},
            [{"version": "1"}],
        ),
        (
            lambda rest: rest.accept_legal("acme", terms_version="1"),
            "POST",
            "/api/v1/tenants/acme/legal",
            {"terms_version": "1"},
            {},
            {"acceptances": [{"version": "1"}], "next_token": None},
            [{"version": "1"}],
        ),
        (
            lambda rest: rest.metrics("acme"),
            "GET",
            "/api/v1/tenants/acme/metrics",
            None,
            {},
            {"messages": 1},
            {"messages": 1},
        ),
        (
            lambda rest: rest.usage("2026-11-01", "2026-11-02"),
            "GET",
            "/api/v1/usage-metrics",
            None,
            {"start_date": "2026-11-01", "end_date": "2026-11-02"},
            {"metrics": []},
            {"metrics": []},
        ),
        (
            lambda rest: rest.billing(),
            "GET",
            "/api/v1/usage-metrics/billing",
            None,
            {},
            {"plan": "x"},
            {"plan": "x"},
        ),
        (
            lambda rest: rest.audit(actor="u", action="agent.create", target="planner", most=1),
            "GET",
            "/api/v1/audit",
            None,
            {"actor": "u", "action": "agent.create", "target": "planner"},
            {"entries": [{"id": "1"}, {"id": "2"}], "next_token": "more"},
            [{"id": "1"}],
        ),
    ],
)
async def test_every_other_call(
    stub: RestStub,
    call: Call,
    method: str,
    path: str,
    body: object,
    query: dict[str, str],
    answer: object,
    given: object,
) -> None:
    stub.answers[method, path] = GONE if answer is None else JSONResponse(answer)

    async with Rest(stub.url, "t") as rest:
        assert await call(rest) == given

    assert [(asked.method, asked.path, asked.body) for asked in stub.asked] == [(method, path, body)]
    assert stub.last().query == query
