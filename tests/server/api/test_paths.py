"""Whatever may be an identifier can be named in a path."""

import re
from urllib.parse import quote, unquote

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from artcafe.server.api.paths import Paths, decoded
from artcafe.server.domain.audit import AuditEntry
from artcafe.wire.codes import Code
from tests.kit.api import Api, good, problem
from tests.kit.asgi import ask, scope_of
from tests.kit.signing import KeyPair

USERS = [
    "repo:org/app:ref:refs/heads/main",
    "auth0|5f7c8ec7c33c6c004bbafe82",
    "/",
    "//",
    "a//b",
    "a/../b",
    "../../tenants",
    "...",
    "%",
    "%2F",
    "%252F",
    "a%2Fb/c%25d",
    "a?b=c#d;e",
    "a+b c",
    " ",
    "~!@$&'()*,=[]{}\\\"<>^`|",
    "x" * 255,
    "/" * 255,
]


@pytest.mark.parametrize("user", USERS)
async def test_every_member_that_can_be_added_can_be_read_changed_and_removed(
    olivia: httpx.AsyncClient, user: str
) -> None:
    members = "/api/v1/tenants/acme/members"
    member = f"{members}/{quote(user, safe='')}"

    added = await olivia.post(members, json={"user_id": user, "role": "viewer"})

    assert good(added)["user_id"] == user
    assert good(await olivia.get(member)) == good(added)
    assert good(await olivia.put(member, json={"role": "admin"}))["role"] == "admin"
    entries = good(await olivia.get("/api/v1/audit", params={"target": user}))["entries"]
    assert {entry["target"] for entry in entries} == {user}
    assert (await olivia.delete(member)).status_code == 204
    problem(await olivia.get(member), Code.not_found)


@pytest.mark.parametrize("user", ["", ".", "..", "\u00e4", "a\n", "\x7f", "x" * 256])
async def test_who_could_not_be_named_cannot_be_added(olivia: httpx.AsyncClient, user: str) -> None:
    members = "/api/v1/tenants/acme/members"

    problem(await olivia.post(members, json={"user_id": user}), Code.validation_failed)


async def test_an_encoded_slash_joins_no_other_route(olivia: httpx.AsyncClient) -> None:
    good(await olivia.post("/api/v1/channels", json={"name": "tasks"}), 201)

    problem(await olivia.get("/api/v1%2Fchannels/tasks"), Code.not_found)
    problem(await olivia.post("/api/v1/channels/tasks%2Fmessages", json={}), Code.method_not_allowed)
    problem(await olivia.get("/api/v1/agents/x%2Fkeys"), Code.not_found)
    # What need not be encoded is the same encoded (RFC 3986 section 6.2.2.2).
    good(await olivia.get("/api/v1/%63hannels/%74asks"))


async def test_agents_channels_tenants_and_invitations_are_named_as_they_are(
    api: Api, olivia: httpx.AsyncClient
) -> None:
    agent, channel = "A_-" + "9" * 60, ".".join(["a_-"] * 16)
    good(await olivia.post("/api/v1/agents", json={"id": agent, "name": "x"}), 201)
    good(await olivia.post("/api/v1/channels", json={"id": channel, "name": "x"}), 201)
    good(await api.signed_in("olivia", None).post("/api/v1/tenants", json={"id": agent, "name": "x"}), 201)
    invited = good(await olivia.post("/api/v1/tenants/acme/invitations", json={}), 201)["invitation"]["id"]

    for path in (f"/api/v1/agents/{agent}", f"/api/v1/channels/{channel}", f"/api/v1/tenants/{agent}"):
        encoded = path[:8] + "".join(f"%{ord(each):02x}" if each != "/" else each for each in path[8:])
        good(await olivia.get(path))
        good(await olivia.get(encoded))
    withdrawn = await olivia.delete(f"/api/v1/tenants/acme/invitations/{invited}")
    assert withdrawn.status_code == 204


