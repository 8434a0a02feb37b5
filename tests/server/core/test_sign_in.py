"""From the proof that somebody owns the machine to tokens; and each way to get some without."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from artcafe.server.core.sign_in import SignIn, TokenResponse
from artcafe.server.domain import sign_in as rules
from artcafe.server.domain.ids import UserId
from artcafe.server.domain.principal import User
from artcafe.server.domain.sign_in import OAuthError, SignInRequest
from artcafe.server.identity.dev_issuer import LocalIssuer
from artcafe.server.identity.sealing import AesSealer
from artcafe.server.store.memory import MemoryStore
from artcafe.server.store.sign_in import SignInTable
from artcafe.server.store.table import Table
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.installation import counting
from tests.kit.issuers import StoppedClock
from tests.kit.stores import new_rev
from tests.server.domain.test_sign_in import CHALLENGE, CLIENT, CONSOLE, VERIFIER

ADA = User(UserId("local-owner"), "ada@example.com")
WANTED = SignInRequest(CLIENT, CONSOLE, CHALLENGE, "email openid", "s", "n")


@dataclass
class House:
    """The embedded issuer's use cases, a clock, and the ids that are given."""

    sign_in: SignIn
    clock: StoppedClock

    async def code(self) -> str:
        """An authorization code."""
        return await self.sign_in.authorize(WANTED, await self.sign_in.proof(ADA))

    async def tokens(self) -> TokenResponse:
        """Tokens, as a client gets them."""
        return await self.sign_in.exchange(await self.code(), CONSOLE, VERIFIER)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("local") / "issuer"


@pytest.fixture
async def house(directory: Path) -> House:
    clock = StoppedClock()
    memory = MemoryStore(clock=clock.now, new_rev=new_rev)
    await memory.open()
    issuer = LocalIssuer.open(directory, "http://127.0.0.1/local", clock, counting("jti"))
    sign_in = SignIn(
        issuer=issuer,
        sealer=AesSealer(issuer.derived("x"), os.urandom),
        records=SignInTable(Table(memory)),
        clock=clock,
        random=os.urandom,
        new_id=counting("id"),
    )
    return House(sign_in, clock)


def flipped(text: str) -> str:
    """The text with one character in its middle changed."""
    at = len(text) // 2
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]


async def test_a_proof_becomes_a_code_and_a_code_tokens(house: House) -> None:
    tokens = await house.tokens()

    assert tokens.scope == "email openid"
    assert tokens.id_token is not None
    assert len({tokens.access_token, tokens.id_token, tokens.refresh_token}) == 3


async def test_a_proof_is_good_once(house: House) -> None:
    proof = await house.sign_in.proof(ADA)
    await house.sign_in.authorize(WANTED, f" {proof.lower()}\n")  # as it is pasted, or typed

    with pytest.raises(ArtcafeError) as refused:
        await house.sign_in.authorize(WANTED, proof)
    assert refused.value.code is Code.unauthorized


async def test_a_proof_is_not_good_late_changed_or_of_another_kind(house: House) -> None:
    late = await house.sign_in.proof(ADA)
    tokens = await house.tokens()
    code = await house.code()
    house.clock.advance(rules.PROOF_SECONDS)

    for wrong in (late, (await house.sign_in.proof(ADA))[:-1], code, tokens.refresh_token, "", "x", "ä" * 50):
        with pytest.raises(ArtcafeError) as refused:
            await house.sign_in.authorize(WANTED, wrong)
        assert refused.value.code is Code.unauthorized


async def test_a_code_used_twice_ends_what_came_of_it(house: House) -> None:
    code = await house.code()
    tokens = await house.sign_in.exchange(code, CONSOLE, VERIFIER)

    for attempt in (
        house.sign_in.exchange(code, CONSOLE, VERIFIER),
        house.sign_in.refresh(tokens.refresh_token),
    ):
        with pytest.raises(OAuthError) as refused:
            await attempt
        assert refused.value.error == "invalid_grant"


async def test_a_stolen_code_is_no_use_without_its_verifier_and_its_address(house: House) -> None:
    code = await house.code()

    for address, verifier in ((CONSOLE, "x" * 43), (CONSOLE, ""), ("http://127.0.0.1:1/callback", VERIFIER)):
        with pytest.raises(OAuthError) as refused:
            await house.sign_in.exchange(code, address, verifier)
        assert refused.value.error == "invalid_grant"
    await house.sign_in.exchange(code, CONSOLE, VERIFIER)  # The thief kept nobody out.


