"""Records as a test needs them: everything said that it does not care about."""

from typing import Any

from artcafe.server.domain.agent import Agent, AgentKey
from artcafe.server.domain.channel import Channel
from artcafe.server.domain.ids import AgentId, ChannelId, TenantId, UserId
from artcafe.server.domain.tenant import Member, Role, Tenant

AT = "2025-11-24T16:00:00.000Z"
LATER = "2025-11-24T17:00:00.000Z"

ACME = TenantId("acme")
ALIKE = (TenantId("acme-2"), TenantId("acm"), TenantId("Acme"), TenantId("acme_"))
"""Tenants whose names are close to `acme`, on both sides of it in the order of keys."""


def a_tenant(tenant: str = "acme", **fields: Any) -> Tenant:
    """A tenant."""
    given: dict[str, Any] = {"name": tenant, "account": f"account of {tenant}"}
    return Tenant(id=TenantId(tenant), created_at=AT, updated_at=AT, **{**given, **fields})


def a_member(user: str = "olivia", tenant: str = "acme", role: Role = Role.owner) -> Member:
    """A member, an owner unless told."""
    return Member(tenant=TenantId(tenant), user=UserId(user), role=role, joined_at=AT)


def a_key(fingerprint: str) -> AgentKey:
    """A key; the store does not look into it."""
    return AgentKey(fingerprint=fingerprint, line=f"line of {fingerprint}", type="ssh-ed25519", created_at=AT)


def an_agent(agent: str = "a1", *fingerprints: str, tenant: str = "acme") -> Agent:
    """An agent with these keys."""
    keys = [a_key(fingerprint) for fingerprint in fingerprints]
    return Agent(
        id=AgentId(agent), tenant=TenantId(tenant), name=agent, keys=keys, created_at=AT, updated_at=AT
    )


def a_channel(channel: str = "tasks", tenant: str = "acme") -> Channel:
    """A channel."""
    return Channel(id=ChannelId(channel), tenant=TenantId(tenant), name=channel, created_at=AT, updated_at=AT)
