"""Schemas of the agents' routes: what a body may set, what is shown, and what a list is asked for."""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from artcafe.server.api.fields import Body, JsonObject, SmallJson, SubjectPattern, chosen
from artcafe.server.api.pages import Order
from artcafe.server.domain.agent import Agent, AgentKey
from artcafe.server.domain.ids import PATTERN, AgentId
from artcafe.server.domain.policy import MAX_PATTERNS, Policy
from artcafe.server.ports.identity import KeyKind
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

KeyText = Annotated[
    str, Field(min_length=1, max_length=16384, json_schema_extra={"format": "ssh-public-key"})
]
Name = Annotated[str, Field(min_length=1, max_length=128, examples=["Trip planner"])]
Word = Annotated[str, Field(max_length=128)]


class GrantFields(Body):
    """Patterns of subjects. `deny` wins; without `allow` everything is allowed."""

    allow: Annotated[list[SubjectPattern], Field(max_length=MAX_PATTERNS)] | None = None
    deny: Annotated[list[SubjectPattern], Field(max_length=MAX_PATTERNS)] = Field(default_factory=list)


class PolicyFields(Body):
    """What an agent may say and hear. Its own subjects it always hears, unless they are denied by name."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "publish": {"allow": ["results.>", "inbox.*.>"], "deny": ["results.secret.>"]},
                    "subscribe": {"allow": ["tasks.*"], "deny": []},
                }
            ]
        }
    )

    publish: GrantFields = Field(default_factory=GrantFields)
    subscribe: GrantFields = Field(default_factory=GrantFields)


class AgentFields(Body):
    """What may be set on an agent; what is left out stays as it is. `metadata.tags`, a list of words, can
    be filtered by."""

    name: Name | None = None
    type: Annotated[str, Field(max_length=64, examples=["planner"])] | None = None
    enabled: bool | None = None
    capabilities: Annotated[list[Word], Field(max_length=100, examples=[["travel"]])] | None = None
    capability_definitions: Annotated[list[Any] | dict[str, Any], SmallJson] | None = None
    metadata: JsonObject | None = None
    policy: Annotated[PolicyFields, SmallJson] | None = None

    def fields(self) -> dict[str, Any]:
        """What the request sets, as the use cases take it."""
        fields = chosen(self, AgentFields)
        if "policy" in fields:
            fields["policy"] = msgspec.convert(fields["policy"], Policy)
        return fields


class NewAgent(AgentFields):
    """An agent to register. Without a public key the service makes a key pair of `key_type`: `ed25519` in
    OpenSSH's form, or `rsa` as PKCS#8 PEM, which is what older clients read, and what is made unless told."""

    id: Annotated[str, Field(pattern=PATTERN, examples=["planner"])] | None = None
    name: Name
    public_key: KeyText | None = None
    key_type: Annotated[KeyKind, Field(strict=False)] = KeyKind.rsa


class NewKey(Body):
    """A public key: an OpenSSH line, PEM or RFC 4716."""

    public_key: KeyText


class KeyFields(Body):
    """A key is revoked for good."""

    status: Literal["revoked"]


class KeyView(BaseModel):
    """A public key of an agent; `id` is its fingerprint in an alphabet that fits into a URL. In a path its
    fingerprint names it too, percent-encoded."""

    id: str
    fingerprint: str
    type: str
    comment: str
    status: str
    public_key: str
    created_at: str
    revoked_at: str | None
    last_used_at: str | None

    @classmethod
    def of(cls, key: AgentKey, last_used_at: str | None = None) -> "KeyView":
        """What members see of a key."""
        return cls(
            id=key_id(key.fingerprint),
            fingerprint=key.fingerprint,
            type=key.type,
            comment=key.comment,
            status=key.status,
            public_key=key.line,
            created_at=key.created_at,
            revoked_at=key.revoked_at,
            last_used_at=last_used_at,
        )


class AgentView(BaseModel):
    """An agent. `public_key` and `key_fingerprint` are those of its first active key;
    `channel_subscriptions` are the patterns it is subscribed to now."""

    id: str
    tenant_id: str
    name: str
    type: str
    status: Literal["online", "offline"]
    enabled: bool
    capabilities: list[str]
    capability_definitions: list[Any] | dict[str, Any]
    metadata: dict[str, Any]
    policy: PolicyFields
    public_key: str | None
    key_fingerprint: str | None
    active_connections: int
    channel_subscriptions: list[str]
    total_messages_sent: int
    total_messages_received: int
    last_seen: str | None
    created_at: str
    updated_at: str


class OneAgent(BaseModel):
    """An agent; `private_key` only when the service just made it: it is shown once."""

    agent: AgentView
    private_key: str | None = None
    success: bool = True


class AgentList(BaseModel):
    """A page of agents; the end is reached when `next_token` is null."""

    agents: list[AgentView]
    next_token: str | None


class OneKey(BaseModel):
    """A key."""

    key: KeyView
    success: bool = True


class KeyList(BaseModel):
    """All keys of an agent."""

    keys: list[KeyView]


KEY_ID = "^(SHA256:[A-Za-z0-9+/]{43}|[A-Za-z0-9_-]{43})$"


def key_id(fingerprint: str) -> str:
    """The id of a key: its fingerprint in an alphabet that fits into a URL."""
    return fingerprint.removeprefix("SHA256:").replace("+", "-").replace("/", "_")


def fingerprint_of(key_id: str) -> str:
    """The fingerprint that is meant by the id of a key, or by the fingerprint itself. Raises not_found."""
    if re.fullmatch(KEY_ID, key_id) is None:
        raise ArtcafeError(Code.not_found, "The agent has no such key.")
    return "SHA256:" + key_id.removeprefix("SHA256:").replace("-", "+").replace("_", "/")


class AgentQuery(BaseModel):
    """Which agents are asked for; everything that is named has to fit."""

    status: Literal["online", "offline"] | None = None
    type: Annotated[str | None, Field(max_length=64)] = None
    capability: Annotated[str | None, Field(max_length=128, description="One of its capabilities.")] = None
    tag: Annotated[str | None, Field(max_length=128, description="One of `metadata.tags`.")] = None
    enabled: bool | None = None
    q: Annotated[str | None, Field(max_length=128, description="Part of the name or id.")] = None
    order: Annotated[Order, Field(description="The field to sort by; `-` the other way round.")] = "id"

    def keep(self, online: Mapping[AgentId, int]) -> Callable[[Agent], bool]:
        """What tells whether an agent is asked for."""

        def fits(agent: Agent) -> bool:
            text, tags = (self.q or "").lower(), agent.metadata.get("tags")
            return (
                (self.status is None or (self.status == "online") == (agent.id in online))
                and (self.type is None or self.type == agent.type)
                and (self.capability is None or self.capability in agent.capabilities)
                and (self.tag is None or (isinstance(tags, list) and self.tag in tags))
                and (self.enabled is None or self.enabled == agent.enabled)
                and (text in agent.name.lower() or text in agent.id.lower())
            )

        return fits
