"""Signing logins: OpenSSH accepts what we sign, and whatever goes wrong is told in a sentence."""

import base64
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519

from artcafe.client.signer import (
    KeyFile,
    PassphraseNeededError,
    PassphraseWrongError,
    Signer,
    SignerError,
    SshAgent,
)
from artcafe.wire.challenge import NAMESPACE
from tests.kit.deadlines import PATIENCE
from tests.kit.ssh_agent import add_key, pretended_agent, running_ssh_agent, security_key_agent
from tests.kit.ssh_keys import (
    KeyRing,
    fingerprint,
    make_key,
    public_line,
    ssh_keygen_accepts,
    ssh_keygen_sign,
)
from tests.kit.sshsig import SK_ECDSA, SK_ED25519, Envelope, SecurityKey, blob_of, string, strings

KINDS = ["ed25519", "ecdsa-256", "ecdsa-384", "ecdsa-521", "rsa-2048"]
TEXT = b"artcafe-agent-auth/1\nserver=wss://artcafe.example\n"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def agent(keys: KeyRing, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A real ssh-agent that holds one key of each kind."""
    with running_ssh_agent(tmp_path_factory.mktemp("agent") / "socket") as path:
        for kind in KINDS:
            add_key(path, keys.path(kind))
        yield path


def complaint(path: Path, passphrase: bytes | None = None) -> str:
    """The sentence with which a key file is refused."""
    with pytest.raises(SignerError) as refused:
        KeyFile(path, passphrase)
    return str(refused.value)


def agent_complaint(path: Path, wanted: str | None = None, *, timeout: float = 10) -> str:
    """The sentence with which an agent is refused, when it lists its keys or when it signs."""
    with pytest.raises(SignerError) as refused:
        SshAgent(path, wanted, timeout=timeout).sign(TEXT)
    return str(refused.value)


def convert(path: Path, form: str, passphrase: str = "") -> Path:
    """Rewrite a private key in another form (`-m`), as ssh-keygen does."""
    command = ["ssh-keygen", "-q", "-p", "-P", "", "-N", passphrase, "-m", form, "-f", str(path)]
    subprocess.run(command, check=True, capture_output=True, timeout=10)
    return path


Private = ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey | ec.EllipticCurvePrivateKey


def write(path: Path, private: Private) -> Path:
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path.write_bytes(private.private_bytes(pem, pkcs8, serialization.NoEncryption()))
    return path


def openssh_file(path: Path, public: bytes) -> Path:
    """An OpenSSH private key file with this public key and no private part."""
    parts = string(b"none") + string(b"none") + string(b"") + (1).to_bytes(4, "big") + string(public)
    body = base64.b64encode(b"openssh-key-v1\0" + parts + string(b"")).decode()
    path.write_text(f"-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----\n")
    return path


# Key files.


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_file_signs_as_ssh_keygen_does(keys: KeyRing, kind: str, tmp_path: Path) -> None:
    signer: Signer = KeyFile(keys.path(kind))
    assert signer.public_key == keys.line(kind)
    assert signer.fingerprint == fingerprint(keys.path(kind))
    for text in (TEXT, b"", bytes(range(256))):
        signature = signer.sign(text)
        assert ssh_keygen_accepts(tmp_path, keys.line(kind), text, signature)
        assert not ssh_keygen_accepts(tmp_path, keys.line(kind), text + b"x", signature)
        assert not ssh_keygen_accepts(tmp_path, keys.line(kind), text, signature, "git")


@pytest.mark.parametrize("kind", ["ed25519", "rsa-2048"])
def test_the_text_form_is_that_of_ssh_keygen_to_the_byte(keys: KeyRing, kind: str) -> None:
    assert KeyFile(keys.path(kind)).sign(TEXT) == ssh_keygen_sign(keys.path(kind), TEXT)


def test_ecdsa_numbers_of_every_length(keys: KeyRing, tmp_path: Path) -> None:
    signer = KeyFile(keys.path("ecdsa-256"))
    lengths: set[int] = set()
    for count in range(200):
        text = str(count).encode()
        signature = signer.sign(text)
        numbers = strings(strings(Envelope.of(signature).signature)[1])
        if {len(number) for number in numbers} - lengths:
            lengths |= {len(number) for number in numbers}
            assert ssh_keygen_accepts(tmp_path, signer.public_key, text, signature)
    assert {32, 33} <= lengths


def test_rsa_signs_with_sha512(keys: KeyRing) -> None:
    made = Envelope.of(KeyFile(keys.path("rsa-2048")).sign(TEXT))
    assert strings(made.signature)[0] == b"rsa-sha2-512"


@pytest.mark.parametrize("form", ["PEM", "PKCS8"])
@pytest.mark.parametrize("kind", ["ecdsa-384", "rsa-2048"])
def test_pem_files(kind: str, form: str, tmp_path: Path) -> None:
    path = convert(make_key(tmp_path, kind), form)
    assert b"OPENSSH" not in path.read_bytes()
    signer = KeyFile(str(path))
    assert signer.public_key == public_line(path)
    assert ssh_keygen_accepts(tmp_path, public_line(path), TEXT, signer.sign(TEXT))


def test_ed25519_in_pem(tmp_path: Path) -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    path = write(tmp_path / "key.pem", private)
    signer = KeyFile(path)
    assert ssh_keygen_accepts(tmp_path, signer.public_key, TEXT, signer.sign(TEXT))


def test_pem_with_the_curve_parameters_in_front(tmp_path: Path) -> None:
    path = convert(make_key(tmp_path, "ecdsa-256"), "PEM")
    parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    path.write_text(parameters + path.read_text())
    assert KeyFile(path).public_key == public_line(path)


@pytest.mark.parametrize("form", ["OpenSSH", "PEM", "PKCS8"])
def test_a_passphrase_opens_an_encrypted_file(form: str, tmp_path: Path) -> None:
    path = make_key(tmp_path, "ecdsa-256")
    if form == "OpenSSH":
        path = make_key(tmp_path, "ecdsa-256", name="encrypted", passphrase="geheim")
    else:
        convert(path, form, "geheim")
    assert KeyFile(path, b"geheim").public_key == public_line(path)
    with pytest.raises(PassphraseNeededError, match="needs its passphrase"):
        KeyFile(path)
    with pytest.raises(PassphraseWrongError, match="does not open"):
        KeyFile(path, b"wrong")
    with pytest.raises(PassphraseNeededError):
        KeyFile(path, b"")


@pytest.mark.parametrize("cipher", ["aes256-ctr", "aes256-gcm@openssh.com"])
def test_a_passphrase_opens_every_common_cipher(cipher: str, tmp_path: Path) -> None:
    path = make_key(tmp_path)
    command = ["ssh-keygen", "-q", "-p", "-a", "1", "-Z", cipher, "-P", "", "-N", "geheim", "-f", str(path)]
    subprocess.run(command, check=True, capture_output=True, timeout=10)
    assert KeyFile(path, b"geheim").public_key == public_line(path)
    with pytest.raises(PassphraseWrongError):
        KeyFile(path, b"wrong")


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa-256"])
def test_a_needless_passphrase_does_no_harm(keys: KeyRing, kind: str, tmp_path: Path) -> None:
    assert KeyFile(keys.path(kind), b"needless").public_key == keys.line(kind)
    pem = write(tmp_path / "key.pem", ec.generate_private_key(ec.SECP256R1()))
    assert KeyFile(pem, b"needless").public_key.startswith("ecdsa-sha2-nistp256 ")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert "no key file" in complaint(tmp_path / "missing")
    assert "cannot be read" in complaint(tmp_path)


def test_a_public_key_in_place_of_the_private_one(keys: KeyRing, tmp_path: Path) -> None:
    path = keys.path()
    assert "is a public key" in complaint(path.with_name(path.name + ".pub"))
    for form in ("PKCS8", "PEM", "RFC4716"):
        command = ["ssh-keygen", "-e", "-m", form, "-f", str(keys.path("rsa-2048"))]
        public = subprocess.run(command, capture_output=True, check=True, timeout=10).stdout
        (tmp_path / form).write_bytes(public)
        assert "is a public key" in complaint(tmp_path / form)


def test_files_that_are_no_key(keys: KeyRing, tmp_path: Path) -> None:
    path, whole = tmp_path / "key", keys.path().read_text()
    lines = whole.splitlines(keepends=True)
    for text, word in (
        ("", "not a private key"),
        ("hello", "not a private key"),
        ("PuTTY-User-Key-File-3: ssh-ed25519\n", "not a private key"),
        (lines[0] + lines[-1], "cut off"),
        (lines[0] + lines[1] + lines[-1], "damaged"),
        (lines[0] + "AAAA" + whole[len(lines[0]) :], "damaged"),
        (lines[0] + "!\n" + lines[-1], "cut off"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "damaged"),
        ("-----BEGIN PRIVATE KEY-----\n", "damaged"),
    ):
        path.write_text(text)
        assert word in complaint(path), text


def test_types_that_are_not_supported(tmp_path: Path) -> None:
    for private in (ed448.Ed448PrivateKey.generate(), ec.generate_private_key(ec.SECP256K1())):
        assert "unsupported type" in complaint(write(tmp_path / "key.pem", private))
    for blob in (string(b"ssh-dss") + string(b"\5") * 4, string(b"ssh-xmss@openssh.com")):
        assert "unsupported type" in complaint(openssh_file(tmp_path / "key", blob))


def test_the_file_of_a_hardware_key_points_to_the_agent(tmp_path: Path) -> None:
    for kind in (SK_ED25519, SK_ECDSA):
        assert "ssh-agent" in complaint(openssh_file(tmp_path / "key", SecurityKey(kind).blob))


# A real ssh-agent.


@pytest.mark.parametrize("kind", KINDS)
def test_the_ssh_agent_signs(keys: KeyRing, agent: Path, kind: str, tmp_path: Path) -> None:
    signer: Signer = SshAgent(agent, fingerprint(keys.path(kind)))
    assert signer.public_key == keys.line(kind)
    assert signer.fingerprint == fingerprint(keys.path(kind))
    signature = signer.sign(TEXT)
    assert ssh_keygen_accepts(tmp_path, keys.line(kind), TEXT, signature)
    assert not ssh_keygen_accepts(tmp_path, keys.line(kind), TEXT + b"x", signature)
    if kind in ("ed25519", "rsa-2048"):
        assert signature == KeyFile(keys.path(kind)).sign(TEXT)


def test_the_first_key_is_taken_unless_told(keys: KeyRing, agent: Path) -> None:
    assert SshAgent(str(agent)).public_key == keys.line(KINDS[0])


def test_a_key_that_the_agent_lacks(keys: KeyRing, agent: Path, tmp_path: Path) -> None:
    assert "ssh-add" in agent_complaint(agent, fingerprint(make_key(tmp_path)))


def test_an_agent_that_loses_its_keys(keys: KeyRing, tmp_path: Path) -> None:
    with running_ssh_agent(tmp_path / "socket") as path:
        assert "has no key" in agent_complaint(path)
        add_key(path, keys.path())
        signer = SshAgent(path)
        assert signer.sign(TEXT)
        add_key(path, "-D")
        with pytest.raises(SignerError, match="did not sign"):
            signer.sign(TEXT)
    with pytest.raises(SignerError, match="No ssh-agent answers"):
        signer.sign(TEXT)


def test_certificates_in_the_agent_are_passed_over(tmp_path: Path) -> None:
    key, authority = make_key(tmp_path, name="key"), make_key(tmp_path, name="authority")
    command = ["ssh-keygen", "-q", "-s", str(authority), "-I", "id", "-n", "agent", str(key)]
    subprocess.run(command, check=True, capture_output=True, timeout=10)
    certificate = (tmp_path / "key-cert.pub").read_text()
    with running_ssh_agent(tmp_path / "socket") as path:
        add_key(path, key)
        assert SshAgent(path).public_key == public_line(key)
    first = string(blob_of(certificate)) + string(b"") + string(blob_of(public_line(key))) + string(b"")
    listing = string(b"\x0c" + (2).to_bytes(4, "big") + first)
    with pretended_agent(tmp_path / "pretended", lambda _: listing) as path:
        assert SshAgent(path).public_key == public_line(key)


# Agents that no honest test machine has.


@pytest.mark.parametrize("kind", [SK_ED25519, SK_ECDSA])
def test_a_hardware_key_in_the_agent(kind: str, tmp_path: Path) -> None:
    key = SecurityKey(kind)
    with pretended_agent(tmp_path / "socket", security_key_agent(key)) as path:
        signer = SshAgent(path)
        assert signer.public_key == key.line
        assert ssh_keygen_accepts(tmp_path, key.line, TEXT, signer.sign(TEXT))


def test_no_agent_at_the_socket(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "missing", tmp_path / "file", tmp_path, tmp_path / ("x" * 200)):
        assert "No ssh-agent answers" in agent_complaint(path)


def test_an_agent_that_keeps_quiet(tmp_path: Path) -> None:
    started = time.monotonic()
    with pretended_agent(tmp_path / "socket", lambda _: None) as path:
        assert "within 0.05 seconds" in agent_complaint(path, timeout=0.05)
    assert time.monotonic() - started < PATIENCE


def test_answers_that_are_none(keys: KeyRing, tmp_path: Path) -> None:
    answers = {
        b"": "hung up",
        b"\0": "hung up",
        b"\0\0\0\x09\x0c": "hung up",
        b"\xff\xff\xff\xffHTTP": "does not speak",
        string(b""): "cut off",
        string(b"\x05"): "does not list",
        string(b"\x0c"): "cut off",
        string(b"\x0c\xff\xff\xff\xff"): "cut off",
        string(b"\x0c\0\0\0\1" + string(b"") + string(b"")): "cut off",
        string(b"\x0c\0\0\0\1" + string(string(b"\xff")) + string(b"")): "has no key",
    }
    for number, (answer, word) in enumerate(answers.items()):
        with pretended_agent(tmp_path / str(number), {b"\x0b": answer}.get) as path:
            assert word in agent_complaint(path), answer


def test_an_agent_that_signs_with_sha1(keys: KeyRing, tmp_path: Path) -> None:
    blob = blob_of(keys.line("rsa-2048"))

    def answer(request: bytes) -> bytes:
        if request == b"\x0b":
            return string(b"\x0c\0\0\0\1" + string(blob) + string(b""))
        return string(b"\x0e" + string(string(b"ssh-rsa") + string(bytes(256))))

    with pretended_agent(tmp_path / "socket", answer) as path:
        assert "too old" in agent_complaint(path)


def test_the_namespace_is_that_of_logins(keys: KeyRing, agent: Path) -> None:
    for signer in (KeyFile(keys.path()), SshAgent(agent)):
        assert Envelope.of(signer.sign(TEXT)).namespace == NAMESPACE.encode()
