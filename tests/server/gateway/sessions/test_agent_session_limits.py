"""Frames that cannot be read, and frames that are too many."""

from itertools import accumulate

import pytest

from artcafe.server.domain.rate import PATIENCE
from artcafe.server.gateway.dialects.dashboard import DashboardDialect
from artcafe.server.gateway.dialects.dialect import Dialect
from artcafe.server.gateway.dialects.legacy import MAX_SUBJECTS, LegacyDialect, WrappedDialect
from artcafe.server.gateway.dialects.native import NativeDialect
from artcafe.server.gateway.sessions.agent_session import UNREADABLE_COSTS
from artcafe.wire import frames
from artcafe.wire.codes import Code
from tests.kit.sessions import RATE, Table, a_table, errors


@pytest.fixture
async def table() -> Table:
    return await a_table()


# What cannot be read.


@pytest.mark.parametrize(
    ("text", "frame_id"),
    [
        (b"", None),
        (b"{", None),
        (b"null", None),
        (b'{"id":"1"}', "1"),
        (b'{"type":"auth","signature":"x","id":"1"}', "1"),
        (b'{"type":"welcome","id":"1"}', "1"),
        (b'{"type":7,"id":"1"}', "1"),
        (b'{"type":"publish","subject":"x","id":"1"}', "1"),
        (b'{"type":"publish","subject":"x","data":1,"id":7}', None),
        (b'{"type":"publish","subject":"x","data":1,"id":""}', None),
        (b'{"type":"ping","id":"' + b"i" * 65 + b'"}', None),
        (b'{"type":"ping","id":"\xff"}', None),
        (b'{"type":"subscribe","subject":"x","queue":"a b","id":"1"}', "1"),
        (b'{"type":"subscribe","subject":"x","queue":"q\\n","id":"1"}', "1"),
        (b'{"type":"presence","status":"x","metadata":[],"id":"1"}', "1"),
        (b'{"type":"publish","subject":"x","data":' + b"[" * 9000 + b"]" * 9000 + b"}", None),
    ],
)
async def test_frames_that_cannot_be_read_are_answered_and_do_nothing(
    table: Table, text: bytes, frame_id: str | None
) -> None:
    assert errors(Code.bad_frame, id=frame_id)(await table.send(text))
    assert (table.bus, table.link.subscribing.calls) == ([], 0)


@pytest.mark.parametrize(
    "text",
    [
        b'{"type":"SECRET"}',
        b'{"type":"SE\'CRET\' - at `$.x`\\nSECRET"}',
        b'{"SECRET":1}',
        b'{"type":"publish","subject":"x","data":1,"headers":{"SECRET":1}}',
        b'{"type":"subscribe","subject":"SECRET","queue":"SECRET SECRET"}',
        b'{"type":"presence","status":"x","metadata":{"SECRET":1e999}}',
        b'{"type":"ping","id":["SECRET"]}',
        b"SECRET",
    ],
)
async def test_what_a_client_sent_is_not_repeated_in_the_error(table: Table, text: bytes) -> None:
    [error] = await table.send(text)
    assert "CRET" not in error["message"]
    assert error["message"].isascii()
    assert len(error["message"]) < 200


POISON = {
    "deep": b"[" * 61 + b"]" * 61,
    "deeper": b"[" * 950 + b"]" * 950,
    "infinite": b"1e999",
    "long": b"1" * 5000,
    "inside": b'{"text":"1.5","list":[1,-1e400]}',
}


@pytest.mark.parametrize("data", POISON.values(), ids=POISON)
@pytest.mark.parametrize(
    "dialect",
    [NativeDialect(), LegacyDialect(), WrappedDialect(), DashboardDialect()],
    ids=lambda each: each.name,
)
async def test_data_that_receivers_could_not_read_is_refused(dialect: Dialect, data: bytes) -> None:
    table = await a_table(dialect=dialect)
    fine = b'{"type":"publish","subject":"x","data":1}'
    poison = fine.replace(b"1}", data + b"}")
    for text in (poison, fine, fine, poison, poison.replace(b"{", b'{"id":"p",', 1)):
        got = await table.send(text)
        assert got == [] if text is fine else errors(Code.bad_frame)(got)
    if dialect.name != "plain":
        nested = b'{"type":"publish","subject":"x","message":{"payload":%b}}' % data
        assert errors(Code.bad_frame)(await table.send(nested))
    # A frame like the one before it is read by a shorter way.
    assert await table.send(fine) == []
    assert [said["data"] for _, said in table.bus] == [1, 1, 1]


@pytest.mark.parametrize("data", POISON.values(), ids=POISON)
@pytest.mark.parametrize("dialect", [NativeDialect(), LegacyDialect()], ids=lambda each: each.name)
async def test_presence_that_receivers_could_not_read_is_refused(dialect: Dialect, data: bytes) -> None:
    table = await a_table(dialect=dialect)
    got = await table.send(b'{"type":"presence","status":"x","metadata":{"a":%b}}' % data)
    assert errors(Code.bad_frame)(got)
    if dialect.name == "legacy":
        got = await table.send(b'{"type":"presence","status":"x","capabilities":[%b]}' % data)
        assert errors(Code.bad_frame)(got)
    assert table.bus == []


