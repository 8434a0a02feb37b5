"""Registering keys: what people have at hand is accepted, what is weak or dangerous is refused."""

import base64
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from hypothesis import given, settings
from hypothesis import strategies as st

from artcafe.server.identity.ssh_keys import (
    MAX_COMMENT,
    MAX_TEXT,
    decode_base64,
    generate_key_pair,
    parse_public_key,
)
from artcafe.server.ports.identity import KeyKind
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.edwards25519 import P, small_order_encodings
from tests.kit.ssh_keys import KeyRing, fingerprint, make_key, public_line
from tests.kit.sshsig import SK_ECDSA, SK_ED25519, SecurityKey, blob_of, line_of, mpint, string

KINDS = ["ed25519", "ecdsa-256", "ecdsa-384", "ecdsa-521", "rsa-2048"]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing(tmp_path_factory.mktemp("keys"))


def refusal(text: str) -> str:
    """The sentence with which a key is refused."""
    with pytest.raises(ArtcafeError) as refused:
        parse_public_key(text)
    assert refused.value.code is Code.validation_failed
    return refused.value.message


def rsa_line(exponent: int, modulus: int) -> str:
    return line_of(string(b"ssh-rsa") + mpint(exponent) + mpint(modulus))


def ec_line(point: bytes) -> str:
    return line_of(string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(point))


def as_pem(path: Path, form: str) -> str:
    """A public key as ssh-keygen exports it: PKCS8 (SubjectPublicKeyInfo) or PEM (PKCS #1)."""
    command = ["ssh-keygen", "-e", "-m", form, "-f", str(path)]
    return subprocess.run(command, capture_output=True, check=True, timeout=10).stdout.decode()


def spki(key: object) -> str:
    pem = key.public_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert isinstance(pem, bytes)
    return pem.decode()


@pytest.mark.parametrize("kind", KINDS)
def test_a_pub_file_is_read_as_ssh_keygen_reads_it(keys: KeyRing, kind: str) -> None:
    path = keys.path(kind)
    key = parse_public_key(path.with_name(path.name + ".pub").read_text())
    assert key.line == public_line(path)
    assert key.fingerprint == fingerprint(path)
    assert (key.type, key.comment) == (key.line.split()[0], kind)
    assert key.blob == blob_of(key.line)


@pytest.mark.parametrize("kind", [SK_ED25519, SK_ECDSA])
def test_hardware_keys_keep_their_application(kind: str, tmp_path: Path) -> None:
    line = SecurityKey(kind, application=b"ssh:artcafe").line
    key = parse_public_key(line + " my token")
    assert (key.type, key.line, key.comment) == (kind, line, "my token")
    (tmp_path / "sk.pub").write_text(line)
    assert key.fingerprint == fingerprint(tmp_path / "sk.pub")


@pytest.mark.parametrize("kind", ["ecdsa-256", "ecdsa-384", "ecdsa-521", "rsa-2048"])
def test_pem_becomes_the_same_line(keys: KeyRing, kind: str) -> None:
    assert parse_public_key(as_pem(keys.path(kind), "PKCS8")).line == keys.line(kind)


def test_pkcs1_pem_becomes_the_same_line(keys: KeyRing) -> None:
    pem = as_pem(keys.path("rsa-2048"), "PEM")
    assert pem.startswith("-----BEGIN RSA PUBLIC KEY-----")
    assert parse_public_key(pem).line == keys.line("rsa-2048")
    assert parse_public_key("\r\n" + pem.replace("\n", "\r\n")).line == keys.line("rsa-2048")


def test_ed25519_pem_becomes_the_same_line(keys: KeyRing) -> None:
    key = serialization.load_ssh_public_key(keys.line().encode())
    assert parse_public_key(spki(key)).line == keys.line()


def test_blanks_newlines_and_comments_do_not_matter(keys: KeyRing) -> None:
    kind, encoded = keys.line().split()
    key = parse_public_key(f"\n  {kind}   {encoded}  a b  c \r\n")
    assert key.line == keys.line()
    assert key.comment == "a b  c"
    assert key == parse_public_key(keys.line())


