"""A tenant with something in every room of the store."""

from typing import Any

from artcafe.server.domain.ids import AgentId
from artcafe.server.domain.tenant import Role, Tenant
from artcafe.server.store.agents import AgentTable
from artcafe.server.store.channels import ChannelTable
from artcafe.server.store.invitations import InvitationTable
from artcafe.server.store.login import ChallengeTable
from artcafe.server.store.presence import PresenceTable
from artcafe.server.store.table import Table
from artcafe.server.store.tenants import TenantTable
from artcafe.server.store.usage import UsageTable
from tests.kit.records import (
    AT,
    a_channel,
    a_member,
    a_tenant,
    an_acceptance,
    an_agent,
    an_entry,
    an_invitation,
)
from tests.kit.seats import seat


async def furnish(
    table: Table, tenant: str = "acme", extra_members: int = 0, most: int | None = None, **fields: Any
) -> Tenant:
    """Make it."""
    made = a_tenant(tenant, **fields)
    name = made.id
    entry = an_entry(tenant=tenant)
    terms = an_acceptance(tenant=tenant)
    await TenantTable(table).create(made, a_member("olivia", tenant), entry, [terms], most)
    await seat(table, a_member("paul", tenant))
    await seat(table, a_member("paul", tenant, Role.admin))  # An owner went, and that left a row.
    await seat(table, a_member("auth0|paul", tenant, Role.viewer))
    await InvitationTable(table).create(an_invitation(tenant=tenant), entry)
    for number in range(extra_members):
        await seat(table, a_member(f"viewer-{number:02}", tenant, Role.viewer))
    for agent in ("a1", "a2"):
        await AgentTable(table).create(an_agent(agent, f"SHA256:{agent}", tenant=tenant), None, entry)
    await ChannelTable(table).create(a_channel("tasks.new", tenant), None, entry)
    sightings = PresenceTable(table)
    a1 = AgentId("a1")
    sightings.used(name, a1, "SHA256:a1", AT)
    await sightings.flush()
    await sightings.announce(name, "p1", {a1: 1}, {AgentId("a2"): AT})
    await ChallengeTable(table).spend(name, a1, "for ever", None)
    await ChallengeTable(table).spend(name, a1, "for a while", 2_000_000_000)
    await UsageTable(table).add({(name, "2025-11-24", "messages"): 3, (name, "2025-11-25", "bytes"): 4})
    return made
