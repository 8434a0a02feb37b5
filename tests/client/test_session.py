"""What frames mean, without a network."""

import asyncio
from collections.abc import Mapping
from typing import Any, get_args

import pytest

from artcafe import State
from artcafe.client.errors import OutcomeUnknownError
from artcafe.client.session import Session, decode
from artcafe.client.subscription import Subscription
from artcafe.wire import frames
from artcafe.wire.codes import Code
from artcafe.wire.deliveries import DeliveryFrame
from artcafe.wire.errors import ArtcafeError
from tests.kit.deadlines import eventually
from tests.kit.scripted_client import client_of
from tests.kit.scripted_server import Peer, scripted


async def no_reply(subject: str, data: Any, *, headers: Mapping[str, str] | None = None) -> str:
    raise AssertionError(subject)


async def no_answer(reply_to: str, *_: Any, **_more: Any) -> str:
    raise AssertionError(reply_to)


async def no_settling(frame: DeliveryFrame, *, confirm: bool) -> None:
    raise AssertionError(frame)


async def nothing(_subscription: Subscription) -> None:
    return


def made() -> tuple[Session, list[ArtcafeError]]:
    errors: list[ArtcafeError] = []
    return Session("acme", no_reply, no_answer, no_settling, errors.append), errors


async def test_answers_go_to_their_calls() -> None:
    session, errors = made()
    with session.calls.expect("1") as one, session.calls.expect("2") as two:
        session.receive(frames.Error(code="forbidden", message="No.", id="2"))
        session.receive(frames.Ack(id="1", message_id="m1"))
        session.receive(frames.Ack(id="1", message_id="again"))
        assert await one == "m1"
        refused = await two
    assert isinstance(refused, ArtcafeError)
    assert refused.code is Code.forbidden
    assert errors == []
    assert session.refusal is None


async def test_an_error_that_answers_nothing_is_kept_and_reported() -> None:
    session, errors = made()
    session.receive(frames.Error(code="flooding", message="Too fast."))
    session.receive(frames.Error(code="forbidden", message="Late.", id="gone"))
    assert [error.message for error in errors] == ["Too fast.", "Late."]
    assert session.refusal is errors[1]
    session.away()
    assert session.refusal is None


async def test_an_error_that_ended_a_subscription_explains_no_close_and_is_raised_there_alone() -> None:
    session, errors = made()
    subscription = Subscription("a", queue=None, buffer=1, opener=nothing, closer=nothing, drainer=nothing)
    session.routes.add(subscription)
    session.receive(frames.Subscribed(subject="a", id="1"))
    session.receive(frames.Error(code="forbidden", message="No more.", details={"subject": "a"}))
    with pytest.raises(ArtcafeError, match="No more"):
        await asyncio.wait_for(anext(subscription), 5)
    assert (errors, session.refusal) == ([], None)
    session.receive(frames.Error(code="forbidden", message="No more.", details={"subject": "a"}))
    assert [error.message for error in errors] == ["No more."], "one that nobody has is told"


async def test_a_loss_leaves_every_outcome_unknown_and_an_end_gives_the_reason() -> None:
    session, _ = made()
    with session.calls.expect("1") as one:
        session.away()
        assert isinstance(await one, OutcomeUnknownError)
    with session.calls.expect("2") as two, session.calls.expect("3") as three:
        session.end(ArtcafeError(Code.removed))
        answers = [await two, await three]
    assert [getattr(answer, "code", None) for answer in answers] == [Code.removed] * 2
    assert answers[0] is not answers[1]


async def test_idle_means_that_nobody_waits() -> None:
    session, _ = made()
    await session.calls.idle()
    with session.calls.expect("1"):
        waiting = asyncio.create_task(session.calls.idle())
        await asyncio.sleep(0)
        assert not waiting.done()
    await waiting


async def test_a_goaway_belongs_to_its_connection() -> None:
    session, _ = made()
    session.receive(frames.Goaway(reason="restart", reconnect_after_ms=5))
    assert session.goaway is not None
    session.away()
    assert session.goaway is None


