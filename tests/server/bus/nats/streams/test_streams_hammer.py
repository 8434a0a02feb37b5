"""The checker: publishers that try again, followers in two processes, a server that is killed and connections
that are cut; what was acknowledged against what was delivered."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

from tests.kit.deadlines import eventually
from tests.kit.nats import make_tenant
from tests.kit.proxy import Proxy
from tests.kit.stream_checker import Follower, Publisher, check, figures
from tests.kit.streams import STREAM, MortalNats, stream_maker, streaming

SECONDS = 6.0
PUBLISHERS = 6


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
            publishers = [
                Publisher(f"p{number}", [one.streams, two.streams], STREAM) for number in range(PUBLISHERS)
            ]
            followers = [await Follower().open(each.streams, STREAM) for each in (one, one, two)]
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
            last = (await one.streams.state(STREAM)).last
            await eventually(lambda: all(each.tail.following == last + 1 for each in followers), "the end")
        record_property(
            "figures",
            f"  streams, seed {seed}: {kills} kills, {cuts} cuts; {figures(publishers, followers, last)}",
        )
        assert kills + cuts > 3
        assert last > 100
        check(publishers, followers, last)
    finally:
        await server.stop()