async def test_a_key_is_named_by_its_id_and_by_its_fingerprint(olivia: httpx.AsyncClient) -> None:
    pair = next(pair for pair in iter(KeyPair, None) if {"/", "+"} <= set(pair.fingerprint))
    good(await olivia.post("/api/v1/agents", json={"id": "a", "name": "a", "public_key": pair.line}), 201)
    [key] = good(await olivia.get("/api/v1/agents/a/keys"))["keys"]

    keys = "/api/v1/agents/a/keys"
    for name in (key["id"], quote(pair.fingerprint, safe=""), quote(pair.fingerprint, safe=":+")):
        shown = good(await olivia.put(f"{keys}/{name}", json={"status": "revoked"}))["key"]
        assert (shown["id"], shown["fingerprint"]) == (key["id"], pair.fingerprint)
    digest = pair.fingerprint.removeprefix("SHA256:")
    for stranger in (digest[:-1], f"{key['id']}=", f"MD5:{digest}", f"SHA256:{key['id'][:-1]}", "x", "..."):
        answer = await olivia.delete(f"{keys}/{quote(stranger, safe='')}")
        problem(answer, Code.not_found)
    removed = await olivia.delete(f"{keys}/{quote(pair.fingerprint, safe='')}")
    assert removed.status_code == 204


def test_every_identifier_in_a_path_is_one_of_those_that_are_tried_here(application: FastAPI) -> None:
    named = {name for path in application.openapi()["paths"] for name in re.findall(r"{(.+?)}", path)}

    plain = {"subscription_name", "seq"}  # Tokens and numbers, which need no encoding.
    assert named - plain == {"tenant_id", "user_id", "agent_id", "key_id", "channel_id", "invitation_id"}
    assert "target" in AuditEntry.__struct_fields__


@pytest.mark.parametrize(
    ("raw", "path", "meant"),
    [
        ("/a/b", "/a/b", "b"),
        ("/a/x%2Fy", "/a/x%2Fy", "x/y"),
        ("/a/x%252Fy", "/a/x%252Fy", "x%2Fy"),
        ("/a/x%25252Fy", "/a/x%25252Fy", "x%252Fy"),
        ("/a/%25%2f%25", "/a/%25%2F%25", "%/%"),
        ("/a/x%20y", "/a/x y", "x y"),
        ("/a/%e4%f6", "/a/\ufffd\ufffd", "\ufffd\ufffd"),
        ("/a/%c3%a4", "/a/\u00e4", "\u00e4"),
        ("/a/100%", "/a/100%25", "100%"),
    ],
)
async def test_segments_are_decoded_one_by_one(raw: str, path: str, meant: str) -> None:
    seen: list[Scope] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    outer = scope_of("GET", raw, {})
    before = dict(outer)
    await ask(Paths(inner), outer)

    assert seen[0]["path"] == path
    assert decoded({"name": path.rpartition("/")[2]}) == {"name": meant}
    assert outer == before


async def test_of_a_load_balancer_before_lambda_the_path_is_told_by_the_event() -> None:
    seen: list[Scope] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    for sent, path in (("/a/x%2Fy", "/a/x%2Fy"), ("", "/"), ("/\u00e4", "/\u00e4")):
        event = {"requestContext": {"elb": {}}, "path": sent}
        scope = {**scope_of("GET", "/", {}), "path": unquote(sent) or "/", "raw_path": None}
        await ask(Paths(inner), {**scope, "aws.event": event})
        assert seen[-1]["path"] == path


async def test_without_the_raw_path_the_decoded_one_is_taken_as_it_is() -> None:
    """So it comes from API Gateway before Lambda."""
    seen: list[Scope] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    await ask(Paths(inner), {**scope_of("GET", "/a/x", {}), "path": "/a/100%2F", "raw_path": None})

    assert decoded({"name": seen[0]["path"].rpartition("/")[2]}) == {"name": "100%2F"}