def test_every_frame_of_the_server_is_known_and_a_broken_one_is_no_newer_one() -> None:
    for form in get_args(frames.ServerFrame):
        tag = form.__struct_config__.tag
        with pytest.raises(ArtcafeError) as caught:
            decode(b'{"type":"%b"}' % tag.encode())
        assert caught.value.code is Code.protocol_error
    assert decode(b'{"type":"tomorrow","subject":7}') is None
    assert decode(b'{"type":"pong","timestamp":"t","more":1}') == frames.Pong(timestamp="t")
    for text in (b"", b"null", b'{"type":null}', b'{"subject":"x"}', b"\xff"):
        with pytest.raises(ArtcafeError):
            decode(text)


# Frames that make no sense, sent by a server.


@pytest.mark.parametrize("text", ["not json", "[]", '{"type":"ack"}', '{"type":7}'])
async def test_a_server_that_talks_nonsense_is_left_for_good(text: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.send(text)
        await peer.until_closed()
        assert peer.closed_with == 1002

    async with scripted(script) as server:
        client = client_of(server)
        await client.connect()
        await eventually(lambda: client.state is State.closed, "the end")
        assert client.error is not None
        assert client.error.code is Code.protocol_error
        await client.close()


async def test_a_frame_of_a_newer_protocol_is_passed_over() -> None:
    async def script(peer: Peer) -> None:
        await peer.challenge()
        await peer.socket.recv()
        await peer.send('{"type":"hint","of":"tomorrow"}')
        await peer.welcome()
        await peer.send('{"type":"presence_changed","agent":"x"}')
        await peer.acknowledge()

    async with scripted(script) as server, client_of(server) as client:
        assert await client.publish("n", 1)


async def test_a_frame_larger_than_this_client_takes_ends_it_with_too_large() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.deliver("n", "x" * 2000)

    async with scripted(script) as server:
        client = client_of(server, max_frame_bytes=1500)
        await client.connect()
        await eventually(lambda: client.state is State.closed, "the end")
        assert client.error is not None
        assert client.error.code is Code.too_large
        await client.close()


def test_a_message_whose_frame_cannot_be_read_is_still_a_message() -> None:
    deep = b"[" * 5000 + b"]" * 5000
    head = b'{"type":"message","subject":"tasks.new","from":"planner","id":"m1","timestamp":"t","data":'
    frame = decode(head + deep + b"}")
    assert isinstance(frame, frames.Message)
    assert (frame.subject, frame.sender, frame.id, frame.timestamp) == ("tasks.new", "planner", "m1", "t")
    assert bytes(frame.data) == deep
    with pytest.raises(ArtcafeError) as broken:
        decode(b'{"type":"ack","id":' + deep + b"}")
    assert broken.value.code is Code.protocol_error


async def test_the_client_lives_on_with_messages_that_cannot_be_read() -> None:
    poison = ["1e999", "1" * 5000, "[" * 950 + "]" * 950, "[" * 5000 + "]" * 5000]

    async def script(peer: Peer) -> None:
        await peer.log_in()
        asked = await peer.expect(frames.Subscribe)
        await peer.send(frames.Subscribed(subject=asked.subject, id=asked.id))
        for data in (*poison, '"fine"'):
            await peer.send(
                '{"type":"message","subject":"x","from":"a","id":"m","timestamp":"2026-11-23T03:40:00.000Z",'
                f'"data":{data}}}'
            )
        await peer.socket.wait_closed()

    async with scripted(script) as server, client_of(server) as client:
        async with client.subscribe("x") as messages:
            got = [await anext(messages) for _ in range(len(poison) + 1)]
        assert client.connected
    assert [message.raw.decode() for message in got] == [*poison, '"fine"']
    assert [message.undecodable for message in got[:2]] == [True, True]
    assert got[3].undecodable
    assert got[4].data == "fine"