async def test_a_code_is_not_good_late_changed_or_of_another_kind(house: House) -> None:
    late, tokens = await house.code(), await house.tokens()
    house.clock.advance(rules.CODE_SECONDS)

    for wrong in (late, flipped(await house.code()), await house.sign_in.proof(ADA), tokens.refresh_token):
        with pytest.raises(OAuthError):
            await house.sign_in.exchange(wrong, CONSOLE, VERIFIER)


async def test_a_refresh_token_gives_its_successor_and_is_spent(house: House) -> None:
    first = await house.tokens()
    second = await house.sign_in.refresh(first.refresh_token)
    third = await house.sign_in.refresh(second.refresh_token)

    with pytest.raises(OAuthError):
        await house.sign_in.refresh(first.refresh_token)
    with pytest.raises(OAuthError):  # One of two has a stolen one: nobody goes on.
        await house.sign_in.refresh(third.refresh_token)


async def test_a_session_ends_however_often_it_is_renewed(house: House) -> None:
    tokens = await house.tokens()
    for _ in range(2):
        house.clock.advance(rules.SESSION_SECONDS / 2 - 1)
        tokens = await house.sign_in.refresh(tokens.refresh_token)
    house.clock.advance(2)

    with pytest.raises(OAuthError):
        await house.sign_in.refresh(tokens.refresh_token)


async def test_a_revoked_token_is_over_and_so_is_its_family(house: House) -> None:
    tokens = await house.tokens()
    other = await house.tokens()
    newer = await house.sign_in.refresh(tokens.refresh_token)
    await house.sign_in.revoke(tokens.refresh_token)
    await house.sign_in.revoke("garbage")

    with pytest.raises(OAuthError):
        await house.sign_in.refresh(newer.refresh_token)
    await house.sign_in.refresh(other.refresh_token)


async def test_a_device_gets_tokens_once_it_was_allowed(house: House) -> None:
    device = await house.sign_in.begin_device("openid")
    with pytest.raises(OAuthError) as waiting:
        await house.sign_in.poll_device(device.device_code)
    await house.sign_in.decide_device(device.user_code.lower(), await house.sign_in.proof(ADA), allowed=True)

    tokens = await house.sign_in.poll_device(device.device_code)

    assert waiting.value.error == "authorization_pending"
    assert tokens.id_token is not None
    for attempt in (
        house.sign_in.poll_device(device.device_code),
        house.sign_in.refresh(tokens.refresh_token),
    ):
        with pytest.raises(OAuthError) as refused:
            await attempt
        assert refused.value.error == "invalid_grant"


async def test_a_device_is_denied_or_late(house: House) -> None:
    denied, late = await house.sign_in.begin_device(""), await house.sign_in.begin_device("")
    await house.sign_in.decide_device(denied.user_code, await house.sign_in.proof(ADA), allowed=False)
    with pytest.raises(OAuthError) as refused:
        await house.sign_in.poll_device(denied.device_code)
    assert refused.value.error == "access_denied"

    house.clock.advance(rules.DEVICE_SECONDS)
    for code in (late.device_code, "garbage", await house.code()):
        with pytest.raises(OAuthError) as refused:
            await house.sign_in.poll_device(code)
        assert refused.value.error == "expired_token"


async def test_nobody_allows_a_device_without_a_proof(house: House) -> None:
    device = await house.sign_in.begin_device("")

    for user_code, proof, code in (
        (device.user_code, "guessed", Code.unauthorized),
        ("BCDF-GHJK", await house.sign_in.proof(ADA), Code.not_found),
        ("x", await house.sign_in.proof(ADA), Code.not_found),
    ):
        with pytest.raises(ArtcafeError) as refused:
            await house.sign_in.decide_device(user_code, proof, allowed=True)
        assert refused.value.code is code
    with pytest.raises(OAuthError) as waiting:
        await house.sign_in.poll_device(device.device_code)
    assert waiting.value.error == "authorization_pending"


async def test_when_every_code_that_is_drawn_is_in_use_that_is_said(house: House) -> None:
    house.sign_in._random = bytes
    await house.sign_in.begin_device("")

    with pytest.raises(ArtcafeError) as refused:
        await house.sign_in.begin_device("")
    assert refused.value.code is Code.unavailable
