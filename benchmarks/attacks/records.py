"""Attacks on records: what a tenant stores is read by everybody's server."""

import asyncio
import contextlib

from artcafe.client.rest import UnreachableError
from artcafe.wire.errors import ArtcafeError
from benchmarks.attacks.target import CUT, Attack, Target, until

_RECORDS = 120
_BYTES = 250_000
_CUT = (*CUT, ArtcafeError, UnreachableError)


async def _heavy_channels(target: Target) -> None:
    """Channels with as much metadata as is taken: 250 KB each, or 15 KB where that is refused."""
    async with target.rest() as rest:
        for number in range(_RECORDS):
            for size in (_BYTES, 15_000):
                try:
                    await rest.create_channel(
                        id=f"m{number}", name=f"{number}", metadata={"custom": {"x": "y" * size}}
                    )
                    break
                except ArtcafeError:
                    continue


async def _logins_beside_metadata(target: Target, seconds: float) -> str:
    """Logins of one agent after the other, the channels changed meanwhile so that no cache helps."""
    count = 0
    async with target.rest() as rest:
        for count in until(seconds):
            with contextlib.suppress(*_CUT):
                await rest.change_channel("m0", description=f"{count}")
            with contextlib.suppress(*_CUT):
                async with target.agents(1):
                    pass
    return f"{count:,} logins beside {_RECORDS} channels with metadata"


async def _sorted_pages(target: Target, seconds: float) -> str:
    """Pages of one record, sorted, of all channels, eight at a time."""
    count = 0

    async def one() -> None:
        nonlocal count
        for _ in until(seconds):
            with contextlib.suppress(*CUT):
                async with target.socket() as (reader, writer):
                    writer.write(target.request("GET", "/api/v1/channels?limit=1&order=-updated_at"))
                    await asyncio.wait_for(reader.read(1000), 10.0)
                    count += 1

    with contextlib.suppress(TimeoutError):
        await asyncio.gather(*(one() for _ in range(8)))
    return f"{count:,} sorted pages of one record"


async def _tenants(target: Target, seconds: float) -> str:
    """Tenants made one after the other by one user."""
    made = 0
    async with target.rest() as rest:
        for number in until(seconds):
            try:
                await rest.create_tenant(id=f"mine-{number}", name="x")
                made += 1
            except ArtcafeError:
                await asyncio.sleep(0.02)
    return f"{made:,} tenants made"


async def _large_messages(target: Target, seconds: float) -> str:
    """Messages over REST as large as they may be, eight at a time."""
    body = b'{"x":"' + b"y" * 200_000 + b'"}'
    count = 0

    async def one() -> None:
        nonlocal count
        for _ in until(seconds):
            with contextlib.suppress(*CUT, TimeoutError):
                async with target.socket() as (reader, writer):
                    writer.write(target.request("POST", "/api/v1/channels/m0/messages", body))
                    await asyncio.wait_for(reader.read(1000), 10.0)
                    count += 1

    await asyncio.gather(*(one() for _ in range(8)))
    return f"{count:,} messages of 200 KB over REST"


ATTACKS = (
    Attack("metadata-logins", "logins beside heavy metadata", _logins_beside_metadata, _heavy_channels),
    Attack("sorted-pages", "sorted pages of heavy records", _sorted_pages, _heavy_channels),
    Attack("tenants", "tenants without end", _tenants),
    Attack("rest-messages", "large messages over REST", _large_messages, _heavy_channels),
)
