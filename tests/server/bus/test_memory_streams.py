"""Streams in memory promise what the real ones do (the port's other promises: tests of the gateway)."""

import pytest

from artcafe.server.bus.memory import BUFFER_BYTES, MemoryLink
from artcafe.server.bus.memory_streams import MemoryStreams
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError


@pytest.fixture
def streams() -> MemoryStreams:
    made = MemoryLink(BUFFER_BYTES).streams
    made.make("S", "m.*.tasks.>")
    return made


async def test_a_message_is_stored_once_for_its_id_within_two_minutes(streams: MemoryStreams) -> None:
    seconds = 0.0
    streams.now = lambda: seconds
    first = await streams.store("S", "m.a.tasks.new", b"1", "a:x")
    seconds = 119.0
    again = await streams.store("S", "m.a.tasks.new", b"2", "a:x")
    seconds = 120.0
    later = await streams.store("S", "m.a.tasks.new", b"3", "a:x")
    assert [(each.seq, each.duplicate) for each in (first, again, later)] == [
        (1, False),
        (1, True),
        (2, False),
    ]


@pytest.mark.parametrize(("refuse", "held"), [(True, [1, 2]), (False, [2, 3])])
async def test_a_full_stream_refuses_or_forgets(
    streams: MemoryStreams, refuse: bool, held: list[int]
) -> None:
    stream = streams.make("S", "m.*.tasks.>", most=2, refuse=refuse)
    receipts = [streams.store("S", "m.a.tasks.new", b"1", None) for _ in range(3)]
    assert list(stream.messages) == held
    failure = receipts[2].exception()
    assert (isinstance(failure, ArtcafeError) and failure.code is Code.channel_full) == refuse


async def test_a_deleted_stream_is_not_found_and_one_that_never_was_unavailable(
    streams: MemoryStreams,
) -> None:
    streams.delete("S")
    for name, code in (("S", Code.not_found), ("T", Code.unavailable)):
        with pytest.raises(ArtcafeError) as refused:
            await streams.state(name)
        assert refused.value.code is code


async def test_another_stream_of_the_name_has_another_epoch(streams: MemoryStreams) -> None:
    before = await streams.state("S")
    streams.streams["S"].restart()
    assert (await streams.state("S")).epoch != before.epoch