@pytest.mark.parametrize("form", ["openssh", "encrypted", "pem", "pkcs8", "base64 alone", "putty"])
def test_a_private_key_is_refused_and_called_compromised(form: str, tmp_path: Path) -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    encoding, no = serialization.Encoding.PEM, serialization.NoEncryption()
    openssh = private.private_bytes(encoding, serialization.PrivateFormat.OpenSSH, no).decode()
    texts = {
        "openssh": openssh,
        "encrypted": make_key(tmp_path, passphrase="secret").read_text(),
        "pem": ec.generate_private_key(ec.SECP256R1())
        .private_bytes(encoding, serialization.PrivateFormat.TraditionalOpenSSL, no)
        .decode(),
        "pkcs8": private.private_bytes(encoding, serialization.PrivateFormat.PKCS8, no).decode(),
        "base64 alone": "".join(openssh.splitlines()[1:-1]),
        "putty": "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n",
    }
    message = refusal("Here it is:\n" + texts[form])
    assert "PRIVATE" in message
    assert "compromised" in message


def test_a_private_key_too_long_to_read_is_still_called_compromised() -> None:
    assert "compromised" in refusal("-----BEGIN RSA PRIVATE KEY-----\n" + "A" * MAX_TEXT)


def test_certificates_are_refused(keys: KeyRing, tmp_path: Path) -> None:
    key, authority = make_key(tmp_path, name="key"), make_key(tmp_path, name="authority")
    command = ["ssh-keygen", "-q", "-s", str(authority), "-I", "id", "-n", "agent", str(key)]
    subprocess.run(command, check=True, capture_output=True, timeout=10)
    certificate = (tmp_path / "key-cert.pub").read_text()
    assert "certificate" in refusal(certificate)
    assert "certificate" in refusal("ssh-ed25519 " + certificate.split()[1])


def test_weak_rsa_keys_are_refused(keys: KeyRing, tmp_path: Path) -> None:
    assert "1024 bits" in refusal(public_line(make_key(tmp_path, "rsa-1024")))
    assert "1024 bits" in refusal(as_pem(tmp_path / "rsa-1024", "PKCS8"))
    odd = 2**2047 + 1
    for modulus in (odd, 2**4095 + 1):
        assert parse_public_key(rsa_line(65537, modulus)).type == "ssh-rsa"
    assert "2047 bits" in refusal(rsa_line(65537, 2**2046 + 1))
    assert "4097 bits" in refusal(rsa_line(65537, 2**4096 + 1))
    for exponent in (0, 1, 3, 35, 65535, 65536, 65538, 65539, 2**32 + 1, 2**33 + 1, odd):
        assert "exponent" in refusal(rsa_line(exponent, odd)), exponent
    assert "weak" in refusal(rsa_line(65537, odd + 1))


def test_dsa_and_unknown_types_are_refused() -> None:
    blob = string(b"ssh-dss") + mpint(5) * 4
    assert "DSA" in refusal(line_of(blob))
    assert "DSA" in refusal("ssh-rsa " + line_of(blob).split()[1])
    assert "accepted type" in refusal(line_of(string(b"ssh-ed448") + string(bytes(57))))
    assert "accepted type" in refusal(line_of(string(b"ssh-xmss@openssh.com") + string(bytes(57))))


def test_pem_of_other_types_is_refused() -> None:
    numbers = dsa.DSAParameterNumbers(2**2047 + 1, 2**255 + 1, 2)
    for key in (
        ed448.Ed448PrivateKey.generate().public_key(),
        x25519.X25519PrivateKey.generate().public_key(),
        ec.generate_private_key(ec.SECP256K1()).public_key(),
        dsa.DSAPublicNumbers(2**2046 + 1, numbers).public_key(),
    ):
        assert "not accepted" in refusal(spki(key))


