"""The ways in for agents: what their first frame may be. Where they lead is in test_gateway.py."""

from collections.abc import AsyncIterator

import pytest

from artcafe.server.domain.failed_logins import FailedLogins, LoginLimits
from artcafe.server.domain.ids import AgentId
from artcafe.server.domain.principal import AgentPrincipal
from artcafe.server.gateway.login.agents import ChallengeAuthenticator
from artcafe.wire import frames
from artcafe.wire.codes import Code
from tests.kit.gateways import House, a_house
from tests.kit.installation import ACME
from tests.kit.outcomes import refused
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


async def test_an_answer_is_good_on_its_own_connection_alone(house: House) -> None:
    peers = [await house.arrive() for _ in range(2)]
    challenges = [await peer.expect("challenge") for peer in peers]
    answer = {"type": "auth", "signature": house.key.sign(challenges[0]["text"])}
    peers[0].say(**answer)
    await peers[0].expect("welcome")
    peers[1].say(**answer)
    await peers[1].expect("error", code="unauthorized", id=None)
    await peers[1].ended(4500)


async def test_one_answer_to_a_challenge_is_looked_at(house: House) -> None:
    login = house.process.login
    challenge = login.challenge("wss://artcafe", ACME, AgentId("a1"), "c1")
    answer = frames.encode(frames.Auth(signature=house.key.sign(challenge.text())))
    authenticator = ChallengeAuthenticator(login, challenge, "")
    assert (await authenticator.authenticate(answer)).principal == AgentPrincipal(
        ACME, AgentId("a1"), house.key.fingerprint
    )
    tried = len(house.process.verifier.tried)
    with refused(Code.unauthorized):
        await authenticator.authenticate(answer)
    assert len(house.process.verifier.tried) == tried


async def test_a_login_in_band_after_many_failures_is_closed_with_a_code_to_come_back_with(
    house: House,
) -> None:
    house.process.login._failed = FailedLogins(LoginLimits(per_agent=1, per_address=9, in_all=9))
    login = house.process.login
    for code in (Code.unauthorized, Code.login_throttled):
        challenge = login.challenge("wss://artcafe", ACME, AgentId("a1"), "c1")
        answer = frames.encode(frames.Auth(signature=house.key.sign("another text")))
        with refused(code):
            await ChallengeAuthenticator(login, challenge, "203.0.113.7").authenticate(answer)
