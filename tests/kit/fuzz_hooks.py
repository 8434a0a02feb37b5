"""What the fuzzer has to know of the API and no schema can say.

Schemathesis loads this file. `FUZZ_URL` is the platform's API, `FUZZ_TOKEN` the fuzzer's, `FUZZ_SECRET` the
installation's, `FUZZ_HOST_TOKEN` another user's. What the test planted stays, and so does the fuzzer's
right to it: whatever would take it away is turned on a spare that is made for it. And where a request
that fits its schema is bound to be refused, it gets what makes it good. What does not fit its schema is
sent as it was made.
"""

import itertools
import os
import uuid
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
import schemathesis
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import strategies as st

from artcafe.server.domain.agent import MAX_KEYS
from tests.kit.local_proofs import NONCE, answer, place_of

TENANT, MEMBER, AGENT, CHANNEL = "acme", "vera", "planner", "tasks"
KEY_LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKRKa4nBB1YtCzTUTxu6+cdJ2C3BO5bqlGEULVGCf7k/ planner"
KEY = "LuBqzivxosXItJQ-Ptpl2OwXFUMw_IqsoGqSBt4EKiI"
FUZZER = "local-owner"
HOST, SIGNER, SIGNING_KEY = "host", "signer", Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
"""A tenant of somebody else: it invites the fuzzer, and its agent has this key."""

LEGAL = "2026-01-31"
OTHER_CHANNEL = "notes"
DURABLE_CHANNEL = "jobs"

Case = schemathesis.Case[Any]

_numbers = itertools.count(1)


def key_line(key: Ed25519PrivateKey) -> str:
    """The public half, as OpenSSH writes it."""
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def rest(method: str, path: str, body: Any = None, *, token: str = "FUZZ_TOKEN", tenant: str = TENANT) -> Any:
    """Ask for something that has to work, and give the answer's body."""
    headers = {"authorization": f"Bearer {os.environ[token]}", "x-tenant-id": tenant}
    answer = httpx.request(method, os.environ["FUZZ_URL"] + path, json=body, headers=headers, timeout=15.0)
    assert answer.is_success, (method, path, answer.text)
    return answer.json() if answer.content else None


def _spare_tenant() -> str:
    name = f"spare{next(_numbers)}"
    rest("POST", "/tenants", {"id": name, "name": name, "terms_version": LEGAL, "privacy_version": LEGAL})
    return name


def _spare_member() -> str:
    name = f"spare{next(_numbers)}"
    rest("POST", f"/tenants/{TENANT}/members", {"user_id": name, "role": "viewer"})
    return name


def _spare_agent() -> str:
    name = f"spare{next(_numbers)}"
    rest("POST", "/agents", {"id": name, "name": name})
    return name


def _spare_channel() -> str:
    name = f"spare{next(_numbers)}"
    rest("POST", "/channels", {"id": name, "name": name})
    return name


def _spare_invitation() -> str:
    return str(rest("POST", f"/tenants/{TENANT}/invitations", {})["invitation"]["id"])


def _has_no_room(agent: Any) -> bool:
    """Whether an agent that is there has as many keys as one may have."""
    headers = {"authorization": f"Bearer {os.environ['FUZZ_TOKEN']}", "x-tenant-id": TENANT}
    url = f"{os.environ['FUZZ_URL']}/agents/{quote(str(agent), safe='')}/keys"
    answer = httpx.get(url, headers=headers, timeout=15.0)
    return answer.is_success and len(answer.json()["keys"]) >= MAX_KEYS


_SPARED: dict[str, tuple[str, set[str], Callable[[], str]]] = {
    "delete_tenant": ("tenant_id", {TENANT}, _spare_tenant),
    "remove_member": ("user_id", {MEMBER}, _spare_member),
    "delete_agent": ("agent_id", {AGENT}, _spare_agent),
    "delete_channel": ("channel_id", {CHANNEL, DURABLE_CHANNEL}, _spare_channel),
    "delete_invitation": ("invitation_id", {"planted"}, _spare_invitation),
}


_OF_DURABLE = {
    "list_messages",
    "list_subscriptions",
    "delete_subscription",
    "list_dead_letters",
    "retry_dead_letter",
    "remove_dead_letter",
    "purge_dead_letters",
}
"""Operations that only a durable channel has something for."""

_KEPT: dict[str, Any] = {"subscription_tier": "enterprise", "status": "active"}
_OPERATED: dict[str, Any] = {"plan": "enterprise", "status": "active", "limits": {}}


def _protect(operation: str, case: Case) -> None:
    """Ask of what was planted, and keep it, whatever kind of request this is."""
    path, body = case.path_parameters or {}, case.body
    if operation in _OF_DURABLE and path.get("channel_id") == CHANNEL:
        path["channel_id"] = DURABLE_CHANNEL
    if path.get("user_id") == FUZZER:
        path["user_id"] = MEMBER
    if operation in _SPARED:
        name, planted, spare = _SPARED[operation]
        if path.get(name) in planted:
            path[name] = spare()
    if operation == "remove_key" and path.get("key_id") == KEY:
        path["agent_id"] = _spare_agent()
        [path["key_id"]] = [key["id"] for key in rest("GET", f"/agents/{path['agent_id']}/keys")["keys"]]
    if operation == "add_key" and _has_no_room(path.get("agent_id")):
        path["agent_id"] = _spare_agent()
    if operation == "update_channel" and path.get("channel_id") in {CHANNEL, DURABLE_CHANNEL}:
        path["channel_id"] = OTHER_CHANNEL
    if isinstance(body, dict):
        if operation == "add_member" and body.get("user_id") == FUZZER:
            body["user_id"] = MEMBER
        # The plan decides how much may be asked for a minute.
        if operation == "update_tenant":
            body.update({name: value for name, value in _KEPT.items() if name in body})
        # Whoever fuzzes is an operator here.
        if operation == "operate_tenant" and path.get("tenant_id") in {TENANT, HOST}:
            body.update({name: value for name, value in _OPERATED.items() if name in body})


