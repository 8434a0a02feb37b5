"""Durable channels of a running platform: what is acknowledged is there, in order, live and afterwards."""

from collections.abc import Callable
from pathlib import Path

from artcafe.client.client import Client
from tests.kit.deadlines import PATIENCE
from tests.kit.platform import RunningPlatform
from tests.kit.sockets import proven

NewKey = Callable[[], Path]


async def test_what_is_stored_comes_live_afterwards_and_over_rest(
    platform: RunningPlatform, tenant: str, new_key: NewKey
) -> None:
    key = new_key()
    platform.make_agent(tenant, "planner", key)
    channel = {
        "id": "jobs",
        "name": "Jobs",
        "subject": "jobs.>",
        "durability": {"max_bytes": 1_000_000},
    }
    with platform.rest(tenant) as rest:
        assert rest.post("/channels", json=channel).status_code == 201
    async with proven(platform.ws, tenant, "planner", key) as socket:
        await socket.send(type="subscribe", subject="jobs.>", id="s")
        began = await socket.expect("subscribed", id="s")
        assert (began["seq"], began["last"]) == (0, 0)
        for n in range(1, 21):
            await socket.send(type="publish", subject="jobs.new", data=n, id=f"p{n}", dedup=f"job-{n}")
        got: list[tuple[int, int]] = []
        acked: list[int] = []
        while len(got) < 20 or len(acked) < 20:
            frame = await socket.receive()
            if frame["type"] == "ack":
                acked.append(frame["seq"])
            else:
                got.append((frame["seq"], frame["data"]))
        assert got == [(n, n) for n in range(1, 21)]
        assert acked == list(range(1, 21))
        await socket.send(type="publish", subject="jobs.new", data=7, id="again", dedup="job-7")
        again = await socket.expect("ack", id="again")
        assert (again["seq"], again["duplicate"]) == (7, True)
    async with (
        Client(platform.ws, tenant=tenant, agent="planner", key=key, timeout=PATIENCE) as client,
        client.subscribe("jobs.>", since=15) as jobs,
    ):
        await client.publish("jobs.new", 21)
        assert [(await anext(jobs)).seq for _ in range(7)] == list(range(15, 22))
        assert jobs.gaps == 0
    async with proven(platform.ws, tenant, "planner", key) as socket:
        recover = {"epoch": began["epoch"], "seq": 19}
        await socket.send(type="subscribe", subject="jobs.new", recover=recover, id="r")
        answer = await socket.expect("subscribed", id="r")
        assert (answer["seq"], answer["last"], answer["recovered"]) == (19, 21, True)
        assert [(await socket.receive())["seq"] for _ in range(2)] == [20, 21]
    with platform.rest(tenant) as rest:
        page = rest.get("/channels/jobs/messages", params={"before": 3}).json()
        assert [message["data"] for message in page["messages"]] == [1, 2]
