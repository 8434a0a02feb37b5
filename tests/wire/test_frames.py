"""The frames: typed and bounded."""

import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Raw

from artcafe.wire import deliveries, discovery, frames, inbox
from tests.kit.generated import (
    assert_same,
    headers,
    ids,
    messages,
    optional,
    raws,
    texts,
    tokens,
)

client_frames = st.one_of(
    st.builds(
        frames.Publish,
        subject=texts,
        data=raws,
        id=optional(ids),
        headers=optional(headers),
        reply_to=optional(texts),
        dedup=optional(tokens),
    ),
    st.builds(
        frames.Subscribe,
        subject=texts,
        id=optional(ids),
        queue=optional(tokens),
        since=optional(st.integers(0, 2**53) | texts),
        recover=optional(st.builds(frames.Position, epoch=texts, seq=st.integers(0, 2**53))),
        durable=optional(tokens),
        max_in_flight=optional(st.integers(1, deliveries.MAX_IN_FLIGHT)),
        lease_ms=optional(st.integers(deliveries.LEAST_LEASE_MS, deliveries.MOST_LEASE_MS)),
        max_deliveries=optional(st.integers(1, deliveries.MOST_DELIVERIES)),
    ),
    st.builds(
        frames.Unsubscribe, subject=texts, id=optional(ids), queue=optional(tokens), durable=optional(tokens)
    ),
    st.builds(
        frames.Presence,
        status=texts,
        metadata=st.dictionaries(texts, st.integers() | texts, max_size=3),
        id=optional(ids),
    ),
    st.builds(frames.Ping, id=optional(ids)),
    st.builds(
        frames.Request,
        subject=texts,
        data=raws,
        id=ids,
        timeout_ms=st.integers(1, frames.MAX_TIMEOUT_MS),
        max_replies=optional(st.integers(1, frames.MAX_REPLIES)),
        headers=optional(headers),
    ),
    st.builds(
        frames.Reply,
        to=texts,
        data=raws | st.just(msgspec.UNSET),
        end=st.booleans(),
        error=optional(st.builds(frames.ReplyError, code=ids, message=texts)),
        headers=optional(headers),
        id=optional(ids),
    ),
    st.builds(frames.Cancel, request=ids, id=optional(ids)),
    st.builds(deliveries.AckDelivery, delivery=ids, id=optional(ids)),
    st.builds(inbox.OpenInbox, id=optional(ids), max_in_flight=st.integers(1, 256)),
    st.builds(inbox.CloseInbox, id=optional(ids)),
    st.builds(
        deliveries.NakDelivery,
        delivery=ids,
        delay_ms=st.integers(0, deliveries.MAX_DELAY_MS),
        id=optional(ids),
    ),
    st.builds(deliveries.RenewDelivery, delivery=ids, id=optional(ids)),
    st.builds(deliveries.TermDelivery, delivery=ids, reason=texts, id=optional(ids)),
    st.builds(
        discovery.Who,
        id=ids,
        capability=optional(ids | st.lists(ids, max_size=16)),
        status=optional(ids),
        after=optional(st.text(max_size=63)),
        limit=st.integers(1, discovery.MAX_PAGE),
        follow=st.booleans(),
    ),
    st.builds(discovery.Unfollow, who=ids, id=optional(ids)),
)
auths = st.builds(
    frames.Auth,
    signature=texts,
    format=st.sampled_from(["sshsig", "raw"]),
    key=optional(texts),
    client=optional(st.builds(frames.ClientInfo, name=texts, version=texts)),
)
numbers = st.integers(0, 2**53)
online_agents = st.builds(
    discovery.OnlineAgent,
    id=texts,
    capabilities=st.lists(texts, max_size=3),
    since=optional(texts),
    status=optional(texts),
    metadata=optional(st.dictionaries(texts, st.integers() | texts, max_size=3)),
)
server_frames = st.one_of(
    st.builds(frames.Challenge, namespace=texts, nonce=texts, expires_at=texts, text=texts),
    st.builds(
        frames.Welcome,
        tenant=texts,
        agent=texts,
        connection=texts,
        server_time=texts,
        heartbeat_seconds=st.floats(0, 3600),
        limits=st.builds(
            frames.Limits, max_payload_bytes=numbers, messages_per_second=numbers, subscriptions=numbers
        ),
    ),
    messages,
    st.builds(
        frames.Ack,
        id=texts,
        message_id=texts,
        seq=optional(numbers),
        epoch=optional(texts),
        duplicate=st.booleans(),
    ),
    st.builds(
        frames.Subscribed,
        subject=texts,
        id=optional(texts),
        epoch=optional(texts),
        seq=optional(numbers),
        last=optional(numbers),
        recovered=optional(st.booleans()),
        reason=optional(st.sampled_from(frames.NotRecovered)),
        durable=optional(tokens),
        lease_ms=optional(numbers),
        max_deliveries=optional(numbers),
    ),
    st.builds(frames.Unsubscribed, subject=texts, id=optional(texts)),
    st.builds(frames.Pong, timestamp=texts, id=optional(texts)),
    st.builds(
        frames.Error,
        code=texts,
        message=texts,
        id=optional(texts),
        retry_after_ms=optional(numbers),
        details=optional(st.dictionaries(texts, texts, max_size=3)),
    ),
    st.builds(
        frames.RequestReply,
        id=ids,
        sender=optional(tokens),
        timestamp=optional(texts),
        data=raws | st.just(msgspec.UNSET),
        headers=optional(headers),
        error=optional(st.builds(frames.ReplyError, code=ids, message=texts)),
        end=st.booleans(),
    ),
    st.builds(frames.Cancelled, reply_to=texts, reason=texts),
    st.builds(deliveries.Settled, id=texts, delivery=texts),
    st.builds(discovery.Agents, id=texts, agents=st.lists(online_agents, max_size=3), next=optional(texts)),
    st.builds(
        discovery.AgentChanged,
        id=texts,
        change=st.sampled_from(discovery.AgentChange),
        agent=online_agents,
    ),
    st.builds(discovery.Unfollowed, who=texts, id=optional(texts)),
    st.builds(inbox.InboxOpened, id=optional(texts), waiting=st.integers(0, 1000)),
    st.builds(inbox.InboxClosed, id=optional(texts), reason=texts),
    st.builds(frames.Goaway, reason=texts, reconnect_after_ms=numbers),
)

