"""Access tokens: what is accepted, and each way to cheat."""

import base64
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from artcafe.server.identity import oidc
from artcafe.server.identity.oidc import MAX_TOKEN, OidcConfig, OidcVerifier, TokenClaims, discover
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.times import rfc3339
from tests.kit.issuers import (
    API,
    NOON,
    Answer,
    Issuer,
    StoppedClock,
    jwk,
    new_key,
    running_issuer,
    signed,
    signed_with_secret,
    unsigned,
    with_other_claims,
)


@dataclass
class World:
    """One issuer, one verifier that trusts it, and a thief with a key of their own."""

    issuer: Issuer
    client: httpx.AsyncClient
    clock: StoppedClock
    config: OidcConfig
    thief: RSAPrivateKey

    def verifier(self, **changes: object) -> OidcVerifier:
        config = replace(self.config, **changes)  # type: ignore[arg-type]  # each test names real fields
        return OidcVerifier(config, self.client, self.clock)

    async def refusal(self, token: str, **changes: object) -> str:
        """Check that a token is refused without telling why, and return the reason, which is for the log."""
        verifier = self.verifier(**changes)
        await verifier.verify(self.issuer.token())  # nothing but the token can be the cause
        with pytest.raises(ArtcafeError) as refused:
            await verifier.verify(token)

        assert refused.value.code is Code.unauthorized
        assert refused.value.message == "The token is not valid here."
        assert refused.value.__cause__ is None
        kind, _, said = (refused.value.reason or "").partition(": ")
        assert kind == "bad_token"
        assert not any(part and part in said for part in token.split("."))
        return said

    @property
    def key(self) -> RSAPrivateKey:
        return self.issuer.keys["k1"]


@pytest.fixture(scope="session")
def keys() -> dict[str, RSAPrivateKey]:
    return {"k1": new_key(), "thief": new_key(), "other": new_key()}


@pytest.fixture
async def world(keys: dict[str, RSAPrivateKey]) -> AsyncIterator[World]:
    async with (
        running_issuer({"k1": keys["k1"]}) as issuer,
        httpx.AsyncClient(verify=False, trust_env=False) as client,
    ):
        yield World(issuer, client, StoppedClock(), issuer.config(), keys["thief"])


# Accepted.


async def test_an_access_token_of_cognito_is_read(world: World) -> None:
    token = world.issuer.token(email="ada@example.com", **{"custom:tenant_id": "acme"})

    assert await world.verifier().verify(token) == TokenClaims(
        subject="5f0c0c9e-1d6a-4a1e-9c37-1c9d7b3f6c11",
        issuer=world.issuer.url,
        expires=NOON + 3600,
        email="ada@example.com",
        tenant_claim="acme",
        groups=frozenset(),
        username="ada",
    )


async def test_an_access_token_of_another_issuer_is_read(world: World) -> None:
    """RFC 9068: `at+jwt`, an audience, no token_use."""
    claims = world.issuer.claims(
        client_id="somebody's app",
        token_use=None,
        aud=["https://other.example", API],
        username=None,
        preferred_username="ada.l",
        org="acme",
        exp=NOON + 60.9,
    )
    token = signed(world.issuer.header(typ="at+JWT"), claims, world.key)

    read = await world.verifier(token_use_required=False, tenant_claim="org").verify(token)

    assert (read.expires, read.tenant_claim, read.username) == (NOON + 60, "acme", "ada.l")


@pytest.mark.parametrize(
    ("claims", "email"),
    [
        ({"email": "a@b.example", "email_verified": True}, "a@b.example"),
        ({"email": "a@b.example", "email_verified": "true"}, "a@b.example"),
        ({"email": "a@b.example", "email_verified": False}, None),
        ({"email": "a@b.example", "email_verified": "false"}, None),
        ({"email": "a@b.example\n"}, None),
        ({"email": ["a@b.example"]}, None),
    ],
)
async def test_an_email_counts_unless_it_is_not_verified(
    world: World, claims: dict[str, object], email: str | None
) -> None:
    assert (await world.verifier().verify(world.issuer.token(**claims))).email == email


