"""Agents and their keys over REST."""

import base64
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from artcafe.server.api.deps import Cases, CurrentHuman, UseCases
from artcafe.server.api.fields import chosen
from artcafe.server.domain.agent import Agent, AgentKey
from artcafe.server.domain.ids import PATTERN, AgentId
from artcafe.server.domain.principal import Human
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

router = APIRouter(prefix="/api/v1/agents", tags=["agents"])

KeyText = Annotated[str, Field(min_length=1, max_length=16384)]


class AgentFields(BaseModel):
    """What may be set on an agent; what is left out stays as it is."""

    name: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    type: Annotated[str, Field(max_length=64)] | None = None
    enabled: bool | None = None
    capabilities: list[Annotated[str, Field(max_length=128)]] | None = None
    capability_definitions: list[Any] | dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None


class NewAgent(AgentFields):
    """An agent to register. Without a public key the service makes a key pair."""

    id: Annotated[str, Field(pattern=PATTERN)] | None = None
    name: Annotated[str, Field(min_length=1, max_length=128)]
    public_key: KeyText | None = None


class NewKey(BaseModel):
    """A public key, as an OpenSSH line or PEM."""

    public_key: KeyText


class KeyFields(BaseModel):
    """A key is revoked for good."""

    status: Literal["revoked"]


class KeyView(BaseModel):
    """A public key of an agent; `id` is its fingerprint in an alphabet that fits into a URL."""

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
    """An agent. `public_key` and `key_fingerprint` are those of its first active key."""

    id: str
    tenant_id: str
    name: str
    type: str
    status: Literal["online", "offline"]
    enabled: bool
    capabilities: list[str]
    capability_definitions: list[Any] | dict[str, Any]
    metadata: dict[str, Any]
    public_key: str | None
    key_fingerprint: str | None
    active_connections: int
    last_seen: str | None
    created_at: str
    updated_at: str


class OneAgent(BaseModel):
    """An agent; `private_key` (PKCS#8 PEM) only when the service just made it: it is shown once."""

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


def _key_id(fingerprint: str) -> str:
    return fingerprint.removeprefix("SHA256:").replace("+", "-").replace("/", "_")


def _fingerprint(key_id: str) -> str:
    try:
        digest = base64.urlsafe_b64decode(key_id + "=" * (-len(key_id) % 4))
    except ValueError:
        raise ArtcafeError(Code.not_found, "The agent has no such key.") from None
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


async def _views(cases: UseCases, human: Human, agents: list[Agent]) -> list[AgentView]:
    online = await cases.presence.online(human.tenant)
    away = [agent.id for agent in agents if agent.id not in online]
    seen = await cases.presence.last_seen(human.tenant, away)
    views = []
    for agent in agents:
        key = next(iter(agent.active_keys()), None)
        connections = online.get(agent.id, 0)
        views.append(
            AgentView(
                id=agent.id,
                tenant_id=agent.tenant,
                name=agent.name,
                type=agent.type,
                status="online" if connections else "offline",
                enabled=agent.enabled,
                capabilities=agent.capabilities,
                capability_definitions=agent.capability_definitions,
                metadata=agent.metadata,
                public_key=key.line if key else None,
                key_fingerprint=key.fingerprint if key else None,
                active_connections=connections,
                last_seen=seen.get(agent.id),
                created_at=agent.created_at,
                updated_at=agent.updated_at,
            )
        )
    return views


async def _one(cases: UseCases, human: Human, agent: Agent, private_key: str | None = None) -> OneAgent:
    [view] = await _views(cases, human, [agent])
    return OneAgent(agent=view, private_key=private_key)


@router.get("")
async def list_agents(
    cases: Cases,
    human: CurrentHuman,
    status: Literal["online", "offline"] | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    next_token: Annotated[str | None, Query(max_length=1024)] = None,
) -> AgentList:
    """A page of agents, by id. With `status` a page may be short or empty and still have a next one."""
    page = await cases.agents.list(human, limit, next_token)
    views = await _views(cases, human, page.items)
    wanted = [view for view in views if status in {None, view.status}]
    return AgentList(agents=wanted, next_token=page.cursor)


@router.post("", status_code=201, response_model_exclude_none=False)
async def create_agent(body: NewAgent, cases: Cases, human: CurrentHuman) -> OneAgent:
    """Register an agent."""
    agent, private_key = await cases.agents.create(human, body.id, body.public_key, chosen(body, AgentFields))
    return await _one(cases, human, agent, private_key)


@router.get("/{agent_id}")
async def get_agent(agent_id: str, cases: Cases, human: CurrentHuman) -> OneAgent:
    """One agent."""
    return await _one(cases, human, await cases.agents.get(human, AgentId(agent_id)))


@router.put("/{agent_id}")
async def update_agent(agent_id: str, body: AgentFields, cases: Cases, human: CurrentHuman) -> OneAgent:
    """Set some fields. Disabling an agent ends its connections."""
    return await _one(
        cases, human, await cases.agents.change(human, AgentId(agent_id), chosen(body, AgentFields))
    )


@router.delete("/{agent_id}", status_code=204)
async def delete_agent(agent_id: str, cases: Cases, human: CurrentHuman) -> None:
    """Delete an agent; its connections end at once."""
    await cases.agents.delete(human, AgentId(agent_id))


@router.get("/{agent_id}/keys")
async def list_keys(agent_id: str, cases: Cases, human: CurrentHuman) -> KeyList:
    """All keys of an agent, revoked ones included."""
    agent = await cases.agents.get(human, AgentId(agent_id))
    uses = await cases.agents.key_uses(human, agent.id)
    return KeyList(keys=[KeyView.of(key, uses.get(key.fingerprint)) for key in agent.keys])


@router.post("/{agent_id}/keys", status_code=201)
async def add_key(agent_id: str, body: NewKey, cases: Cases, human: CurrentHuman) -> OneKey:
    """Give an agent one more key."""
    return OneKey(key=KeyView.of(await cases.agents.add_key(human, AgentId(agent_id), body.public_key)))


@router.put("/{agent_id}/keys/{key_id}")
async def revoke_key(agent_id: str, key_id: str, _: KeyFields, cases: Cases, human: CurrentHuman) -> OneKey:
    """Revoke a key; connections that it proved end at once."""
    key = await cases.agents.revoke_key(human, AgentId(agent_id), _fingerprint(key_id))
    return OneKey(key=KeyView.of(key))


@router.delete("/{agent_id}/keys/{key_id}", status_code=204)
async def remove_key(agent_id: str, key_id: str, cases: Cases, human: CurrentHuman) -> None:
    """Forget a key; connections that it proved end at once."""
    await cases.agents.remove_key(human, AgentId(agent_id), _fingerprint(key_id))
