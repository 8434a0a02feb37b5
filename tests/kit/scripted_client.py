"""Clients for the scripted server, and a signer that costs nothing."""

from typing import Any

from artcafe.client.backoff import Backoff
from artcafe.client.client import Client
from tests.kit.deadlines import eventually
from tests.kit.scripted_server import AGENT, TENANT, Script, ScriptedServer, quick, scripted


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
    usual: dict[str, Any] = {"tenant": TENANT, "agent": AGENT, "key": Seal(), "timeout": 5.0}
    return Client(url, **{**usual, "backoff": quick(), **options})


async def gap_after(*scripts: Script, backoff: Backoff) -> float:
    """Seconds between the first handshake and the second."""
    async with scripted(*scripts) as server, client_of(server, backoff=backoff):
        await eventually(lambda: len(server.arrivals) == 2, "the second handshake")
    first, second = server.arrivals[:2]
    return second - first