@pytest.mark.parametrize("hint", [7, ["acme"], "", "a" * 256, "ac\x00me"])
async def test_an_odd_tenant_claim_is_no_hint(world: World, hint: object) -> None:
    token = world.issuer.token(**{"custom:tenant_id": hint})

    assert (await world.verifier().verify(token)).tenant_claim is None


@pytest.mark.parametrize(
    ("said", "groups"),
    [
        (["ops", "staff"], {"ops", "staff"}),
        ("ops", {"ops"}),
        ("ops staff", {"ops staff"}),
        (["ops", 7, None, ["staff"], {"a": 1}], {"ops"}),
        ([], set()),
        ({"ops": True}, set()),
        (True, set()),
        (None, set()),
    ],
)
async def test_groups_are_the_texts_of_the_claim_that_was_chosen(
    world: World, said: object, groups: set[str]
) -> None:
    token = world.issuer.token(**{"cognito:groups": said, "groups": ["admin"]})

    assert (await world.verifier(group_claim="cognito:groups").verify(token)).groups == groups
    assert (await world.verifier().verify(token)).groups == set(), "no claim was chosen"


# Refused: attacks on the signature and the header.


def with_public_key_as_secret(world: World) -> str:
    pem = world.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return signed_with_secret(world.issuer.header(alg="HS256"), world.issuer.claims(), pem)


def with_header(**changes: object) -> Callable[[World], str]:
    """A token whose header is odd and whose signature is right."""
    return lambda world: signed(world.issuer.header(**changes), world.issuer.claims(), world.key)


def with_own_key_in_the_header(world: World) -> str:
    shown = jwk("k1", world.thief)
    return signed(world.issuer.header(jwk=shown), world.issuer.claims(), world.thief)


FORGERIES: dict[str, tuple[Callable[[World], str], str]] = {
    "alg none": (lambda w: unsigned(w.issuer.header(alg="none"), w.issuer.claims()), "alg"),
    "alg None": (lambda w: unsigned(w.issuer.header(alg="None"), w.issuer.claims()), "alg"),
    "no alg": (with_header(alg=None), "alg"),
    "alg is a list": (with_header(alg=["RS256"]), "alg"),
    "RS512": (with_header(alg="RS512"), "alg"),
    "HS256 with the public key": (with_public_key_as_secret, "alg"),
    "RS256 without a signature": (lambda w: unsigned(w.issuer.header(), w.issuer.claims()), "Signature"),
    "own key, same kid": (lambda w: signed(w.issuer.header(), w.issuer.claims(), w.thief), "Signature"),
    "own key in jwk": (with_own_key_in_the_header, "Signature"),
    "other claims, same signature": (
        lambda w: with_other_claims(w.issuer.token(), w.issuer.claims(sub="root")),
        "Signature",
    ),
    "unknown kid": (with_header(kid="k2"), "unknown kid"),
    "no kid": (with_header(kid=None), "no kid"),
    "empty kid": (with_header(kid=""), "no kid"),
    "kid is a number": (with_header(kid=1), "InvalidToken"),
    "kid too long": (with_header(kid="k" * 129), "too long"),
    "crit": (with_header(crit=["exp"], exp=1), "InvalidToken"),
    "crit that the library knows": (with_header(crit=["b64"], b64=True), "extension"),
    "detached payload": (with_header(crit=["b64"], b64=False), "DecodeError"),
    "a logout token": (with_header(typ="logout+jwt"), "typ"),
    "a DPoP proof": (with_header(typ="dpop+jwt"), "typ"),
    "typ is an object": (with_header(typ={"a": 1}), "typ"),
    "the issuer with a slash": (lambda w: w.issuer.token(iss=w.issuer.url + "/"), "Issuer"),
    "a list of issuers": (lambda w: w.issuer.token(iss=[w.issuer.url]), "Issuer"),
    "claims are a list": (lambda w: signed(w.issuer.header(), [], w.key), "DecodeError"),
    "empty": (lambda _: "", "DecodeError"),
    "dots": (lambda _: "..", "DecodeError"),
    "garbage": (lambda _: "garbage", "DecodeError"),
    "garbage with dots": (lambda _: "gar.ba.ge", "DecodeError"),
    "header is a list": (lambda _: "W10.W10.W10", "DecodeError"),
    "nested without end": (lambda _: base64.b64encode(b"[" * 5000).decode() + ".e30.e30", "DecodeError"),
    "four parts": (lambda w: w.issuer.token() + ".e30", "DecodeError"),
    "five parts, encrypted": (lambda w: w.issuer.token() + ".e30.e30", "DecodeError"),
    "spaces around": (lambda w: f" {w.issuer.token()} ", "DecodeError"),
    "not ASCII": (lambda w: w.issuer.token() + "é", "alphabet"),
    "half a surrogate": (lambda w: w.issuer.token() + "\ud800", "alphabet"),
}