# One of each, as small as it may be.
CLIENT: dict[str, dict[str, object]] = {
    "publish": {"subject": "a", "data": 1},
    "subscribe": {"subject": "a"},
    "unsubscribe": {"subject": "a"},
    "presence": {"status": "busy"},
    "ping": {},
    "request": {"subject": "a", "data": 1, "id": "1"},
    "reply": {"to": "a"},
    "cancel": {"request": "1"},
    "ack": {"delivery": "1"},
    "nak": {"delivery": "1"},
    "progress": {"delivery": "1"},
    "term": {"delivery": "1"},
    "who": {"id": "1"},
    "unfollow": {"who": "1"},
}
SERVER: dict[str, dict[str, object]] = {
    "challenge": {"namespace": "n", "nonce": "n", "expires_at": "t", "text": "t"},
    "welcome": {
        "tenant": "t",
        "agent": "a",
        "connection": "c",
        "server_time": "t",
        "heartbeat_seconds": 25,
        "limits": {"max_payload_bytes": 1, "messages_per_second": 1, "subscriptions": 1},
    },
    "message": {"subject": "a", "from": "b", "id": "1", "timestamp": "t", "data": None},
    "ack": {"id": "1", "message_id": "2"},
    "subscribed": {"subject": "a"},
    "unsubscribed": {"subject": "a"},
    "pong": {"timestamp": "t"},
    "error": {"code": "c", "message": "m"},
    "reply": {"id": "1"},
    "settled": {"id": "1", "delivery": "1"},
    "agents": {"id": "1", "agents": []},
    "agent_changed": {"id": "1", "change": "left", "agent": {"id": "a"}},
    "unfollowed": {"who": "1"},
    "inbox_opened": {"waiting": 1},
    "inbox_closed": {"reason": "closed"},
    "cancelled": {"reply_to": "a", "reason": "gone"},
    "goaway": {"reason": "r", "reconnect_after_ms": 1},
}


