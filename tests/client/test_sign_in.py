"""Signing a human in, as a program without a secret."""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from artcafe.client.sign_in import (
    IssuerEndpoints,
    SignInAttempt,
    SignInRefused,
    Tokens,
    device_tokens,
    refreshed,
    revoke,
)
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.oauth_issuer import CLIENT, OAuthIssuer, oauth_issuer, tokens

HERE = "http://127.0.0.1:34567/callback"


@pytest.fixture
def server() -> Iterator[OAuthIssuer]:
    with oauth_issuer() as running:
        yield running


def asked(address: str) -> dict[str, str]:
    """What stands in an authorization request."""
    return {name: value for name, [value] in parse_qs(urlsplit(address).query).items()}


def test_a_request_holds_the_challenge_and_never_the_verifier(server: OAuthIssuer) -> None:
    attempt = SignInAttempt.begin(IssuerEndpoints.of(server.config()), HERE)
    said = asked(attempt.address)

    digest = hashlib.sha256(attempt.verifier.encode()).digest()
    assert said == {
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": HERE,
        "scope": "openid email",
        "state": attempt.state,
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    assert 43 <= len(attempt.verifier) <= 128
    assert attempt.verifier not in attempt.address
    other = SignInAttempt.begin(attempt.issuer, HERE)
    assert other.state != attempt.state
    assert other.verifier != attempt.verifier


def test_an_address_that_has_a_query_keeps_it(server: OAuthIssuer) -> None:
    config = server.config(authorization_endpoint=f"{server.url}/authorize?pool=1")
    attempt = SignInAttempt.begin(IssuerEndpoints.of(config), HERE)

    assert asked(attempt.address)["pool"] == "1"


@pytest.mark.parametrize(
    ("changes", "names_itself", "good"),
    [
        ({}, True, True),
        ({"state": "another"}, True, False),
        ({"state": ""}, True, False),
        ({"state": "ä"}, True, False),
        ({"iss": "https://another.example"}, True, False),
        ({"iss": "https://another.example"}, False, False),
        ({"iss": None}, True, False),
        ({"iss": None}, False, True),
    ],
)
def test_only_the_answer_to_this_request_counts(
    server: OAuthIssuer, changes: dict[str, str | None], names_itself: bool, good: bool
) -> None:
    config = server.config(authorization_response_iss_parameter_supported=names_itself)
    attempt = SignInAttempt.begin(IssuerEndpoints.of(config), HERE)
    answer = {"code": "c", "state": attempt.state, "iss": server.url} | changes

    said = {name: value for name, value in answer.items() if value is not None}

    assert attempt.is_answered_by(said) is good


async def test_the_code_is_exchanged_with_its_verifier(server: OAuthIssuer) -> None:
    attempt = SignInAttempt.begin(IssuerEndpoints.of(server.config()), HERE)
    server.challenge = asked(attempt.address)["code_challenge"]
    server.answers = [tokens("a1", expires_in=60)]

    assert await attempt.tokens({"code": "c"}) == Tokens("a1", "r1", 60)
    assert server.forms == [
        (
            "/token",
            {
                "client_id": CLIENT,
                "grant_type": "authorization_code",
                "code": "c",
                "redirect_uri": HERE,
                "code_verifier": attempt.verifier,
            },
        )
    ]
    other = SignInAttempt.begin(attempt.issuer, HERE)
    with pytest.raises(SignInRefused) as refused:
        await other.tokens({"code": "c"})
    assert refused.value.error == "invalid_grant"


async def test_a_no_is_told_without_asking_further(server: OAuthIssuer) -> None:
    with pytest.raises(SignInRefused, match="You said no") as refused:
        await SignInAttempt.begin(IssuerEndpoints.of(server.config()), HERE).tokens(
            {"error": "access_denied"}
        )
    assert refused.value.error == "access_denied"
    assert server.forms == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((400, {"error": "invalid_grant"}), "invalid_grant"),
        ((400, {"error": "bad\x1b[2Jword"}), "unknown"),
        ((401, {"error": "invalid_client"}), "invalid_client"),
        ((500, {}), None),
        ((503, {"error": "temporarily_unavailable"}), None),
        ((429, {"error": "slow"}), None),
        ((400, {}), None),
        ((400, b""), None),
        ((200, b""), None),
        (tokens("a", token_type="mac"), None),
        (tokens("a", access_token=7), None),
        ((200, b"<html>"), None),
        ((200, b"[]"), None),
        ((307, b"{}"), None),
    ],
)
async def test_an_answer_that_is_no_token(
    server: OAuthIssuer, answer: tuple[int, Any], error: str | None
) -> None:
    server.answers = [answer]
    with pytest.raises(ArtcafeError) as refused:
        await refreshed(IssuerEndpoints.of(server.config()), "r")
    if error is None:
        assert refused.value.code is Code.unavailable
    else:
        assert isinstance(refused.value, SignInRefused)
        assert refused.value.error == error
    assert [path for path, _ in server.forms] == ["/token"]  # Nothing was sent elsewhere.


