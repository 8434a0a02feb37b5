"""The streams of one link."""

from tests.kit.streams import STREAM, SUBJECT, Streaming


async def test_streams_with_nothing_to_store_are_forgotten(process: Streaming) -> None:
    await process.streams.store(STREAM, SUBJECT, b"1", "1")
    for number in range(1000):
        process.streams.store(f"CH_{number}", SUBJECT, b"x", None)
        if number % 100 == 0:
            await process.streams.store(STREAM, SUBJECT, b"2", f"{number}")
    assert len(process.streams._commits) <= 512
