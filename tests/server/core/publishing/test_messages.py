"""Publishing as a human: the proven sender, the tenant's own bus, and one count."""

import json
from typing import Any

import pytest

from artcafe.server.core.publishing import messages
from artcafe.server.domain.ids import ChannelId, UserId
from artcafe.server.domain.principal import Human
from artcafe.server.domain.tenant import Role
from artcafe.server.domain.usage import CHANNEL
from artcafe.wire.codes import Code
from tests.kit.deadlines import eventually
from tests.kit.installation import ACME, OTHER, Installation, acting
from tests.kit.outcomes import outcome, refused
from tests.kit.usage import counted_ever

Heard = list[tuple[str, dict[str, Any]]]


async def listen(installation: Installation, human: Human) -> Heard:
    """Everything that arrives in a tenant from now on."""
    heard: Heard = []
    link = await installation.bus.link(await installation.process.tenants.get(human))
    await link.subscribe(">", lambda subject, payload: heard.append((subject, json.loads(payload))))
    return heard


async def test_a_message_arrives_in_the_tenant_under_the_humans_name(
    installation: Installation, olivia: Human
) -> None:
    heard = await listen(installation, olivia)

    published = await installation.process.messages.publish(olivia, "tasks.new", b'{"city": "Rome"}')

    await eventually(lambda: heard)
    assert heard == [
        (
            "m.u-olivia.tasks.new",
            {"id": published.message_id, "timestamp": "2025-11-24T16:00:00.000Z", "data": {"city": "Rome"}},
        )
    ]
    assert published.timestamp == "2025-11-24T16:00:00.000Z"


async def test_each_message_has_an_id_of_its_own(installation: Installation, olivia: Human) -> None:
    ids = {(await installation.process.messages.publish(olivia, "tasks", b"{}")).message_id for _ in range(5)}

    assert len(ids) == 5


async def test_no_other_tenant_hears_it(installation: Installation, olivia: Human) -> None:
    """Bug of the original: presence subjects, and any subject in full form, crossed tenants."""
    nina = await installation.make_tenant(OTHER, "nina")
    ours, theirs = await listen(installation, olivia), await listen(installation, nina)

    for subject in ("tasks", "agents.presence.online", "agents.a1.x", "channels.acme.x"):
        await installation.process.messages.publish(olivia, subject, b"{}")

    await eventually(lambda: len(ours) == 4)
    assert theirs == []


@pytest.mark.parametrize("old", ["tenant.acme.channel.tasks", "channels.acme.tasks", "agents.acme.tasks"])
async def test_an_old_spelling_is_the_same_subject(
    installation: Installation, olivia: Human, old: str
) -> None:
    heard = await listen(installation, olivia)

    await installation.process.messages.publish(olivia, old, b"{}")

    await eventually(lambda: heard)
    assert heard[0][0] == "m.u-olivia.tasks"


async def test_another_tenants_subject_is_forbidden(installation: Installation, olivia: Human) -> None:
    await installation.make_tenant(OTHER, "nina")

    with refused(Code.forbidden):
        await installation.process.messages.publish(olivia, "tenant.acme-2.channel.tasks", b"{}")


@pytest.mark.parametrize("subject", ["a.*", ">", "a b", "", "a\r\nPUB x"])
async def test_what_is_no_subject_is_refused(installation: Installation, olivia: Human, subject: str) -> None:
    with refused(Code.invalid_subject):
        await installation.process.messages.publish(olivia, subject, b"{}")


async def test_the_platforms_subjects_are_forbidden(installation: Installation, olivia: Human) -> None:
    with refused(Code.forbidden):
        await installation.process.messages.publish(olivia, "sys.agents", b"{}")


async def test_a_viewer_publishes_nothing(installation: Installation, olivia: Human) -> None:
    heard = await listen(installation, olivia)

    with refused(Code.forbidden):
        await installation.process.messages.publish(acting(olivia, Role.viewer), "tasks", b"{}")
    await installation.process.messages.publish(olivia, "last", b"{}")

    await eventually(lambda: heard)
    assert [subject for subject, _ in heard] == ["m.u-olivia.last"]


async def test_what_the_bus_took_is_counted_once_and_nothing_else_is(
    installation: Installation, olivia: Human
) -> None:
    process = installation.process
    await process.messages.publish(olivia, "channels.acme.tasks", b'{"n": 1}')
    with refused(Code.forbidden):
        await process.messages.publish(acting(olivia, Role.viewer), "tasks", b"{}")
    await installation.bus.remove(await process.tenants.get(olivia))
    with refused(Code.unavailable):
        await process.messages.publish(olivia, "tasks", b"{}")

    await process.meter.flush()

    assert await installation.memory.counters(f"USE#{await installation.partition()}") == {
        "2025-11-24#bytes": 8,
        "2025-11-24#messages": 1,
    }


