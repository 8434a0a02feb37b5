"""A record that cannot be read is told as that, and hides no other one."""

import logging
from typing import Any

import pytest

from artcafe.server.domain.agent import Agent
from artcafe.server.domain.channel import ChannelRule
from artcafe.server.domain.ids import AgentId, ChannelId, UserId
from artcafe.server.domain.listing import Query, page_of
from artcafe.server.domain.tenant import Member
from artcafe.server.store import addresses as at
from artcafe.server.store.agents import AgentTable
from artcafe.server.store.channels import ChannelTable
from artcafe.server.store.item import Item, Json, Put
from artcafe.server.store.members import MemberTable
from artcafe.server.store.records import FORMAT, readable, record_in
from artcafe.server.store.table import Table, data
from artcafe.server.store.tenants import TenantTable
from artcafe.wire.codes import Code
from tests.kit.outcomes import refused
from tests.kit.records import ACME, ENTRY, a_channel, a_member, a_partition, a_tenant, an_agent

PK = at.tenant(a_partition())
MEMBER = data(a_member())

BROKEN: dict[str, dict[str, Any]] = {
    "a value of another release": {**MEMBER, "role": "auditor"},
    "without a field": {name: value for name, value in MEMBER.items() if name != "joined_at"},
    "another type": {**MEMBER, "email": 7},
    "a newer format": {**MEMBER, "v": FORMAT + 1},
    "a format that is none": {**MEMBER, "v": "1"},
}


def an_item(held: dict[str, Any], sk: str = "MEMBER#olivia") -> Item:
    return Item("T#acme", sk, "r1", held, None)


@pytest.mark.parametrize("held", BROKEN.values(), ids=BROKEN)
def test_it_is_refused_and_the_log_names_it(held: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "artcafe.events"), refused(Code.unreadable_record):
        record_in(an_item(held), Member)

    [event] = [record.__dict__["event"] for record in caplog.records]
    assert event.name == "record_unreadable"
    assert event.record == "T#acme/MEMBER#olivia"
    assert event.reason


@pytest.mark.parametrize("version", [{}, {"v": FORMAT}, {"v": 0}])
def test_a_format_that_is_known_is_read(version: dict[str, Any]) -> None:
    assert record_in(an_item({**MEMBER, **version}), Member) == a_member()


def test_the_others_are_given_and_it_is_named() -> None:
    broken = an_item(BROKEN["without a field"], "MEMBER#paul")

    assert readable([broken, an_item(MEMBER)], Member) == ([a_member()], [broken])


class TestInTheStore:
    """On every backend."""

    @pytest.fixture(autouse=True)
    async def tenant(self, table: Table) -> None:
        await TenantTable(table).create(a_tenant(), a_member(), ENTRY)

    async def test_a_list_goes_without_it_and_names_it_in_every_order(self, table: Table) -> None:
        agents = AgentTable(table)
        for name in ("a1", "a2", "a3"):
            await agents.create(an_agent(name), None, ENTRY)
        await spoil(table, at.agent(AgentId("a2")), "updated_at")

        for order in ("id", "-name", "updated_at"):
            page = await page_of(ordered(order), agents.listed(ACME))
            assert sorted(agent.id for agent in page.items) == ["a1", "a3"]
            assert page.unreadable == ("a2",)
        with refused(Code.unreadable_record):
            await agents.get(ACME, AgentId("a2"))
        # A login does not read what is missing.
        assert await agents.rules(ACME, AgentId("a2")) is not None

    async def test_a_description_that_cannot_be_read_takes_its_record_alone(self, table: Table) -> None:
        agents = AgentTable(table)
        for name in ("a1", "a2"):
            await agents.create(an_agent(name), None, ENTRY)
        await table.store.put(Put(PK, at.detail(at.agent(AgentId("a1"))), {"metadata": "no object"}))

        for order in ("id", "name"):
            page = await page_of(ordered(order), agents.listed(ACME))
            assert ([agent.id for agent in page.items], page.unreadable) == (["a2"], ("a1",))

    async def test_nobody_is_let_into_a_channel_that_cannot_be_read(self, table: Table) -> None:
        channels = ChannelTable(table)
        for name, subject in (("a", "orders.>"), ("b", ""), ("c", "")):
            await channels.create(a_channel(name, subject=subject), None, ENTRY)
        closed: dict[str, Json] = {"publishers": {"mode": "groups"}}
        spoilt: dict[str, dict[str, Json]] = {"a": {}, "b": {}, "c": {"subject": ["x"]}}
        for name, change in spoilt.items():
            item = await table.store.get(PK, at.channel(ChannelId(name)))
            assert item is not None
            await table.store.put(Put(PK, item.sk, {**item.data, **closed, **change}))

        page = await channels.rules(ACME, 10, None)

        assert {rule.id: rule.pattern for rule in page.items} == {"a": "orders.>", "b": "b", "c": ">"}
        assert all(rule.publishers == rule.subscribers == [] for rule in page.items)
        assert all(type(rule) is ChannelRule for rule in page.items)

    async def test_a_member_that_cannot_be_read_counts_as_no_owner(self, table: Table) -> None:
        members = MemberTable(table)
        await members.put(ACME, UserId("paul"), lambda _: a_member("paul"), ENTRY)
        strange = {**data(a_member("paul")), "role": "auditor"}
        await table.store.put(Put(PK, at.member(UserId("paul")), strange))

        assert [member.user for member in await members.of_tenant(ACME)] == ["olivia"]
        with refused(Code.unreadable_record):
            await members.get(ACME, UserId("paul"))
        with refused(Code.conflict):
            await members.delete(ACME, UserId("olivia"), lambda _: None, ENTRY)

    async def test_all_tenants_are_listed_without_it(self, table: Table) -> None:
        tenants = TenantTable(table)
        await tenants.create(a_tenant("globex"), a_member("gus", "globex"), ENTRY)
        await spoil(table, at.META, "created_at")

        page = await tenants.list(10, None)

        assert ([tenant.id for tenant in page.items], page.unreadable) == (["globex"], ("acme",))


def ordered(order: str) -> Query[Agent]:
    """The whole list."""
    return Query(limit=10, order=order)


async def spoil(table: Table, sk: str, field: str) -> None:
    """Take a field out of a record."""
    item = await table.store.get(PK, sk)
    assert item is not None
    await table.store.put(Put(PK, sk, {name: value for name, value in item.data.items() if name != field}))
