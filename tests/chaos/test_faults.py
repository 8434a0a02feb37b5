"""What is survived: a server killed, a store that is throttled, a NATS node lost, an nginx reloaded."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.kit import dynoxide
from tests.kit.clusters import running_cluster
from tests.kit.fleet import Fleet, quantiles
from tests.kit.installations import installed
from tests.kit.throttle import throttled

LANES, SUBSCRIBERS = 10, 9
EVERYBODY = LANES * (SUBSCRIBERS + 1)
SECONDS = 60.0


async def survive(fleet: Fleet, name: str, fault: Callable[[], Awaitable[str]]) -> str:
    """Let it happen; then everybody is there and hears everything. What became of them, in a line."""
    codes, received, faults = fleet.codes.copy(), fleet.received, len(fleet.faults)
    fleet.away.clear()
    began = time.monotonic()
    said = await fault()
    async with asyncio.timeout(SECONDS):
        while fleet.up < EVERYBODY:
            await asyncio.sleep(0.02)
    took, after = time.monotonic() - began, fleet.received
    async with asyncio.timeout(SECONDS):
        while fleet.received < after + 2 * EVERYBODY or fleet.up < EVERYBODY:
            await asyncio.sleep(0.02)
    assert len(fleet.faults) == faults, fleet.faults
    return (
        f"  {name}: {said}; closes {dict(fleet.codes - codes)}; away {quantiles(fleet.away)};"
        f" whole again after {took:.1f} s; {fleet.received - received} delivered, nothing lost or doubled"
    )


async def test_faults_that_are_survived(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    place = await dynoxide.new_place()
    with running_cluster(tmp_path, tmp_path / "data") as cluster:
        # All of them begin at the node that is going to be lost; they hear of the others from it.
        nats = {"NATS_URL": cluster.urls[1], "ARTCAFE_NATS_CA": str(cluster.ca)}
        async with throttled(dynoxide.endpoint()) as store:
            aws = {**dynoxide.environment(), "AWS_ENDPOINT_URL_DYNAMODB": store.url}
            table = {"ARTCAFE_STORE": f"dynamodb:{place.table}"}
            async with installed(tmp_path, nats, **table, **aws) as installation:
                fleet = await asyncio.to_thread(installation.fleet)
                ready, stop = asyncio.Event(), asyncio.Event()

                async def a_server_is_killed() -> str:
                    installation.stop(0, signal.SIGKILL)
                    await asyncio.sleep(2)
                    await asyncio.to_thread(installation.start, 0)
                    return "killed, and started two seconds later"

                async def the_store_is_throttled() -> str:
                    store.closed = True
                    with installation.rest(fleet.tenant) as rest:
                        answer = await asyncio.to_thread(rest.get, "/channels")
                    store.closed = False
                    assert answer.status_code == 503
                    assert answer.json()["code"] == "unavailable"
                    with installation.rest(fleet.tenant) as rest:
                        assert (await asyncio.to_thread(rest.get, "/channels")).status_code == 200
                    return f"{store.refused} calls refused, REST answered 503 and then 200"

                async def a_node_is_lost() -> str:
                    told = fleet.codes[1013]
                    cluster.kill(1)
                    while fleet.codes[1013] == told:
                        await asyncio.sleep(0.02)
                    return "killed, and not started again"

                async def nginx_is_reloaded() -> str:
                    installation.nginx.process.send_signal(signal.SIGHUP)
                    await asyncio.sleep(1)
                    return "reloaded"

                lines = []
                async with asyncio.timeout(4 * SECONDS), asyncio.TaskGroup() as tasks:
                    running = tasks.create_task(fleet.run(LANES, SUBSCRIBERS, ready, stop))
                    await ready.wait()
                    for name, fault in (
                        ("a server", a_server_is_killed),
                        ("the store", the_store_is_throttled),
                        ("a NATS node", a_node_is_lost),
                        ("nginx", nginx_is_reloaded),
                    ):
                        lines.append(await survive(fleet, name, fault))
                    stop.set()
                    await running
    record_property("figures", "\n".join(lines))
