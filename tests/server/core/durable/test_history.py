"""Pages of what a durable channel stores, in both directions."""

from functools import partial
from typing import Any

import pytest

from artcafe.server.core.durable import history
from artcafe.server.core.durable.history import HistoryPage, HistoryQuery
from artcafe.server.domain.durability import Durability
from artcafe.server.domain.ids import ChannelId
from artcafe.server.domain.principal import Human
from artcafe.server.ports.streams import StoredMessage
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.installation import Installation
from tests.kit.issuers import NOON

TASKS = ChannelId("tasks")


@pytest.fixture
async def stored(installation: Installation, olivia: Human) -> Installation:
    """Ten messages in `tasks`, the first two of them removed again: those of `tasks.old` are even."""
    process = installation.process
    kept = Durability(max_bytes=1_000_000)
    await process.channels.create(
        olivia, "tasks", {"name": "Tasks", "subject": "tasks.>", "durability": kept}
    )
    link = await installation.bus.link(await process.tenants.get(olivia))
    for n in range(1, 11):
        link.streams.now = partial(float, NOON + n)
        subject = "tasks.new" if n % 2 else "tasks.old"
        published = await process.messages.publish(olivia, subject, b"%d" % n)
        assert published.stored is not None
        assert published.stored.seq == n
    [stream] = link.streams.streams.values()
    stream.age(3)
    return installation


async def page(stored: Installation, human: Human, **query: Any) -> HistoryPage:
    return await stored.process.history.page(human, TASKS, HistoryQuery(**query))


def seqs(found: HistoryPage) -> list[int]:
    return [message.seq for message in found.messages]


@pytest.mark.parametrize(
    ("query", "expected", "after", "before"),
    [
        ({}, [3, 4, 5, 6, 7, 8, 9, 10], None, None),
        ({"limit": 3}, [8, 9, 10], None, 8),
        ({"limit": 3, "before": 8}, [5, 6, 7], 7, 5),
        ({"limit": 3, "before": 5}, [3, 4], 4, None),
        ({"limit": 3, "before": 3}, [], 2, None),
        ({"limit": 3, "after": 0}, [3, 4, 5], 5, None),
        ({"limit": 3, "after": 5}, [6, 7, 8], 8, 6),
        ({"limit": 3, "after": 8}, [9, 10], None, 9),
        ({"limit": 3, "after": 10}, [], None, 11),
        ({"since": "last"}, [10], None, 10),
        ({"since": "all", "limit": 2}, [3, 4], 4, None),
        ({"since": "2025-11-24T16:00:09Z"}, [9, 10], None, 9),
        ({"since": "7"}, [7, 8, 9, 10], None, 7),
        ({"pattern": "tasks.old", "limit": 2}, [8, 10], None, 8),
        ({"pattern": "tasks.old", "limit": 2, "before": 8}, [4, 6], 6, None),
        ({"pattern": "tasks.old", "limit": 2, "after": 4}, [6, 8], 8, 6),
        ({"sender": "u-olivia", "limit": 1}, [10], None, 10),
        ({"sender": "planner"}, [], None, None),
    ],
)
async def test_a_page_is_in_order_and_says_how_to_go_on(
    stored: Installation,
    olivia: Human,
    query: dict[str, Any],
    expected: list[int],
    after: int | None,
    before: int | None,
) -> None:
    found = await page(stored, olivia, **query)
    assert seqs(found) == expected
    if found.messages:
        assert (found.after, found.before) == (after, before)
    assert (found.state.first, found.state.last) == (3, 10)


@pytest.mark.parametrize("pattern", [None, "tasks.old"])
async def test_pages_in_either_direction_are_the_same_messages(
    stored: Installation, olivia: Human, pattern: str | None
) -> None:
    forward: list[int] = []
    after: int | None = 0
    while after is not None:
        found = await page(stored, olivia, after=after, limit=3, pattern=pattern)
        forward, after = forward + seqs(found), found.after
    backward: list[int] = []
    before: int | None = 11
    while before is not None:
        found = await page(stored, olivia, before=before, limit=3, pattern=pattern)
        backward, before = seqs(found) + backward, found.before
    assert forward == backward == list(range(4, 11, 2) if pattern else range(3, 11))


async def test_a_page_is_bounded_in_bytes_and_skips_nothing(
    stored: Installation, olivia: Human, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "PAGE_BYTES", 150)
    await test_pages_in_either_direction_are_the_same_messages(stored, olivia, None)


async def test_what_one_page_reads_is_bounded(
    stored: Installation, olivia: Human, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MAX_READS", 1)
    await test_pages_in_either_direction_are_the_same_messages(stored, olivia, "tasks.old")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"after": 1, "before": 3}, Code.validation_failed),
        ({"after": 1, "since": "all"}, Code.validation_failed),
        ({"since": "yesterday"}, Code.validation_failed),
        ({"pattern": "chat"}, Code.invalid_subject),
        ({"pattern": ">"}, Code.invalid_subject),
    ],
)
async def test_what_makes_no_sense_is_refused(
    stored: Installation, olivia: Human, query: dict[str, Any], code: Code
) -> None:
    with pytest.raises(ArtcafeError) as refused:
        await page(stored, olivia, **query)
    assert refused.value.code is code


async def test_a_channel_that_stores_nothing_has_no_history(stored: Installation, olivia: Human) -> None:
    await stored.process.channels.create(olivia, "chat", {"name": "Chat"})
    for channel, code in ((ChannelId("chat"), Code.not_durable), (ChannelId("none"), Code.not_found)):
        with pytest.raises(ArtcafeError) as refused:
            await stored.process.history.page(olivia, channel, HistoryQuery())
        assert refused.value.code is code


async def test_who_may_not_hear_a_subject_does_not_read_it(stored: Installation, olivia: Human) -> None:
    await stored.process.channels.create(
        olivia, "secret", {"name": "Secret", "subject": "tasks.old", "subscribers": ["planner"]}
    )
    found = await page(stored, olivia)
    assert seqs(found) == [3, 5, 7, 9]
    assert all(isinstance(message, StoredMessage) for message in found.messages)


async def test_who_may_not_subscribe_may_not_read(stored: Installation, olivia: Human) -> None:
    await stored.process.channels.change(olivia, TASKS, {"subscribers": ["planner"]}, None)
    with pytest.raises(ArtcafeError) as refused:
        await page(stored, olivia)
    assert refused.value.code is Code.forbidden
