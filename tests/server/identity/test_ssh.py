"""Verifying logins: what OpenSSH and crypto libraries sign is accepted, what was signed otherwise is not."""

import base64
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding

from artcafe.server.identity.ssh import LEAST_SPENT, MAX_TRIED, SshVerifier
from artcafe.wire.challenge import NAMESPACE, Challenge
from tests.kit.ssh_keys import (
    KeyRing,
    ecdsa_key,
    ed25519_key,
    fingerprint,
    make_key,
    public_line,
    raw_signature,
    rsa_key,
    ssh_keygen_accepts,
    ssh_keygen_sign,
)
from tests.kit.sshsig import (
    SK_ECDSA,
    SK_ED25519,
    Envelope,
    SecurityKey,
    armor,
    blob_of,
    dearmor,
    line_of,
    mpint,
    signed,
    string,
    strings,
)

KINDS = ["ed25519", "ecdsa-256", "ecdsa-384", "ecdsa-521", "rsa-2048", "rsa-3072"]
TEXT = b"artcafe-agent-auth/1\nserver=wss://artcafe.example\ntenant=acme\nagent=a1\n"


CHALLENGE = Challenge("wss://artcafe.example", "acme", "a1", "c1", "n" * 43, 1_800_000_000).text()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def verifier() -> SshVerifier:
    return SshVerifier()


def base64_of(signature: bytes) -> str:
    return base64.b64encode(signature).decode()


# What is accepted.


@pytest.mark.parametrize("hash_name", ["sha512", "sha256"])
@pytest.mark.parametrize("kind", KINDS)
def test_signatures_of_ssh_keygen(keys: KeyRing, verifier: SshVerifier, kind: str, hash_name: str) -> None:
    signature = ssh_keygen_sign(keys.path(kind), TEXT, NAMESPACE, f"hashalg={hash_name}")
    assert Envelope.of(signature).hash == hash_name.encode()
    assert verifier.verify(keys.line(kind), TEXT, signature)


@pytest.mark.parametrize("kind", KINDS)
def test_raw_signatures_of_crypto_libraries(keys: KeyRing, verifier: SshVerifier, kind: str) -> None:
    signature = base64_of(raw_signature(keys.path(kind), TEXT))
    assert verifier.verify(keys.line(kind), TEXT, signature)
    assert verifier.verify(keys.line(kind), TEXT, f" \n{signature}\r\n")
    assert not verifier.verify(keys.line(kind), TEXT + b"\n", signature)


@pytest.mark.parametrize("kind", [SK_ED25519, SK_ECDSA])
def test_hardware_keys(verifier: SshVerifier, kind: str, tmp_path: Path) -> None:
    for application, flags in ((b"ssh:", 0x01), (b"ssh:artcafe", 0x05)):
        key = SecurityKey(kind, application)
        signature = key.sign(TEXT, flags=flags)
        assert verifier.verify(key.line, TEXT, signature)
        assert ssh_keygen_accepts(tmp_path, key.line, TEXT, signature)


def test_rsa_with_sha256_inside_the_envelope(keys: KeyRing, verifier: SshVerifier, tmp_path: Path) -> None:
    line, private = keys.line("rsa-2048"), rsa_key(keys.path("rsa-2048"))
    body = private.sign(signed(TEXT), padding.PKCS1v15(), hashes.SHA256())
    signature = Envelope(blob_of(line), string(b"rsa-sha2-256") + string(body)).armored()
    assert ssh_keygen_accepts(tmp_path, line, TEXT, signature)
    assert verifier.verify(line, TEXT, signature)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa-256", "rsa-2048"])
def test_every_line_width_and_line_end(keys: KeyRing, verifier: SshVerifier, kind: str) -> None:
    signature = ssh_keygen_sign(keys.path(kind), TEXT)
    for columns in (*range(1, 80), 8000):  # the padding, too, may be broken or stand alone
        for newline in ("\n", "\r\n"):
            wrapped = armor(dearmor(signature), columns=columns, newline=newline)
            assert verifier.verify(keys.line(kind), TEXT, f"\n {wrapped}")


def test_any_bytes_can_be_signed(keys: KeyRing, verifier: SshVerifier) -> None:
    for text in (b"", b"\0", bytes(range(256)), b"x" * 100_000):
        assert verifier.verify(keys.line(), text, ssh_keygen_sign(keys.path(), text))


# Signatures made for something or by somebody else.


@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_for_another_purpose(keys: KeyRing, verifier: SshVerifier, kind: str) -> None:
    for namespace in ("git", "file", NAMESPACE + "x", NAMESPACE[:-1], NAMESPACE.upper()):
        assert not verifier.verify(keys.line(kind), TEXT, ssh_keygen_sign(keys.path(kind), TEXT, namespace))


