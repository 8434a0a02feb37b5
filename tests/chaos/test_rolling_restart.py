"""Two servers behind nginx are restarted in turn, under three hundred connected agents and a steady load."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from tests.kit.fleet import quantiles
from tests.kit.installations import installed

LANES, SUBSCRIBERS = 6, 49
SECONDS = 60.0


async def test_every_agent_comes_back_and_misses_nothing_while_it_is_connected(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    async with installed(tmp_path) as installation:
        fleet = await asyncio.to_thread(installation.fleet)
        ready, stop = asyncio.Event(), asyncio.Event()
        async with asyncio.timeout(3 * SECONDS), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(fleet.run(LANES, SUBSCRIBERS, ready, stop))
            began = time.monotonic()
            await ready.wait()
            connected = time.monotonic() - began
            everybody = LANES * (SUBSCRIBERS + 1)
            await asyncio.sleep(2)
            for number in range(2):
                closed = sum(fleet.codes.values())
                code = await asyncio.to_thread(installation.restart, number)
                assert code == 0
                deadline = time.monotonic() + SECONDS
                while fleet.up < everybody or sum(fleet.codes.values()) == closed:
                    assert time.monotonic() < deadline, (fleet.up, fleet.codes, fleet.refused)
                    await asyncio.sleep(0.02)
                await asyncio.sleep(1)
            stop.set()
            await running
    record_property(
        "figures",
        f"  rolling restart: {everybody} agents in {connected:.1f} s; closes {dict(fleet.codes)};"
        f" away {quantiles(fleet.away)}; {fleet.acked} messages acked, {fleet.received} delivered,"
        f" {len(fleet.uncertain)} of unknown fate, {len(fleet.faults)} lost or doubled;"
        f" attempts refused {dict(fleet.refused)}",
    )
    assert set(fleet.codes) <= {1012, 1001}
    assert sum(fleet.codes.values()) >= everybody / 2, "both had their share"
    assert fleet.received > 1000
    assert fleet.faults == []