async def test_a_refresh_token_is_kept_where_no_new_one_is_given(server: OAuthIssuer) -> None:
    server.answers = [tokens("a2", refresh_token=None), tokens("a3", refresh_token="r3")]
    issuer = IssuerEndpoints.of(server.config())

    assert (await refreshed(issuer, "r1")).refresh == "r1"
    assert (await refreshed(issuer, "r1")).refresh == "r3"


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "revocation_endpoint"])
@pytest.mark.parametrize(
    "url", ["http://evil.example/token", "javascript:alert(1)", "file:///etc/passwd", "", "https://", 7]
)
def test_an_endpoint_that_is_not_safe_is_never_used(server: OAuthIssuer, name: str, url: Any) -> None:
    with pytest.raises(ArtcafeError):
        IssuerEndpoints.of(server.config(**{name: url}))


class Waits:
    """Sleeps that take no time."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def begun(**changes: Any) -> tuple[int, Any]:
    said = {
        "device_code": "d",
        "user_code": "BCDF-GHJK",
        "verification_uri": "https://i.example/device",
        "expires_in": 60,
        "interval": 5,
    }
    return 200, said | changes


async def test_a_device_waits_as_the_issuer_wishes(server: OAuthIssuer) -> None:
    pending, slow = (400, {"error": "authorization_pending"}), (400, {"error": "slow_down"})
    server.answers = [begun(), pending, slow, pending, tokens("a1")]
    shown: list[tuple[str, str]] = []
    waits = Waits()

    found = await device_tokens(
        IssuerEndpoints.of(server.config()), lambda *what: shown.append(what), sleep=waits
    )

    assert found.access == "a1"
    assert shown == [("https://i.example/device", "BCDF-GHJK")]
    assert waits.seconds == [5, 5, 10, 10]
    assert server.forms[-1][1]["device_code"] == "d"


@pytest.mark.parametrize(
    ("answers", "error", "most"),
    [
        ([(400, {"error": "access_denied"})], "access_denied", 1),
        ([(400, {"error": "expired_token"})], "expired_token", 1),
        ([(400, {"error": "authorization_pending"})], "expired_token", 12),
    ],
)
async def test_a_device_does_not_wait_for_ever(
    server: OAuthIssuer, answers: list[tuple[int, Any]], error: str, most: int
) -> None:
    server.answers = [begun(), *answers]
    waits = Waits()

    with pytest.raises(SignInRefused) as refused:
        await device_tokens(IssuerEndpoints.of(server.config()), lambda *_: None, sleep=waits)
    assert refused.value.error == error
    assert len(waits.seconds) == most


async def test_a_device_needs_an_issuer_that_knows_some_and_a_safe_address(server: OAuthIssuer) -> None:
    with pytest.raises(SignInRefused, match="--device"):
        await device_tokens(
            IssuerEndpoints.of(server.config(device_authorization_endpoint=None)), lambda *_: None
        )
    server.answers = [begun(verification_uri="javascript:alert(1)")]
    with pytest.raises(ArtcafeError):
        await device_tokens(IssuerEndpoints.of(server.config()), lambda *_: None)
    server.answers = [(400, {"error": "invalid_client"})]
    with pytest.raises(SignInRefused):
        await device_tokens(IssuerEndpoints.of(server.config()), lambda *_: None)


@pytest.mark.parametrize("nothing", [{}, b""])
async def test_signing_out_is_told_where_somebody_listens(server: OAuthIssuer, nothing: object) -> None:
    server.answers = [(200, nothing)]
    await revoke(IssuerEndpoints.of(server.config()), "r1")
    await revoke(IssuerEndpoints.of(server.config(revocation_endpoint=None)), "r1")

    assert server.forms == [("/revoke", {"client_id": CLIENT, "token": "r1"})]


async def test_signing_out_that_is_not_heard_is_told(server: OAuthIssuer) -> None:
    server.answers = [(503, b"")]
    with pytest.raises(ArtcafeError, match="503") as refused:
        await revoke(IssuerEndpoints.of(server.config()), "r1")
    assert refused.value.code is Code.unavailable


@pytest.mark.parametrize("odd", [10**400, 1e308, -5, 0, True, "60", None, [60], 1_764_000_000_000])
async def test_a_lifetime_that_is_none_counts_as_a_short_one(server: OAuthIssuer, odd: object) -> None:
    server.answers = [tokens("a1", expires_in=odd)]

    assert (await refreshed(IssuerEndpoints.of(server.config()), "r1")).lifetime == 300
