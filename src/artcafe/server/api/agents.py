"""Agents and their keys over REST."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field

from artcafe.server.api.admission import AdmittingRoute
from artcafe.server.api.deps import Cases, CurrentHuman, UseCases
from artcafe.server.api.etags import IfMatch, set_tag
from artcafe.server.api.fields import Body, JsonObject, SmallJson, SubjectPattern, chosen
from artcafe.server.api.once import CreateOnce, Creation
from artcafe.server.api.pages import Limit, NextToken, Order
from artcafe.server.api.unreadable import tell_unreadable
from artcafe.server.domain.access import Action, require
from artcafe.server.domain.agent import Agent, AgentKey
from artcafe.server.domain.ids import PATTERN, AgentId, TenantId
from artcafe.server.domain.listing import Query
from artcafe.server.domain.policy import MAX_PATTERNS, Policy
from artcafe.server.domain.principal import Human
from artcafe.server.domain.usage import RECEIVED, SENT
from artcafe.server.ports.answers import Keep
from artcafe.server.ports.identity import KeyKind
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

router = APIRouter(route_class=AdmittingRoute, prefix="/api/v1/agents", tags=["agents"])

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
            id=_key_id(key.fingerprint),
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


def _key_id(fingerprint: str) -> str:
    return fingerprint.removeprefix("SHA256:").replace("+", "-").replace("/", "_")


def _fingerprint(key_id: str) -> str:
    """The fingerprint that is meant by the id of a key, or by the fingerprint itself. Raises not_found."""
    if re.fullmatch(KEY_ID, key_id) is None:
        raise ArtcafeError(Code.not_found, "The agent has no such key.")
    return "SHA256:" + key_id.removeprefix("SHA256:").replace("-", "+").replace("_", "/")


@dataclass(frozen=True, slots=True)
class _Live:
    """What is shown of agents besides their records, by agent or by what its messages are counted as."""

    online: Mapping[AgentId, int]
    seen: Mapping[AgentId, str]
    subscriptions: Mapping[AgentId, list[str]]
    sent: Mapping[str, int]
    received: Mapping[str, int]

    def view(self, agent: Agent) -> AgentView:
        """What members see of one of them."""
        key = next(iter(agent.active_keys()), None)
        connections = self.online.get(agent.id, 0)
        return AgentView(
            id=agent.id,
            tenant_id=agent.tenant,
            name=agent.name,
            type=agent.type,
            status="online" if connections else "offline",
            enabled=agent.enabled,
            capabilities=agent.capabilities,
            capability_definitions=agent.capability_definitions,
            metadata=agent.metadata,
            policy=PolicyFields.model_validate(msgspec.to_builtins(agent.policy)),
            public_key=key.line if key else None,
            key_fingerprint=key.fingerprint if key else None,
            active_connections=connections,
            channel_subscriptions=list(self.subscriptions.get(agent.id, [])),
            total_messages_sent=self.sent.get(agent.counted_as, 0),
            total_messages_received=self.received.get(agent.counted_as, 0),
            last_seen=self.seen.get(agent.id),
            created_at=agent.created_at,
            updated_at=agent.updated_at,
        )


async def _live(
    cases: UseCases, tenant: TenantId, agents: list[Agent], online: Mapping[AgentId, int]
) -> _Live:
    ids = [agent.id for agent in agents]
    seen = await cases.presence.last_seen(tenant, [agent for agent in ids if agent not in online])
    subscriptions = await cases.presence.subscriptions(tenant, [agent for agent in ids if agent in online])
    only = agents[0].counted_as if len(agents) == 1 else ""
    sent, received = [await cases.meter.ever(tenant, kind, only) for kind in (SENT, RECEIVED)]
    return _Live(online, seen, subscriptions, sent, received)


async def _one(
    cases: UseCases, human: Human, response: Response, agent: Agent, private_key: str | None = None
) -> OneAgent:
    set_tag(response, agent)
    live = await _live(cases, human.tenant, [agent], await cases.presence.online(human.tenant))
    return OneAgent(agent=live.view(agent), private_key=private_key)


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


@router.get("")
async def list_agents(
    cases: Cases,
    human: CurrentHuman,
    asked: Annotated[AgentQuery, Depends()],
    response: Response,
    limit: Limit = 50,
    next_token: NextToken = None,
) -> AgentList:
    """List agents, a page at a time. By id a page may be short and still have a next one."""
    of = f"agents {asked.model_dump_json()}"
    online = await cases.presence.online(human.tenant)
    query = Query(
        limit=limit,
        cursor=cases.pages.open(human.tenant, of, next_token),
        order=asked.order,
        keep=asked.keep(online),
        whole=asked.capability is not None or asked.tag is not None,
    )
    page = await cases.agents.list(human, query)
    tell_unreadable(response, page)
    live = await _live(cases, human.tenant, page.items, online)
    return AgentList(
        agents=[live.view(agent) for agent in page.items],
        next_token=cases.pages.seal(human.tenant, of, page.cursor),
    )


@router.post("", status_code=201)
async def create_agent(
    body: NewAgent, cases: Cases, human: CurrentHuman, response: Response, once: CreateOnce
) -> OneAgent:
    """Register an agent, with a public key of its own or with a key pair that the service makes."""

    async def make(keep: Keep[tuple[Agent, str | None]]) -> tuple[Agent, str | None]:
        return await cases.agents.create(human, body.id, body.public_key, body.fields(), body.key_type, keep)

    async def view(made: tuple[Agent, str | None]) -> OneAgent:
        return await _one(cases, human, response, *made)

    check = partial(require, human, Action.manage_agents)
    return await once(human, body, Creation(kind=OneAgent, check=check, make=make, view=view))


@router.get("/{agent_id}")
async def get_agent(agent_id: str, cases: Cases, human: CurrentHuman, response: Response) -> OneAgent:
    """Get one agent."""
    return await _one(cases, human, response, await cases.agents.get(human, AgentId(agent_id)))


@router.put("/{agent_id}")
async def update_agent(
    agent_id: str,
    body: AgentFields,
    cases: Cases,
    human: CurrentHuman,
    response: Response,
    if_match: IfMatch = None,
) -> OneAgent:
    """Set some fields. Disabling an agent ends its connections; a policy is felt by them within a second."""
    # All that is shown is read before: what fails afterwards would make an error of a change that is stored.
    known = await cases.agents.get(human, AgentId(agent_id))
    live = await _live(cases, human.tenant, [known], await cases.presence.online(human.tenant))
    changed = await cases.agents.change(human, known.id, body.fields(), if_match)
    set_tag(response, changed)
    return OneAgent(agent=live.view(changed))


@router.delete("/{agent_id}", status_code=204)
async def delete_agent(agent_id: str, cases: Cases, human: CurrentHuman, if_match: IfMatch = None) -> None:
    """Delete an agent; its connections end at once."""
    await cases.agents.delete(human, AgentId(agent_id), if_match)


@router.get("/{agent_id}/keys")
async def list_keys(agent_id: str, cases: Cases, human: CurrentHuman) -> KeyList:
    """List all keys of an agent, revoked ones included."""
    agent = await cases.agents.get(human, AgentId(agent_id))
    uses = await cases.agents.key_uses(human, agent.id)
    return KeyList(keys=[KeyView.of(key, uses.get(key.fingerprint)) for key in agent.keys])


@router.post("/{agent_id}/keys", status_code=201)
async def add_key(agent_id: str, body: NewKey, cases: Cases, human: CurrentHuman, once: CreateOnce) -> OneKey:
    """Give an agent one more key."""

    async def make(keep: Keep[AgentKey]) -> AgentKey:
        return await cases.agents.add_key(human, AgentId(agent_id), body.public_key, keep)

    async def view(key: AgentKey) -> OneKey:
        return OneKey(key=KeyView.of(key))

    check = partial(require, human, Action.manage_agents)
    return await once(human, body, Creation(kind=OneKey, check=check, make=make, view=view))


@router.put("/{agent_id}/keys/{key_id}")
async def revoke_key(agent_id: str, key_id: str, _: KeyFields, cases: Cases, human: CurrentHuman) -> OneKey:
    """Revoke a key for good; connections that it proved end at once."""
    key = await cases.agents.revoke_key(human, AgentId(agent_id), _fingerprint(key_id))
    return OneKey(key=KeyView.of(key))


@router.delete("/{agent_id}/keys/{key_id}", status_code=204)
async def remove_key(agent_id: str, key_id: str, cases: Cases, human: CurrentHuman) -> None:
    """Forget a key; connections that it proved end at once."""
    await cases.agents.remove_key(human, AgentId(agent_id), _fingerprint(key_id))
