"""The keys of an issuer: how often they are fetched, how long they live, what is refused as a key."""

import asyncio
import gzip
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from artcafe.server.identity.jwks import (
    LOOKUPS,
    MAX_DOCUMENT,
    MAX_KEYS,
    MAX_TWINS,
    Keys,
    UnknownKeyError,
    check_url,
)
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.deadlines import PATIENCE
from tests.kit.issuers import Answer, Issuer, StoppedClock, jwk, new_key, number, running_issuer

HOUR = 3600
DAY = 24 * HOUR
COOLDOWN = 30


@dataclass
class World:
    """An issuer and the keys somebody keeps of it."""

    issuer: Issuer
    client: httpx.AsyncClient
    clock: StoppedClock
    keys: Keys


@pytest.fixture(scope="session")
def rsa() -> dict[str, RSAPrivateKey]:
    return {"old": new_key(), "new": new_key(), "weak": new_key(1024)}


@pytest.fixture
async def world(rsa: dict[str, RSAPrivateKey]) -> AsyncIterator[World]:
    async with (
        running_issuer({"old": rsa["old"]}) as issuer,
        httpx.AsyncClient(verify=False, trust_env=False) as client,
    ):
        clock = StoppedClock()
        yield World(issuer, client, clock, keys_of(issuer, client, clock))


def keys_of(issuer: Issuer, client: httpx.AsyncClient, clock: StoppedClock, patience: float = 5) -> Keys:
    return Keys(issuer.jwks_url, client, clock, fresh=HOUR, cooldown=COOLDOWN, usable=DAY, patience=patience)


async def unavailable(keys: Keys, kid: str) -> float | None:
    """Check that nothing can be said about a key now, and return when to ask again."""
    with pytest.raises(ArtcafeError) as failed:
        await keys.get(kid)

    assert failed.value.code is Code.unavailable
    return failed.value.retry_after


# How often.


async def test_keys_are_fetched_once_an_hour(world: World, rsa: dict[str, RSAPrivateKey]) -> None:
    for _ in range(3):
        assert await world.keys.get("old") == (rsa["old"].public_key(),)
    world.clock.advance(HOUR)
    await world.keys.get("old")
    assert world.issuer.fetches == 1

    world.clock.advance(1)
    await world.keys.get("old")

    assert world.issuer.fetches == 2


async def test_fifty_invented_names_at_once_cost_one_fetch(world: World) -> None:
    await world.keys.get("old")
    results = await asyncio.gather(
        *(world.keys.get(f"invented-{n}") for n in range(50)), return_exceptions=True
    )

    assert [type(result) for result in results] == [UnknownKeyError] * 50
    assert world.issuer.fetches == 2


async def test_invented_names_cost_a_few_fetches_and_then_one_per_cooldown(world: World) -> None:
    await world.keys.get("old")

    async def invent(names: int) -> int:
        before = world.issuer.fetches
        for n in range(names):
            with pytest.raises(UnknownKeyError):
                await world.keys.get(f"invented-{world.clock.now()}-{n}")
        return world.issuer.fetches - before

    assert await invent(100) == LOOKUPS
    world.clock.advance(COOLDOWN)
    assert await invent(100) == 1
    world.clock.advance(2 * COOLDOWN)
    assert await invent(100) == 2


async def test_one_old_name_again_and_again_does_not_use_up_the_lookups_of_others(
    world: World, rsa: dict[str, RSAPrivateKey]
) -> None:
    await world.keys.get("old")
    for _ in range(100):
        with pytest.raises(UnknownKeyError):
            await world.keys.get("withdrawn")
    assert world.issuer.fetches == 2

    world.issuer.keys = rsa
    assert await world.keys.get("new") == (rsa["new"].public_key(),)
    assert world.issuer.fetches == 3


async def test_what_did_not_change_is_the_same_object_after_a_fetch(
    world: World, rsa: dict[str, RSAPrivateKey]
) -> None:
    """What was proven with it need not be proven again."""
    before = await world.keys.get("old")
    world.issuer.keys = rsa
    await world.keys.get("new")

    assert await world.keys.get("old") is before


async def test_fifty_first_callers_share_one_fetch(world: World) -> None:
    results = await asyncio.gather(*(world.keys.get("old") for _ in range(50)))

    assert len(results) == 50
    assert world.issuer.fetches == 1


async def test_a_new_key_is_found_at_once(world: World, rsa: dict[str, RSAPrivateKey]) -> None:
    await world.keys.get("old")
    world.issuer.keys = {"new": rsa["new"]}

    assert await world.keys.get("new") == (rsa["new"].public_key(),)
    with pytest.raises(UnknownKeyError):
        await world.keys.get("old")
    assert world.issuer.fetches == 3


