"""What clients in the field say and hear, and what it means inside."""

import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.dialects.dashboard import DashboardDialect
from artcafe.server.gateway.dialects.legacy import (
    MAX_SUBJECTS,
    Dialect,
    LegacyDialect,
    NativeDialect,
    WrappedDialect,
)
from artcafe.server.gateway.dialects.rendering import MessageBatch
from artcafe.wire import frames
from tests.kit.scripted_peer import unframed

ACME = TenantId("acme")


def read(dialect: Dialect, **said: Any) -> list[dict[str, Any]]:
    """What the dialect makes of one message, as objects."""
    asked = dialect.read(json.dumps(said).encode())
    return [json.loads(frames.encode(frame)) for frame in asked]


def delivered(dialect: Dialect, sender: str = "planner", **more: Any) -> dict[str, Any]:
    """A message as a client of the dialect gets it."""
    said = frames.Envelope(id="m1", timestamp="t1", data=Raw(b'{"n": 1.50}'), **more)
    encoder = dialect.encoder(ACME, "tenant.acme.channel.tasks", sender)
    message: dict[str, Any] = json.loads(unframed(encoder.encode(MessageBatch([frames.encode(said)])).joined))
    return message


@pytest.mark.parametrize("dialect", [LegacyDialect(), WrappedDialect()])
class TestReadingGenerously:
    @pytest.mark.parametrize("name", ["subject", "channel", "topic"])
    @pytest.mark.parametrize("payload", ["data", "message", "payload"])
    def test_publish_under_any_of_its_names(self, dialect: Dialect, name: str, payload: str) -> None:
        [frame] = read(dialect, type="publish", **{name: "tasks", payload: {"n": 1}})
        assert frame == {"type": "publish", "subject": "tasks", "data": {"n": 1}}

    def test_the_payload_of_an_envelope_is_the_data(self, dialect: Dialect) -> None:
        envelope = {
            "id": "x",
            "timestamp": "t",
            "version": "1.0",
            "tenant_id": "liar",
            "source": {"agent_id": "liar", "type": "agent"},
            "type": "message",
            "payload": [1, None],
            "correlation_id": "c7",
            "reply_to": "inbox.a.1",
        }
        [frame] = read(dialect, type="publish", subject="tasks", message=envelope)
        assert frame == {
            "type": "publish",
            "subject": "tasks",
            "data": [1, None],
            "headers": {"correlation-id": "c7"},
            "reply_to": "inbox.a.1",
        }

    @pytest.mark.parametrize("message", ["text", 7, None, [], {"n": 1}, {"payload": None}])
    def test_what_is_no_envelope_is_data_itself(self, dialect: Dialect, message: Any) -> None:
        [frame] = read(dialect, type="publish", subject="tasks", message=message)
        assert frame["data"] == (None if message == {"payload": None} else message)

    def test_data_comes_through_byte_by_byte(self, dialect: Dialect) -> None:
        text = '{"type":"publish","subject":"x","data":{"a" : 1.50, "ü":"\\u00e4"}}'
        [frame] = dialect.read(text.encode())
        assert isinstance(frame, frames.Publish)
        assert bytes(frame.data) == '{"a" : 1.50, "ü":"\\u00e4"}'.encode()

    @pytest.mark.parametrize("kind", ["subscribe", "unsubscribe"])
    def test_several_subjects_are_one_frame_each_in_order(self, dialect: Dialect, kind: str) -> None:
        asked = read(dialect, type=kind, subject="a", subjects=["b.*", "c"])
        assert asked == [{"type": kind, "subject": subject} for subject in ("a", "b.*", "c")]

    def test_presence_heartbeat_and_ping(self, dialect: Dialect) -> None:
        [presence] = read(
            dialect,
            type="presence",
            agent_id="liar",
            status="online",
            capabilities=["plan"],
            metadata={"v": 1},
        )
        assert presence == {
            "type": "presence",
            "status": "online",
            "metadata": {"v": 1, "capabilities": ["plan"]},
        }
        assert read(dialect, type="heartbeat") == read(dialect, type="ping") == [{"type": "ping"}]

    @pytest.mark.parametrize(
        "said",
        [
            {"type": "nonsense"},
            {"subject": "x"},
            {"type": "publish", "subject": "x"},
            {"type": "publish", "data": 1},
            {"type": "subscribe"},
            {"type": "subscribe", "subjects": []},
            {"type": "subscribe", "subjects": "x"},
            {"type": "publish", "subject": "x", "message": {"payload": 1, "correlation_id": "c" * 1025}},
            {"type": "publish", "subject": "x", "message": {"payload": 1, "reply_to": 7}},
        ],
    )
    def test_what_means_nothing_is_refused(self, dialect: Dialect, said: dict[str, Any]) -> None:
        with pytest.raises(msgspec.MsgspecError):
            read(dialect, **said)


