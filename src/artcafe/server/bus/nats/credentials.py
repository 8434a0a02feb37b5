"""Credentials of one user of a NATS account: its key, and the JWT with its permissions."""

import base64
import secrets
from typing import Any

from artcafe.server.bus.nats.nkeys import KeyPair, NkeyKind, write_token
from artcafe.server.ports.clock import Clock

_UNLIMITED = -1


class NatsCredentials:
    """The user key and JWT with which one process logs in to one account. The key is in memory only.

    Its JWT has no end: NATS would end the connection with it, and who subscribed would miss messages
    meanwhile. An end would protect from nobody, since the key is nowhere but in a process that holds
    the installation's secret as well.
    """

    def __init__(
        self, account: KeyPair, signer: KeyPair, clock: Clock, name: str, permissions: dict[str, Any]
    ) -> None:
        self._account = account
        self._signer = signer
        self._clock = clock
        self._name = name
        self.inbox = f"_INBOX.{secrets.token_urlsafe(12)}"
        """The subject below which the answers to this user's requests come; no other user may subscribe."""
        if "sub" in permissions:
            allowed = [*permissions["sub"]["allow"], f"{self.inbox}.>"]
            permissions = {**permissions, "sub": {"allow": allowed}}
        self._permissions = permissions
        self._user = KeyPair.random(NkeyKind.user)

    @property
    def account(self) -> str:
        """The public key of the account."""
        return self._account.public

    def jwt(self) -> bytes:
        """A fresh user JWT: nats-py's `user_jwt_cb`."""
        now = int(self._clock.now())
        limits = {"subs": _UNLIMITED, "data": _UNLIMITED, "payload": _UNLIMITED}
        nats = {
            **self._permissions,
            **limits,
            "issuer_account": self._account.public,
            "allowed_connection_types": ["STANDARD"],
            "type": "user",
            "version": 2,
        }
        claims = {
            "iat": now,
            "name": self._name,
            "sub": self._user.public,
            "nats": nats,
        }
        return write_token(self._signer, claims).encode()

    def sign(self, nonce: str) -> bytes:
        """The signature of the server's nonce in base64: nats-py's `signature_cb`."""
        return base64.b64encode(self._user.sign(nonce.encode()))