@pytest.mark.parametrize("name", FORGERIES)
async def test_a_forged_token_is_refused(world: World, name: str) -> None:
    make, reason = FORGERIES[name]

    assert reason in await world.refusal(make(world))


async def test_jku_and_x5u_are_never_followed(world: World) -> None:
    async with running_issuer({"k1": world.thief}) as trap:
        header = world.issuer.header(jku=trap.jwks_url, x5u=trap.jwks_url)

        assert "Signature" in await world.refusal(signed(header, world.issuer.claims(), world.thief))
        assert trap.fetches == 0


async def test_a_large_token_is_taken_and_a_refusal_for_size_says_so(world: World) -> None:
    """Issuers write hundreds of groups into tokens."""
    verifier = world.verifier(group_claim="groups")
    groups = [f"g{n:04}-aaaa-bbbb" for n in range(2400)]
    assert len(token := world.issuer.token(groups=groups)) > 60_000
    assert (await verifier.verify(token)).groups == set(groups)

    with pytest.raises(ArtcafeError) as refused:
        await verifier.verify(world.issuer.token(groups=groups * 2))
    assert refused.value.code is Code.unauthorized
    assert f"more than {MAX_TOKEN} characters" in refused.value.message


async def test_whichever_key_of_a_name_signed_a_token_is_found(
    world: World, keys: dict[str, RSAPrivateKey]
) -> None:
    world.issuer.says({"keys": [jwk("k1", keys["thief"]), jwk("k1", keys["k1"])]})

    verifier = world.verifier()
    await verifier.verify(world.issuer.token())
    await verifier.verify(signed(world.issuer.header(), world.issuer.claims(), keys["thief"]))
    with pytest.raises(ArtcafeError):
        await verifier.verify(signed(world.issuer.header(), world.issuer.claims(), keys["other"]))


# Refused: true signatures, wrong claims.

TRUE_BUT_WRONG: dict[str, tuple[dict[str, object], str]] = {
    "another issuer": ({"iss": "https://issuer.example"}, "Issuer"),
    "no issuer": ({"iss": None}, "MissingRequiredClaim"),
    "another client": ({"client_id": "evil"}, "neither"),
    "no client and no audience": ({"client_id": None}, "neither"),
    "a list of clients": ({"client_id": ["console"]}, "neither"),
    "another audience": ({"client_id": None, "aud": "https://other.example"}, "neither"),
    "a client as audience": ({"client_id": None, "aud": "console"}, "neither"),
    "our client for another API": ({"aud": "https://other.example"}, "somebody else"),
    "our client for nobody": ({"aud": []}, "somebody else"),
    "an id token of Cognito": ({"token_use": "id", "client_id": None, "aud": "console"}, "token_use"),
    "an id token that also has client_id": ({"token_use": "id"}, "token_use"),
    "a refresh token": ({"token_use": "refresh"}, "token_use"),
    "token_use is a list": ({"token_use": ["access"]}, "token_use"),
    "no token_use": ({"token_use": None}, "no token_use"),
    "no sub": ({"sub": None}, "MissingRequiredClaim"),
    "empty sub": ({"sub": ""}, "sub"),
    "sub is a number": ({"sub": 7}, "InvalidSubject"),
    "sub too long": ({"sub": "a" * 256}, "sub"),
    "sub with a line break": ({"sub": "a\nb"}, "sub"),
    "sub not ASCII": ({"sub": "аdа"}, "sub"),  # noqa: RUF001  Cyrillic on purpose
    "no exp": ({"exp": None}, "MissingRequiredClaim"),
    "exp is text": ({"exp": str(NOON + 60)}, "exp"),
    "exp is true": ({"exp": True}, "exp"),
    "exp is endless": ({"exp": float("inf")}, "exp"),
    "exp is NaN": ({"exp": float("nan")}, "exp"),
    "exp is enormous": ({"exp": 10**30}, "exp"),
    "exp is more than a number can be": ({"exp": 1e308}, "exp"),
    "exp is in milliseconds": ({"exp": (NOON + 600) * 1000}, "exp"),
    "exp is in the year 10000": ({"exp": 253_402_300_800}, "exp"),
    "exp is negative": ({"exp": -1}, "exp"),
    "exp is a list": ({"exp": [NOON + 60]}, "exp"),
    "iat is in milliseconds": ({"iat": NOON * 1000}, "iat"),
    "nbf is enormous": ({"nbf": 1e308}, "nbf"),
    "no iat": ({"iat": None}, "MissingRequiredClaim"),
    "iat is text": ({"iat": "now"}, "iat"),
    "issued in the future": ({"iat": NOON + 31}, "future"),
    "not yet valid": ({"nbf": NOON + 31}, "not yet valid"),
    "nbf is text": ({"nbf": "now"}, "nbf"),
    "expired, and for another client": ({"exp": NOON - 60, "client_id": "evil"}, "neither"),
    "expired, and never valid": ({"exp": NOON - 60, "nbf": NOON + 60}, "not yet valid"),
}


