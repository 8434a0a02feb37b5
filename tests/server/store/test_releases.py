"""This release and the next one write over one store in turn: neither loses what the other one wrote.

The next release is made here of this one's records: with a field more in each part of them, in either row.
"""

from functools import partial
from typing import Any, TypeVar

import pytest
from msgspec import field
from msgspec.structs import replace

from artcafe.server.domain.agent import Agent, AgentKey
from artcafe.server.domain.channel import Channel
from artcafe.server.domain.ids import AgentId, ChannelId, UserId
from artcafe.server.domain.policy import Grant, Policy
from artcafe.server.domain.tenant import Member, Role, Tenant
from artcafe.server.store import addresses as at
from artcafe.server.store.agents import DETAILS as AGENT_DETAILS
from artcafe.server.store.agents import AgentTable
from artcafe.server.store.channels import DETAILS as CHANNEL_DETAILS
from artcafe.server.store.channels import ChannelTable
from artcafe.server.store.item import Put
from artcafe.server.store.members import MemberTable
from artcafe.server.store.quota import StorageQuota
from artcafe.server.store.split import SplitTable
from artcafe.server.store.table import Table
from artcafe.server.store.tenants import DETAILS as TENANT_DETAILS
from artcafe.server.store.tenants import TenantTable
from artcafe.wire.codes import Code
from tests.kit.outcomes import refused
from tests.kit.records import ACME, ENTRY, a_channel, a_member, a_partition, a_tenant, an_agent, anyway

A1, TASKS, OLIVIA, PAUL = AgentId("a1"), ChannelId("tasks"), UserId("olivia"), UserId("paul")

S = TypeVar("S", bound=Agent | Channel | Tenant)


class NextGrant(Grant, frozen=True, kw_only=True):
    rate: int = 0


class NextPolicy(Policy, frozen=True, kw_only=True):
    publish: NextGrant = field(default_factory=NextGrant)
    request: NextGrant | None = None


class NextKey(AgentKey, frozen=True, kw_only=True):
    allowed_from: list[str] = field(default_factory=list)


class NextAgent(Agent, frozen=True, kw_only=True):
    policy: NextPolicy = field(default_factory=NextPolicy)
    keys: list[NextKey] = field(default_factory=list)  # type: ignore[assignment]
    allowed_networks: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)


class NextChannel(Channel, frozen=True, kw_only=True):
    retention: int = 0
    labels: dict[str, str] = field(default_factory=dict)


class NextTenant(Tenant, frozen=True, kw_only=True):
    region: str = ""
    labels: dict[str, str] = field(default_factory=dict)


class NextMember(Member, frozen=True, kw_only=True):
    teams: list[str] = field(default_factory=list)


LABELS = {"team": "blue"}


async def next_writes(table: Table, rows: SplitTable[S], pk: str, sk: str, **fields: Any) -> None:
    """The next release changes a record."""
    stored = await rows.read(pk, sk)
    assert stored is not None
    await table.write(*rows.put(pk, sk, replace(stored.record, **fields), stored))


async def next_reads(rows: SplitTable[S], pk: str, sk: str) -> S:
    """The next release reads it."""
    stored = await rows.read(pk, sk)
    assert stored is not None
    return stored.record


@pytest.fixture
async def pk(table: Table) -> str:
    """The partition of a tenant with an agent that has two keys, and a channel."""
    await TenantTable(table).create(a_tenant(), a_member(), ENTRY)
    await AgentTable(table).create(an_agent("a1", "SHA256:1", "SHA256:2"), None, ENTRY)
    await ChannelTable(table).create(a_channel(), None, ENTRY)
    return at.tenant(a_partition())


async def test_an_agent_is_changed_in_turn(table: Table, pk: str) -> None:
    agents = AgentTable(table)
    coming = SplitTable(table, NextAgent, (*AGENT_DETAILS, "labels"))
    was = await next_reads(coming, pk, at.agent(A1))
    keys = [replace(was.keys[0], allowed_from=["10.0.0.0/8"]), was.keys[1]]
    policy = NextPolicy(publish=NextGrant(allow=["a"], rate=5), request=NextGrant(deny=["b"]))
    await next_writes(
        table,
        coming,
        pk,
        at.agent(A1),
        allowed_networks=["10.0.0.0/8"],
        labels=LABELS,
        keys=keys,
        policy=policy,
        metadata={"note": 1},
    )

    def revoke(agent: Agent) -> Agent:
        revoked = [replace(key, status="revoked") for key in agent.keys]
        return replace(agent, name="renamed", keys=revoked, policy=Policy(publish=Grant(allow=["c"])))

    for edit in (revoke, lambda agent: replace(agent, metadata={}, keys=[agent.keys[0]])):
        await agents.change(ACME, A1, edit, ENTRY)

    now = await next_reads(coming, pk, at.agent(A1))
    assert (now.name, now.metadata) == ("renamed", {})
    assert (now.allowed_networks, now.labels) == (["10.0.0.0/8"], LABELS)
    assert [(key.status, key.allowed_from) for key in now.keys] == [("revoked", ["10.0.0.0/8"])]
    assert now.policy.publish == NextGrant(allow=["c"], rate=5)
    assert now.policy.request == NextGrant(deny=["b"])


