"""The ways in for agents: what their first frame may be. Where they lead is in test_gateway.py."""

from collections.abc import AsyncIterator

import pytest

from tests.kit.gateways import House, a_house
from tests.kit.turns import turns


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with a_house() as house:
        yield house


@pytest.mark.parametrize(
    "text",
    [
        b'{"type":"subscribe","subject":">"}',
        b'{"type":"auth"}',
        b'{"type":"auth","signature":7}',
        b'{"type":"auth","signature":"x","format":"other"}',
        b'{"type":"auth","signature":"%b"}' % (b"x" * 16385),
        b'{"type":"auth","signature":"x","key":"%b"}' % (b"k" * 129),
        b'{"type":"auth","signature":"x","client":{"name":"%b"}}' % (b"n" * 65),
        b'{"type":"auth","signature":"\xff"}',
        b'{"type":"auth","signature":"x","more":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b"",
        b"[]",
    ],
)
async def test_a_first_frame_that_is_no_answer_is_the_only_try(house: House, text: bytes) -> None:
    peer = await house.arrive()
    challenge = await peer.expect("challenge")
    assert challenge["namespace"] == "agent-auth.v1@artcafe"
    assert challenge["expires_at"] == "2025-11-24T16:00:30.000Z"
    peer.handler.text(text)
    await peer.expect("error", code="unauthorized", id=None)
    await peer.ended(4500)
    peer.say(type="auth", signature=house.key.sign(challenge["text"]))
    await turns()
    assert (house.process.verifier.tried, peer.unread) == ([], [])
