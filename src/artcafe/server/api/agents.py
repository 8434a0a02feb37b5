"""Agents and their keys over REST."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Response

from artcafe.server.api.admission import AdmittingRoute
from artcafe.server.api.agent_schemas import (
    AgentFields,
    AgentList,
    AgentQuery,
    AgentView,
    KeyFields,
    KeyList,
    KeyView,
    NewAgent,
    NewKey,
    OneAgent,
    OneKey,
    PolicyFields,
    fingerprint_of,
)
from artcafe.server.api.deps import Cases, CurrentHuman, Resources, UseCases
from artcafe.server.api.etags import IfMatch, set_tag
from artcafe.server.api.once import CreateOnce, Creation
from artcafe.server.api.pages import Limit, NextToken
from artcafe.server.api.unreadable import tell_unreadable
from artcafe.server.domain.access import Action, require
from artcafe.server.domain.agent import Agent, AgentKey
from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.server.domain.listing import Query
from artcafe.server.domain.principal import Human
from artcafe.server.domain.usage import RECEIVED, SENT
from artcafe.server.ports.answers import Keep

router = APIRouter(route_class=AdmittingRoute, prefix="/api/v1/agents", tags=["agents"])


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


@router.get("")
async def list_agents(
    cases: Cases,
    resources: Resources,
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
        cursor=resources.pages.open(human.tenant, of, next_token),
        order=asked.order,
        keep=asked.keep(online),
        whole=asked.capability is not None or asked.tag is not None,
    )
    page = await cases.agents.list(human, query)
    tell_unreadable(response, page)
    live = await _live(cases, human.tenant, page.items, online)
    return AgentList(
        agents=[live.view(agent) for agent in page.items],
        next_token=resources.pages.seal(human.tenant, of, page.cursor),
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
    """Set some fields. Disabling an agent ends its connections; a policy applies to them at once."""
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
    key = await cases.agents.revoke_key(human, AgentId(agent_id), fingerprint_of(key_id))
    return OneKey(key=KeyView.of(key))


@router.delete("/{agent_id}/keys/{key_id}", status_code=204)
async def remove_key(agent_id: str, key_id: str, cases: Cases, human: CurrentHuman) -> None:
    """Forget a key; connections that it proved end at once."""
    await cases.agents.remove_key(human, AgentId(agent_id), fingerprint_of(key_id))
