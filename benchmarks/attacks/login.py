"""Attacks on logins: keys that are expensive to try, and proofs that are refused without end."""

import asyncio
import base64
import contextlib
import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from artcafe.client.rest import UnreachableError
from artcafe.wire.errors import ArtcafeError
from benchmarks.attacks.target import CUT, Attack, Target, cut, text, until

_CUT = (*CUT, ArtcafeError, UnreachableError, TimeoutError)
_KEYS = 16
_BITS = (8192, 4096)
"""The largest first: where such keys are refused, the next size is registered."""


async def _expensive_keys(target: Target) -> None:
    """An agent with as many of the most expensive keys as are taken."""
    async with target.rest() as rest:
        await rest.create_agent(id="expensive", name="expensive", public_key=_public(target, _BITS[-1], 0))
        for bits in _BITS:
            for number in range(1, _KEYS):
                try:
                    await rest.add_key("expensive", _public(target, bits, number))
                except ArtcafeError:
                    break


def _public(target: Target, bits: int, number: int) -> str:
    """The public line of a key of this size. Its modulus is random and odd: no proof by it passes."""
    path = Path(target.keys) / f"rsa-{bits}-{number}.pub"
    if not path.exists():
        modulus = int.from_bytes(os.urandom(bits // 8), "big") | (1 << (bits - 1)) | 1
        key = rsa.RSAPublicNumbers(65537, modulus).public_key()
        line = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        path.write_bytes(line)
    return path.read_text()


async def _refused_logins(target: Target, seconds: float, agent: str, signature: bytes) -> str:
    count = 0
    proof = text({"type": "auth", "format": "raw", "signature": base64.b64encode(signature).decode()})

    async def one() -> None:
        nonlocal count
        for _ in until(seconds):
            try:
                socket, _challenge = await target.challenged(agent)
            except _CUT:
                await asyncio.sleep(0.01)
                continue
            with contextlib.suppress(*_CUT):
                await socket.send(proof)
                await socket.recv()
            count += 1
            cut(socket)

    await asyncio.gather(*(one() for _ in range(8)))
    return f"{count:,} logins refused"


async def _expensive(target: Target, seconds: float) -> str:
    return await _refused_logins(target, seconds, "expensive", bytes(range(256)) * 2)


async def _unknown(target: Target, seconds: float) -> str:
    return await _refused_logins(target, seconds, "nobody", bytes(64))


async def _challenges(target: Target, seconds: float) -> str:
    """Challenges fetched and proofs refused over REST, without a token."""
    count = 0
    body = text({"tenant_id": target.tenant, "agent_id": "expensive"}).encode()
    wrong = {"tenant_id": target.tenant, "agent_id": "expensive", "challenge": "x" * 64}
    proof = text({**wrong, "response": base64.b64encode(bytes(512)).decode()}).encode()

    async def one() -> None:
        nonlocal count
        for _ in until(seconds):
            for path, said in (("challenge", body), ("verify", proof)):
                with contextlib.suppress(*_CUT):
                    async with target.socket() as (reader, writer):
                        writer.write(target.request("POST", f"/api/v1/agents/auth/{path}", said))
                        await asyncio.wait_for(reader.read(1000), 10.0)
                        count += 1

    await asyncio.gather(*(one() for _ in range(8)))
    return f"{count:,} challenges and proofs over REST"


async def _bad_tokens(target: Target, seconds: float) -> str:
    """Requests and dashboards with tokens whose signature is wrong."""
    count = 0
    forged = (
        target.token.rsplit(".", 1)[0] + "." + base64.urlsafe_b64encode(os.urandom(256)).decode().rstrip("=")
    )
    stranger = Target(target.host, target.port, target.tenant, forged, target.keys, target.address)

    async def one() -> None:
        nonlocal count
        for _ in until(seconds):
            with contextlib.suppress(*_CUT):
                async with stranger.socket() as (reader, writer):
                    for _again in range(20):
                        writer.write(stranger.request("GET", "/api/v1/tenants"))
                        await asyncio.wait_for(reader.read(1000), 10.0)
                        count += 1

    await asyncio.gather(*(one() for _ in range(8)))
    return f"{count:,} requests with a forged token"


ATTACKS = (
    Attack("expensive-keys", f"refused logins against {_KEYS} RSA keys", _expensive, _expensive_keys),
    Attack("unknown-agents", "refused logins of unknown agents", _unknown),
    Attack("rest-proofs", "challenges and proofs over REST", _challenges, _expensive_keys),
    Attack("forged-tokens", "tokens with a wrong signature", _bad_tokens),
)