async def test_a_new_key_is_found_after_the_cooldown_while_somebody_invents_names(
    world: World, rsa: dict[str, RSAPrivateKey]
) -> None:
    for n in range(100):
        with pytest.raises(UnknownKeyError):
            await world.keys.get(f"invented-{n}")
    world.issuer.keys = {"new": rsa["new"]}
    with pytest.raises(UnknownKeyError):
        await world.keys.get("new")

    world.clock.advance(COOLDOWN)
    assert await world.keys.get("new") == (rsa["new"].public_key(),)


async def test_failures_keep_the_cooldown_too(world: World) -> None:
    world.issuer.answer = Answer(status=500)

    assert await unavailable(world.keys, "old") == COOLDOWN
    world.clock.advance(10)
    assert await unavailable(world.keys, "old") == COOLDOWN - 10
    assert world.issuer.fetches == 1

    world.issuer.answer = None
    world.clock.advance(20)
    await world.keys.get("old")
    assert world.issuer.fetches == 2


async def test_who_has_a_key_does_not_wait_for_newer_ones(world: World) -> None:
    await world.keys.get("old")
    world.clock.advance(HOUR + 1)
    world.issuer.asked.clear()
    world.issuer.ready.clear()

    async with asyncio.TaskGroup() as group:
        slow = group.create_task(world.keys.get("old"))
        await world.issuer.asked.wait()
        await asyncio.wait_for(world.keys.get("old"), 5)
        assert not slow.done()
        world.issuer.ready.set()

    assert world.issuer.fetches == 2


async def test_a_caller_who_hangs_up_does_not_use_up_the_cooldown(world: World) -> None:
    world.issuer.ready.clear()
    caller = asyncio.create_task(world.keys.get("old"))
    await world.issuer.asked.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    world.issuer.ready.set()

    assert await unavailable(world.keys, "old") == 1  # and opens no way around it
    world.clock.advance(1)
    await world.keys.get("old")

    assert world.issuer.fetches == 2


# How long.


async def test_old_keys_serve_for_a_day_while_the_issuer_is_down(world: World) -> None:
    await world.keys.get("old")
    await world.issuer.stop()

    world.clock.advance(DAY)
    await world.keys.get("old")
    world.clock.advance(1)
    assert await unavailable(world.keys, "old") == COOLDOWN - 1

    await world.issuer.start()
    world.clock.advance(COOLDOWN)
    await world.keys.get("old")


async def test_keys_too_old_to_serve_are_waited_for(world: World) -> None:
    await world.keys.get("old")
    world.clock.advance(DAY + 1)

    await asyncio.gather(*(world.keys.get("old") for _ in range(10)))

    assert world.issuer.fetches == 2


async def test_an_issuer_that_hangs_is_given_up(world: World) -> None:
    world.issuer.ready.clear()
    async with (
        asyncio.timeout(PATIENCE),
        httpx.AsyncClient(verify=False, trust_env=False, timeout=None) as patient,
    ):
        keys = keys_of(world.issuer, patient, world.clock, patience=0.05)

        assert await unavailable(keys, "old") == COOLDOWN


# What is no answer.

POISON: dict[str, Answer] = {
    "empty": Answer(),
    "not JSON": Answer(b"<html>maintenance</html>"),
    "not UTF-8": Answer(b'{"keys": ["\xff"]}'),
    "a list": Answer(b"[]"),
    "no keys": Answer(b"{}"),
    "keys is an object": Answer(b'{"keys": {}}'),
    "an empty set": Answer(b'{"keys": []}'),
    "keys that are none": Answer(b'{"keys": [null, 1, "k", [], {}]}'),
    "nested without end": Answer(b'{"keys": ' + b"[" * 30_000),
    "an error page": Answer(status=500),
    "not found": Answer(status=404),
    "moved": Answer(status=302, headers={"Location": "/pool/.well-known/openid-configuration"}),
    "moved for ever": Answer(status=308, headers={"Location": "/pool/.well-known/jwks.json"}),
    "no content": Answer(status=204),
    "cut short": Answer(b'{"keys": []}', headers={"Content-Length": "100"}),
}


@pytest.mark.parametrize("name", POISON)
async def test_a_poisoned_answer_keeps_the_old_keys(
    world: World, rsa: dict[str, RSAPrivateKey], name: str
) -> None:
    await world.keys.get("old")
    world.issuer.answer = POISON[name]
    world.clock.advance(HOUR + 1)

    assert await world.keys.get("old") == (rsa["old"].public_key(),)
    assert world.issuer.fetches == 2


@pytest.mark.parametrize("name", POISON)
async def test_a_poisoned_answer_is_no_first_answer(world: World, name: str) -> None:
    world.issuer.answer = POISON[name]

    assert await unavailable(world.keys, "old") == COOLDOWN
    assert world.issuer.fetches == 1


