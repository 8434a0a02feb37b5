"""One user of one account: its JWT, and the proof that it is the one named there."""

import base64

from artcafe.server.bus.nats.credentials import NatsCredentials
from artcafe.server.bus.nats.nkeys import KeyPair, NkeyKind, read_token, verify
from tests.kit.nats import WallClock

ACCOUNT, SIGNER = (KeyPair.random(NkeyKind.account) for _ in range(2))
PERMISSIONS = {"pub": {"allow": ["m.>"]}, "sub": {"allow": ["d.>"]}}


def made() -> NatsCredentials:
    return NatsCredentials(ACCOUNT, SIGNER, WallClock(), "gateway", PERMISSIONS)


def test_a_jwt_names_user_account_signer_and_permissions_and_has_no_end() -> None:
    credentials = made()
    claims = read_token(credentials.jwt().decode())
    assert credentials.account == ACCOUNT.public
    assert (claims["iss"], claims["name"]) == (SIGNER.public, "gateway")
    assert claims["nats"]["issuer_account"] == ACCOUNT.public
    assert claims["nats"]["pub"] == PERMISSIONS["pub"]
    assert claims["nats"]["sub"] == {"allow": ["d.>", f"{credentials.inbox}.>"]}
    assert claims["nats"]["allowed_connection_types"] == ["STANDARD"]
    assert "exp" not in claims


def test_the_nonce_is_signed_by_the_user_and_each_has_a_key_of_its_own() -> None:
    credentials = made()
    user = read_token(credentials.jwt().decode())["sub"]
    assert verify(user, b"0noivy6kmB9_YiE", base64.b64decode(credentials.sign("0noivy6kmB9_YiE")))
    assert read_token(made().jwt().decode())["sub"] != user


def test_each_user_has_an_inbox_of_its_own_and_one_without_permissions_is_not_restricted_to_it() -> None:
    assert made().inbox.startswith("_INBOX.")
    assert made().inbox != made().inbox
    assert PERMISSIONS["sub"] == {"allow": ["d.>"]}
    unrestricted = NatsCredentials(ACCOUNT, SIGNER, WallClock(), "root", {})
    assert "sub" not in read_token(unrestricted.jwt().decode())["nats"]