class TestWriting:
    def test_ours_is_the_envelope_with_subject_and_sender(self) -> None:
        assert delivered(NativeDialect(), reply_to="r") == {
            "type": "message",
            "subject": "tenant.acme.channel.tasks",
            "from": "planner",
            "id": "m1",
            "timestamp": "t1",
            "data": {"n": 1.5},
            "reply_to": "r",
        }

    def test_dialect_a_finds_sender_tenant_and_time_in_data(self) -> None:
        data = delivered(LegacyDialect())["data"]
        assert data == {"n": 1.5, "agent_id": "planner", "tenant_id": "acme", "timestamp": "t1"}

    @pytest.mark.parametrize(("sender", "kind"), [("planner", "agent"), ("u-ada", "user"), ("sys", "system")])
    def test_dialect_b_finds_an_envelope_that_nobody_else_wrote(self, sender: str, kind: str) -> None:
        message = delivered(WrappedDialect(), sender, headers={"correlation-id": "c7"}, reply_to="inbox.a.1")
        assert message == {
            "type": "message",
            "subject": "tenant.acme.channel.tasks",
            "message": {
                "id": "m1",
                "timestamp": "t1",
                "version": "1.0",
                "tenant_id": "acme",
                "source": {"agent_id": sender, "type": kind},
                "type": "message",
                "payload": {"n": 1.5},
                "correlation_id": "c7",
                "reply_to": "inbox.a.1",
            },
        }
        assert "reply_to" not in delivered(WrappedDialect())["message"]

    def test_dialect_b_hears_of_errors_and_heartbeats_alone(self) -> None:
        said = WrappedDialect().answer
        assert said(frames.Subscribed(subject="x")) is None
        assert said(frames.Ack(id="1", message_id="m")) is None
        error = frames.Error(code="forbidden", message="No.")
        assert said(error) is error
        assert frames.encode(said(frames.Pong(timestamp="t"))) == b'{"type":"heartbeat_ack","timestamp":"t"}'


# A field twice: whoever reads the first and whoever reads the last would see two different frames.

TWICE = [
    b'{"type":"publish","subject":"a","subject":"b","data":1}',
    b'{"type":"publish","subject":"a","data":1,"data":2}',
    b'{"type":"publish","subject":"a","data":1,"id":"1","id":"2"}',
    b'{"type":"publish","type":"publish","subject":"a","data":1}',
    b'{"type":"publish","subject":"a","data":1,"dat\\u0061":2}',
    b'{"type":"publish","subject":"a","data":1,"x":1,"x":2}',
    b'{"type":"publish","subject":"a","data":{"n":1},"headers":{"k":"v"},"headers":{"k":"v"}}',
    b'{"type":"subscribe","subject":"a","subject":">"}',
    b'{"type":"unsubscribe","subject":"a","subject":"b"}',
    b'{"type":"ping","id":"1","id":"2"}',
]

ONCE = [
    b'{"type":"publish","subject":"a","data":{"n":1,"n":2}}',
    b'{"type":"publish","subject":"a","data":"' + b'\\"data\\":' * 9 + b'"}',
    b'{"type": "publish", "subject": "a", "data": {"n": 1}, "id": "1", "reply_to": "inbox.a.b"}',
    b'{\n    "type": "publish",\n    "unknown": [1, {}],\n    "subject": "a",\n    "data": '
    + b"9" * 128
    + b"\n}",
    b'{"type":"subscribe","subject":"\\u0061\\u0061\\u0061","queue":null,"id":null}',
    b'{"type":"ping","id":"\\u00e4\\u00e4\\u00e4"}',
]

PRESENCES = [
    b'{"type":"presence","status":"on","metadata":{"n":1e9},"id":"1","id":"2"}',
    b'{"type":"presence","status":"on","status":"off"}',
]


@pytest.mark.parametrize(
    "dialect",
    [NativeDialect(), LegacyDialect(), WrappedDialect(), DashboardDialect()],
    ids=lambda each: each.name,
)
class TestTwice:
    @pytest.mark.parametrize("message", TWICE)
    def test_a_field_that_stands_twice_is_refused(self, dialect: Dialect, message: bytes) -> None:
        with pytest.raises(msgspec.ValidationError, match="twice"):
            dialect.read(message)

    @pytest.mark.parametrize("message", ONCE, ids=range(len(ONCE)))
    def test_however_it_is_written_once_is_enough(self, dialect: Dialect, message: bytes) -> None:
        assert len(dialect.read(message)) == 1

    @pytest.mark.parametrize("message", PRESENCES)
    def test_also_where_values_are_of_any_type(self, dialect: Dialect, message: bytes) -> None:
        with pytest.raises(msgspec.ValidationError):
            dialect.read(message)


@pytest.mark.parametrize(
    "dialect", [LegacyDialect(), WrappedDialect(), DashboardDialect()], ids=lambda each: each.name
)
def test_two_names_for_one_thing_are_two_fields(dialect: Dialect) -> None:
    message = b'{"type":"subscribe","subject":"a","topic":"b","subjects":["c","d"],"subjects":["e"]}'
    with pytest.raises(msgspec.ValidationError, match="twice"):
        dialect.read(message)
    assert len(dialect.read(b'{"type":"subscribe","subject":"a","topic":"b","subjects":["c","d"]}')) == 3


@pytest.mark.parametrize(
    "dialect", [LegacyDialect(), WrappedDialect(), DashboardDialect()], ids=lambda each: each.name
)
@pytest.mark.parametrize("kind", ["publish", "subscribe", "unsubscribe"])
def test_a_frame_names_so_many_subjects_and_no_more(dialect: Dialect, kind: str) -> None:
    most = ["b"] * MAX_SUBJECTS
    assert len(read(dialect, type=kind, subjects=most, data=1)) == MAX_SUBJECTS
    assert len(read(dialect, type=kind, subject="a", subjects=most[1:], data=1)) == MAX_SUBJECTS
    for more in (
        {"subjects": [*most, "b"]},
        {"subject": "a", "subjects": most},
        {"subjects": ["b"] * 40_000},
    ):
        with pytest.raises(msgspec.ValidationError):
            read(dialect, type=kind, data=1, **more)
