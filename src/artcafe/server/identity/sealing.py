"""Authenticated encryption: AES-256-GCM under a key derived from the installation's secret and one from the
caller."""

import base64
import hmac
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12


class AesSealer:
    """ports.Sealer. Neither the store alone nor the installation's secret alone reads what is sealed."""

    def __init__(self, secret: bytes, random: Callable[[int], bytes]) -> None:
        self._secret = secret
        self._random = random

    def seal(self, key: str, text: bytes) -> str:
        """The text, encrypted and authenticated."""
        nonce = self._random(_NONCE_BYTES)
        return base64.b64encode(nonce + self._cipher(key).encrypt(nonce, text, None)).decode()

    def open(self, key: str, sealed: str) -> bytes:
        """The text. Raises ValueError for another key, or where it was tampered with."""
        raw = base64.b64decode(sealed, validate=True)
        try:
            return self._cipher(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], None)
        except InvalidTag:
            raise ValueError("It was sealed with another key.") from None

    def _cipher(self, key: str) -> AESGCM:
        return AESGCM(hmac.digest(self._secret, b"sealed answer\n" + key.encode(), "sha256"))
