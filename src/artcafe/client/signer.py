"""Signs with the agent's SSH key: a key file, or a key in an ssh-agent."""

import base64
import socket
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from artcafe.wire.challenge import NAMESPACE
from artcafe.wire.ssh import (
    SSHSIG_BEGIN,
    SSHSIG_END,
    SSHSIG_MAGIC,
    SSHSIG_VERSION,
    MalformedError,
    SshReader,
    mpint,
    string,
    to_be_signed,
)
from artcafe.wire.ssh import fingerprint as fingerprint_of

_ENVELOPE_HASH = b"sha512"
_COLUMNS = 70
_RSA = "ssh-rsa"
_RSA_ALGORITHM = "rsa-sha2-512"
_CURVE_HASHES: dict[str, hashes.HashAlgorithm] = {
    "ecdsa-sha2-nistp256": hashes.SHA256(),
    "ecdsa-sha2-nistp384": hashes.SHA384(),
    "ecdsa-sha2-nistp521": hashes.SHA512(),
}
_FILE_TYPES = frozenset({"ssh-ed25519", _RSA, *_CURVE_HASHES})
_AGENT_TYPES = _FILE_TYPES | {"sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"}

_OPENSSH_BEGIN = b"-----BEGIN OPENSSH PRIVATE KEY-----"  # pragma: allowlist secret
_OPENSSH_MAGIC = b"openssh-key-v1\0"
_PUBLIC_STARTS = (
    b"ssh-",
    b"ecdsa-",
    b"sk-",
    b"-----BEGIN PUBLIC",
    b"-----BEGIN RSA PUBLIC",
    b"---- BEGIN SSH2",
)

# The ssh-agent protocol: draft-miller-ssh-agent, sections 3 and 5.
_REQUEST_IDENTITIES = b"\x0b"
_IDENTITIES_ANSWER = b"\x0c"
_SIGN_REQUEST = b"\x0d"
_SIGN_RESPONSE = b"\x0e"
_FLAG_RSA_SHA2_512 = 4
_MAX_ANSWER = 256 * 1024

_PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class SignerError(ValueError):
    """Nothing can be signed; the message is a sentence that says why and what to do."""


class PassphraseNeededError(SignerError):
    """The key's file is encrypted, and no passphrase, or an empty one, was given."""


class PassphraseWrongError(SignerError):
    """The passphrase does not open the key's file."""


class Signer(Protocol):
    """Whatever can prove that it holds one SSH key."""

    @property
    def fingerprint(self) -> str:
        """`SHA256:…`, as ssh-keygen prints it."""
        ...

    @property
    def public_key(self) -> str:
        """The key to register with the server: `type base64`."""
        ...

    def sign(self, text: bytes) -> str:
        """Sign as `ssh-keygen -Y sign -n` does: an armored SSHSIG in the namespace of agent logins.

        It may block: an ssh-agent may ask its user, a hardware key waits for a touch. Raises
        `SignerError`. Check what the text says first: `artcafe.wire.challenge.check_before_signing`.
        """
        ...


class KeyFile:
    """A private key in a file, OpenSSH or PEM (PKCS #8, PKCS #1, SEC 1): Ed25519, ECDSA or RSA."""

    def __init__(self, path: Path | str, passphrase: bytes | None = None) -> None:
        """Read the file once. The passphrase is ignored if the key is not encrypted.

        Raises `PassphraseNeededError`, `PassphraseWrongError`, and `SignerError` for the rest: no
        such file, a public key instead of the private one, a damaged file, an unsupported type.
        """
        self._key = _load(Path(path), passphrase)
        public = self._key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        self.public_key = public.decode()
        self._type, encoded = self.public_key.split()
        self._blob = base64.b64decode(encoded)
        self.fingerprint = fingerprint_of(self._blob)

    def sign(self, text: bytes) -> str:
        """Sign an agent login; see `Signer.sign`. RSA keys sign as rsa-sha2-512."""
        signed, algorithm = to_be_signed(text, _ENVELOPE_HASH), self._type
        match self._key:
            case ed25519.Ed25519PrivateKey() as key:
                signature = key.sign(signed)
            case ec.EllipticCurvePrivateKey() as key:
                der = key.sign(signed, ec.ECDSA(_CURVE_HASHES[self._type]))
                signature = b"".join(mpint(number) for number in utils.decode_dss_signature(der))
            case rsa.RSAPrivateKey() as key:
                algorithm = _RSA_ALGORITHM
                signature = key.sign(signed, padding.PKCS1v15(), hashes.SHA512())
        return _armored(self._blob, string(algorithm.encode()) + string(signature))