@pytest.mark.parametrize("name", TRUE_BUT_WRONG)
async def test_a_true_token_with_wrong_claims_is_refused(world: World, name: str) -> None:
    changes, reason = TRUE_BUT_WRONG[name]

    assert reason in await world.refusal(world.issuer.token(**changes))


@pytest.mark.parametrize(
    ("changes", "accepted"),
    [
        ({"aud": ["console", API], "nonce": "n"}, False),
        ({"aud": ["web", API], "azp": "web", "nonce": "n"}, False),
        ({"aud": API, "at_hash": "h"}, False),
        ({"aud": API, "c_hash": "h"}, False),
        ({"aud": "console"}, False),
        ({"aud": API, "azp": "web", "nonce": "n"}, True),
    ],
)
async def test_an_id_token_without_token_use_is_known_by_its_shape(
    world: World, changes: dict[str, object], accepted: bool
) -> None:
    """Some issuers put the nonce into access tokens too: alone it proves nothing."""
    token = world.issuer.token(token_use=None, client_id=None, **changes)

    if accepted:
        await world.verifier(token_use_required=False).verify(token)
    else:
        await world.refusal(token, token_use_required=False)


# Time.


@pytest.mark.parametrize(
    "changes",
    [{"exp": NOON - 29}, {"iat": NOON + 30}, {"nbf": NOON + 30}, {"exp": NOON - 29.5}],
)
async def test_the_leeway_forgives_clocks_that_differ(world: World, changes: dict[str, object]) -> None:
    await world.verifier().verify(world.issuer.token(**changes))


async def test_a_token_of_the_year_9999_is_one_like_any_other(world: World) -> None:
    claims = await world.verifier().verify(world.issuer.token(exp=253_402_300_799.9, iat=0, nbf=0.5))

    assert rfc3339(claims.expires) == "9999-12-31T23:59:59.000Z"


