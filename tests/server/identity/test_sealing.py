"""What is sealed opens with its key, and with nothing else."""

import base64
import itertools

import pytest

from artcafe.server.identity.sealing import AesSealer

_counter = itertools.count()


def numbers(size: int) -> bytes:
    return next(_counter).to_bytes(size, "big")


SEALER = AesSealer(b"the installation's", numbers)


def test_what_is_sealed_opens_with_the_same_key() -> None:
    assert SEALER.open("key", SEALER.seal("key", b"a private key")) == b"a private key"


def test_the_text_is_not_in_what_is_stored_and_two_seals_differ() -> None:
    one, two = SEALER.seal("key", b"a private key"), SEALER.seal("key", b"a private key")

    assert b"private" not in base64.b64decode(one)
    assert one != two


def test_another_key_or_installation_does_not_open_it() -> None:
    sealed = SEALER.seal("key", b"text")

    with pytest.raises(ValueError, match="another key"):
        SEALER.open("kez", sealed)
    with pytest.raises(ValueError, match="another key"):
        AesSealer(b"another installation's", numbers).open("key", sealed)


def test_what_was_tampered_with_does_not_open() -> None:
    raw = bytearray(base64.b64decode(SEALER.seal("key", b"text")))
    raw[-1] ^= 1

    with pytest.raises(ValueError, match="another key"):
        SEALER.open("key", base64.b64encode(raw).decode())
