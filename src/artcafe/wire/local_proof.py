"""Mutual proof of a shared secret between the command line and the platform of one machine, without sending
it.

The secret stands in the data directory, for its owner alone. The command line sends a nonce; the platform
answers with a challenge and its own proof, which is checked before anything else is said. Then the command
line proves what it wants. Each proof is an HMAC-SHA256 under the secret over what both sides said, and over
the address of the connection as each of them sees it: who listens in the platform's place, and passes on what
it hears, has another address.
"""

import hashlib
import hmac
import ipaddress
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

NONCE = r"^[A-Za-z0-9_-]{43}$"
"""32 random bytes, base64url."""

CHALLENGE = r"^[1-9][0-9]{0,11}\.[A-Za-z0-9_-]{43}\.[0-9a-f]{64}$"
"""When it ends, in Unix seconds; 32 random bytes; and by what the platform knows it as its own."""

SECONDS = 30
"""How long a challenge may be answered."""

Sign = Callable[[bytes], bytes]
"""HMAC-SHA256 under the secret."""

_VERSION = "artcafe-local-proof/1"


def signer(secret: str) -> Sign:
    """A function that signs with this secret."""
    return lambda text: hmac.digest(secret.encode(), text, hashlib.sha256)


def address(host: str, port: int | None) -> str:
    """The address of the platform's end of a connection; IPv4 written as IPv6 is IPv4."""
    try:
        ip = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return f"{host} {port}"
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return f"{mapped or ip} {port}"


@dataclass(frozen=True, slots=True)
class ProofExchange:
    """The exchanged values: the command line's nonce; and the platform's address, as one side sees it."""

    nonce: str
    address: str

    def challenge(self, sign: Sign, random: str, expires: int) -> str:
        """A challenge that the platform knows as its own, whichever of its processes gave it."""
        return f"{expires}.{random}.{self._mac(sign, 'challenge', f'{expires}', random)}"

    def is_ours(self, sign: Sign, challenge: str) -> bool:
        """Whether this challenge was given for this nonce at this address; whether it ended is not asked."""
        expires, random, _ = challenge.split(".")
        return hmac.compare_digest(self.challenge(sign, random, int(expires)), challenge)

    def of_platform(self, sign: Sign, challenge: str) -> str:
        """The platform's proof."""
        return self._mac(sign, "platform", challenge)

    def of_caller(self, sign: Sign, challenge: str, path: str, wanted: Mapping[str, str]) -> str:
        """The command line's proof that it wants this, at this path."""
        return self._mac(sign, "caller", challenge, path, json.dumps(wanted, sort_keys=True))

    def _mac(self, sign: Sign, *said: str) -> str:
        text = json.dumps([_VERSION, self.nonce, self.address, *said])
        return sign(text.encode()).hex()
