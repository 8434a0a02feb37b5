"""Tokens of the embedded issuer, asked for as the command line does, by who knows the secret."""

from typing import Any
from urllib.parse import urlsplit

import httpx

from artcafe.wire.local_proof import ProofExchange, address, signer

NONCE = "n" * 43

PROOF = {"nonce": NONCE, "challenge": f"1.{NONCE}.{'0' * 64}", "proof": ""}
"""One that proves nothing."""


def answer(given: dict[str, Any], secret: str, place: str, path: str, **wanted: str) -> dict[str, str]:
    """What is sent for a challenge that was given at this place."""
    proof = ProofExchange(NONCE, place).of_caller(signer(secret), given["challenge"], path, wanted)
    return {"nonce": NONCE, "challenge": given["challenge"], "proof": proof, **wanted}


def place_of(url: str) -> str:
    """The place of a platform at this address, which names no other machine."""
    parts = urlsplit(url)
    return address(f"{parts.hostname}", parts.port)


async def prove(client: httpx.AsyncClient, path: str, secret: str, **wanted: str) -> httpx.Response:
    """Ask an application for a token or a code; its refusal of the challenge, when it gives none."""
    asked = await client.post("/local/challenge", json={"nonce": NONCE})
    if not asked.is_success:
        return asked
    place = place_of(f"{client.base_url}")
    return await client.post(path, json=answer(asked.json(), secret, place, path, **wanted))


def ask(url: str, path: str, secret: str, **wanted: str) -> httpx.Response:
    """The same of a platform that runs at this numeric address."""
    asked = httpx.post(f"{url}/local/challenge", json={"nonce": NONCE})
    assert asked.status_code == 200, asked.text
    return httpx.post(f"{url}{path}", json=answer(asked.json(), secret, place_of(url), path, **wanted))