class SshAgent:
    """A key that a running ssh-agent keeps, hardware keys included: this process never sees it."""

    def __init__(
        self, socket_path: Path | str, fingerprint: str | None = None, *, timeout: float = 60.0
    ) -> None:
        """Pick the key with this fingerprint (`SHA256:…`), or the agent's first one that fits.

        `socket_path` is what ssh calls SSH_AUTH_SOCK. `timeout` is in seconds, for each step of
        the talk with the agent: long enough for a human to confirm or to touch a hardware key.
        Raises `SignerError` when no agent answers or it has no such key.
        """
        self._path = str(socket_path)
        self._timeout = timeout
        self._type, self._blob = self._pick(fingerprint)
        self.public_key = f"{self._type} {base64.b64encode(self._blob).decode()}"
        self.fingerprint = fingerprint_of(self._blob)

    def sign(self, text: bytes) -> str:
        """Let the agent sign a login; see `Signer.sign`."""
        flags = _FLAG_RSA_SHA2_512 if self._type == _RSA else 0
        request = (
            _SIGN_REQUEST
            + string(self._blob)
            + string(to_be_signed(text, _ENVELOPE_HASH))
            + flags.to_bytes(4, "big")
        )
        answer = self._ask(request)
        if answer.take(1) != _SIGN_RESPONSE:
            raise SignerError(
                "The ssh-agent did not sign: it is locked, lost the key, or its user did not confirm."
            )
        signature = answer.string()
        algorithm = _RSA_ALGORITHM if self._type == _RSA else self._type
        if _Reader(signature).string() != algorithm.encode():
            raise SignerError(f"The ssh-agent is too old: it does not sign with {algorithm}.")
        return _armored(self._blob, signature)

    def _pick(self, fingerprint: str | None) -> tuple[str, bytes]:
        answer = self._ask(_REQUEST_IDENTITIES)
        if answer.take(1) != _IDENTITIES_ANSWER:
            raise SignerError("The ssh-agent does not list its keys.")
        for _ in range(answer.uint32()):
            blob, _comment = answer.string(), answer.string()
            kind = _type_of(blob)
            if kind in _AGENT_TYPES and fingerprint in (None, fingerprint_of(blob)):
                return kind, blob
        if fingerprint is None:
            raise SignerError("The ssh-agent has no key that fits: add one with ssh-add.")
        raise SignerError(f"The ssh-agent has no usable key {fingerprint}: add it with ssh-add.")

    def _ask(self, request: bytes) -> "_Reader":
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent:
                agent.settimeout(self._timeout)
                agent.connect(self._path)
                agent.sendall(string(request))
                size = int.from_bytes(_receive(agent, 4), "big")
                if size > _MAX_ANSWER:
                    raise SignerError(f"What listens at {self._path} does not speak as an ssh-agent does.")
                return _Reader(_receive(agent, size))
        except TimeoutError:
            raise SignerError(f"The ssh-agent did not answer within {self._timeout:g} seconds.") from None
        except OSError as error:
            reason = error.strerror or error
            raise SignerError(f"No ssh-agent answers at {self._path} ({reason}): is it running?") from None


class _Reader(SshReader):
    """Reads what a key file or an ssh-agent gave; the words of its error are for people."""

    def take(self, count: int) -> bytes:
        try:
            return super().take(count)
        except MalformedError:
            raise SignerError("The key file or the answer of the ssh-agent is cut off.") from None


def _load(path: Path, passphrase: bytes | None) -> _PrivateKey:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise SignerError(f"There is no key file {path}: make one with ssh-keygen -t ed25519.") from None
    except OSError as error:
        raise SignerError(f"The key file {path} cannot be read: {error.strerror}.") from None
    if data.lstrip().startswith(_PUBLIC_STARTS):
        raise SignerError(f"{path} is a public key; the private one has the same name without .pub.")
    if b"PRIVATE KEY-----" not in data:
        raise SignerError(f"{path} is not a private key in OpenSSH or PEM form.")
    try:
        key = _decrypt(path, data, passphrase)
    except SignerError:
        raise
    except (ValueError, UnsupportedAlgorithm):
        raise SignerError(f"The key file {path} is damaged or of an unsupported form.") from None
    if isinstance(key, ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in (
        "secp256r1",
        "secp384r1",
        "secp521r1",
    ):
        return key
    raise SignerError(_unsupported(path))


def _decrypt(path: Path, data: bytes, passphrase: bytes | None) -> object:
    load = serialization.load_pem_private_key
    if _OPENSSH_BEGIN in data:
        load = serialization.load_ssh_private_key
        kind = _type_of_file(data)
        if kind.startswith("sk-"):
            raise SignerError(f"{path} stands for a hardware key: add it to an ssh-agent and sign with that.")
        if kind not in _FILE_TYPES:
            raise SignerError(_unsupported(path))
    try:
        return load(data, None)
    except TypeError:  # it is encrypted; cryptography has no other word for that
        if not passphrase:
            raise PassphraseNeededError(f"The key file {path} needs its passphrase.") from None
    try:
        return load(data, passphrase)
    except (ValueError, InvalidTag):
        raise PassphraseWrongError(f"The passphrase does not open the key file {path}.") from None


def _type_of_file(data: bytes) -> str:
    """The type of an OpenSSH private key, which its file tells even when encrypted (PROTOCOL.key)."""
    body = data.partition(_OPENSSH_BEGIN)[2].partition(b"-----END")[0]
    reader = _Reader(base64.b64decode(body))
    if reader.take(len(_OPENSSH_MAGIC)) != _OPENSSH_MAGIC:
        raise ValueError("not the OpenSSH form")
    _cipher, _derivation, _options = reader.string(), reader.string(), reader.string()
    _count = reader.uint32()
    return _type_of(reader.string())


def _type_of(blob: bytes) -> str:
    return _Reader(blob).string().decode("ascii", "replace")


def _unsupported(path: Path) -> str:
    return f"The key in {path} is of an unsupported type: use Ed25519, ECDSA on a NIST curve, or RSA."


def _receive(agent: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        piece = agent.recv(count - len(received))
        if not piece:
            raise ConnectionResetError("it hung up")
        received += piece
    return received


def _armored(blob: bytes, signature: bytes) -> str:
    """The signature as ssh-keygen writes it (PROTOCOL.sshsig, sections 1 and 2)."""
    parts = (blob, NAMESPACE.encode(), b"", _ENVELOPE_HASH, signature)
    version = SSHSIG_VERSION.to_bytes(4, "big")
    envelope = SSHSIG_MAGIC + version + b"".join(string(part) for part in parts)
    encoded = base64.b64encode(envelope).decode()
    lines = [encoded[at : at + _COLUMNS] for at in range(0, len(encoded), _COLUMNS)]
    return "\n".join([SSHSIG_BEGIN, *lines, SSHSIG_END, ""])
