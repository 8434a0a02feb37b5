"""The streams of one link."""

import pytest

from artcafe.server.bus.nats.streams import reader
from artcafe.wire.codes import Code
from tests.kit.outcomes import outcome
from tests.kit.streams import STREAM, SUBJECT, Streaming, StreamMaker

SMALL = 1024 * 1024


async def test_streams_with_nothing_to_store_are_forgotten(process: Streaming) -> None:
    await process.streams.store(STREAM, SUBJECT, b"1", "1")
    for number in range(1000):
        process.streams.store(f"CH_{number}", SUBJECT, b"x", None)
        if number % 100 == 0:
            await process.streams.store(STREAM, SUBJECT, b"2", f"{number}")
    assert len(process.streams._commits) <= 512


async def test_it_is_known_of_so_many_streams_that_there_were(
    process: Streaming, maker: StreamMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "MOST_SEEN", 2)
    for name in ("a", "b", "c"):
        await maker.make(f"CH_{name}", f"{name}.>", max_bytes=SMALL)
        await process.streams.state(f"CH_{name}")
    await process.streams.state("CH_b")
    await maker.make("CH_d", "d.>", max_bytes=SMALL)
    await process.streams.state("CH_d")
    for name in ("b", "c", "d"):
        await maker.delete(f"CH_{name}")
    outcomes = [await outcome(process.streams.state(f"CH_{name}")) for name in ("b", "c", "d")]
    assert outcomes == [Code.not_found, Code.unavailable, Code.not_found]
