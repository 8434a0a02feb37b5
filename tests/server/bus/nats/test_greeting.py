"""What is told before anything else."""

import base64
import json
import secrets

import pytest

from artcafe.server.bus.accounts.operator import Operator
from artcafe.server.bus.nats.credentials import NatsCredentials
from artcafe.server.bus.nats.greeting import MAX_ADDRESS, MAX_SERVERS, Info, connect_line, read_info
from artcafe.server.bus.nats.nkeys import read_token, verify
from artcafe.server.bus.nats.parser import PAYLOAD_BYTES
from tests.kit.nats import WallClock


@pytest.fixture
def credentials() -> NatsCredentials:
    """Those of a user."""
    return Operator(secrets.token_bytes(32), WallClock()).control_credentials()


def test_info_is_read_and_what_nobody_needs_is_passed_over() -> None:
    info = read_info(b'INFO {"max_payload":7,"nonce":"n","ldm":true,"connect_urls":["a:1"],"xkey":"x"} ')
    assert (info.max_payload, info.nonce, info.ldm, info.connect_urls) == (7, "n", True, ["a:1"])
    assert not read_info(b"INFO {}").tls_required
    for wrong in [b"INFO", b"INFO []", b'INFO {"max_payload":"x"}', b'INFO {"nonce":"\xff"}']:
        with pytest.raises(ValueError, match="INFO"):
            read_info(wrong)


@pytest.mark.parametrize(
    ("field", "most", "more"),
    [
        ("max_payload", PAYLOAD_BYTES, PAYLOAD_BYTES + 1),
        ("max_payload", 1, 0),
        ("max_payload", 1, -1),
        ("max_payload", 1, 2**63),
        ("max_payload", 1, 10**400),
        ("connect_urls", ["a:1"] * MAX_SERVERS, ["a:1"] * (MAX_SERVERS + 1)),
        ("connect_urls", ["a" * MAX_ADDRESS], ["a" * (MAX_ADDRESS + 1)]),
    ],
)
def test_what_no_server_has_is_refused(field: str, most: object, more: object) -> None:
    assert getattr(read_info(b"INFO %b" % json.dumps({field: most}).encode()), field) == most
    with pytest.raises(ValueError, match="INFO"):
        read_info(b"INFO %b" % json.dumps({field: more}).encode())


def test_the_login_is_a_signature_of_the_nonce_by_the_key_that_the_token_names(
    credentials: NatsCredentials,
) -> None:
    line = connect_line(Info(nonce="0noivy6kmB9_YiE", headers=True), credentials, 'a "name"', echo=False)
    assert line.startswith(b"CONNECT {")
    assert line.endswith(b"}\r\n")
    assert line.count(b"\n") == 1
    options = json.loads(line[8:])
    user = read_token(options["jwt"])["sub"]
    assert verify(user, b"0noivy6kmB9_YiE", base64.b64decode(options["sig"]))
    assert (options["name"], options["headers"], options["verbose"]) == ('a "name"', True, False)
    assert options["echo"] is False
    assert options["no_responders"] is True


def test_a_server_without_headers_is_not_asked_to_tell_of_no_responders_by_one(
    credentials: NatsCredentials,
) -> None:
    options = json.loads(connect_line(Info(nonce="0noivy6kmB9_YiE"), credentials, "test", echo=True)[8:])
    assert (options["headers"], options["no_responders"]) == (False, False)


@pytest.mark.parametrize(
    "nonce", ["", "short", "x" * 65, "eyJhbGciOiJ9.eyJzdWIi", "SSHSIG\x00ab", "abcdefgh\n"]
)
def test_nothing_but_a_nonce_is_signed(credentials: NatsCredentials, nonce: str) -> None:
    with pytest.raises(ValueError, match="no nonce"):
        connect_line(Info(nonce=nonce), credentials, "test", echo=True)
