"""What clients in the field say and hear, and what it means inside."""

import json
from typing import Any

import msgspec
import pytest

from artcafe.server.gateway.dialects.dashboard import DashboardDialect
from artcafe.server.gateway.dialects.dialect import Dialect
from artcafe.server.gateway.dialects.legacy import MAX_SUBJECTS, LegacyDialect, WrappedDialect
from artcafe.wire import frames
from tests.kit.dialects import delivered


def read(dialect: Dialect, **said: Any) -> list[dict[str, Any]]:
    """What the dialect makes of one message, as objects."""
    asked = dialect.read(json.dumps(said).encode())
    return [json.loads(frames.encode(frame)) for frame in asked]


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
