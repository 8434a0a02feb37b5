"""How often the disk is synced for what is stored, and that nothing is told before: the system calls of the
server, as strace(1) sees them."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.kit.deadlines import eventually
from tests.kit.nats import Nats
from tests.kit.streams import PATTERN, STREAM, SUBJECT, Streaming

_DONE = re.compile(r"(?:fsync|fdatasync).*= 0$")


class Calls:
    """The system calls of a nats-server while it was watched, in order."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    @property
    def syncs(self) -> list[int]:
        """Where a sync was done."""
        return [place for place, line in enumerate(self.lines) if _DONE.search(line)]

    def written(self, text: str) -> list[int]:
        """Where something that contains the text was begun to be sent."""
        return [place for place, line in enumerate(self.lines) if text in line and "resumed" not in line]


@asynccontextmanager
async def traced(nats: Nats, file: Path) -> AsyncIterator[Callable[[], Calls]]:
    """Watch it; what was seen is there when the block ended."""
    program = shutil.which("strace")
    assert program, "the tests need strace: `make tools`"
    words = ["-f", "-p", f"{nats.server.pid}", "-s", "4096", "-o", f"{file}"]
    strace = await asyncio.create_subprocess_exec(
        program, *words, "-e", "trace=fsync,fdatasync,write,writev,sendto", stderr=asyncio.subprocess.PIPE
    )
    assert strace.stderr is not None
    said = (await strace.stderr.readline()).decode()
    if "attached" not in said:
        await strace.wait()
        pytest.skip(f"this machine lets nobody watch a process: {said}")
    try:
        yield lambda: Calls(file.read_text(errors="replace").splitlines())
    finally:
        strace.terminate()
        await strace.communicate()


async def test_a_batch_of_a_hundred_takes_few_syncs_and_a_hundred_singles_take_a_hundred(
    nats: Nats, process: Streaming, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    await process.streams.store(STREAM, SUBJECT, b"first", None)
    async with traced(nats, tmp_path / "singles") as singles:
        for number in range(100):
            await process.streams.store(STREAM, SUBJECT, b"%d" % number, None)
    async with traced(nats, tmp_path / "batch") as batch:
        await asyncio.gather(
            *(process.streams.store(STREAM, SUBJECT, b"%d" % number, None) for number in range(100))
        )
    one_by_one, together = len(singles().syncs), len(batch().syncs)
    record_property("figures", f"syncs of 100 messages: {one_by_one} one by one, {together} in a batch")
    assert one_by_one >= 100
    assert 1 <= together < 10


@pytest.mark.parametrize("many", [1, 100])
async def test_nothing_is_told_before_it_is_synced(
    nats: Nats, process: Streaming, other: Streaming, tmp_path: Path, many: int
) -> None:
    await process.streams.store(STREAM, SUBJECT, b"first", None)
    heard: list[bytes] = []
    await other.link.subscribe(PATTERN, lambda _, payload: heard.append(payload))
    async with traced(nats, tmp_path / "calls") as watched:
        await asyncio.gather(
            *(process.streams.store(STREAM, SUBJECT, b"<%d>" % number, None) for number in range(many))
        )
        await eventually(lambda: len(heard) == many)
    calls = watched()
    delivered = calls.written("<0>")
    acknowledged = calls.written(f'\\"seq\\":{many + 1}')
    assert calls.syncs
    assert calls.syncs[-1] < delivered[0], "the republished copy"
    assert calls.syncs[-1] < acknowledged[0]