@given(client_frames)
def test_what_a_client_sends_comes_back(frame: frames.ClientFrame) -> None:
    assert_same(frames.decode_client(frames.encode(frame)), frame)


@given(auths)
def test_an_answer_to_the_challenge_comes_back(frame: frames.Auth) -> None:
    assert_same(frames.decode_auth(frames.encode(frame)), frame)


@given(server_frames)
def test_what_the_server_sends_comes_back(frame: frames.ServerFrame) -> None:
    assert_same(frames.decode_server(frames.encode(frame)), frame)


@pytest.mark.parametrize("kind", CLIENT)
def test_a_client_frame_ignores_fields_it_does_not_know(kind: str) -> None:
    small = {"type": kind, **CLIENT[kind]}
    more = {"future": {"deep": [1]}, **small, "Subject": "b"}
    assert_same(frames.decode_client(json.dumps(more)), frames.decode_client(json.dumps(small)))


@pytest.mark.parametrize("kind", SERVER)
def test_a_server_frame_ignores_fields_it_does_not_know(kind: str) -> None:
    small = {"type": kind, **SERVER[kind]}
    more = {"future": 7, **small, "later": True}
    assert_same(frames.decode_server(json.dumps(more)), frames.decode_server(json.dumps(small)))


@pytest.mark.parametrize("kind", CLIENT)
def test_every_field_of_the_smallest_frame_is_needed(kind: str) -> None:
    for field in CLIENT[kind]:
        rest = {name: value for name, value in CLIENT[kind].items() if name != field}
        with pytest.raises(msgspec.ValidationError, match=field):
            frames.decode_client(json.dumps({"type": kind, **rest}))


@pytest.mark.parametrize("type_", ["Publish", "request", "", " publish", "message", 1, None, [], {}])
def test_an_unknown_type_is_refused(type_: object) -> None:
    for decode in (frames.decode_client, frames.decode_auth):
        with pytest.raises(msgspec.ValidationError):
            decode(json.dumps({"type": type_, "subject": "a", "data": 1, "signature": "s"}))


@pytest.mark.parametrize("kind", SERVER)
def test_a_client_cannot_speak_for_the_server(kind: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        frames.decode_client(json.dumps({"type": kind, **SERVER[kind]}))


@pytest.mark.parametrize("kind", CLIENT)
def test_the_first_frame_is_the_answer_to_the_challenge(kind: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        frames.decode_auth(json.dumps({"type": kind, "signature": "s", **CLIENT[kind]}))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"null",
        b'"ping"',
        b"{}",
        b'{"type":"ping"',
        b'{"type":"ping"}{"type":"ping"}',
        b"{'type':'ping'}",
        b'{"type":"ping",}',
        b'\xef\xbb\xbf{"type":"ping"}',
        b'{"type":"publish","subject":"a","data":}',
        b'{"type":"publish","subject":"a","data":NaN}',
        b'{"type":"publish","subject":"a","data":01}',
        b'{"type":"publish","subject":"a","data":"\n"}',
        b'{"type":"publish","subject":"a","data":"\\x"}',
        b'{"type":"publish","subject":"\xff","data":1}',
        b'{"type":"publish","subject":1,"data":1}',
        b'{"type":"publish","subject":"a","data":1}]',
    ],
)
def test_what_is_no_frame(text: bytes) -> None:
    """Also where `data` is broken, though it is never read here: others will read it."""
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError)):
        frames.decode_client(text)


