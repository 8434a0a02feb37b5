"""Tokens of invitations: what is given out, what is kept, and what is read back."""

import hashlib

import pytest
from msgspec.structs import replace

from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.invitation import SECRET_BYTES, InvitationToken, new_token, read_token
from tests.kit.records import an_invitation

TOKEN = new_token(TenantId("acme"), "i1", bytes(range(SECRET_BYTES)))


def test_a_token_is_read_as_it_was_given_out() -> None:
    assert f"{TOKEN}" == "acme.i1.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    assert read_token(f"{TOKEN}") == TOKEN


@pytest.mark.parametrize("chance", [b"\x00" * SECRET_BYTES, b"\xff" * SECRET_BYTES])
def test_whatever_chance_gives_can_be_read(chance: bytes) -> None:
    token = new_token(TenantId("a-b_c"), "0f8fad5bd9cb469fa16570867728950e", chance)

    assert read_token(f"{token}") == token


@pytest.mark.parametrize(
    "text",
    ["", "acme", "acme.i1", f"{TOKEN}x", f"{TOKEN}\n", f" {TOKEN}", f"{TOKEN}"[:-1], f"{TOKEN}.x", "é" * 43],
)
def test_nothing_else_is_a_token(text: str) -> None:
    assert read_token(text) is None


def test_what_is_kept_is_the_digest_of_the_secret() -> None:
    assert TOKEN.digest == hashlib.sha256(TOKEN.secret.encode()).hexdigest()
    assert TOKEN.secret not in TOKEN.digest


def test_only_the_secret_opens() -> None:
    invitation = replace(an_invitation(), digest=TOKEN.digest)

    assert TOKEN.opens(invitation)
    assert not TOKEN.opens(an_invitation())
    assert not InvitationToken(TOKEN.tenant, TOKEN.id, "A" * 43).opens(invitation)
