"""Each proof is for one side, one nonce, one challenge, one address and one wish."""

import itertools

import pytest

from artcafe.wire.local_proof import ProofExchange, address, signer

SIGN, OTHER = signer("s" * 43), signer("t" * 43)
HERE = address("127.0.0.1", 8000)
NONCE, RANDOM = "n" * 43, "r" * 43


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("127.0.0.1", 8000), ("::ffff:127.0.0.1", 8000)),
        (("::1", 8000), ("0:0:0:0:0:0:0:1", 8000)),
        (("fe80::1%lo", 1), ("fe80::1", 1)),
    ],
)
def test_one_address_is_one_text_however_it_is_written(one: tuple[str, int], other: tuple[str, int]) -> None:
    assert address(*one) == address(*other)


def test_addresses_that_differ_in_anything_are_others() -> None:
    places = [
        ("127.0.0.1", 8000),
        ("127.0.0.1", 8001),
        ("127.0.0.2", 8000),
        ("::1", 8000),
        ("localhost", 8000),
    ]
    assert len({address(*place) for place in places}) == len(places)
    assert address("api.example.com", None) != address("api.example.com", 80)


def test_no_proof_is_another_ones() -> None:
    exchanges = [
        ProofExchange(NONCE, HERE),
        ProofExchange("m" * 43, HERE),
        ProofExchange(NONCE, address("127.0.0.1", 1)),
    ]
    challenges = [f"{expires}.{RANDOM}.{'0' * 64}" for expires in (1, 2)]
    proofs = [
        *(it.challenge(SIGN, RANDOM, 1).rpartition(".")[2] for it in exchanges),
        *(it.of_platform(SIGN, one) for it, one in itertools.product(exchanges, challenges)),
        *(
            it.of_caller(sign, one, path, wanted)
            for it, one, sign, path, wanted in itertools.product(
                exchanges,
                challenges,
                (SIGN, OTHER),
                ("/local/token", "/local/code"),
                ({}, {"tenant": "acme"}, {"role": "acme"}, {"tenant": "acme", "role": "owner"}),
            )
        ),
    ]
    assert len(set(proofs)) == len(proofs)


def test_a_challenge_is_known_by_whom_it_was_given_for() -> None:
    exchange = ProofExchange(NONCE, HERE)
    challenge = exchange.challenge(SIGN, RANDOM, 1_700_000_030)

    assert exchange.is_ours(SIGN, challenge)
    assert not exchange.is_ours(OTHER, challenge)
    assert not exchange.is_ours(SIGN, challenge.replace("1700000030", "1700000031"))
    assert not ProofExchange("m" * 43, HERE).is_ours(SIGN, challenge)
    assert not ProofExchange(NONCE, address("127.0.0.1", 8001)).is_ours(SIGN, challenge)
