"""Records as a test needs them: everything said that it does not care about."""

from typing import Any

import msgspec

from artcafe.server.domain.agent import Agent, AgentKey, AgentRules
from artcafe.server.domain.audit import AuditEntry
from artcafe.server.domain.channel import Channel, ChannelRule
from artcafe.server.domain.deletion import Deletion
from artcafe.server.domain.ids import AgentId, ChannelId, TenantId, UserId
from artcafe.server.domain.invitation import Invitation
from artcafe.server.domain.legal import Acceptance, Document
from artcafe.server.domain.tenant import Member, Role, Tenant, TenantRules
from artcafe.server.store.addresses import Partition

AT = "2025-11-24T16:00:00.000Z"
LATER = "2025-11-24T17:00:00.000Z"

ACME = TenantId("acme")
ALIKE = (TenantId("acme-2"), TenantId("acm"), TenantId("Acme"), TenantId("acme_"))
"""Tenants whose names are close to `acme`, on both sides of it in the order of keys."""


def a_tenant(tenant: str = "acme", **fields: Any) -> Tenant:
    """A tenant."""
    given: dict[str, Any] = {"name": tenant, "account": f"account of {tenant}"}
    return Tenant(id=TenantId(tenant), created_at=AT, updated_at=AT, **{**given, **fields})


def a_partition(tenant: str = "acme") -> Partition:
    """Where the rows of `a_tenant` stand."""
    return Partition(a_tenant(tenant).account)


def a_deletion(tenant: str = "acme", created_by: str = "") -> Deletion:
    """The deletion of `a_tenant`."""
    record = a_tenant(tenant)
    rules = msgspec.convert(msgspec.to_builtins(record), TenantRules)
    return Deletion(tenant=record.id, rules=rules, partition=record.account, created_by=created_by)


def rules_of(record: Agent | Channel | Tenant) -> AgentRules | ChannelRule | TenantRules:
    """What a login reads of a record."""
    kind = type(record).__bases__[0]
    return msgspec.convert(msgspec.to_builtins(record), kind)


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


def a_channel(channel: str = "tasks", tenant: str = "acme", **fields: Any) -> Channel:
    """A channel."""
    given: dict[str, Any] = {"name": channel, **fields}
    return Channel(id=ChannelId(channel), tenant=TenantId(tenant), created_at=AT, updated_at=AT, **given)


def an_entry(entry: str = "e1", tenant: str = "acme", *, at: str = AT) -> AuditEntry:
    """What the audit says of a change."""
    return AuditEntry(
        id=entry, tenant=TenantId(tenant), at=at, actor="olivia", action="agent.update", target="a1"
    )


ENTRY = an_entry()


def an_invitation(invitation: str = "i1", tenant: str = "acme", role: Role = Role.member) -> Invitation:
    """An invitation that stands open for long; its secret is nobody's."""
    return Invitation(
        id=invitation,
        tenant=TenantId(tenant),
        role=role,
        created_by="olivia",
        created_at=AT,
        expires_at="2033-05-18T03:33:20.000Z",
        digest="0" * 64,
    )


def an_acceptance(version: str = "v1", tenant: str = "acme", *, at: str = AT) -> Acceptance:
    """That the terms were accepted."""
    return Acceptance(
        document=Document.terms, version=version, tenant=TenantId(tenant), user=UserId("olivia"), at=at
    )


def anyway(_: object) -> None:
    """The check of a deletion that nothing hinders."""
