"""The true reason of a refused login: carried by the error for the operator's log, never told."""

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from artcafe.server.core.login import LIFETIME
from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.server.domain.login_refusal import LoginRefusal
from artcafe.server.domain.principal import Human
from artcafe.wire.codes import Code
from artcafe.wire.problem import document
from tests.kit.installation import ACME, Installation, Process
from tests.kit.outcomes import refused
from tests.kit.signing import KeyPair

A1 = AgentId("a1")
SERVER = "wss://pubsub.example.com"


class Case:
    """`a1` of `acme` with one key, and how it tries to log in."""

    def __init__(self, installation: Installation, owner: Human, key: KeyPair) -> None:
        self.installation, self.owner, self.key = installation, owner, key
        self.process: Process = installation.process

    async def in_band(
        self, *, tenant: str = "acme", agent: str = "a1", by: KeyPair | None = None, named: str | None = None
    ) -> None:
        challenge = self.process.login.challenge(SERVER, TenantId(tenant), AgentId(agent), "c1")
        await self.process.login.answer(challenge, (by or self.key).sign(challenge.text()), named)

    async def by_text(self, text: str, by: KeyPair | None = None) -> None:
        await self.process.login.answer_text(ACME, A1, text, (by or self.key).sign(text))

    def fetched(self) -> str:
        return self.process.login.challenge(SERVER, ACME, A1).text()


async def unknown_tenant(case: Case) -> None:
    await case.in_band(tenant="nowhere")


async def unknown_agent(case: Case) -> None:
    await case.in_band(agent="nobody")


async def agent_disabled(case: Case) -> None:
    await case.process.agents.change(case.owner, A1, {"enabled": False})
    await case.in_band()


async def no_key(case: Case) -> None:
    await case.process.agents.remove_key(case.owner, A1, case.key.fingerprint)
    await case.in_band()


async def unknown_key(case: Case) -> None:
    await case.in_band(named="SHA256:nobody's")


async def key_revoked(case: Case) -> None:
    await case.process.agents.add_key(case.owner, A1, KeyPair().line)
    await case.process.agents.revoke_key(case.owner, A1, case.key.fingerprint)
    await case.in_band(named=case.key.fingerprint)


async def bad_signature(case: Case) -> None:
    await case.in_band(by=KeyPair())


async def challenge_expired(case: Case) -> None:
    challenge = case.process.login.challenge(SERVER, ACME, A1, "c1")
    case.installation.clock.advance(LIFETIME + 1)
    await case.process.login.answer(challenge, case.key.sign(challenge.text()))


async def challenge_foreign(case: Case) -> None:
    stranger = case.installation.start("p2", secret=b"another secret of 32 bytes and m")
    await case.by_text(stranger.login.challenge(SERVER, ACME, A1).text())


async def challenge_chosen(case: Case) -> None:
    await case.by_text("7c9e6679")


async def challenge_replayed(case: Case) -> None:
    text = case.fetched()
    await case.by_text(text)
    await case.by_text(text)


Attempt = Callable[[Case], Coroutine[Any, Any, None]]

ATTEMPTS: list[Attempt] = [
    unknown_tenant,
    unknown_agent,
    agent_disabled,
    no_key,
    unknown_key,
    key_revoked,
    bad_signature,
    challenge_expired,
    challenge_foreign,
    challenge_chosen,
    challenge_replayed,
]


@pytest.fixture
async def case(installation: Installation, olivia: Human) -> Case:
    key = KeyPair()
    await installation.make_agent(olivia, "a1", key)
    return Case(installation, olivia, key)


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.__name__)
async def test_a_refused_login_carries_its_true_reason_and_tells_none(case: Case, attempt: Attempt) -> None:
    with refused(Code.unauthorized) as refusal:
        await attempt(case)

    assert refusal.error is not None
    assert refusal.error.reason == LoginRefusal[attempt.__name__]
    # What the client gets is the same for all of them.
    assert document(refusal.error, 401)["detail"] == Code.unauthorized.value.when
    assert refusal.error.details is None


async def test_an_expired_fetched_challenge_is_told_from_a_foreign_one(case: Case) -> None:
    text = case.fetched()
    case.installation.clock.advance(LIFETIME + 1)

    with refused(Code.unauthorized) as refusal:
        await case.by_text(text)

    assert refusal.error is not None
    assert refusal.error.reason == LoginRefusal.challenge_expired


async def test_a_suspended_tenant_is_a_reason_of_its_own(case: Case) -> None:
    await case.installation.suspend()

    with refused(Code.suspended) as refusal:
        await case.in_band()

    assert refusal.error is not None
    assert refusal.error.reason == LoginRefusal.tenant_suspended
