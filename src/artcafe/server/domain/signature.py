"""A parsed signature of an agent's login, with its own claim about the key."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Signature:
    """All that can be told without a key is checked already.

    `kind` is the type of the keys that can have made it, as OpenSSH names it; `size` are the bytes of an RSA
    signature, else 0. An SSHSIG names its `signer`, the blob of a public key, with its `fingerprint`, and
    `hash_name`; a raw signature names nothing. `extras` are a hardware key's flags and counter.
    """

    kind: str
    size: int
    signature: bytes
    signer: bytes | None = None
    fingerprint: str | None = None
    hash_name: bytes = b""
    rsa_hash: bytes = b"rsa-sha2-256"
    extras: bytes = b""
