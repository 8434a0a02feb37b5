"""The SSH wire encoding, both ways; whole signatures are checked against ssh-keygen elsewhere."""

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artcafe.wire.ssh import MalformedError, SshReader, fingerprint, mpint, string, to_be_signed, unwrapped
from tests.kit.ssh_keys import fingerprint as of_ssh_keygen
from tests.kit.ssh_keys import make_key, public_line


@given(st.binary(max_size=300))
def test_a_string_reads_back(data: bytes) -> None:
    reader = SshReader(string(data) + b"rest")
    assert (reader.string(), reader.take(4)) == (data, b"rest")
    reader.end()


@given(st.integers(min_value=1, max_value=2**600))
def test_a_number_reads_back(number: int) -> None:
    reader = SshReader(mpint(number))
    assert reader.mpint() == number
    reader.end()


@pytest.mark.parametrize(
    ("number", "written"),
    [(0x9A378F9B2E332A7, "0000000809a378f9b2e332a7"), (0x80, "000000020080"), (0x7F, "000000017f")],
)
def test_the_numbers_of_rfc_4251(number: int, written: str) -> None:
    assert mpint(number).hex() == written


@pytest.mark.parametrize(
    "written",
    [
        "00000001ff",  # negative
        "0000000180",  # negative
        "00000002007f",  # a needless zero
        "00000003000001",  # needless zeros
        "0000000100",  # zero is written without digits
        "00000005" + "01",  # cut off
        "000000",  # cut off
        "",
    ],
)
def test_numbers_in_another_form_are_refused(written: str) -> None:
    with pytest.raises(MalformedError):
        SshReader(bytes.fromhex(written)).mpint()


def test_nothing_may_be_left_over() -> None:
    reader = SshReader(string(b"x") + b"\0")
    reader.string()
    with pytest.raises(MalformedError, match="left over"):
        reader.end()


def test_fingerprints_are_those_of_ssh_keygen(tmp_path: Path) -> None:
    key = make_key(tmp_path)
    assert fingerprint(base64.b64decode(public_line(key).split()[1])) == of_ssh_keygen(key)


def test_what_is_signed_names_the_purpose_and_the_hash() -> None:
    reader = SshReader(to_be_signed(b"text", b"sha512"))
    assert reader.take(6) == b"SSHSIG"
    assert [reader.string() for _ in range(3)] == [b"agent-auth.v1@artcafe", b"", b"sha512"]
    assert len(reader.string()) == 64
    reader.end()


ARMORED = "-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----\n"


def test_the_base64_of_an_armored_signature_is_that_signature() -> None:
    assert unwrapped(base64.b64encode(ARMORED.encode()).decode()) == ARMORED


@pytest.mark.parametrize(
    "signature",
    [
        ARMORED,
        "",
        "U1NIU0lH",
        base64.b64encode(bytes(range(64))).decode(),
        base64.b64encode(b"-----BEGIN SSH SIGNATURE-----\xff").decode(),
        base64.b64encode(f" {ARMORED}".encode()).decode(),
        base64.encodebytes(ARMORED.encode()).decode(),
        "\u00e4",
    ],
)
def test_any_other_signature_stays_as_it_is(signature: str) -> None:
    assert unwrapped(signature) == signature