@pytest.mark.parametrize("status", [203, 302, 404, 500])
async def test_good_keys_under_another_status_are_no_answer(world: World, status: int) -> None:
    world.issuer.answer = Answer(json.dumps(world.issuer.jwks()).encode(), status)

    await unavailable(world.keys, "old")


async def test_good_keys_in_too_large_a_document_are_no_answer(world: World) -> None:
    body = json.dumps(world.issuer.jwks()).encode()
    world.issuer.answer = Answer(body.ljust(MAX_DOCUMENT + 1))
    await unavailable(world.keys, "old")

    world.issuer.answer = Answer(body.ljust(MAX_DOCUMENT))
    world.clock.advance(COOLDOWN)
    await world.keys.get("old")


async def test_redirects_are_not_followed_even_by_a_client_that_would(world: World) -> None:
    world.issuer.answer = Answer(status=302, headers={"Location": world.issuer.jwks_url})
    async with httpx.AsyncClient(verify=False, trust_env=False, follow_redirects=True) as client:
        await unavailable(keys_of(world.issuer, client, world.clock), "old")

    assert world.issuer.fetches == 1


async def test_a_compressed_answer_is_not_unfolded(world: World) -> None:
    body = gzip.compress(json.dumps(world.issuer.jwks()).encode())
    world.issuer.answer = Answer(body, headers={"Content-Encoding": "gzip"})

    await unavailable(world.keys, "old")


async def test_a_set_of_many_old_keys_with_their_certificates_is_one(
    world: World, rsa: dict[str, RSAPrivateKey]
) -> None:
    old = [jwk(f"old{n}", rsa["old"], x5c=["A" * 6000], x5t="abc", key_ops=["verify"]) for n in range(150)]
    world.issuer.says({"keys": [*old, jwk("new", rsa["new"])]})

    assert await world.keys.get("new") == (rsa["new"].public_key(),)
    assert await world.keys.get("old149") == (rsa["old"].public_key(),)


async def test_keys_after_the_first_thousand_are_ignored(world: World, rsa: dict[str, RSAPrivateKey]) -> None:
    world.issuer.says({"keys": [jwk(f"k{n}", rsa["new"]) for n in range(MAX_KEYS + 1)]})

    await world.keys.get(f"k{MAX_KEYS - 1}")
    with pytest.raises(UnknownKeyError):
        await world.keys.get(f"k{MAX_KEYS}")


async def test_the_same_key_twice_is_one_key(world: World, rsa: dict[str, RSAPrivateKey]) -> None:
    world.issuer.says({"keys": [jwk("k", rsa["old"]), jwk("k", rsa["old"], x5t="abc")]})

    assert await world.keys.get("k") == (rsa["old"].public_key(),)


async def test_different_keys_of_one_name_are_all_tried_up_to_a_bound(
    world: World, rsa: dict[str, RSAPrivateKey]
) -> None:
    world.issuer.says({"keys": [jwk("k", rsa["old"]), jwk("k", rsa["new"]), jwk("other", rsa["new"])]})
    assert await world.keys.get("k") == (rsa["old"].public_key(), rsa["new"].public_key())

    modulus = rsa["new"].public_key().public_numbers().n
    twins = [jwk("k", rsa["new"], n=number(modulus + 2 * n)) for n in range(MAX_TWINS + 2)]
    world.issuer.says({"keys": [*twins, jwk("other", rsa["new"])]})
    world.clock.advance(HOUR + 1)
    assert len(await world.keys.get("k")) == MAX_TWINS
    assert await world.keys.get("other") == (rsa["new"].public_key(),)