def _signed() -> dict[str, Any]:
    who = {"tenant_id": HOST, "agent_id": SIGNER}
    challenge = rest("POST", "/agents/auth/challenge", who)["challenge"]
    signature = b64encode(SIGNING_KEY.sign(challenge.encode())).decode()
    return {**who, "challenge": challenge, "response": signature}


def _invited() -> dict[str, Any]:
    rest("PUT", f"/tenants/{HOST}/members/{FUZZER}", {"role": "viewer"}, token="FUZZ_HOST_TOKEN", tenant=HOST)
    rest("DELETE", f"/tenants/{HOST}/members/{FUZZER}", token="FUZZ_HOST_TOKEN", tenant=HOST)
    made = rest("POST", f"/tenants/{HOST}/invitations", {}, token="FUZZ_HOST_TOKEN", tenant=HOST)
    return {"token": made["token"]}


def _one_subject(channel: Any) -> str | None:
    """A subject of a channel that has several; None for one that is its own."""
    found = [each for each in rest("GET", "/channels?limit=200")["channels"] if each["id"] == channel]
    pattern = found[0]["subject"] if found else ""
    return pattern.replace("*", "x").replace(">", "x") if {"*", ">"} & set(pattern) else None


def _readable(value: Any) -> Any:
    """Numbers that every receiver reads alike, at any depth; the service refuses others."""
    if isinstance(value, dict):
        return {name: _readable(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_readable(each) for each in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63:
        return value % 2**63
    return value


_OWNED = {"agents", "inbox", "tenant", "channels", "sys", "presence", "dlq"}


def _shared(pattern: Any) -> Any:
    """A subject or pattern that is nobody's own: the grammar allows the first words that have an owner."""
    first = str(pattern).partition(".")[0].lower()
    return f"x{pattern}"[:128] if first in _OWNED else pattern


def _make_good(operation: str, case: Case) -> None:
    """What fits the schema gets what the schema cannot say."""
    case.body = body = _readable(case.body)
    case.query.pop("next_token", None)  # Good for the same question only.
    if "start_date" in case.query:
        case.query["end_date"] = case.query["start_date"]  # 400 days at most, and in order.
    if operation == "change_member":
        case.headers.pop("if-match", None)  # It makes the member that is not there yet.
    elif "if-match" in case.headers:
        case.headers["if-match"] = "*"  # Whatever version the record has by now.
    if "idempotency-key" in case.headers:
        case.headers["idempotency-key"] = uuid.uuid4().hex  # Good for one body only.
    if operation == "publish_message":
        case.query.pop("subject", None)
        subject = _one_subject(case.path_parameters["channel_id"])
        if subject is not None:
            case.query["subject"] = subject
    if operation in {"create_agent", "add_key"} and isinstance(body, dict):
        if isinstance(body.get("id"), str):
            body["id"] = f"a{next(_numbers)}-{body['id'][:50]}"
        if isinstance(body.get("public_key"), str):
            body["public_key"] = key_line(Ed25519PrivateKey.generate())  # Each is somebody's.
    if operation in {"create_channel", "update_channel"} and isinstance(body, dict):
        body.update({name: _shared(body[name]) for name in ("id", "subject", "name") if name in body})
    if operation in {"create_agent", "update_agent"} and isinstance(body, dict):
        policy = body.get("policy") or {}
        for grant in (policy[side] for side in ("publish", "subscribe") if side in policy):
            grant.update(
                {name: [*map(_shared, grant[name] or ())] for name in ("allow", "deny") if name in grant}
            )
    if operation == "request_challenge" and isinstance(body, dict):
        body["agent_id"] = f"a{body['agent_id'][:60]}"  # Some names mean something on the bus.
    if operation == "verify_challenge":
        case.body = _signed()
    elif operation == "accept_invitation":
        case.body = _invited()
    elif operation in {"token", "sign_in_code"} and isinstance(body, dict):
        wanted = {name: body[name] for name in ("tenant", "role", "email") if body.get(name) is not None}
        if "email" in wanted:  # It is of somebody in a tenant, whose role is known.
            wanted["tenant"] = TENANT
            wanted.pop("role", None)
        url = os.environ["FUZZ_URL"].removesuffix("/api/v1")
        path = "/local/token" if operation == "token" else "/local/code"
        given = httpx.post(f"{url}/local/challenge", json={"nonce": NONCE}, timeout=15.0).json()
        proof: dict[str, Any] = {**answer(given, os.environ["FUZZ_SECRET"], place_of(url), path, **wanted)}
        case.body = proof
    elif operation == "create_tenant" and isinstance(body, dict):
        body.update(terms_version=LEGAL, privacy_version=LEGAL)
    elif operation == "accept_documents" and isinstance(body, dict):
        body.update(dict.fromkeys(body, LEGAL))


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """Prepare a request for what it is about to meet."""
    operation = case.operation.definition.raw["operationId"]
    _protect(operation, case)
    if case.meta is not None and case.meta.generation.mode.is_positive:
        _make_good(operation, case)


schemathesis.openapi.format(
    "ssh-public-key",
    st.binary(min_size=32, max_size=32).map(Ed25519PrivateKey.from_private_bytes).map(key_line),
)