async def test_what_a_channel_does_not_take_is_neither_sent_nor_counted(
    installation: Installation, olivia: Human
) -> None:
    process = installation.process
    rules = {"subject": "tasks.>", "publishers": ["role:admin"], "max_message_bytes": 4}
    await process.channels.create(olivia, "jobs", {"name": "Jobs", **rules})
    heard = await listen(installation, olivia)

    with refused(Code.forbidden):
        await process.messages.publish(acting(olivia, Role.member), "tasks.x", b"1")
    with refused(Code.too_large):
        await process.messages.publish(olivia, "tasks.x", b"12345")
    await process.messages.publish(acting(olivia, Role.admin), "tasks.x", b"1234")
    await process.messages.publish(acting(olivia, Role.member), "elsewhere", b"12345")

    await eventually(lambda: len(heard) == 2)
    assert [payload["data"] for _, payload in heard] == [1234, 12345]
    assert await counted_ever(process.meter, ACME, CHANNEL) == {"jobs": 1}


async def test_a_message_counts_in_every_channel_of_its_subject(
    installation: Installation, olivia: Human
) -> None:
    process = installation.process
    for name, subject in (("all", ">"), ("tasks", ""), ("other", "")):
        await process.channels.create(olivia, name, {"name": name, "subject": subject})

    await process.messages.publish(olivia, "tenant.acme.channel.tasks", b"{}")

    assert await counted_ever(process.meter, ACME, CHANNEL) == {"all": 1, "tasks": 1}
    assert await process.meter.last_spoken(ACME, [ChannelId(name) for name in ("all", "tasks", "other")]) == {
        "all": "2025-11-24T16:00:00.000Z",
        "tasks": "2025-11-24T16:00:00.000Z",
    }


async def test_who_may_speaks_as_the_platform(installation: Installation, olivia: Human) -> None:
    heard = await listen(installation, olivia)

    with refused(Code.forbidden):
        await installation.process.messages.publish(acting(olivia, Role.member), "tasks", b"{}", system=True)
    await installation.process.messages.publish(acting(olivia, Role.admin), "tasks", b"{}", system=True)

    await eventually(lambda: heard)
    assert [subject for subject, _ in heard] == ["m.sys.tasks"]


async def test_a_changed_channel_is_felt_by_every_process_at_once(
    installation: Installation, olivia: Human
) -> None:
    other = installation.start("p2")
    await installation.process.channels.create(olivia, "tasks", {"name": "Tasks"})
    await other.messages.publish(olivia, "tasks", b"12345")

    await installation.process.channels.change(olivia, ChannelId("tasks"), {"max_message_bytes": 4})

    with refused(Code.too_large):
        await other.messages.publish(olivia, "tasks", b"12345")


async def test_the_link_is_given_back_however_it_ends(installation: Installation, olivia: Human) -> None:
    await installation.process.messages.publish(olivia, "tasks", b"{}")
    with refused(Code.too_large):
        await installation.process.messages.publish(olivia, "tasks", b'"' + b"x" * 3_000_000 + b'"')

    # `release` of a link that nobody holds is a fault.
    with pytest.raises(ValueError, match="released"):
        installation.bus.release(ACME)


async def test_a_tenant_that_was_deleted_meanwhile_is_not_found(
    installation: Installation, olivia: Human
) -> None:
    await installation.delete_tenant(olivia)

    with refused(Code.not_found):
        await installation.process.messages.publish(olivia, "tasks", b"{}")


async def publishes(installation: Installation, human: Human) -> int:
    """How many messages of a human are taken until one is too fast."""
    taken = 0
    while await outcome(installation.process.messages.publish(human, "tasks", b"1")) is not Code.rate_limited:
        taken += 1
    return taken


async def test_a_human_publishes_two_seconds_worth_at_once_and_takes_nothing_from_others(
    installation: Installation, olivia: Human
) -> None:
    await installation.operate(plan="starter", limits={"messages_per_second": 5})
    nina = await installation.make_tenant(OTHER, "nina")
    adam = Human(ACME, UserId("adam"), Role.admin)
    elsewhere = Human(OTHER, olivia.user, Role.admin)

    assert await publishes(installation, olivia) == 10
    assert await publishes(installation, adam) == 10
    await installation.process.messages.publish(nina, "tasks", b"1")
    await installation.process.messages.publish(elsewhere, "tasks", b"1")

    installation.clock.advance(1.0)
    assert await publishes(installation, olivia) == 5


async def test_another_rate_of_the_plan_counts_at_once(installation: Installation, olivia: Human) -> None:
    await installation.operate(limits={"messages_per_second": 5})
    assert await publishes(installation, olivia) == 10

    await installation.operate(limits={"messages_per_second": 7})

    assert await publishes(installation, olivia) == 14


async def test_who_published_longest_ago_is_forgotten_where_there_are_too_many(
    installation: Installation, olivia: Human, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "MAX_BUCKETS", 4)
    await installation.operate(limits={"messages_per_second": 5})
    process = installation.start("p2")
    for _ in range(10):
        await process.messages.publish(olivia, "tasks", b"1")
    assert await outcome(process.messages.publish(olivia, "tasks", b"1")) is Code.rate_limited

    for each in range(4):
        await process.messages.publish(Human(ACME, UserId(f"m{each}"), Role.admin), "tasks", b"1")

    await process.messages.publish(olivia, "tasks", b"1")
