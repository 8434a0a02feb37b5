"""NKeys against the vectors of other implementations, and tokens against tampering."""

import base64
import json
from typing import Any

import pytest

from artcafe.server.bus.nats.nkeys import KeyPair, NkeyKind, read_token, verify, write_token

# The pair and the signature that the test suites of the NATS clients share (nats.rb, nats.py, nats.ex).
SEED = "SUAMLK2ZNL35WSMW37E7UD4VZ7ELPKW7DHC3BWBSD2GCZ7IUQQXZIORRBU"
PUBLIC = "UCK5N7N66OBOINFXAYC2ACJQYFSOD4VYNU6APEJTAVFZB2SVHLKGEW7L"
NONCE = b"PXoWU7zWAMt75FY"
SIGNATURE = "ZaAiVDgB5CeYoXoQ7cBCmq+ZllzUnGUoDVb8C7PilWvCs8XKfUchAUhz2P4BYAF++Dg3w05CqyQFRDiGL6LrDw=="


def test_a_seed_of_other_implementations_gives_their_public_key_and_their_signature() -> None:
    key = KeyPair.from_seed(SEED)
    assert key.public == PUBLIC
    assert key.kind is NkeyKind.user
    assert base64.b64encode(key.sign(NONCE)).decode() == SIGNATURE
    assert verify(PUBLIC, NONCE, base64.b64decode(SIGNATURE))


@pytest.mark.parametrize(
    ("kind", "letter"), [(NkeyKind.operator, "O"), (NkeyKind.account, "A"), (NkeyKind.user, "U")]
)
def test_the_first_letters_tell_the_kind_and_a_seed_reads_back(kind: NkeyKind, letter: str) -> None:
    key = KeyPair.random(kind)
    again = KeyPair.from_seed(key.seed)
    assert key.public[0] == letter
    assert key.seed[:2] == "S" + letter
    assert (again.public, again.seed, again.kind) == (key.public, key.seed, kind)


@pytest.mark.parametrize(
    "text",
    [
        "",
        SEED[:-1] + "A",
        SEED[1:],
        PUBLIC,
        SEED.lower(),
        "SNAMLK2ZNL35WSMW37E7UD4VZ7ELPKW7DHC3BWBSD2GCZ7IUQQXZIORRBU",
        "not base32!",
    ],
)
def test_what_is_not_a_seed_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any of the several ways to be wrong
        KeyPair.from_seed(text)


def test_derivation_is_stable_and_every_input_counts() -> None:
    key = KeyPair.derive(b"m" * 32, "account/acme/1", NkeyKind.account)
    assert KeyPair.derive(b"m" * 32, "account/acme/1", NkeyKind.account).seed == key.seed
    others = [
        KeyPair.derive(b"n" * 32, "account/acme/1", NkeyKind.account),
        KeyPair.derive(b"m" * 32, "account/acme/2", NkeyKind.account),
    ]
    assert len({key.public, *(other.public for other in others)}) == 3


def test_derivation_is_rfc_5869() -> None:
    # `openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt hexkey:6d…(32) -kdfopt info:artcafe/x HKDF`
    expected = "26d502d63097f42a4a49d8170bc24c360d077d5bddbb827d1074299e1df99a07"
    raw = base64.b32decode(KeyPair.derive(b"m" * 32, "x", NkeyKind.user).seed + "=" * 6)
    assert raw[2:34].hex() == expected


def test_random_keys_differ() -> None:
    assert KeyPair.random(NkeyKind.user).public != KeyPair.random(NkeyKind.user).public


def test_the_representation_keeps_the_secret() -> None:
    key = KeyPair.from_seed(SEED)
    assert key.seed not in repr(key)
    assert PUBLIC in repr(key)


@pytest.mark.parametrize(
    ("public", "data", "signature"),
    [
        (PUBLIC, b"another nonce", base64.b64decode(SIGNATURE)),
        (PUBLIC, NONCE, b"short"),
        (KeyPair.random(NkeyKind.user).public, NONCE, base64.b64decode(SIGNATURE)),
        ("U", NONCE, base64.b64decode(SIGNATURE)),
        ("", NONCE, base64.b64decode(SIGNATURE)),
    ],
    ids=["another text", "short", "another key", "no key", "nothing"],
)
def test_a_signature_fits_one_key_and_one_text(public: str, data: bytes, signature: bytes) -> None:
    assert not verify(public, data, signature)


def test_a_token_reads_back_with_its_issuer() -> None:
    key = KeyPair.random(NkeyKind.operator)
    claims = read_token(write_token(key, {"sub": "x", "nats": {"type": "generic"}}))
    assert claims.pop("jti")
    assert claims == {"iss": key.public, "sub": "x", "nats": {"type": "generic"}}


def test_no_two_tokens_are_the_same_text() -> None:
    key = KeyPair.random(NkeyKind.operator)
    assert write_token(key, {"sub": "x"}) != write_token(key, {"sub": "x"})


def forged(token: str, **changes: Any) -> str:
    """The token with other claims and the old signature."""
    header, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "==")) | changes
    text = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"{header}.{text}.{signature}"


def test_a_token_that_its_issuer_did_not_sign_is_refused() -> None:
    token = write_token(KeyPair.random(NkeyKind.operator), {"sub": "x"})
    another = KeyPair.random(NkeyKind.operator).public
    for bad in (forged(token, sub="y"), forged(token, iss=another), forged(token, iss=None), token[:-8]):
        with pytest.raises(ValueError, match="not signed"):
            read_token(bad)


@pytest.mark.parametrize("text", ["", "a.b.c", "....", "e30.bm8.e30", "e30.W10.e30"])
def test_what_is_not_a_token_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any of the several ways to be wrong
        read_token(text)
