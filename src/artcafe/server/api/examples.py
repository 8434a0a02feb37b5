"""Examples for the schemas of the API, chosen by field name."""

from typing import Any

_TIME = "2026-11-24T12:00:00.000Z"

_LOCAL_CHALLENGE = (
    "1767225600.Jx2Vq7LmC4sT9aRk0WdZ1hYb6nUe3gPf8oXiE5yKtDw."
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"  # pragma: allowlist secret
)

VALUES: dict[str, Any] = {
    "request_id": "0b8a1f4c2d6e4f7a9c3b5d7e9f1a2b3c",
    "AgentView.id": "planner",
    "agent_id": "planner",
    "AgentView.name": "Trip planner",
    "type": "planner",
    "capabilities": ["travel"],
    "capability_definitions": {},
    "channel_subscriptions": ["tasks.*"],
    "ChannelView.id": "tasks",
    "channel_id": "tasks",
    "ChannelView.name": "Tasks",
    "subject": "tasks.new",
    "max_message_bytes": 65536,
    "TenantView.id": "acme",
    "tenant_id": "acme",
    "tenant": "acme",
    "TenantView.name": "Acme",
    "x-tenant-id": "acme",
    "user": "auth0|5f7c8ec7c33c6c004bbafe82",
    "user_id": "auth0|5f7c8ec7c33c6c004bbafe82",
    "actor": "auth0|5f7c8ec7c33c6c004bbafe82",
    "created_by": "auth0|5f7c8ec7c33c6c004bbafe82",
    "email": "ada@example.com",
    "admin_email": "ada@example.com",
    "remote": "203.0.113.7",
    "KeyView.id": "LuBqzivxosXItJQ-Ptpl2OwXFUMw_IqsoGqSBt4EKiI",  # pragma: allowlist secret
    "key_id": "LuBqzivxosXItJQ-Ptpl2OwXFUMw_IqsoGqSBt4EKiI",
    "fingerprint": "SHA256:LuBqzivxosXItJQ+Ptpl2OwXFUMw/IqsoGqSBt4EKiI",
    "key_fingerprint": "SHA256:LuBqzivxosXItJQ+Ptpl2OwXFUMw/IqsoGqSBt4EKiI",
    "KeyView.type": "ssh-ed25519",
    "comment": "planner",
    "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKRKa4nBB1YtCzTUTxu6+cdJ2C3BO5bqlGEULVGCf7k/ planner",
    # pragma: allowlist nextline secret
    "private_key": "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n",
    "metadata": {"team": "travel"},
    "website": "https://acme.example.com",
    "logo_url": "https://acme.example.com/logo.svg",
    "primary_color": "#1a2b3c",
    "secondary_color": "#fefefe",
    "nonce": "q4Yd0mJt2Vx8Rk1WcZ7sHb5nLf3gPa9eUo6iTy0DwXE",
    "TokenRequest.challenge": _LOCAL_CHALLENGE,
    "LocalChallenge.challenge": _LOCAL_CHALLENGE,
    "proof": "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8",  # pragma: allowlist secret
    "challenge": "artcafe-agent-auth/1\nserver=wss://pubsub.example.com\ntenant=acme\nagent=planner\n...",
    # pragma: allowlist nextline secret
    "response": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==",
    "token_type": "Bearer",
    "message": "The signature is valid.",
    "next_token": None,
    "description": "Where trips are planned.",
    "date": "2026-11-24",
    "start_date": "2026-11-18",
    "end_date": "2026-11-24",
    "billing_cycle": "monthly",
    "plan": "growth",
    "subscription_tier": "growth",
    "TenantView.status": "active",
    "ChannelView.status": "active",
    "KeyView.status": "active",
    "Billing.status": "active",
    "checks": {"bus": "ok", "store": "ok"},
    "version": "0.1.0",
    "expires_in": 43200,
    "joined_date": _TIME,
    "at": _TIME,
    "timestamp": _TIME,
    "last_seen": _TIME,
}
"""By the field, or by the schema and the field where one name means several things."""

_OF_TYPE: dict[str, Any] = {"string": "text", "integer": 1, "number": 1, "boolean": True, "null": None}


def of(schema: dict[str, Any], schemas: dict[str, Any], name: str = "") -> Any:
    """An example of a schema. What its author wrote comes first, then what the name means."""
    if "$ref" in schema:
        title = schema["$ref"].rpartition("/")[2]
        return of(schemas[title], schemas, name)
    if "examples" in schema:
        return whole(schema["examples"][0], schema, schemas)
    for key in ("example", "const"):
        if key in schema:
            return schema[key]
    if "enum" in schema:
        return schema["enum"][0]
    if name in VALUES:
        return VALUES[name]
    plain = name.rpartition(".")[2]
    if plain in VALUES and "properties" not in schema:  # Of a list of tenants each is whole, and no name.
        return VALUES[plain]
    if plain.endswith("_at"):
        return _TIME
    return _of_shape(schema, schemas, name)


def _of_shape(schema: dict[str, Any], schemas: dict[str, Any], name: str) -> Any:
    if schema.get("default") is not None:
        return schema["default"]
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return of(schema[several][0], schemas, name)
    if schema.get("type") == "array":
        return [of(schema["items"], schemas, name.removesuffix("s"))]
    if schema.get("type") == "object" or "properties" in schema:
        title = schema.get("title", "")
        return {
            field: of(inner, schemas, f"{title}.{field}")
            for field, inner in schema.get("properties", {}).items()
        }
    return _OF_TYPE[schema.get("type", "null")]


def whole(value: Any, schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """An example as its author wrote it: FastAPI leaves every null out of a description."""
    if "$ref" in schema:
        return whole(value, schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if isinstance(value, list) and "items" in schema:
        return [whole(each, schema["items"], schemas) for each in value]
    if isinstance(value, dict) and "properties" in schema:
        inner = schema["properties"]
        kept = {name: whole(each, inner.get(name, {}), schemas) for name, each in value.items()}
        return {**dict.fromkeys(schema.get("required", ())), **kept}
    return value