@pytest.mark.parametrize(
    "dialect",
    [NativeDialect(), LegacyDialect(), WrappedDialect(), DashboardDialect()],
    ids=lambda each: each.name,
)
async def test_data_at_the_limits_is_taken_and_told_as_deep_as_readers_go(dialect: Dialect) -> None:
    table = await a_table(dialect=dialect)
    await table.say(type="subscribe", subject="x")
    deep = b"[" * 60 + b"1e308," + b"1" * 128 + b"]" * 60
    await table.send(b'{"type":"publish","subject":"x","data":%b}' % deep)
    told = table.client.raw[-1]
    assert deep in told
    depths = list(accumulate({0x5B: 1, 0x7B: 1, 0x5D: -1, 0x7D: -1}.get(byte, 0) for byte in told))
    assert max(depths) <= 64


# How fast.


async def test_a_burst_passes_and_then_the_rate(table: Table) -> None:
    for _ in range(2 * RATE):
        assert await table.say(type="publish", subject="a", data=1) == []
    got = await table.say(type="publish", subject="a", data=1, id="p")
    assert errors(Code.rate_limited, id="p", retry_after_ms=1000 // RATE)(got)
    got = await table.say(type="presence", status="online")
    assert errors(Code.rate_limited, id=None)(got)
    table.clock.advance(1.001 / RATE)
    assert await table.say(type="publish", subject="a", data=1) == []
    assert len(table.bus) == len(table.counted) == 2 * RATE + 1


async def test_sending_on_through_the_limit_is_flooding(table: Table) -> None:
    """Whoever sent at three times the rate was refused for ever and never closed: one message in
    three passes, and each that passed was taken for an end of the flood."""
    seconds = 0
    while not table.client.ended:
        seconds += 1
        for _ in range(3 * RATE):
            table.clock.advance(1 / (3 * RATE))
            await table.say(type="publish", subject="a", data=1)
        assert seconds < 2 * PATIENCE, "never closed"
    assert seconds > PATIENCE - 1
    assert set(table.client.ended) == {Code.flooding}


async def test_a_little_over_the_limit_is_no_flood(table: Table) -> None:
    for _ in range(60 * RATE):
        table.clock.advance(1 / (1.9 * RATE))
        await table.say(type="publish", subject="a", data=1)
    assert table.client.ended == []


@pytest.mark.parametrize(
    "frame", [{"type": "ping"}, {"type": "nonsense"}, {"type": "unsubscribe", "subject": "a"}]
)
async def test_frames_that_are_no_messages_can_flood_too(table: Table, frame: dict[str, str]) -> None:
    for _ in range(PATIENCE * RATE):
        assert await table.say(**frame)
    assert table.client.ended == []
    await table.say(**frame)
    assert table.client.ended == [Code.flooding]


async def test_a_client_owes_what_it_sends_beyond_a_second_of_frames(table: Table) -> None:
    for _ in range(RATE):
        await table.say(type="ping")
    assert table.client.owed == 0
    await table.say(type="ping")
    assert table.client.owed == 1
    await table.say(type="nonsense")
    assert table.client.owed == 1 + UNREADABLE_COSTS
    table.clock.advance(1.0)
    await table.say(type="ping")
    assert table.client.owed == 1 + UNREADABLE_COSTS


class Lists(NativeDialect):
    """A dialect in which a message asks for the same subscription many times."""

    def __init__(self, count: int) -> None:
        self._count = count

    def read(self, message: bytes) -> list[frames.ClientFrame]:
        """As many frames as were told, of which each has to wait."""
        return [frames.Subscribe(subject="a")] * self._count


async def test_however_many_frames_one_message_stands_for_they_are_a_loop() -> None:
    """One coroutine awaited the next, as deep as the list was long: 40,000 subjects ended the process."""
    table = await a_table(dialect=Lists(100_000))
    got = await table.send(b"{}")
    assert got == [{"type": "subscribed", "subject": "a"}] * 100_000


async def test_what_is_left_of_a_list_is_dropped_when_the_connection_closes() -> None:
    table = await a_table(dialect=Lists(1000))
    await table.session.leave()
    got = await table.send(b"{}")
    assert len(got) == 1, "the first was asked before anybody looked"


async def test_a_list_of_too_many_subjects_is_refused_before_anything_is_done() -> None:
    table = await a_table(dialect=LegacyDialect())
    for kind in ("publish", "subscribe", "unsubscribe"):
        got = await table.say(type=kind, subjects=["b"] * (MAX_SUBJECTS + 1), data=1, id="1")
        assert errors(Code.bad_frame, id="1")(got)
    assert (table.bus, table.link.subscribing.calls, table.counted) == ([], 0, [])