def test_a_signature_for_git_with_the_namespace_rewritten(keys: KeyRing, verifier: SshVerifier) -> None:
    made = Envelope.of(ssh_keygen_sign(keys.path(), TEXT, "git"))
    assert not verifier.verify(keys.line(), TEXT, replace(made, namespace=NAMESPACE.encode()).armored())


@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_of_another_text(keys: KeyRing, verifier: SshVerifier, kind: str) -> None:
    signature = ssh_keygen_sign(keys.path(kind), TEXT)
    for text in (b"", TEXT[:-1], TEXT + b"\n", TEXT.upper(), TEXT.replace(b"acme", b"evil")):
        assert not verifier.verify(keys.line(kind), text, signature)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa-256", "rsa-2048"])
def test_a_signature_by_another_key(keys: KeyRing, verifier: SshVerifier, kind: str, tmp_path: Path) -> None:
    foreign = make_key(tmp_path, kind)
    signature = ssh_keygen_sign(foreign, TEXT)
    assert verifier.verify(public_line(foreign), TEXT, signature)
    assert not verifier.verify(keys.line(kind), TEXT, signature)
    assert not verifier.verify(keys.line(kind), TEXT, base64_of(raw_signature(foreign, TEXT)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["envelope", "raw"])
def test_a_refusal_costs_the_same_whatever_keys_there_are(keys: KeyRing, kind: str, form: str) -> None:
    """An agent that does not exist, one with the very key, one with a key of another type, or of each."""
    verifier = SshVerifier()
    made = (
        ssh_keygen_sign(keys.path(kind), b"x")
        if form == "envelope"
        else base64_of(raw_signature(keys.path(kind), b"x"))
    )
    shown = verifier.read(made)
    assert shown is not None
    other = "rsa-2048" if kind == "ed25519" else "ed25519"
    costs = set()
    for known in ([], [kind], [other], list(KINDS)):
        before = verifier.verifications
        assert verifier.prove([keys.line(each) for each in known], TEXT, shown) is None
        costs.add(verifier.verifications - before)

    assert costs == {LEAST_SPENT}


def test_of_an_envelope_the_key_that_it_names_is_tried_and_no_other(keys: KeyRing, tmp_path: Path) -> None:
    verifier = SshVerifier()
    others = [public_line(make_key(tmp_path, name=f"k{number}")) for number in range(20)]
    shown = verifier.read(ssh_keygen_sign(keys.path(), TEXT))
    assert shown is not None
    assert shown.fingerprint == fingerprint(keys.path())

    assert verifier.prove([*others, keys.line()], TEXT, shown) == keys.line()
    assert verifier.verifications == 1


def test_of_keys_that_can_have_made_a_raw_signature_a_few_are_tried(keys: KeyRing, tmp_path: Path) -> None:
    verifier = SshVerifier()
    many = [public_line(make_key(tmp_path, name=f"k{number}")) for number in range(MAX_TRIED + 3)]
    shown = verifier.read(base64_of(raw_signature(keys.path(), TEXT)))
    assert shown is not None

    assert verifier.prove([*many[: MAX_TRIED - 1], keys.line("rsa-2048"), keys.line()], TEXT, shown)
    assert verifier.verifications == MAX_TRIED
    assert verifier.prove([*many, keys.line()], TEXT, shown) is None
    assert verifier.verifications == 2 * MAX_TRIED


def test_a_key_that_was_registered_when_more_was_taken_is_never_tried(keys: KeyRing) -> None:
    verifier = SshVerifier()
    large = "ssh-rsa " + base64.b64encode(string(b"ssh-rsa") + mpint(65537) + mpint(2**8191 + 1)).decode()
    slow = "ssh-rsa " + base64.b64encode(string(b"ssh-rsa") + mpint(2**32 + 1) + mpint(2**2047 + 1)).decode()
    shown = verifier.read(base64_of(raw_signature(keys.path("rsa-2048"), TEXT)))
    assert shown is not None

    assert verifier.prove([large] * 16 + [slow] * 16, TEXT, shown) is None
    assert verifier.verifications == LEAST_SPENT
    assert verifier.prove([large, slow, keys.line("rsa-2048")], TEXT, shown) == keys.line("rsa-2048")
    assert verifier.read(base64_of(bytes(1024))) is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_challenge_that_went_through_a_pipe_in_text_mode_is_taken(
    keys: KeyRing, verifier: SshVerifier, kind: str
) -> None:
    """Python on Windows writes CR LF for each LF into such a pipe; ssh-keygen signs what it reads."""
    text = CHALLENGE.encode()
    shown = verifier.read(ssh_keygen_sign(keys.path(kind), text.replace(b"\n", b"\r\n")))
    assert shown is not None

    assert verifier.prove([keys.line(kind)], text, shown) == keys.line(kind)
    assert verifier.prove([keys.line(kind)], text.replace(b"nonce=", b"nonce=x"), shown) is None


@pytest.mark.parametrize(
    "signed",
    [
        CHALLENGE.replace("\n", "\r"),
        CHALLENGE.replace("\n", "\r\n", 1),
        CHALLENGE.replace("\n", "\r\r\n"),
        CHALLENGE.rstrip("\n").replace("\n", "\r\n"),
    ],
    ids=["carriage returns", "one of them", "two each", "cut off"],
)
def test_no_other_spelling_of_a_challenge_is_taken(keys: KeyRing, verifier: SshVerifier, signed: str) -> None:
    shown = verifier.read(ssh_keygen_sign(keys.path(), signed.encode()))
    assert shown is not None

    assert verifier.prove([keys.line()], CHALLENGE.encode(), shown) is None


def test_a_text_of_the_clients_own_has_one_spelling(keys: KeyRing, verifier: SshVerifier) -> None:
    shown = verifier.read(ssh_keygen_sign(keys.path(), b"a\r\nb"))
    assert shown is not None

    assert verifier.prove([keys.line()], b"a\nb", shown) is None
    assert verifier.prove([keys.line()], b"a\r\nb", shown) == keys.line()


# Key confusion.


def test_a_foreign_signature_with_our_key_written_into_it(
    keys: KeyRing, verifier: SshVerifier, tmp_path: Path
) -> None:
    made = Envelope.of(ssh_keygen_sign(make_key(tmp_path), TEXT))
    assert not verifier.verify(keys.line(), TEXT, replace(made, key=blob_of(keys.line())).armored())


def test_our_signature_with_another_key_written_into_it(
    keys: KeyRing, verifier: SshVerifier, tmp_path: Path
) -> None:
    made = Envelope.of(ssh_keygen_sign(keys.path(), TEXT))
    for key in (blob_of(public_line(make_key(tmp_path))), made.key + b"\0", b"", SecurityKey().blob):
        assert not verifier.verify(keys.line(), TEXT, replace(made, key=key).armored())


@pytest.mark.parametrize("kind", KINDS)
def test_the_algorithm_named_inside_must_be_one_of_the_key(
    keys: KeyRing, verifier: SshVerifier, kind: str
) -> None:
    made = Envelope.of(ssh_keygen_sign(keys.path(kind), TEXT))
    algorithm, body = strings(made.signature)
    names = [
        b"ssh-ed25519",
        b"ssh-rsa",
        b"rsa-sha2-256",
        b"rsa-sha2-512",
        b"rsa-sha2-512-cert-v01@openssh.com",
    ]
    names += [b"ecdsa-sha2-nistp256", b"ecdsa-sha2-nistp384", b"ecdsa-sha2-nistp521", SK_ED25519.encode()]
    names += [b"", b"none", b"\xff", algorithm.upper()]
    for name in names:
        swapped = replace(made, signature=string(name) + string(body)).armored()
        assert verifier.verify(keys.line(kind), TEXT, swapped) == (name == algorithm), name


def test_rsa_with_sha1_inside_the_envelope(keys: KeyRing, verifier: SshVerifier) -> None:
    line, private = keys.line("rsa-2048"), rsa_key(keys.path("rsa-2048"))
    body = private.sign(signed(TEXT), padding.PKCS1v15(), hashes.SHA1())
    for name in (b"ssh-rsa", b"rsa-sha2-256", b"rsa-sha2-512"):
        envelope = Envelope(blob_of(line), string(name) + string(body))
        assert not verifier.verify(line, TEXT, envelope.armored())


def test_raw_rsa_with_another_padding_or_hash(keys: KeyRing, verifier: SshVerifier) -> None:
    line, private = keys.line("rsa-2048"), rsa_key(keys.path("rsa-2048"))
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    for signature in (
        private.sign(TEXT, pss, hashes.SHA256()),
        private.sign(TEXT, padding.PKCS1v15(), hashes.SHA1()),
        private.sign(TEXT, padding.PKCS1v15(), hashes.SHA512()),
        b"\0" + raw_signature(keys.path("rsa-2048"), TEXT),
    ):
        assert not verifier.verify(line, TEXT, base64_of(signature))


@pytest.mark.parametrize("kind", ["ecdsa-384", "ecdsa-521"])
def test_raw_ecdsa_with_another_hash_than_the_curve_has(
    keys: KeyRing, verifier: SshVerifier, kind: str
) -> None:
    signature = ecdsa_key(keys.path(kind)).sign(TEXT, ec.ECDSA(hashes.SHA256()))
    assert not verifier.verify(keys.line(kind), TEXT, base64_of(signature))


def test_the_inside_of_an_envelope_is_no_raw_signature(keys: KeyRing, verifier: SshVerifier) -> None:
    made = Envelope.of(ssh_keygen_sign(keys.path(), TEXT))
    for inside in (made.bytes(), made.signature, strings(made.signature)[1]):
        assert not verifier.verify(keys.line(), TEXT, base64_of(inside))


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa-256", "rsa-2048"])
def test_what_ssh_signs_for_others_is_no_text(keys: KeyRing, verifier: SshVerifier, kind: str) -> None:
    line, path = keys.line(kind), keys.path(kind)
    for_git = signed(b"a commit", namespace=b"git")
    for_ssh_login = string(bytes(range(1, 33))) + b"\x32" + string(b"root") + string(b"ssh-connection")
    for text in (for_git, for_ssh_login, TEXT + b"\0"):
        assert not verifier.verify(line, text, base64_of(raw_signature(path, text)))


def test_a_git_signature_is_not_replayed_as_a_raw_one(keys: KeyRing, verifier: SshVerifier) -> None:
    made = Envelope.of(ssh_keygen_sign(keys.path(), "a commit", "git"))
    body = strings(made.signature)[1]
    text = signed(b"a commit", namespace=b"git")
    ed25519_key(keys.path()).public_key().verify(body, text)  # to a crypto library it is one
    assert not verifier.verify(keys.line(), text, base64_of(body))


def test_a_raw_signature_is_no_inside_of_an_envelope(keys: KeyRing, verifier: SshVerifier) -> None:
    body = ed25519_key(keys.path()).sign(TEXT)
    envelope = Envelope(blob_of(keys.line()), string(b"ssh-ed25519") + string(body))
    assert not verifier.verify(keys.line(), TEXT, envelope.armored())


# Hardware keys.


@pytest.mark.parametrize("kind", [SK_ED25519, SK_ECDSA])
def test_a_hardware_key_that_nobody_touched(verifier: SshVerifier, kind: str) -> None:
    key = SecurityKey(kind)
    for flags in (0x00, 0x04, 0x80, 0xFE):
        assert not verifier.verify(key.line, TEXT, key.sign(TEXT, flags=flags))


@pytest.mark.parametrize("kind", [SK_ED25519, SK_ECDSA])
def test_a_hardware_key_for_another_application(verifier: SshVerifier, kind: str) -> None:
    key = SecurityKey(kind)
    made = Envelope.of(key.sign(TEXT))
    key.application = b"https://evil.example"
    body = key.answer(signed(TEXT))
    assert not verifier.verify(key.line, TEXT, replace(made, signature=body).armored())


@pytest.mark.parametrize("kind", [SK_ED25519, SK_ECDSA])
def test_a_hardware_key_never_signs_plain_text(verifier: SshVerifier, kind: str) -> None:
    key = SecurityKey(kind)
    plain = (
        key.private.sign(TEXT)
        if isinstance(key.private, ed25519.Ed25519PrivateKey)
        else key.private.sign(TEXT, ec.ECDSA(hashes.SHA256()))
    )
    algorithm, body = strings(Envelope.of(key.sign(TEXT)).signature[:-5])
    for signature in (plain, body, string(algorithm) + string(body)):
        assert not verifier.verify(key.line, TEXT, base64_of(signature))


def test_a_hardware_key_is_not_its_plain_twin(verifier: SshVerifier) -> None:
    key = SecurityKey(SK_ED25519)
    twin = string(b"ssh-ed25519") + string(strings(key.blob)[1])
    assert not verifier.verify(line_of(twin), TEXT, key.sign(TEXT))
    assert not verifier.verify(line_of(twin), TEXT, replace(Envelope.of(key.sign(TEXT)), key=twin).armored())


@pytest.mark.parametrize("size", range(9))
def test_flags_and_counter_are_exactly_five_bytes(verifier: SshVerifier, size: int) -> None:
    key = SecurityKey()
    made = Envelope.of(key.sign(TEXT))
    body, extras = made.signature[:-5], (made.signature[-5:] + bytes(4))[:size]
    assert verifier.verify(key.line, TEXT, replace(made, signature=body + extras).armored()) == (size == 5)
