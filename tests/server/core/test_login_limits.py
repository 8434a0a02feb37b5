"""How many logins of agents may fail, by each way in; the buckets themselves are tests/server/domain's."""

from contextlib import suppress

import pytest

from artcafe.server.domain.failed_logins import LoginLimits
from artcafe.server.domain.ids import AgentId
from artcafe.server.domain.principal import Human
from artcafe.server.identity.ssh import LEAST_SPENT
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.installation import ACME, Installation
from tests.kit.outcomes import refused
from tests.kit.signing import KeyPair

A1 = AgentId("a1")
SERVER = "wss://pubsub.example.com"
HERE, THERE = "203.0.113.7", "198.51.100.9"


@pytest.fixture
async def installation() -> Installation:
    made = await Installation.open()
    made.login_limits = LoginLimits(per_agent=3, per_address=5, in_all=100)
    made.process = made.start("p1")
    return made


@pytest.fixture
async def key(installation: Installation, olivia: Human) -> KeyPair:
    key = KeyPair()
    await installation.make_agent(olivia, "a1", key)
    return key


async def fails(installation: Installation, key: KeyPair, agent: AgentId, remote: str = HERE) -> None:
    login = installation.process.login
    challenge = login.challenge(SERVER, ACME, agent, "c1")
    await login.answer(challenge, key.sign("another text"), remote=remote)


async def test_failures_of_an_agent_are_checked_so_often_and_then_refused_unheard(
    installation: Installation, key: KeyPair
) -> None:
    verifier = installation.process.verifier
    for _ in range(3):
        with refused(Code.unauthorized):
            await fails(installation, key, A1)
    assert verifier.verifications == 3 * LEAST_SPENT

    for _ in range(50):
        with refused(Code.rate_limited) as refusal:
            await fails(installation, key, A1)
        assert refusal.error is not None
        assert refusal.error.retry_after == pytest.approx(20.0, abs=0.001)
    text = installation.process.login.challenge(SERVER, ACME, A1).text()
    with refused(Code.rate_limited):
        await installation.process.login.answer_text(ACME, A1, text, key.sign(text), remote=HERE)
    assert verifier.verifications == 3 * LEAST_SPENT


async def test_an_agent_that_does_not_exist_is_refused_after_as_many(
    installation: Installation, key: KeyPair
) -> None:
    """Nobody learns from the bound which agents there are."""
    for _ in range(3):
        with refused(Code.unauthorized):
            await fails(installation, key, AgentId("nobody"))
    with refused(Code.rate_limited):
        await fails(installation, key, AgentId("nobody"))


async def test_the_true_agent_comes_in_from_elsewhere_and_again_in_a_while(
    installation: Installation, key: KeyPair
) -> None:
    login = installation.process.login
    for _ in range(3):
        with refused(Code.unauthorized):
            await fails(installation, key, A1)

    for remote, later in ((THERE, 0.0), (HERE, 21.0)):
        installation.clock.advance(later)
        challenge = login.challenge(SERVER, ACME, A1, "c1")
        principal = await login.answer(challenge, key.sign(challenge.text()), remote=remote)
        assert principal.fingerprint == key.fingerprint


async def test_the_agent_that_names_its_key_is_let_in_while_others_fail_from_its_address(
    installation: Installation, key: KeyPair
) -> None:
    login = installation.process.login
    for number in range(20):
        with suppress(ArtcafeError):
            await fails(installation, KeyPair(), AgentId(f"b{number}" if number % 2 else "a1"))

    challenge = login.challenge(SERVER, ACME, A1, "c1")
    principal = await login.answer(challenge, key.sign(challenge.text()), key.fingerprint, remote=HERE)

    assert principal.fingerprint == key.fingerprint


async def test_a_signature_that_cannot_be_read_counts_as_a_failure_and_costs_no_check(
    installation: Installation, key: KeyPair
) -> None:
    login = installation.process.login
    for _ in range(3):
        with refused(Code.unauthorized):
            await login.answer(login.challenge(SERVER, ACME, A1, "c1"), "nothing", remote=HERE)
    with refused(Code.rate_limited):
        await login.answer(login.challenge(SERVER, ACME, A1, "c1"), "nothing", remote=HERE)

    assert installation.process.verifier.verifications == 0
