"""Channels: what may be one, who may make one, how many there may be."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from artcafe.server.domain.channel import Channel
from artcafe.server.domain.channel_rules import MAX_PER_SUBJECT
from artcafe.server.domain.durability import LEAST_BYTES, Durability
from artcafe.server.domain.ids import ChannelId
from artcafe.server.domain.listing import Query
from artcafe.server.domain.principal import Human
from artcafe.server.domain.tenant import Role
from artcafe.server.domain.version import tag
from artcafe.server.store.audit import AuditTable
from artcafe.server.store.table import Table
from artcafe.server.store.tenants import TenantTable
from artcafe.wire.codes import Code
from tests.kit.installation import ACME, OTHER, Installation, acting
from tests.kit.outcomes import race, refused

TASKS = ChannelId("tasks")


async def make(installation: Installation, human: Human, wanted: str | None = "tasks") -> Channel:
    return await installation.process.channels.create(human, wanted, {"name": "Tasks to do"})


async def test_a_channel_is_made_read_changed_and_deleted(installation: Installation, olivia: Human) -> None:
    channels = installation.process.channels
    made = await channels.create(olivia, "tasks.new", {"name": "New tasks", "description": "é"})
    assert (made.id, made.tenant, made.status, made.version) == ("tasks.new", ACME, "active", 1)
    assert await channels.get(olivia, made.id) == made

    installation.clock.advance(60)
    changed = await channels.change(olivia, made.id, {"metadata": {"n": 1}})
    assert changed == replace(made, metadata={"n": 1}, version=2, updated_at="2025-11-24T16:01:00.000Z")
    assert (await channels.list(olivia, Query(limit=10))).items == [changed]

    await channels.delete(olivia, made.id)
    for gone in (channels.get(olivia, made.id), channels.delete(olivia, made.id)):
        with refused(Code.not_found):
            await gone


async def test_without_an_id_it_is_made_from_the_name_and_made_another_when_taken(
    installation: Installation, olivia: Human
) -> None:
    ids = [(await make(installation, olivia, None)).id for _ in range(3)]

    assert ids[0] == "tasks-to-do"
    assert len(set(ids)) == 3
    assert all(name.startswith("tasks-to-do") for name in ids)


@pytest.mark.parametrize("old", ["tenant.acme.channel.tasks", "channels.acme.tasks", "agents.acme.tasks"])
async def test_an_old_spelling_of_a_subject_is_the_same_channel(
    installation: Installation, olivia: Human, old: str
) -> None:
    assert (await make(installation, olivia, old)).id == TASKS

    with refused(Code.conflict):
        await make(installation, olivia, "tasks")


PATTERNS = ["*", "a.*", ">", "a b", "a..b", "é", "a" * 256]
OWNED = ["sys.x", "presence", "dlq", "agents.a1.x", "inbox.a1.x"]


@pytest.mark.parametrize("wanted", [*PATTERNS, *OWNED])
async def test_what_is_no_shared_subject_is_no_channel(
    installation: Installation, olivia: Human, wanted: str
) -> None:
    with refused(Code.invalid_subject):
        await make(installation, olivia, wanted)


@pytest.mark.parametrize("wanted", ["tenant.acme-2.channel.tasks", "channels.acme-2.tasks"])
async def test_another_tenants_subject_is_forbidden(
    installation: Installation, olivia: Human, wanted: str
) -> None:
    with refused(Code.forbidden):
        await make(installation, olivia, wanted)


async def test_of_many_who_create_one_id_at_once_exactly_one_wins(
    installation: Installation, olivia: Human
) -> None:
    outcomes = await race(*(make(installation, olivia) for _ in range(6)))

    assert sum(isinstance(won, Channel) for won in outcomes) == 1
    assert outcomes.count(Code.conflict) == 5


async def test_the_plan_limits_how_many(installation: Installation) -> None:
    olivia = await installation.make_tenant(subscription_tier="starter")
    for number in range(10):
        await make(installation, olivia, f"c{number}")

    with refused(Code.quota_exceeded):
        await make(installation, olivia, "c10")


async def test_the_plan_limits_exactly_whoever_comes_at_once(installation: Installation) -> None:
    olivia = await installation.make_tenant(subscription_tier="starter")

    outcomes = await race(*(make(installation, olivia, f"c{number}") for number in range(14)))

    assert outcomes.count(Code.quota_exceeded) == 4
    assert await installation.process.channels.count(olivia) == 10


RULES = {"subject": "jobs.>", "max_message_bytes": 10, "publishers": ["a1"], "subscribers": ["role:admin"]}


@pytest.mark.parametrize("spelling", ["jobs.>", "tenant.acme.channel.jobs.>", "channels.acme.jobs.>"])
async def test_a_channel_has_a_pattern_of_its_own_and_rules(
    installation: Installation, olivia: Human, spelling: str
) -> None:
    channels = installation.process.channels
    given = {**RULES, "subject": spelling}

    made = await channels.create(olivia, "tasks", {"name": "T", **given})
    assert (made.id, made.pattern) == ("tasks", "jobs.>")
    assert made == replace(made, **RULES)

    free = {"subject": "", "max_message_bytes": None, "publishers": None, "subscribers": None}
    assert (await channels.change(olivia, TASKS, free)).pattern == "tasks"
    changed = await channels.change(olivia, TASKS, given)
    assert await channels.get(olivia, TASKS) == changed == replace(changed, **RULES)


async def test_patterns_that_overlap_too_much_are_refused(installation: Installation, olivia: Human) -> None:
    channels = installation.process.channels
    for number in range(MAX_PER_SUBJECT):
        await channels.create(olivia, f"c{number}", {"name": "x", "subject": "tasks.>"})
    other = await channels.create(olivia, "jobs", {"name": "x", "subject": "jobs.>"})
    with refused(Code.too_many_channels):
        await channels.create(olivia, "more", {"name": "x", "subject": "tasks.new"})
    with refused(Code.too_many_channels):
        await channels.change(olivia, other.id, {"subject": "*.new"})
    assert (await channels.change(olivia, other.id, {"name": "y"})).name == "y"
    assert (await channels.change(olivia, ChannelId("c0"), {"subject": "tasks.new"})).subject == "tasks.new"
    assert await channels.count(olivia) == MAX_PER_SUBJECT + 1


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"subject": "a b"}, Code.invalid_subject),
        ({"subject": "sys.>"}, Code.invalid_subject),
        ({"subject": "agents.a1.>"}, Code.invalid_subject),
        ({"subject": "inbox.*.x"}, Code.invalid_subject),
        ({"subject": "tenant.acme-2.>"}, Code.forbidden),
        ({"publishers": ["a1", "role:king"]}, Code.validation_failed),
        ({"subscribers": ["no agent"]}, Code.validation_failed),
    ],
)
async def test_rules_that_cannot_hold_change_nothing(
    installation: Installation, olivia: Human, fields: dict[str, Any], code: Code
) -> None:
    before = await make(installation, olivia)

    with refused(code):
        await installation.process.channels.change(olivia, TASKS, {"name": "x", **fields})
    with refused(code):
        await installation.process.channels.create(olivia, "more", {"name": "x", **fields})

    assert (await installation.process.channels.list(olivia, Query(limit=10))).items == [before]


async def test_only_as_it_was_read_is_it_changed_or_deleted(
    installation: Installation, olivia: Human
) -> None:
    channels = installation.process.channels
    first = await make(installation, olivia)
    second = await channels.change(olivia, TASKS, {"name": "x"}, tag(first))

    with refused(Code.precondition_failed):
        await channels.change(olivia, TASKS, {"name": "y"}, tag(first))
    with refused(Code.precondition_failed):
        await channels.delete(olivia, TASKS, tag(first))

    assert await channels.get(olivia, TASKS) == second
    await channels.delete(olivia, TASKS, tag(second))
    assert await channels.count(olivia) == 0


async def test_every_change_is_in_the_audit_and_no_refusal(installation: Installation, olivia: Human) -> None:
    channels = installation.process.channels
    await make(installation, olivia)
    await channels.change(olivia, TASKS, {"name": "a secret", "publishers": []})
    with refused(Code.precondition_failed):
        await channels.delete(olivia, TASKS, '"other"')
    with refused(Code.forbidden):
        await channels.delete(acting(olivia, Role.viewer), TASKS)
    await channels.delete(olivia, TASKS)

    page = await AuditTable(Table(installation.memory)).list(ACME, 100, None)
    entries = [entry for entry in page.items if entry.action.startswith("channel.")]
    assert sorted((entry.action, entry.fields) for entry in entries) == [
        ("channel.create", ["name"]),
        ("channel.delete", []),
        ("channel.update", ["name", "publishers"]),
    ]
    assert {(entry.actor, entry.target) for entry in entries} == {("olivia", "tasks")}
    assert "secret" not in f"{entries}"


async def test_a_tenant_that_was_deleted_meanwhile_is_not_found(
    installation: Installation, olivia: Human
) -> None:
    await installation.delete_tenant(olivia)

    with refused(Code.not_found):
        await make(installation, olivia)


Act = Callable[[Installation, Human], Awaitable[object]]

WRITES: dict[str, Act] = {
    "create": lambda i, h: make(i, h, "more"),
    "change": lambda i, h: i.process.channels.change(h, TASKS, {"name": "x"}),
    "delete": lambda i, h: i.process.channels.delete(h, TASKS),
}


@pytest.mark.parametrize("act", WRITES.values(), ids=WRITES)
async def test_a_viewer_changes_nothing_and_reads(
    installation: Installation, olivia: Human, act: Act
) -> None:
    channel = await make(installation, olivia)
    viewer = acting(olivia, Role.viewer)

    with refused(Code.forbidden):
        await act(installation, viewer)

    assert (await installation.process.channels.list(viewer, Query(limit=10))).items == [channel]
    assert await installation.process.channels.get(viewer, TASKS) == channel


@pytest.mark.parametrize("act", [WRITES["change"], WRITES["delete"]])
async def test_nothing_reaches_into_another_tenant(
    installation: Installation, olivia: Human, act: Act
) -> None:
    channel = await make(installation, olivia)
    nina = await installation.make_tenant(OTHER, "nina")

    with refused(Code.not_found):
        await act(installation, nina)

    assert await installation.process.channels.get(olivia, TASKS) == channel


SMALL = Durability(max_bytes=LEAST_BYTES)


async def make_durable(
    installation: Installation, human: Human, name: str, subject: str = "", durability: Durability = SMALL
) -> Channel:
    given = {"name": name, "subject": subject, "durability": durability}
    return await installation.process.channels.create(human, name, given)


async def streams(installation: Installation) -> set[str]:
    """The streams that there are on the bus."""
    tenant = await TenantTable(Table(installation.memory)).rules(ACME)
    assert tenant is not None
    return set(installation.bus.streams(tenant))


async def test_a_stream_comes_and_goes_with_a_channels_durability(
    installation: Installation, olivia: Human
) -> None:
    channels = installation.process.channels
    made = await make_durable(installation, olivia, "tasks")
    assert await streams(installation) == {made.stream}

    changed = await channels.change(olivia, TASKS, {"durability": Durability(max_messages=7)})
    assert changed.stream == made.stream
    assert await streams(installation) == {made.stream}

    await channels.change(olivia, TASKS, {"durability": None})
    assert await streams(installation) == set()

    again = await channels.change(olivia, TASKS, {"durability": SMALL})
    assert await streams(installation) == {again.stream}
    assert again.stream != made.stream, "what was forgotten would be there again"

    await channels.delete(olivia, TASKS)
    assert await streams(installation) == set()
    assert (await make_durable(installation, olivia, "tasks")).stream not in {made.stream, again.stream}


async def test_a_durable_channel_keeps_its_subject(installation: Installation, olivia: Human) -> None:
    channels = installation.process.channels
    made = await make_durable(installation, olivia, "tasks", "tasks.*")
    for fields in ({"subject": "jobs.*"}, {"subject": "jobs.*", "durability": Durability()}):
        with refused(Code.conflict):
            await channels.change(olivia, TASKS, fields)
    assert await channels.get(olivia, TASKS) == made

    moved = await channels.change(olivia, TASKS, {"subject": "jobs.*", "durability": None})
    assert (await channels.change(olivia, TASKS, {"subject": "x.*", "durability": SMALL})).pattern == "x.*"
    assert moved.pattern == "jobs.*"


async def test_durable_channels_that_overlap_are_refused_and_others_are_not(
    installation: Installation, olivia: Human
) -> None:
    channels = installation.process.channels
    await make_durable(installation, olivia, "tasks", "tasks.>")
    with refused(Code.conflict) as refusal:
        await make_durable(installation, olivia, "new", "*.new")
    assert "durable channel tasks, tasks.>" in refusal.message
    plain = await channels.create(olivia, "new", {"name": "n", "subject": "*.new"})
    with refused(Code.conflict):
        await channels.change(olivia, plain.id, {"durability": SMALL})
    assert (await channels.get(olivia, plain.id)).durability is None

    await channels.change(olivia, TASKS, {"durability": None})
    assert (await channels.change(olivia, plain.id, {"durability": SMALL})).durability == SMALL


async def test_of_many_that_overlap_and_are_made_at_once_one_is_durable(
    installation: Installation, olivia: Human
) -> None:
    """In two processes, by creations and by changes."""
    other = installation.start("p2").channels
    await installation.process.channels.create(olivia, "was", {"name": "w", "subject": "tasks.was"})

    outcomes = await race(
        *(make_durable(installation, olivia, f"c{number}", "tasks.>") for number in range(4)),
        *(
            other.create(olivia, f"d{number}", {"name": "d", "subject": "tasks.*", "durability": SMALL})
            for number in range(4)
        ),
        other.change(olivia, ChannelId("was"), {"durability": SMALL}),
    )

    assert sum(isinstance(each, Channel) for each in outcomes) == 1
    assert outcomes.count(Code.conflict) == 8
    assert len(await streams(installation)) == 1


async def test_the_plan_bounds_what_durable_channels_reserve_whoever_comes_at_once(
    installation: Installation, olivia: Human
) -> None:
    await installation.operate(limits={"durable_bytes": 5 * LEAST_BYTES})
    other = installation.start("p2").channels

    outcomes = await race(
        *(make_durable(installation, olivia, f"c{number}") for number in range(4)),
        *(other.create(olivia, f"d{number}", {"name": "d", "durability": SMALL}) for number in range(4)),
    )

    assert outcomes.count(Code.quota_exceeded) == 3
    assert len(await streams(installation)) == 5
    assert await installation.process.channels.durable_bytes(olivia) == 5 * LEAST_BYTES

    await installation.operate(limits={"durable_bytes": 0})
    kept = next(each for each in outcomes if isinstance(each, Channel))
    with refused(Code.quota_exceeded):
        await installation.process.channels.change(olivia, kept.id, {"durability": Durability()})
    await installation.process.channels.delete(olivia, kept.id)
    assert len(await streams(installation)) == 4


async def test_a_change_of_something_else_depends_on_no_durable_channel(
    installation: Installation, olivia: Human
) -> None:
    await make_durable(installation, olivia, "tasks")
    await installation.operate(limits={"durable_bytes": 0})
    assert (await installation.process.channels.change(olivia, TASKS, {"name": "x"})).name == "x"