def test_pem_with_an_unknown_algorithm_or_curve_is_refused(keys: KeyRing) -> None:
    pem = as_pem(keys.path("ecdsa-256"), "PKCS8")
    der = base64.b64decode("".join(pem.splitlines()[1:-1]))
    for known in (bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06082a8648ce3d030107")):
        assert der.count(known) == 1
        body = base64.b64encode(der.replace(known, known[:-1] + b"\x7f")).decode()
        message = refusal(f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----")
        assert "not accepted" in message


def test_only_one_whole_pem_is_read(keys: KeyRing) -> None:
    pem = as_pem(keys.path("ecdsa-256"), "PKCS8")
    for text in (
        pem + pem,
        pem + "more",
        "Key: x\n" + pem,
        pem[:-5],
        pem.replace("-----BEGIN PUBLIC", "----- BEGIN"),
    ):
        assert refusal(text)
    assert "exactly one" in refusal(pem.replace("PUBLIC KEY", "X509 CRL"))
    der = base64.b64decode("".join(pem.splitlines()[1:-1])) + b"\0"
    trailing = base64.b64encode(der).decode()
    assert "damaged" in refusal(f"-----BEGIN PUBLIC KEY-----\n{trailing}\n-----END PUBLIC KEY-----")


def test_one_key_on_one_line(keys: KeyRing) -> None:
    kind, encoded = keys.line().split()
    for text in (
        f"{keys.line()}\n{keys.line('ecdsa-256')}",
        f"{kind}\n{encoded}",
        f"{kind} {encoded[:20]}\n{encoded[20:]}",
        f"{kind} {encoded}\n\n{encoded}",
    ):
        assert "one line" in refusal(text)


def test_options_in_front_are_refused(keys: KeyRing) -> None:
    assert "options" in refusal('command="id",no-pty ' + keys.line())
    assert "options" in refusal("@cert-authority " + keys.line())


def test_text_that_is_no_key_is_refused(keys: KeyRing) -> None:
    kind, encoded = keys.line().split()
    assert "missing" in refusal(kind)
    assert "base64" in refusal(f"{kind} {encoded[:-1]}")
    assert "base64" in refusal(f"{kind} {encoded.replace('A', '-', 1)}")
    assert "longer" in refusal(keys.line() + " " + "x" * MAX_TEXT)
    for text in (
        "",
        " \n",
        "hello",
        "https://example.com/key.pub",
        "~/.ssh/id_ed25519.pub",
        keys.path().name,
    ):
        assert "Accepted are" in refusal(text)


def test_a_key_itself_is_ascii(keys: KeyRing) -> None:
    cyrillic = keys.line().replace("A", "\u0410", 1)
    for text in (cyrillic, "\ud800", "ssh\u2011ed25519 AAAA", "ssh-ed25519 \ud800", "\u2003"):
        assert refusal(text)


def test_the_type_in_front_is_the_type_inside(keys: KeyRing) -> None:
    swapped = f"ssh-ed25519 {keys.line('ecdsa-256').split()[1]}"
    assert "inconsistent" in refusal(swapped)
    assert "inconsistent" in refusal(f"ssh-ed25519 {SecurityKey().line.split()[1]}")
    blob = blob_of(keys.line("ecdsa-256"))
    assert "inconsistent" in refusal(line_of(blob.replace(b"\x08nistp256", b"\x08nistp384")))


@pytest.mark.parametrize("kind", KINDS)
def test_missing_and_trailing_bytes_are_refused(keys: KeyRing, kind: str) -> None:
    blob = blob_of(keys.line(kind))
    name = keys.line(kind).split()[0]
    for wrong in (blob + b"\0", blob + blob, blob + string(b""), *(blob[:size] for size in range(len(blob)))):
        refusal(f"{name} {base64.b64encode(wrong).decode()}")


def test_compressed_and_foreign_points_are_refused() -> None:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    x962, openssh = serialization.Encoding.X962, serialization.PublicFormat
    compressed = public.public_bytes(x962, openssh.CompressedPoint)
    point = public.public_bytes(x962, openssh.UncompressedPoint)
    assert parse_public_key(ec_line(point)).line == ec_line(point)
    assert "compressed" in refusal(ec_line(compressed))
    assert "compressed" in refusal(ec_line(bytes([6 + point[-1] % 2]) + point[1:]))
    assert "compressed" in refusal(ec_line(b"\0"))
    assert "compressed" in refusal(ec_line(b""))
    assert "damaged" in refusal(ec_line(point[:-1] + bytes([point[-1] ^ 1])))
    assert "damaged" in refusal(ec_line(point + b"\0"))
    assert "damaged" in refusal(ec_line(b"\x04" + bytes(64)))


def test_numbers_have_one_spelling() -> None:
    modulus = mpint(2**2047 + 1)
    padded, negative = string(b"\0" + modulus[4:]), string(modulus[5:])
    exponent = mpint(65537)
    for numbers in (exponent + padded, string(b"\0" + exponent[4:]) + modulus, exponent + negative):
        assert "damaged" in refusal(line_of(string(b"ssh-rsa") + numbers))
    assert "damaged" in refusal(line_of(string(b"ssh-rsa") + string(b"\0") + modulus))


def test_every_encoding_of_a_small_order_point_is_refused() -> None:
    encodings = small_order_encodings()
    assert len(encodings) == 14
    for raw in encodings:
        assert "small order" in refusal(line_of(string(b"ssh-ed25519") + string(raw)))
        assert "small order" in refusal(line_of(string(SK_ED25519.encode()) + string(raw) + string(b"ssh:")))


def test_a_second_spelling_of_a_point_is_refused() -> None:
    once, again = (line_of(string(b"ssh-ed25519") + string(y.to_bytes(32, "little"))) for y in (3, P + 3))
    assert parse_public_key(once).line == once
    assert "damaged" in refusal(again)


def test_refusals_do_not_repeat_what_was_sent(keys: KeyRing) -> None:
    for text in (
        "ssh-secretword",
        'opt="secretword" ' + keys.line(),
        f"ssh-ed25519 sécretword {keys.line()}",
        "secretword\n\n-",
    ):
        assert "cretword" not in refusal(text)


@pytest.mark.parametrize("text", ["QR==", "QQ", "QQ==\n", "Q Q=", "=QQ=", "QQ==QQ==", "_-==", "é"])
def test_base64_has_one_spelling(text: str) -> None:
    assert decode_base64("QQ==") == b"A"
    with pytest.raises(ValueError):  # noqa: PT011  any ValueError means refused
        decode_base64(text)


def test_a_generated_ed25519_pair_is_as_openssh_makes_it(tmp_path: Path) -> None:
    text, line = generate_key_pair(KeyKind.ed25519)
    assert text.startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")  # pragma: allowlist secret
    path = tmp_path / "generated"
    path.write_text(text)
    path.chmod(0o600)
    made = subprocess.run(["ssh-keygen", "-y", "-f", path], capture_output=True, check=True, timeout=10)
    assert made.stdout.decode().split()[:2] == line.split()
    assert line.startswith("ssh-ed25519 ")


def test_generated_rsa_pairs_are_what_field_clients_can_read(tmp_path: Path) -> None:
    pem, line = generate_key_pair(KeyKind.rsa)
    assert pem.startswith("-----BEGIN PRIVATE KEY-----\n")
    path = tmp_path / "generated"
    path.write_text(pem)
    path.chmod(0o600)
    made = subprocess.run(["ssh-keygen", "-y", "-f", path], capture_output=True, check=True, timeout=10)
    assert made.stdout.decode().split()[:2] == line.split()
    private = serialization.load_pem_private_key(pem.encode(), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    assert private.key_size == 3072
    assert parse_public_key(line).line == line


_SOME_LINE = SecurityKey().line
_NAMES = [b"ssh-rsa", b"ssh-ed25519", b"ecdsa-sha2-nistp256", SK_ED25519.encode(), SK_ECDSA.encode(), b"\xff"]
_FIELDS = st.one_of(
    st.binary(max_size=70),
    st.sampled_from([b"nistp256", b"\x04" + bytes(64), bytes(32)]),
    st.integers(0, 2**2100).map(lambda number: mpint(number)[4:]),
)
_BLOBS = st.builds(
    lambda name, fields, tail: string(name) + b"".join(string(part) for part in fields) + tail,
    st.sampled_from(_NAMES),
    st.lists(_FIELDS, max_size=4),
    st.binary(max_size=2),
)
_TEXTS = st.one_of(
    st.text(),
    _BLOBS.map(lambda blob: f"ssh-rsa {base64.b64encode(blob).decode()}"),
    _BLOBS.filter(lambda blob: b"\xff" not in blob[4:8]).map(line_of),
    st.binary(max_size=200).map(
        lambda der: f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(der).decode()}\n-----END PUBLIC KEY-----"
    ),
    st.tuples(st.integers(0, len(_SOME_LINE)), st.characters()).map(
        lambda hit: _SOME_LINE[: hit[0]] + hit[1] + _SOME_LINE[hit[0] + 1 :]
    ),
)


@settings(max_examples=200, deadline=None)
@given(_TEXTS)
def test_any_text_is_a_key_or_is_refused_with_a_sentence(text: str) -> None:
    try:
        key = parse_public_key(text)
    except ArtcafeError:
        assert refusal(text).endswith(".")
    else:
        assert parse_public_key(key.line) == key


@pytest.mark.parametrize(
    ("comment", "kept"),
    [
        ("Zoë@büro", "Zoë@büro"),
        ("bot 🤖", "bot 🤖"),
        ("東京", "東京"),
        ("a\tb", "a b"),
        ("\x1b[31mred", "[31mred"),
        ("abc\u202edef", "abc def"),
        ("x" * 1000, "x" * MAX_COMMENT),
    ],
)
def test_a_comment_is_whatever_people_write(keys: KeyRing, comment: str, kept: str) -> None:
    for text in (f"{keys.line()} {comment}", keys.line().replace(" ", "\t") + f"\t{comment}\r\n"):
        key = parse_public_key(text)
        assert (key.line, key.comment) == (keys.line(), kept)


@pytest.mark.parametrize(
    "wrapped",
    ["\ufeff{}\r\n", "\r\n\r\n{}", "# of the planner\n{}\n# the end\n", "\u00a0{}\u00a0", "{}\r"],
    ids=["mark", "empty lines", "remarks", "blanks", "old newline"],
)
def test_what_editors_put_around_a_key_does_not_matter(keys: KeyRing, wrapped: str) -> None:
    assert parse_public_key(wrapped.format(keys.line())).line == keys.line()
    pem = as_pem(keys.path("ecdsa-256"), "PKCS8").strip()
    assert parse_public_key(wrapped.format(pem)).line == keys.line("ecdsa-256")


@pytest.mark.parametrize("kind", ["ed25519", "rsa-2048", "ecdsa-521"])
def test_rfc_4716_becomes_the_same_line(keys: KeyRing, kind: str) -> None:
    command = ["ssh-keygen", "-e", "-m", "RFC4716", "-f", str(keys.path(kind)) + ".pub"]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout

    key = parse_public_key(text.replace("\n", "\r\n"))

    assert key.line == keys.line(kind)
    assert "converted by" in key.comment


def test_rfc_4716_with_headers_that_go_on_is_read_and_one_that_is_cut_off_is_not(keys: KeyRing) -> None:
    kind, encoded = keys.line().split()
    text = (
        '---- BEGIN SSH2 PUBLIC KEY ----\nSubject: me\nComment: "a long \\\nstory"\n'
        f"{encoded[:40]}\n{encoded[40:]}\n---- END SSH2 PUBLIC KEY ----\n"
    )

    assert parse_public_key(text).comment == "a long story"
    assert parse_public_key(text).line == f"{kind} {encoded}"
    assert "cut off" in refusal(text.replace("---- END SSH2 PUBLIC KEY ----\n", ""))


def test_options_and_certificates_are_refused_with_what_to_do(keys: KeyRing) -> None:
    assert "options" in refusal(f'restrict,command="/bin/true" {keys.line()}')
    assert "openssl x509" in refusal("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")
    assert "one key" in refusal(f"{keys.line()}\n{keys.line()}")
    assert "no key" in refusal("\ufeff \r\n# nothing\n")
