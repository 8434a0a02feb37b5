"""`make compression`: what permessage-deflate (RFC 7692) would cost and save, with the zlib that Python has.

The messages are whole frames as agents get them: names, identifiers, numbers and sentences that differ from
one message to the next, so that a context that is taken over finds what repeats and nothing else.
"""

import argparse
import json
import random
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from os import getpid

from benchmarks import page
from benchmarks.figures import Figure, figure
from benchmarks.measure import Machine, machine, memory_bytes
from benchmarks.peers.peer import ROOT

SIZES = {256: "256 B", 8192: "8 KiB"}
LEVELS = (1, 6)
_ROUNDS = 5
_ROUND_BYTES = 2 << 20
_CONNECTIONS = 200

_TAIL = b"\x00\x00\xff\xff"
"""What a flush ends with; RFC 7692 §7.2.1 leaves it out on the wire."""

WINDOWS = {"32 KiB windows (the default)": (15, 8), "4 KiB windows": (12, 5)}
"""Bits of the window, and zlib's memLevel."""

_SENTENCES = (
    "the task was planned checked and sent back to the agent who asked for it because one of the sources "
    "did not answer in time please read the second part again summarise what changed since yesterday name "
    "every file that matters and say how sure you are customers in the north ordered more than we expected "
    "while deliveries from two suppliers are late price weight region invoice draft review budget forecast"
)


def messages(size: int, count: int, chance: random.Random) -> list[bytes]:
    """Frames of about this size (never less), each different from the others."""
    return [_message(size, number, chance) for number in range(count)]


def _message(size: int, number: int, chance: random.Random) -> bytes:
    words = _SENTENCES.split()
    data: dict[str, object] = {"task": f"{chance.getrandbits(64):016x}", "step": number}
    frame = {
        "type": "message",
        "subject": f"tasks.{chance.choice(words)}",
        "data": data,
        "from": f"planner-{chance.randrange(20)}",
        "id": f"{chance.getrandbits(96):024x}",
        "timestamp": f"2026-01-01T12:{chance.randrange(60):02}:{chance.randrange(60):02}.123Z",
    }
    results: list[object] = []
    data["results"] = results
    while len(_json(frame)) < size:
        said = " ".join(chance.choices(words, k=chance.randrange(4, 12) if size > 1000 else 1))
        results.append({"text": said, "score": round(chance.random(), 4)} if size > 1000 else said)
    return _json(frame)


def _json(frame: object) -> bytes:
    return json.dumps(frame, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Cost:
    """One way to compress: µs to compress and to read a message, and the share of its bytes that is left."""

    size: int
    level: int
    takeover: bool
    compress_us: Figure
    read_us: Figure
    left: float


class Deflate:
    """Both ends of one direction of a connection."""

    def __init__(self, level: int, bits: int = 15, memory: int = 8, *, takeover: bool) -> None:
        """Without `takeover` each message begins anew."""
        self._new: Callable[[], zlib._Compress] = lambda: zlib.compressobj(
            level, zlib.DEFLATED, -bits, memory
        )
        self._bits = bits
        self._takeover = takeover
        self._compressor = self._new()
        self._reader = zlib.decompressobj(-bits)

    def compress(self, message: bytes) -> bytes:
        """The payload on the wire."""
        compressor = self._compressor if self._takeover else self._new()
        return (compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(_TAIL)

    def read(self, payload: bytes) -> bytes:
        """The message again."""
        reader = self._reader if self._takeover else zlib.decompressobj(-self._bits)
        return reader.decompress(payload + _TAIL)


def costs() -> Iterator[Cost]:
    """Every size at every level, with and without a context that is taken over."""
    for size in SIZES:
        sent = messages(size, _ROUND_BYTES // size, random.Random(size))
        for level in LEVELS:
            for takeover in (True, False):
                yield cost(sent, size, level, takeover=takeover)


def cost(sent: list[bytes], size: int, level: int, *, takeover: bool) -> Cost:
    """Compress and read these messages, some times over. Raises ValueError when one is not itself again."""
    compressing, reading, left = [], [], 0.0
    for _ in range(_ROUNDS):
        both = Deflate(level, takeover=takeover)
        began = time.process_time()
        payloads = [both.compress(message) for message in sent]
        between = time.process_time()
        got = [both.read(payload) for payload in payloads]
        ended = time.process_time()
        if got != sent:
            raise ValueError("a message was changed")
        compressing.append((between - began) * 1e6 / len(sent))
        reading.append((ended - between) * 1e6 / len(sent))
        left = sum(map(len, payloads)) / sum(map(len, sent))
    return Cost(size, level, takeover, figure(compressing), figure(reading), left)


def memory_of_one(bits: int, level: int) -> float:
    """Bytes that a connection's compressor and reader hold once both have been used.

    Measured in a process of its own: this one may have memory left over, and take none for them.
    """
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as fresh:
        return fresh.submit(_memory_of_one, bits, level).result()


def _memory_of_one(bits: int, level: int) -> float:
    sent = messages(8192, 4, random.Random(0))
    before = memory_bytes(getpid())
    held = []
    for _ in range(_CONNECTIONS):
        both = Deflate(6, bits, level, takeover=True)
        for message in sent:
            both.read(both.compress(message))
        held.append(both)
    return (memory_bytes(getpid()) - before) / len(held)


def text(found: list[Cost], memory: dict[str, float], here: Machine) -> str:
    """What it costs and what it saves, in Markdown."""
    rows = [
        [
            f"{SIZES[each.size]}, level {each.level}, "
            + ("context taken over" if each.takeover else "each anew"),
            f"{each.left:.0%}",
            f"{each.compress_us.median:.1f}",
            f"{each.read_us.median:.1f}",
        ]
        for each in found
    ]
    held = ", ".join(f"{size / 1024:.0f} KiB with {name}" for name, size in memory.items())
    return "\n".join(
        [
            page.table(["", "bytes left", "compress, µs", "read, µs"], rows),
            f"A context that is taken over holds, for one connection: {held}.\n",
            f"{here.model}; Python {sys.version.split()[0]}, zlib {zlib.ZLIB_RUNTIME_VERSION}.\n",
        ]
    )


def main() -> None:
    """Print what it costs; with `--publish` put it into docs/performance.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compression", description=__doc__)
    parser.add_argument("--publish", action="store_true", help="put the table into docs/performance.md")
    given = parser.parse_args()
    memory = {name: memory_of_one(*window) for name, window in WINDOWS.items()}
    told = text(list(costs()), memory, machine())
    sys.stdout.write(told)
    if given.publish:
        page.publish(ROOT / "docs" / "performance.md", "compression", told)


if __name__ == "__main__":
    main()
