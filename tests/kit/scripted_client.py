"""Clients for the scripted server, and a signer that costs nothing."""

from collections.abc import Callable
from typing import Any

from tests.kit.scripted_server import AGENT, TENANT, ScriptedServer, quick

from artcafe.client.client import Client
from artcafe.client.link import State


class Seal:
    """A signer whose signature is a word; it remembers what it was given to sign."""

    fingerprint = "SHA256:seal"
    public_key = "ssh-ed25519 AAAA"

    def __init__(self, refusal: Exception | None = None) -> None:
        self.signed: list[bytes] = []
        self._refusal = refusal

    def sign(self, text: bytes) -> str:
        """Remember the text; raise the refusal when there is one."""
        self.signed.append(text)
        if self._refusal is not None:
            raise self._refusal
        return "sealed"


def client_of(server: ScriptedServer | str, **options: Any) -> Client:
    """A client of this server, quick to come back, with five seconds for each call unless told otherwise."""
    url = server if isinstance(server, str) else server.url
    return Client(
        url, **{"tenant": TENANT, "agent": AGENT, "key": Seal(), "timeout": 5.0, "backoff": quick()} | options
    )


class States(list[State]):
    """A listener that keeps the states it was told."""

    def listener(self) -> Callable[[State], None]:
        """What to give as `on_state`."""
        return self.append