async def test_a_token_that_was_good_has_expired(world: World) -> None:
    verifier, token = world.verifier(), world.issuer.token()
    world.clock.advance(3629)
    await verifier.verify(token)
    world.clock.advance(1)

    with pytest.raises(ArtcafeError) as refused:
        await verifier.verify(token)

    assert refused.value.code is Code.token_expired


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose signature was checked."""
    found: list[str] = []
    decode = jwt.decode

    def noting(token: str, *args: Any, **options: Any) -> Any:
        found.append(token)
        return decode(token, *args, **options)

    monkeypatch.setattr(jwt, "decode", noting)
    return found


async def test_a_token_that_comes_again_is_not_checked_again(world: World, decoded: list[str]) -> None:
    verifier, token, other = world.verifier(), world.issuer.token(), world.issuer.token(sub="bob")

    said = [await verifier.verify(each) for each in (token, other, token, other)]

    assert decoded == [token, other]
    assert [claims.subject for claims in said] == [said[0].subject, "bob"] * 2


async def test_a_refused_token_is_checked_each_time(world: World, decoded: list[str]) -> None:
    verifier, forged = world.verifier(), signed(world.issuer.header(), world.issuer.claims(), world.thief)

    for _ in range(2):
        with pytest.raises(ArtcafeError):
            await verifier.verify(forged)

    assert decoded == [forged, forged]


async def test_only_so_many_tokens_are_remembered(
    world: World, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, c = (world.issuer.token(sub=each) for each in "abc")
    monkeypatch.setattr(oidc, "MAX_REMEMBERED", 2 * len(a))
    verifier = world.verifier()

    for each in (a, b, a, c, a, b):
        await verifier.verify(each)

    assert decoded == [a, b, c, b]


@pytest.mark.parametrize("now", [{}, {"k1": "thief"}, {"k2": "k1"}])
async def test_a_token_ends_with_its_key(
    world: World, keys: dict[str, RSAPrivateKey], now: dict[str, str]
) -> None:
    """The issuer withdrew it, put another in its place, or gave it another name."""
    verifier, token = world.verifier(), world.issuer.token()
    await verifier.verify(token)

    world.issuer.keys = {"other": keys["thief"], **{kid: keys[key] for kid, key in now.items()}}
    world.clock.advance(world.config.keys_fresh + 1)

    with pytest.raises(ArtcafeError) as refused:
        await verifier.verify(token)
    assert refused.value.code is Code.unauthorized


async def test_a_forged_token_has_not_expired(world: World) -> None:
    token = signed(world.issuer.header(), world.issuer.claims(exp=NOON - 60), world.thief)

    assert "Signature" in await world.refusal(token)


async def test_without_any_keys_the_login_is_unavailable(world: World) -> None:
    token = world.issuer.token()
    await world.issuer.stop()

    with pytest.raises(ArtcafeError) as failed:
        await world.verifier().verify(token)

    assert failed.value.code is Code.unavailable
    assert failed.value.retry_after == 30


# Configuration and discovery.


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "http://issuer.example"},
        {"jwks_url": "http://issuer.example/jwks.json"},
        {"allow_insecure_loopback": False},
        {"client_ids": frozenset(), "audiences": frozenset()},
        {"client_ids": frozenset({""})},
        {"audiences": frozenset({"console"})},
        {"leeway": -1},
        {"leeway": 301},
        {"keys_cooldown": 0},
        {"keys_fresh": 10},
        {"keys_usable": 60},
    ],
)
async def test_an_unsafe_configuration_is_refused(world: World, changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        replace(world.config, **changes)  # type: ignore[arg-type]  # each case names real fields


async def test_discovery_finds_the_keys(world: World) -> None:
    found = await discover(world.client, world.issuer.url, allow_insecure_loopback=True)

    assert found == world.issuer.jwks_url


async def test_discovery_joins_a_trailing_slash(world: World) -> None:
    with pytest.raises(ValueError, match="another issuer"):  # found, and compared exactly
        await discover(world.client, world.issuer.url + "/", allow_insecure_loopback=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://issuer.example"},
        {"issuer": None},
        {"jwks_uri": None},
        {"jwks_uri": ["https://issuer.example"]},
        {"jwks_uri": "http://issuer.example/jwks.json"},
        {"jwks_uri": "file:///etc/passwd"},
    ],
)
async def test_discovery_refuses_a_document_that_contradicts(
    world: World, changes: dict[str, object]
) -> None:
    world.issuer.says({**world.issuer.configuration(), **changes})

    with pytest.raises(ValueError, match="issuer"):
        await discover(world.client, world.issuer.url, allow_insecure_loopback=True)


@pytest.mark.parametrize(
    "answer",
    [Answer(status=503), Answer(b"<html>"), Answer(status=302, headers={"Location": "/elsewhere"})],
)
async def test_discovery_without_an_answer_is_unavailable(world: World, answer: Answer) -> None:
    world.issuer.answer = answer

    with pytest.raises(ArtcafeError) as failed:
        await discover(world.client, world.issuer.url, allow_insecure_loopback=True)

    assert failed.value.code is Code.unavailable
    assert world.issuer.fetches == 1


async def test_discovery_asks_no_insecure_issuer(world: World) -> None:
    with pytest.raises(ValueError, match="https"):
        await discover(world.client, world.issuer.url)

    assert world.issuer.fetches == 0
