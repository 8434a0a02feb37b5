"""A message on its way out."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from artcafe import Backoff, OutcomeUnknownError
from artcafe.client.publication import Publication
from artcafe.wire import frames
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.deadlines import eventually
from tests.kit.scripted_client import client_of
from tests.kit.scripted_server import Peer, scripted, stay


@dataclass
class File:
    name: str
    content: bytes


def made(data: Any = None, **more: Any) -> Publication:
    return Publication("acme", "tasks.new", data, **{"headers": None, "reply_to": None, "call": None, **more})


def read(publication: Publication) -> frames.Publish:
    frame = frames.decode_client(publication.frame)
    assert isinstance(frame, frames.Publish)
    return frame


def test_the_frame_is_what_the_server_reads() -> None:
    frame = read(made({"ü": [1, None]}, headers={"a": "b"}, reply_to="replies.1", call="7"))
    assert (frame.subject, frame.id, frame.headers, frame.reply_to) == (
        "tasks.new",
        "7",
        {"a": "b"},
        "replies.1",
    )
    assert bytes(frame.data).decode() == '{"ü":[1,null]}'
    assert read(made(headers={})).headers is None


@pytest.mark.parametrize("some", [b"x", bytearray(b"x"), memoryview(b"x")])
@pytest.mark.parametrize(
    "within",
    [
        lambda some: some,
        lambda some: [1, some],
        lambda some: ("a", (some,)),
        lambda some: {"a": {"b": [None, some]}},
        lambda some: OrderedDict(a=some),
        lambda some: {bytes(some): 1},
        lambda some: {bytes(some)},
        lambda some: frozenset([bytes(some)]),
    ],
)
def test_bytes_are_no_data(some: Any, within: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match=r"JSON has no (bytes|bytearray|memoryview): make it text"):
        made(within(some))


def test_bytes_of_a_declared_field_are_read_back_by_its_type() -> None:
    frame = read(made({"files": [File("a", b"\xff\x00")]}))
    assert bytes(frame.data) == b'{"files":[{"name":"a","content":"/wA="}]}'
    assert msgspec.json.decode(frame.data, type=dict[str, list[File]]) == {"files": [File("a", b"\xff\x00")]}


def test_what_is_too_deep_or_without_end_is_refused_before_it_is_looked_through() -> None:
    deep: Any = b"x"
    for _ in range(61):
        deep = [deep]
    with pytest.raises(ArtcafeError) as caught:
        made(deep)
    assert caught.value.code is Code.bad_frame
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(RecursionError):
        made(endless)


@pytest.mark.parametrize("headers", [{"": "v"}, {"k" * 129: "v"}, {"k": "v" * 1025}, {"k": 1}, {1: "v"}])
def test_headers_that_the_server_would_close_on_are_refused(headers: Any) -> None:
    with pytest.raises(ArtcafeError) as caught:
        made(headers=headers)
    assert caught.value.code is Code.validation_failed


def test_the_limit_counts_the_payload_and_bounds_the_frame() -> None:
    limits = frames.Limits(max_payload_bytes=100, messages_per_second=1, subscriptions=1)
    made("x" * 98).check(limits)
    made("x" * 98, headers={str(n): "v" * 900 for n in range(4)}).check(limits)
    for publication in (made("x" * 99), made("x", headers={str(n): "v" * 1000 for n in range(5)})):
        with pytest.raises(ArtcafeError) as caught:
            publication.check(limits)
        assert caught.value.code is Code.too_large


# Publishing to a server.


async def test_without_ack_nothing_is_awaited() -> None:
    taken: list[frames.Publish] = []

    async def script(peer: Peer) -> None:
        await peer.log_in()
        taken.append(await peer.expect(frames.Publish))

    async with scripted(script) as server, client_of(server) as client:
        assert await client.publish("tasks.new", [1, 2], ack=False) is None
    await eventually(lambda: taken, "the message")
    assert (taken[0].id, bytes(taken[0].data)) == (None, b"[1,2]")


async def test_messages_leave_in_the_order_of_the_calls() -> None:
    numbers: list[bytes] = []

    async def script(peer: Peer) -> None:
        await peer.log_in()
        while len(numbers) < 50:
            numbers.extend(bytes(frame.data) for frame in await peer.acknowledge())

    async with scripted(script) as server, client_of(server) as client, asyncio.TaskGroup() as tasks:
        for number in range(50):
            tasks.create_task(client.publish("n", number))
    assert numbers == [b"%d" % number for number in range(50)]


async def test_a_refused_message_raises_what_the_server_said() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        frame = await peer.expect(frames.Publish)
        await peer.send(
            frames.Error(code="rate_limited", message="Slow down.", id=frame.id, retry_after_ms=250)
        )
        await peer.acknowledge()

    async with scripted(script) as server, client_of(server) as client:
        with pytest.raises(ArtcafeError, match=r"Slow down\.") as caught:
            await client.publish("tasks.new", 1)
        assert (caught.value.code, caught.value.retry_after) == (Code.rate_limited, 0.25)
        assert await client.publish("tasks.new", 2)


async def test_an_error_of_no_call_goes_to_the_listener_and_the_log(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[ArtcafeError] = []

    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.expect(frames.Publish)
        await peer.send(frames.Error(code="forbidden", message="Not there."))

    async with scripted(script) as server, client_of(server, on_error=heard.append) as client:
        await client.publish("tasks.new", 1, ack=False)
        await eventually(lambda: heard, "the error")
        assert (heard[0].code, heard[0].message) == (Code.forbidden, "Not there.")
        assert client.connected
    assert "Not there." in caplog.text


async def test_what_the_server_would_close_on_is_refused_here() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in(payload=100)
        await peer.acknowledge()

    async with scripted(script) as server, client_of(server) as client:
        limits = client.limits
        assert limits is not None
        assert limits.max_payload_bytes == 100
        cases: list[tuple[str, dict[str, Any], Code]] = [
            ("tasks.*", {}, Code.invalid_subject),
            ("tenant.other.x", {}, Code.forbidden),
            ("tasks.new", {"reply_to": "a b"}, Code.invalid_subject),
            ("tasks.new", {"headers": {"k": "v" * 1025}}, Code.validation_failed),
            ("tasks.new", {"headers": {str(n): "v" for n in range(33)}}, Code.validation_failed),
        ]
        for subject, more, code in cases:
            with pytest.raises(ArtcafeError) as caught:
                await client.publish(subject, None, **more)
            assert caught.value.code is code
        with pytest.raises(ArtcafeError, match="100 bytes") as caught:
            await client.publish("tasks.new", "x" * 99)
        assert caught.value.code is Code.too_large
        with pytest.raises(TypeError):
            await client.publish("tasks.new", object())
        assert await client.publish("tasks.new", "x" * 98)


async def test_away_a_message_waits_for_the_next_connection() -> None:
    taken: list[frames.Publish] = []

    async def first(peer: Peer) -> None:
        await peer.log_in()
        peer.lose()

    async def second(peer: Peer) -> None:
        await peer.log_in()
        taken.extend(await peer.acknowledge())

    async with scripted(first, second) as server, client_of(server) as client:
        await eventually(lambda: not client.connected, "the loss")
        assert await client.publish("tasks.new", "late")
        assert len(taken) == 1


async def test_away_too_long_nothing_was_sent() -> None:
    async def first(peer: Peer) -> None:
        await peer.log_in()
        peer.lose()

    far = Backoff(base=60, cap=60, draw=lambda: 1.0)
    async with scripted(first) as server, client_of(server, backoff=far) as client:
        await eventually(lambda: not client.connected, "the loss")
        with pytest.raises(ArtcafeError, match="nothing was sent") as caught:
            await client.publish("tasks.new", 1, timeout=0.05)
        assert caught.value.code is Code.unavailable
        assert not isinstance(caught.value, OutcomeUnknownError)


async def test_a_message_unacknowledged_at_the_loss_is_reported_and_never_sent_again() -> None:
    taken: list[str] = []

    async def first(peer: Peer) -> None:
        await peer.log_in()
        taken.append(bytes((await peer.expect(frames.Publish)).data).decode())
        peer.lose()

    async def second(peer: Peer) -> None:
        await peer.log_in()
        taken.extend(bytes(frame.data).decode() for frame in await peer.acknowledge())

    async with scripted(first, second) as server, client_of(server) as client:
        with pytest.raises(OutcomeUnknownError) as caught:
            await client.publish("tasks.new", "once")
        assert caught.value.code is Code.outcome_unknown
        await client.publish("tasks.new", "next")
    assert taken == ['"once"', '"next"']


async def test_a_message_half_written_at_the_loss_is_never_sent_again() -> None:
    taken: list[int] = []
    ready = asyncio.Event()

    async def first(peer: Peer) -> None:
        await peer.log_in(payload=64_000_000)
        peer.socket.transport.pause_reading()
        await ready.wait()
        peer.lose()

    async def second(peer: Peer) -> None:
        await peer.log_in()
        taken.extend(len(bytes(frame.data)) for frame in await peer.acknowledge())

    async with scripted(first, second) as server, client_of(server) as client:
        publishing = asyncio.create_task(client.publish("n", "x" * 32_000_000, ack=False))
        await asyncio.sleep(0)
        ready.set()
        with pytest.raises(OutcomeUnknownError):
            await publishing
        await client.publish("n", "next")
    assert taken == [len('"next"')]


async def test_what_the_server_does_not_know_has_the_same_error() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        asked = await peer.expect(frames.Publish)
        await peer.send(frames.Error(code="outcome_unknown", message="Nobody knows.", id=asked.id))
        await peer.socket.wait_closed()

    async with scripted(script) as server, client_of(server) as client:
        with pytest.raises(OutcomeUnknownError, match="Nobody knows") as caught:
            await client.publish("tasks.new", 1)
        assert caught.value.code is Code.outcome_unknown
        assert not caught.value.code.retry


async def test_data_that_receivers_could_not_read_is_not_sent() -> None:
    async with scripted(stay) as server, client_of(server) as client:
        deep: list[object] = []
        for _ in range(60):
            deep = [deep]
        for data in (deep, 10**128):
            with pytest.raises(ArtcafeError) as caught:
                await client.publish("tasks.new", data)
            assert caught.value.code is Code.bad_frame


async def test_an_answer_that_does_not_come_in_time_leaves_the_outcome_unknown() -> None:
    async with scripted(stay) as server, client_of(server) as client:
        with pytest.raises(OutcomeUnknownError, match="did not acknowledge"):
            await client.publish("tasks.new", 1, timeout=0.03)
        assert client.connected


async def test_a_cancelled_publish_leaves_nothing_behind_and_the_late_answer_hurts_nobody() -> None:
    got, go = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.log_in()
        frame = await peer.expect(frames.Publish)
        got.set()
        await go.wait()
        await peer.send(frames.Ack(id=frame.id or "", message_id="m"))
        await peer.acknowledge()

    async with scripted(script) as server, client_of(server) as client:
        publishing = asyncio.create_task(client.publish("tasks.new", 1))
        await got.wait()
        publishing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await publishing
        go.set()
        assert await client.publish("tasks.new", 2)
