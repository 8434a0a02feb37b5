"""The checker of durable messages: what was acknowledged against what was delivered."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from artcafe.server.ports.streams import Stored, StoredMessage, Streams, Tail
from artcafe.wire.errors import ArtcafeError
from tests.kit.streams import PATTERN

IN_FLIGHT = 24


@dataclass
class Publisher:
    """Numbers its messages. Where one fails, it sends that and all behind it again, in order, with the same
    ids: a new connection of a client does so."""

    name: str
    streams: Sequence[Streams]
    stream: str
    acknowledged: dict[str, int] = field(default_factory=dict)
    again: int = 0
    duplicates: int = 0
    failures: int = 0

    async def run(self, until: asyncio.Event) -> None:
        """Publish until then, and until all is acknowledged."""
        made = 0
        unacknowledged: list[str] = []
        while unacknowledged or not until.is_set():
            streams = random.choice(self.streams)
            while len(unacknowledged) < IN_FLIGHT and not until.is_set():
                made += 1
                unacknowledged.append(f"{self.name}-{made}")
            stored = [
                streams.store(self.stream, f"m.{self.name}.tasks.{made % 3}", each.encode(), each)
                for each in unacknowledged
            ]
            while unacknowledged:
                try:
                    self._take(unacknowledged[0], await stored.pop(0))
                except ArtcafeError:
                    self.failures += 1
                    self.again += len(unacknowledged)
                    await asyncio.sleep(0.02)
                    break
                unacknowledged.pop(0)

    def _take(self, name: str, stored: Stored) -> None:
        self.duplicates += stored.duplicate
        assert self.acknowledged.setdefault(name, stored.seq) == stored.seq


class Follower:
    """Follows on one process, and remembers."""

    def __init__(self) -> None:
        self.got: list[tuple[int, str]] = []
        self.restarts = 0
        self.tail: Tail

    async def open(self, streams: Streams, stream: str) -> "Follower":
        """Begin."""
        self.tail = await streams.tail(stream, PATTERN, self._deliver, self._restarted)
        return self

    def _deliver(self, message: StoredMessage) -> None:
        self.got.append((message.seq, message.payload.decode()))
        if random.random() < 0.001:
            raise RuntimeError("a member's")

    def _restarted(self) -> None:
        self.restarts += 1


def check(publishers: Sequence[Publisher], followers: Sequence[Follower], last: int) -> None:
    """Assert that each follower got everything up to the sequence `last` once and in order, among it whatever
    was acknowledged, where it was said to be, and in its publisher's order."""
    acknowledged = {name: seq for each in publishers for name, seq in each.acknowledged.items()}
    for follower in followers:
        assert follower.restarts == 0
        assert [seq for seq, _ in follower.got] == list(range(1, last + 1)), "each once, in order"
        places = {name: seq for seq, name in follower.got}
        assert len(places) == last, "none stored twice"
        assert {name: places.get(name) for name in acknowledged} == acknowledged
        for publisher in publishers:
            mine = [name for _, name in follower.got if name.startswith(f"{publisher.name}-")]
            numbers = [int(name.partition("-")[2]) for name in mine]
            assert numbers == sorted(numbers), "a publisher's order"


def figures(publishers: Sequence[Publisher], followers: Sequence[Follower], last: int) -> str:
    """What happened, for people."""
    return (
        f"{sum(len(each.acknowledged) for each in publishers)} acknowledged, {last} stored, "
        f"{sum(len(each.got) for each in followers)} delivered to {len(followers)}; "
        f"{sum(each.failures for each in publishers)} failures, "
        f"{sum(each.again for each in publishers)} sent again, "
        f"{sum(each.duplicates for each in publishers)} duplicates"
    )