def limited(told: str | None, tenant: Tenant) -> Tenant:
    """As an operator overrides one limit of the plan."""
    return replace(tenant, website=told, limits={**tenant.limits, "agents": 1})


async def test_a_channel_and_a_tenant_are_changed_in_turn(table: Table, pk: str) -> None:
    channels, tenants = ChannelTable(table), TenantTable(table)
    rooms = SplitTable(table, NextChannel, (*CHANNEL_DETAILS, "labels"))
    houses = SplitTable(table, NextTenant, (*TENANT_DETAILS, "labels"))
    for turn in (1, 2):
        await next_writes(table, rooms, pk, at.channel(TASKS), retention=turn, labels={"turn": f"{turn}"})
        await next_writes(table, houses, pk, at.META, region=f"r{turn}", labels=LABELS, limits={"gpus": turn})
        # What describes comes, and goes again, in the row where the next release's labels are.
        told = "told" if turn == 1 else None
        await channels.change(ACME, TASKS, partial(replace, description=told), ENTRY)
        await tenants.change(ACME, partial(limited, told), ENTRY)

        channel = await next_reads(rooms, pk, at.channel(TASKS))
        tenant = await next_reads(houses, pk, at.META)

        assert (channel.retention, channel.labels, channel.description) == (turn, {"turn": f"{turn}"}, told)
        assert (tenant.region, tenant.labels, tenant.website) == (f"r{turn}", LABELS, told)
        assert tenant.limits == {"gpus": turn, "agents": 1}
    # Each field is where it was: a login reads the first row alone.
    first, second = await table.store.get(pk, at.META), await table.store.get(pk, at.detail(at.META))
    assert first is not None and second is not None
    assert (first.data["region"], "labels" in first.data) == ("r2", False)
    assert second.data == {"labels": LABELS}


async def test_a_member_is_changed_in_turn(table: Table, pk: str) -> None:
    members = MemberTable(table)
    await members.put(ACME, PAUL, lambda _: a_member("paul", role=Role.member), ENTRY)
    stored = await table.read(pk, at.member(PAUL), NextMember)
    assert stored is not None
    await table.write(stored.put(replace(stored.record, teams=["blue"])))

    await members.put(ACME, PAUL, lambda it: replace(it or a_member("paul"), role=Role.admin), ENTRY)

    for place in ((pk, at.member(PAUL)), (at.user(PAUL), at.membership(ACME))):
        now = await table.read(*place, NextMember)
        assert now is not None
        assert (now.record.role, now.record.teams) == (Role.admin, ["blue"])


async def test_the_bytes_of_what_is_not_known_are_counted_once(table: Table, pk: str) -> None:
    """Who deletes a record takes away what both releases put on the counters."""
    agents, quota = AgentTable(table), StorageQuota(table)
    empty = await quota.used(ACME)
    coming = SplitTable(table, NextAgent, (*AGENT_DETAILS, "labels"))
    stored = await coming.read(pk, at.agent(A1))
    assert stored is not None
    grown = replace(stored.record, labels={"x": "y" * 500}, allowed_networks=["10.0.0.0/8"])
    growth = coming.space(grown, stored) - coming.taken(stored)
    moved = await quota.move(ACME, growth, None)
    await table.write(*coming.put(pk, at.agent(A1), grown, stored), *moved)

    await agents.change(ACME, A1, lambda agent: replace(agent, metadata={"note": "n" * 100}), ENTRY)
    await agents.change(ACME, A1, lambda agent: replace(agent, metadata={}), ENTRY)
    assert (await quota.used(ACME)).total == empty.total + growth.total

    await agents.delete(ACME, A1, anyway, ENTRY)
    channel = await ChannelTable(table).get(ACME, TASKS)
    assert channel is not None
    alone = SplitTable(table, Channel, CHANNEL_DETAILS).space(channel, None)
    assert (await quota.used(ACME)).total == alone.total


async def test_what_older_ones_must_not_act_on_they_leave_alone(table: Table, pk: str) -> None:
    """The next release writes a number that this one does not know into `v`."""
    agents = AgentTable(table)
    item = await table.store.get(pk, at.agent(A1))
    assert item is not None
    await table.store.put(Put(pk, at.agent(A1), {**item.data, "v": 2, "allowed_networks": ["10.0.0.0/8"]}))
    await agents.create(an_agent("a2"), None, ENTRY)

    with refused(Code.unreadable_record):
        await agents.rules(ACME, A1)
    with refused(Code.unreadable_record):
        await agents.change(ACME, A1, lambda agent: replace(agent, enabled=False), ENTRY)
    with refused(Code.unreadable_record):
        await agents.delete(ACME, A1, anyway, ENTRY)

    page = await agents.listed(ACME).page(10, None)
    assert ([agent.id for agent in page.items], page.unreadable) == (["a2"], ("a1",))
    after = await table.store.get(pk, at.agent(A1))
    assert after is not None
    assert after.data["allowed_networks"] == ["10.0.0.0/8"]
