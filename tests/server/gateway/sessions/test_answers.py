"""The answers to a client's frames."""

import pytest

from artcafe.server.gateway.dialects.dialect import Dialect
from artcafe.server.gateway.dialects.legacy import WrappedDialect
from artcafe.server.gateway.dialects.native import NativeDialect
from artcafe.server.gateway.sessions.answers import Answers
from artcafe.wire import frames
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.sessions import Client


def test_a_refusal_carries_its_details() -> None:
    client = Client()
    error = ArtcafeError(Code.rate_limited, "Slower.", retry_after=0.0001, details={"limit": 5})
    Answers(client, NativeDialect()).refuse(error, "x")
    assert client.got == [
        {
            "type": "error",
            "code": "rate_limited",
            "message": "Slower.",
            "id": "x",
            "retry_after_ms": 1,
            "details": {"limit": 5},
        }
    ]


@pytest.mark.parametrize(("dialect", "sent"), [(NativeDialect(), 1), (WrappedDialect(), 0)])
def test_what_a_dialect_does_not_say_is_not_sent(dialect: Dialect, sent: int) -> None:
    client = Client()
    Answers(client, dialect).send(frames.Subscribed(subject="a"))
    assert len(client.got) == sent
