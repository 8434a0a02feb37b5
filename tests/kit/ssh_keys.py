"""SSH keys and signatures made by OpenSSH itself: the oracle for everything that signs or verifies."""

import subprocess
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from artcafe.wire.challenge import NAMESPACE

KINDS = {
    "ed25519": ["-t", "ed25519"],
    "ecdsa-256": ["-t", "ecdsa", "-b", "256"],
    "ecdsa-384": ["-t", "ecdsa", "-b", "384"],
    "ecdsa-521": ["-t", "ecdsa", "-b", "521"],
    "rsa-2048": ["-t", "rsa", "-b", "2048"],
    "rsa-3072": ["-t", "rsa", "-b", "3072"],
    "rsa-1024": ["-t", "rsa", "-b", "1024"],
}
"""The kinds of keys `make_key` knows, with what ssh-keygen is told; the last one must be refused."""


def make_key(folder: Path, kind: str = "ed25519", *, name: str = "", passphrase: str = "") -> Path:
    """Make an OpenSSH key pair and return the private file's path; the public one has `.pub` after it.

    `name` is the file's name, the kind unless told: a folder holds each name once. Ed25519 and
    ECDSA take milliseconds, RSA a good part of a second: make one RSA key for a session.
    """
    path = folder / (name or kind)
    quick = ["-q", "-a", "1"]  # one round of the passphrase's key derivation
    _run(["ssh-keygen", *quick, *KINDS[kind], "-N", passphrase, "-C", path.name, "-f", str(path)])
    return path


class KeyRing:
    """One key of each kind, made when first asked for. Keep one for a session: RSA keys are slow to make."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, kind: str = "ed25519") -> Path:
        """The private key's file."""
        path = self.folder / kind
        return path if path.exists() else make_key(self.folder, kind)

    def line(self, kind: str = "ed25519") -> str:
        """The public key's canonical line."""
        return public_line(self.path(kind))


def public_line(path: Path) -> str:
    """The public key of a private key's file, as the canonical line: type and base64, no comment."""
    return " ".join(path.with_name(path.name + ".pub").read_text().split()[:2])


def fingerprint(path: Path) -> str:
    """What ssh-keygen prints for a key's file: `SHA256:…`."""
    return _run(["ssh-keygen", "-l", "-E", "sha256", "-f", str(path)]).split()[1]


def ssh_keygen_sign(path: Path, text: str | bytes, namespace: str = NAMESPACE, *options: str) -> str:
    """An armored SSHSIG of the text, made by `ssh-keygen -Y sign`; `options` are more `-O` values."""
    data = text.encode() if isinstance(text, str) else text
    more = [word for option in options for word in ("-O", option)]
    return _run(["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(path), *more], data)


def ssh_keygen_accepts(
    folder: Path, line: str, text: str | bytes, signature: str, namespace: str = NAMESPACE
) -> bool:
    """Tell whether `ssh-keygen -Y verify` accepts the signature as made by the key of this public line.

    `folder` takes two small files for the length of the call.
    """
    signers, armored = folder / "allowed_signers", folder / "signature"
    signers.write_text(f'agent@artcafe namespaces="{namespace}" {line}\n')
    armored.write_text(signature)
    command = ["ssh-keygen", "-Y", "verify", "-n", namespace, "-I", "agent@artcafe"]
    try:
        done = subprocess.run(
            [*command, "-f", str(signers), "-s", str(armored)],
            input=text.encode() if isinstance(text, str) else text,
            capture_output=True,
            timeout=10,
            check=False,
        )
    finally:
        signers.unlink()
        armored.unlink()
    return done.returncode == 0


def ed25519_key(path: Path) -> ed25519.Ed25519PrivateKey:
    """The private key of an Ed25519 file, to sign with what no honest client would."""
    key = serialization.load_ssh_private_key(path.read_bytes(), None)
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    return key


def ecdsa_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The private key of an ECDSA file."""
    key = serialization.load_ssh_private_key(path.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def rsa_key(path: Path) -> rsa.RSAPrivateKey:
    """The private key of an RSA file."""
    key = serialization.load_ssh_private_key(path.read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def raw_signature(path: Path, text: bytes) -> bytes:
    """What a crypto library returns when this key signs a text, without any SSH around it."""
    algorithm = public_line(path).split()[0]
    if algorithm == "ssh-ed25519":
        return ed25519_key(path).sign(text)
    if algorithm == "ssh-rsa":
        return rsa_key(path).sign(text, padding.PKCS1v15(), hashes.SHA256())
    curve_hash = {"256": hashes.SHA256(), "384": hashes.SHA384(), "521": hashes.SHA512()}[algorithm[-3:]]
    return ecdsa_key(path).sign(text, ec.ECDSA(curve_hash))


def _run(command: list[str], data: bytes = b"") -> str:
    done = subprocess.run(command, input=data, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()
