"""Records in two rows: logins read the first one, and every backend gives the same record back."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from artcafe.server.domain.agent import Agent, AgentRules
from artcafe.server.domain.channel import Channel, ChannelRule
from artcafe.server.domain.ids import AgentId, ChannelId
from artcafe.server.domain.tenant import Tenant, TenantRules
from artcafe.server.store import addresses as at
from artcafe.server.store.agents import AgentTable
from artcafe.server.store.channels import ChannelTable
from artcafe.server.store.item import ItemPage, ItemStore, Put
from artcafe.server.store.table import Table, data
from artcafe.server.store.tenants import TenantTable
from tests.kit.records import (
    ACME,
    ENTRY,
    a_channel,
    a_member,
    a_partition,
    a_tenant,
    an_agent,
    anyway,
    rules_of,
)
from tests.kit.unreliable_store import UnreliableStore

PK = at.tenant(a_partition())
A1, TASKS = AgentId("a1"), ChannelId("tasks")
LARGE = {"note": "x" * 16_000}

DESCRIBED: dict[str, dict[str, Any]] = {
    "agent": {"capabilities": ["travel"], "capability_definitions": [{"n": 1}], "metadata": LARGE},
    "channel": {"description": "About tasks", "metadata": LARGE},
    "tenant": {"description": "", "website": "https://example.com", "metadata": LARGE},
}


class ReadingStore(UnreliableStore):
    """Counts the bytes that are read."""

    def __init__(self, store: ItemStore) -> None:
        super().__init__(store)
        self.read = 0

    async def get(self, pk: str, sk: str) -> Any:
        """See ItemStore."""
        item = await super().get(pk, sk)
        self.read += len(msgspec.json.encode(item.data)) if item else 0
        return item

    async def query(self, pk: str, prefix: str = "", limit: int = 100, cursor: str | None = None) -> ItemPage:
        """See ItemStore."""
        page = await super().query(pk, prefix, limit, cursor)
        self.read += sum(len(msgspec.json.encode(item.data)) for item in page.items)
        return page


@pytest.fixture
def store(backend: ItemStore) -> ReadingStore:
    return ReadingStore(backend)


@pytest.fixture
async def table(store: ReadingStore) -> Table:
    table = Table(store)
    await TenantTable(table).create(a_tenant(), a_member(), ENTRY)
    return table


def described(kind: str) -> Agent | Channel | Tenant:
    made: dict[str, Agent | Channel | Tenant] = {
        "agent": an_agent("a1", "SHA256:1"),
        "channel": a_channel(),
        "tenant": a_tenant(),
    }
    return replace(made[kind], **DESCRIBED[kind])


async def create(table: Table, record: Agent | Channel | Tenant) -> None:
    match record:
        case Agent():
            await AgentTable(table).create(record, None, ENTRY)
        case Channel():
            await ChannelTable(table).create(record, None, ENTRY)
        case Tenant():
            await TenantTable(table).change(ACME, lambda _: record, ENTRY)


async def read(table: Table, kind: str) -> object:
    if kind == "agent":
        return await AgentTable(table).get(ACME, A1)
    if kind == "channel":
        return await ChannelTable(table).get(ACME, TASKS)
    return await TenantTable(table).get(ACME)


async def rules(table: Table, kind: str) -> object:
    if kind == "agent":
        return await AgentTable(table).rules(ACME, A1)
    if kind == "channel":
        [found] = (await ChannelTable(table).rules(ACME, 10, None)).items
        return found
    return await TenantTable(table).rules(ACME)


async def as_before(store: ItemStore, record: Agent | Channel | Tenant) -> None:
    """Write a record as an older release did, into one row."""
    sk = {Agent: at.AGENTS, Channel: at.CHANNELS, Tenant: at.META}[type(record)]
    sk += "" if isinstance(record, Tenant) else record.id
    await store.put(Put(PK, sk, data(record)))


@pytest.mark.parametrize("kind", DESCRIBED)
async def test_a_record_comes_back_equal(table: Table, kind: str) -> None:
    record = described(kind)
    await create(table, record)

    assert await read(table, kind) == record


@pytest.mark.parametrize("kind", DESCRIBED)
async def test_a_login_reads_nothing_that_only_describes(
    table: Table, store: ReadingStore, kind: str
) -> None:
    record = described(kind)
    await create(table, record)
    store.read = 0

    assert await rules(table, kind) == rules_of(record)
    assert 0 < store.read < 1000


@pytest.mark.parametrize("kind", DESCRIBED)
async def test_a_record_of_an_older_release_is_read_changed_and_split(
    table: Table, store: ReadingStore, kind: str
) -> None:
    record = described(kind)
    await as_before(store, record)

    assert await read(table, kind) == record
    assert await rules(table, kind) == rules_of(record)
    store.read = 0
    assert await rules(table, kind) == rules_of(record)
    assert store.read < 1000
    assert await read(table, kind) == record


async def test_a_record_of_an_older_release_over_every_limit_is_listed_changed_and_deleted(
    table: Table, store: ReadingStore
) -> None:
    large = replace(an_agent("a1", "SHA256:1"), metadata={"note": "x" * 250_000})
    await as_before(store, large)
    agents = AgentTable(table)

    assert (await agents.listed(ACME).page(10, None)).items == [large]
    changed = await agents.change(ACME, A1, lambda agent: replace(agent, enabled=False), ENTRY, space=1)
    assert changed == replace(large, enabled=False) == await agents.get(ACME, A1)
    await agents.delete(ACME, A1, anyway, ENTRY)
    assert await agents.get(ACME, A1) is None
    assert await store.get(PK, at.detail(at.agent(A1))) is None


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_pages_hold_every_record_once_with_what_describes_it(
    table: Table, store: ReadingStore, limit: int
) -> None:
    """Some have details, some none, some are of an older release."""
    wanted = []
    for number in range(9):
        agent = an_agent(f"b{number}", f"SHA256:{number}")
        if number % 3:
            agent = replace(agent, metadata={"number": number})
        if number % 3 == 2:
            await as_before(store, agent)
        else:
            await create(table, agent)
        wanted.append(agent)
    found, heads, cursor = [], [], None
    while True:
        page = await AgentTable(table).listed(ACME).page(limit, cursor)
        head = await AgentTable(table).listed(ACME).heads(limit, cursor)
        assert len(page.items) <= limit
        found += page.items
        heads += head.items
        cursor = page.cursor
        if cursor is None:
            break

    assert found == wanted
    assert [agent.id for agent in heads] == [agent.id for agent in wanted]


async def test_a_page_ends_before_it_is_too_large_and_loses_nothing(
    table: Table, store: ReadingStore
) -> None:
    wanted = {f"b{number:03}" for number in range(150)}
    for name in wanted:
        await create(table, replace(an_agent(name), metadata=LARGE))
    found, pages, cursor = Counter[str](), 0, None
    while True:
        store.read = 0
        page = await AgentTable(table).listed(ACME).page(200, cursor)
        assert store.read < 1.2 * 1024 * 1024
        assert all(agent.metadata == LARGE for agent in page.items)
        found.update(agent.id for agent in page.items)
        pages, cursor = pages + 1, page.cursor
        if cursor is None:
            break

    assert found == dict.fromkeys(wanted, 1)
    assert pages > 2


async def test_a_change_of_the_details_alone_is_seen_by_who_writes_at_the_same_time(table: Table) -> None:
    """Both rows change under the revision of the first."""
    await create(table, described("agent"))
    agents = AgentTable(table)
    other = False

    async def meanwhile() -> None:
        await agents.change(ACME, A1, lambda agent: replace(agent, metadata={"theirs": 1}), ENTRY)

    seen: list[Mapping[str, Any]] = []

    def ours(agent: Agent) -> Agent:
        seen.append(agent.metadata)
        return replace(agent, capabilities=["ours"])

    read_first = agents._rows.read

    async def raced(pk: str, sk: str) -> Any:
        nonlocal other
        stored = await read_first(pk, sk)
        if not other:
            other = True
            await meanwhile()
        return stored

    racing = AgentTable(table)
    racing._rows = _Racing(racing._rows, raced)  # type: ignore[assignment]
    changed = await racing.change(ACME, A1, ours, ENTRY)

    assert seen == [LARGE, {"theirs": 1}]
    assert (changed.metadata, changed.capabilities) == ({"theirs": 1}, ["ours"])
    assert await agents.get(ACME, A1) == changed


class _Racing:
    """Rows whose reads somebody comes between."""

    def __init__(self, rows: Any, read: Any) -> None:
        self._rows = rows
        self.read = read

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rows, name)


def test_the_rules_of_a_kind_are_part_of_it() -> None:
    for kind, part in ((Agent, AgentRules), (Channel, ChannelRule), (Tenant, TenantRules)):
        assert issubclass(kind, part)
