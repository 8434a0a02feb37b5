"""The checker: publishers that try again, followers in two processes, a server that is killed and connections
that are cut; what was acknowledged against what was delivered."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from artcafe.server.ports.streams import Stored, StoredMessage, Tail
from artcafe.wire.errors import ArtcafeError
from tests.kit.deadlines import eventually
from tests.kit.nats import make_tenant
from tests.kit.proxy import Proxy
from tests.kit.streams import PATTERN, STREAM, MortalNats, Streaming, stream_maker, streaming

SECONDS = 6.0
PUBLISHERS = 6
IN_FLIGHT = 24


@dataclass
class Publisher:
    """Numbers its messages. Where one fails, it sends that and all behind it again, in order, with the same
    ids: a new connection of a client does so."""

    name: str
    streams: list[Streaming]
    acknowledged: dict[str, int] = field(default_factory=dict)
    again: int = 0
    duplicates: int = 0
    failures: int = 0

    async def run(self, until: asyncio.Event) -> None:
        """Publish until then, and until all is acknowledged."""
        made = 0
        unacknowledged: list[str] = []
        while unacknowledged or not until.is_set():
            process = random.choice(self.streams)
            while len(unacknowledged) < IN_FLIGHT and not until.is_set():
                made += 1
                unacknowledged.append(f"{self.name}-{made}")
            stored = [
                process.streams.store(STREAM, f"m.{self.name}.tasks.{made % 3}", each.encode(), each)
                for each in unacknowledged
            ]
            while unacknowledged:
                try:
                    self._take(unacknowledged[0], await stored.pop(0))
                except ArtcafeError:
                    # Nothing of it may follow: what was not sent is not sent.
                    for each in stored:
                        each.cancel()
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

    async def open(self, process: Streaming) -> "Follower":
        """Begin."""
        self.tail = await process.streams.tail(STREAM, PATTERN, self._deliver, self._restarted)
        return self

    def _deliver(self, message: StoredMessage) -> None:
        self.got.append((message.seq, message.payload.decode()))
        if random.random() < 0.001:
            raise RuntimeError("a member's")

    def _restarted(self) -> None:
        self.restarts += 1


async def test_nothing_acknowledged_is_lost_doubled_or_out_of_order(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seed = random.randrange(10**6)
    random.seed(seed)
    server = MortalNats(tmp_path)
    kills = cuts = 0
    try:
        nats = await server.start()
        tenant = make_tenant("acme")
        async with nats.authority() as authority:
            await authority.push(tenant)
        async with stream_maker(nats, tenant) as maker:
            await maker.make()
        async with (
            Proxy(nats.url) as first,
            Proxy(nats.url) as second,
            streaming(nats, tenant, first.url) as one,
            streaming(nats, tenant, second.url) as two,
        ):
            publishers = [Publisher(f"p{number}", [one, two]) for number in range(PUBLISHERS)]
            followers = [await Follower().open(process) for process in (one, one, two)]
            until = asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                for publisher in publishers:
                    tasks.create_task(publisher.run(until))
                end = asyncio.get_running_loop().time() + SECONDS
                while asyncio.get_running_loop().time() < end:
                    await asyncio.sleep(random.uniform(0.1, 0.6))
                    if random.random() < 0.3:
                        kills += 1
                        await server.kill()
                        await asyncio.sleep(random.uniform(0, 0.3))
                        await server.start()
                    else:
                        cuts += 1
                        random.choice([first, second]).cut()
                until.set()
            acknowledged = {name: seq for each in publishers for name, seq in each.acknowledged.items()}
            last = (await one.streams.state(STREAM)).last
            await eventually(lambda: all(each.tail.following == last + 1 for each in followers), "the end")
        record_property(
            "figures",
            f"  streams, seed {seed}: {len(acknowledged)} acknowledged, {last} stored, "
            f"{sum(len(each.got) for each in followers)} delivered to {len(followers)}; "
            f"{kills} kills, {cuts} cuts, {sum(each.failures for each in publishers)} failures, "
            f"{sum(each.again for each in publishers)} sent again, "
            f"{sum(each.duplicates for each in publishers)} duplicates",
        )
        assert kills + cuts > 3
        assert len(acknowledged) > 100
        for follower in followers:
            sequences = [seq for seq, _ in follower.got]
            assert sequences == list(range(1, last + 1)), "each once, in order"
            places = {name: seq for seq, name in follower.got}
            assert len(places) == last, "none stored twice"
            assert {name: places.get(name) for name in acknowledged} == acknowledged
            assert follower.restarts == 0
            for publisher in publishers:
                numbers = [
                    int(name.partition("-")[2])
                    for _, name in follower.got
                    if name.startswith(f"{publisher.name}-")
                ]
                assert numbers == sorted(numbers), "a publisher's order"
    finally:
        await server.stop()