def publish(**fields: object) -> frames.ClientFrame:
    frame: frames.ClientFrame = frames.decode_client(
        json.dumps({"type": "publish", "subject": "a", "data": 1, **fields})
    )
    return frame


@pytest.mark.parametrize(
    "fields",
    [
        {"id": ""},
        {"id": "i" * 65},
        {"id": 7},
        {"headers": {f"h{number}": "v" for number in range(33)}},
        {"headers": {"": "v"}},
        {"headers": {"h" * 129: "v"}},
        {"headers": {"h": "v" * 1025}},
        {"headers": {"h": 1}},
        {"headers": {"h": None}},
        {"headers": []},
    ],
)
def test_ids_and_headers_are_bounded(fields: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        publish(**fields)


def test_ids_and_headers_at_their_bounds_pass() -> None:
    publish(id="i" * 64)
    publish(id="é" * 64)
    publish(headers={f"{number:02}" + "h" * 126: "v" * 1024 for number in range(32)})
    publish(id=None, headers=None, reply_to=None)


@pytest.mark.parametrize("kind", ["subscribe", "unsubscribe"])
@pytest.mark.parametrize("queue", ["", "q" * 65, "a b", "a.b", "*", ">", "é", "q\n", "q\r\nSUB x", "\nq"])
def test_a_queue_is_one_token(kind: str, queue: str) -> None:
    """A newline at the end once passed: `$` matches before it."""
    with pytest.raises(msgspec.ValidationError):
        frames.decode_client(json.dumps({"type": kind, "subject": "a", "queue": queue}))


def test_a_queue_at_its_bounds_passes() -> None:
    for queue in ("q", "q" * 64, "Work_ers-1"):
        frame = frames.decode_client(json.dumps({"type": "subscribe", "subject": "a", "queue": queue}))
        assert isinstance(frame, frames.Subscribe)
        assert frame.queue == queue


@pytest.mark.parametrize(
    "fields",
    [
        {"signature": "s" * 16385},
        {"signature": "s", "key": "k" * 129},
        {"signature": "s", "format": "pgp"},
        {"signature": "s", "client": {"name": "n" * 65}},
        {"signature": "s", "client": {"version": "v" * 65}},
        {},
    ],
)
def test_an_answer_to_the_challenge_is_bounded(fields: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        frames.decode_auth(json.dumps({"type": "auth", **fields}))


def test_a_status_is_bounded() -> None:
    with pytest.raises(msgspec.ValidationError):
        frames.decode_client(json.dumps({"type": "presence", "status": "s" * 65}))


@given(
    client_frames, st.sampled_from([b'"id":"1"', b'"id":null', b'"data":1', b'"type":"publish"', b'"x":1'])
)
@example(frames.Publish(subject="", data=Raw(b"1")), b'"data":1')
@example(frames.Publish(subject="", data=Raw(b"1"), id="1"), b'"id":"1"')
def test_a_field_that_stands_twice_is_found_in_any_frame(frame: frames.ClientFrame, field: bytes) -> None:
    message = frames.encode(frame)
    frames.require_once(message, frame)
    longer = b"%b,%b,%b}" % (message[:-1], field, field)
    try:
        read = frames.decode_client(longer)
    except msgspec.ValidationError:
        return  # Of another type, say: refused before.
    with pytest.raises(msgspec.ValidationError, match="twice"):
        frames.require_once(longer, read)


def test_frames_without_what_they_do_not_need_are_short() -> None:
    assert frames.encode(frames.Ping()) == b'{"type":"ping"}'
    assert frames.encode(frames.Subscribed(subject="a")) == b'{"type":"subscribed","subject":"a"}'
    assert frames.SUBPROTOCOL == "artcafe.v1"
