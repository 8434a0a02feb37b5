"""The dialect artcafe.v1."""

import pytest

from artcafe.server.gateway.dialects.native import NativeDialect
from artcafe.wire import frames
from artcafe.wire.codes import Code
from artcafe.wire.payload import MAX_DEPTH, MAX_NUMBER
from tests.kit.dialects import delivered
from tests.kit.outcomes import refused


def test_a_message_is_its_envelope_with_subject_and_sender() -> None:
    assert delivered(NativeDialect(), reply_to="r") == {
        "type": "message",
        "subject": "tenant.acme.channel.tasks",
        "from": "planner",
        "id": "m1",
        "timestamp": "t1",
        "data": {"n": 1.5},
        "reply_to": "r",
    }


@pytest.mark.parametrize(
    "answer", [frames.Subscribed(subject="x"), frames.Pong(timestamp="t"), frames.Ack(id="1", message_id="m")]
)
def test_every_answer_is_sent_as_it_is(answer: frames.Subscribed | frames.Pong | frames.Ack) -> None:
    assert NativeDialect().answer(answer) is answer


@pytest.mark.parametrize(
    "message",
    [
        b'{"type":"publish","subject":"x","data":' + b"1" * (MAX_NUMBER + 1) + b"}",
        b'{"type":"presence","status":"on","metadata":{"n":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}}",
    ],
    ids=["publish", "presence"],
)
def test_data_that_receivers_could_not_read_is_refused(message: bytes) -> None:
    with refused(Code.bad_frame):
        NativeDialect().read(message)
