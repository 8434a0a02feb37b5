"""Who is in which group here."""

import pytest

from artcafe.server.gateway.fanout.queue_groups import QueueGroups
from artcafe.server.gateway.fanout.subscriber import Topic


@pytest.mark.parametrize("key", [("b", "q"), ("a", "p")])
async def test_only_a_member_of_the_same_group_takes_over(key: tuple[str, str]) -> None:
    groups, gone = QueueGroups(), Topic("a", "q")
    for topic in (gone, Topic(*key)):
        groups.add(topic)
    groups.discard(gone)
    assert groups.other(gone) is None
    mates = [Topic("a", "q"), Topic("a", "q")]
    for topic in mates:
        groups.add(topic)
    assert groups.other(gone) is mates[0]
    groups.discard(mates[0])
    assert groups.other(gone) is mates[1]


async def test_nothing_is_kept_of_a_group_that_is_empty() -> None:
    groups, topic = QueueGroups(), Topic("a", "q")
    groups.add(topic)
    groups.discard(topic)
    groups.discard(topic)
    groups.discard(Topic("b"))
    assert groups._groups == {}