@pytest.mark.parametrize(
    "other",
    [
        {"kty": "EC", "crv": "P-256", "x": number(7), "y": number(9), "alg": "ES256"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "alg": "EdDSA"},
        {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"},
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"},
        {"kty": "RSA", "use": "enc", "alg": "RSA-OAEP", "n": number(2**2048 + 1), "e": "AQAB"},
        {"kty": "RSA", "use": "sig", "alg": "PS256", "n": number(2**2048 + 1), "e": "AQAB"},
    ],
)
@pytest.mark.parametrize("first", [True, False])
async def test_a_key_of_another_kind_may_have_the_same_name(
    world: World, rsa: dict[str, RSAPrivateKey], other: dict[str, object], *, first: bool
) -> None:
    both = [{**other, "kid": "k"}, jwk("k", rsa["new"])]
    world.issuer.says({"keys": both if first else both[::-1]})

    assert await world.keys.get("k") == (rsa["new"].public_key(),)


async def test_ignored_keys_are_one_line_of_the_log(
    world: World, rsa: dict[str, RSAPrivateKey], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="artcafe")
    world.issuer.says({"keys": [*[jwk("weak", rsa["weak"])] * 90, None, jwk("k", rsa["new"])]})
    await world.keys.get("k")

    said = [record.getMessage() for record in caplog.records if record.name.startswith("artcafe")]
    assert said == ["keys of the issuer are ignored: weak or enormous (90), not an object (1)"]


# What is no key.


def unusable(rsa: dict[str, RSAPrivateKey]) -> dict[str, dict[str, object]]:
    private = rsa["new"].private_numbers()
    return {
        "an RSA key of 1024 bits": jwk("bad", rsa["weak"]),
        "an exponent of 3": jwk("bad", rsa["new"], e=number(3)),
        "an enormous exponent": jwk("bad", rsa["new"], e=number(2**64 + 1)),
        "an enormous modulus": jwk("bad", rsa["new"], n=number(2**16_000 + 1)),
        "a modulus without end": jwk("bad", rsa["new"], n=number(2**4_000_000 + 1)),
        "a modulus of zero": jwk("bad", rsa["new"], n="AA"),
        "an even exponent": jwk("bad", rsa["new"], e=number(65_538)),
        "d is null": jwk("bad", rsa["new"], d=None),
        "a published private key": jwk("bad", rsa["new"], d=number(private.d)),
        "for encryption": jwk("bad", rsa["new"], use="enc"),
        "for another algorithm": jwk("bad", rsa["new"], alg="RS512"),
        "symmetric": {"kty": "oct", "kid": "bad", "k": "c2VjcmV0", "alg": "HS256"},
        "symmetric, called RSA": {"kty": "RSA", "kid": "bad", "k": "c2VjcmV0", "alg": "RS256"},
        "modulus missing": {"kty": "RSA", "kid": "bad", "e": "AQAB"},
        "modulus not text": jwk("bad", rsa["new"], n=[1]),
        "modulus not base64": jwk("bad", rsa["new"], n="!"),
        "kty not text": jwk("bad", rsa["new"], kty=["RSA"]),
    }


async def test_what_cannot_be_a_key_is_left_out(world: World, rsa: dict[str, RSAPrivateKey]) -> None:
    taken = []
    for name, bad in unusable(rsa).items():
        world.issuer.says({"keys": [bad, jwk("good", rsa["new"])]})
        keys = keys_of(world.issuer, world.client, world.clock)
        await keys.get("good")
        try:
            await keys.get("bad")
        except UnknownKeyError:
            continue
        taken.append(name)

    assert taken == []


@pytest.mark.parametrize("kid", [None, 1, "", "k" * 129])
async def test_a_key_needs_a_name(world: World, rsa: dict[str, RSAPrivateKey], kid: object) -> None:
    world.issuer.says({"keys": [{**jwk("", rsa["new"]), "kid": kid}]})

    await unavailable(world.keys, str(kid))


async def test_use_and_alg_may_be_missing(world: World, rsa: dict[str, RSAPrivateKey]) -> None:
    """RFC 7517 sections 4.2 and 4.4: both are optional."""
    shown = {name: value for name, value in jwk("k", rsa["new"]).items() if name not in ("use", "alg")}
    world.issuer.says({"keys": [shown]})

    assert await world.keys.get("k") == (rsa["new"].public_key(),)


# Where it may be.


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:80/x", "http://[::1]:8080", "http://localhost/x", "https://issuer.example/x?p=1"],
)
def test_these_may_be_issuers_of_an_embedded_installation(url: str) -> None:
    check_url(url, "issuer", allow_insecure_loopback=True)


@pytest.mark.parametrize("url", ["http://127.0.0.1:80/x", "http://[::1]:8080", "http://localhost/x"])
def test_loopback_needs_to_be_allowed(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        check_url(url, "issuer", allow_insecure_loopback=False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://",
        "issuer.example",
        "http://issuer.example",
        "http://127.0.0.1.issuer.example",
        "http://127.0.0.1@issuer.example",
        "http://localhost.issuer.example",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "https://user:secret@issuer.example",
        "https://issuer.example/#part",
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "https://issuer.example:port",
        "https://issuer\x00.example",
    ],
)
def test_these_may_be_no_issuers(url: str) -> None:
    with pytest.raises(ValueError, match="issuer"):
        check_url(url, "issuer", allow_insecure_loopback=True)


# Whether anybody could be verified.


async def test_whoever_has_keys_is_ready_and_whoever_can_have_them_becomes_it(world: World) -> None:
    await world.keys.ready()
    assert world.issuer.fetches == 1
    world.issuer.answer = Answer(status=500)
    world.clock.advance(HOUR + 1)
    await world.keys.ready()
    world.clock.advance(DAY)
    with pytest.raises(ArtcafeError) as away:
        await world.keys.ready()
    assert away.value.code is Code.unavailable
