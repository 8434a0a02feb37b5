"""Durable subscriptions over two servers: work is shared, and given back by who dies or leaves."""

import asyncio
import secrets
import signal
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.kit.deadlines import PATIENCE
from tests.kit.sockets import Socket, proven
from tests.kit.ssh_keys import make_key
from tests.kit.two_servers import Installation, make_tenant

pytestmark = pytest.mark.asyncio(loop_scope="session")

LEASE_MS = 3000


@dataclass
class Party:
    """A tenant with a durable channel, two workers and a planner."""

    installation: Installation
    tenant: str
    keys: dict[str, Path]

    def socket(self, agent: str, *, first: bool) -> AbstractAsyncContextManager[Socket]:
        """An agent at one of the servers."""
        ws = (self.installation.one if first else self.installation.two).ws
        return proven(ws, self.tenant, agent, self.keys[agent])

    def rest(self) -> httpx.AsyncClient:
        """REST as the tenant's owner."""
        return httpx.AsyncClient(
            base_url=f"{self.installation.one.url}/api/v1",
            headers=self.installation.headers() | {"x-tenant-id": self.tenant},
        )


@pytest_asyncio.fixture(loop_scope="session")
async def party(installation: Installation, tmp_path: Path) -> Party:
    keys = {name: make_key(tmp_path, name=name) for name in ("planner", "w1", "w2")}
    party = Party(installation, f"t{secrets.token_hex(6)}", keys)
    await make_tenant(installation, party.tenant, **keys)
    async with party.rest() as rest:
        channel = {"id": "jobs", "name": "jobs", "subject": "jobs.>", "durability": {"max_bytes": 1_000_000}}
        assert (await rest.post("/channels", json=channel)).status_code == 201
    return party


async def join(socket: Socket, **more: Any) -> dict[str, Any]:
    """Join the workers; the answer."""
    await socket.send(type="subscribe", subject="jobs.>", durable="workers", id="s", **more)
    return await socket.expect("subscribed", id="s")


async def publish(planner: Socket, *data: Any) -> None:
    """Publish, and wait until all is stored."""
    for number, each in enumerate(data):
        await planner.send(type="publish", subject="jobs.new", data=each, id=f"p{number}")
    for number in range(len(data)):
        await planner.expect("ack", id=f"p{number}")


async def test_two_servers_share_the_work_and_each_message_is_done_once(party: Party) -> None:
    done: list[tuple[str, Any]] = []

    async def work(socket: Socket, name: str) -> None:
        while True:
            message = await socket.expect("message")
            done.append((name, message["data"]))
            await socket.send(type="ack", delivery=message["delivery"])

    async with (
        party.socket("planner", first=True) as planner,
        party.socket("w1", first=True) as one,
        party.socket("w2", first=False) as two,
    ):
        answer = await join(one, max_in_flight=2)
        assert (answer["durable"], answer["lease_ms"], answer["max_deliveries"]) == ("workers", 30_000, 5)
        await join(two, max_in_flight=2)
        working = [asyncio.create_task(work(one, "w1")), asyncio.create_task(work(two, "w2"))]
        await publish(planner, *range(60))
        async with asyncio.timeout(PATIENCE):
            while len(done) < 60:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)  # Anything that comes twice.
        for task in working:
            task.cancel()
    assert sorted(data for _, data in done) == list(range(60))
    assert {name for name, _ in done} == {"w1", "w2"}


async def test_what_a_worker_leaves_goes_to_another_at_once(party: Party) -> None:
    async with party.socket("planner", first=True) as planner, party.socket("w2", first=False) as two:
        async with party.socket("w1", first=True) as one:
            await join(one, lease_ms=600_000)
            await publish(planner, "a", "b")
            first = [await one.expect("message") for _ in range(2)]
            await one.send(type="ack", delivery=first[0]["delivery"], id="k")
            await one.expect("settled", id="k")  # There is no further message.
            await join(two)
        again = await two.expect("message")
        assert (again["data"], again["redelivered"], again["seq"]) == ("b", 1, first[1]["seq"])
        await two.send(type="ack", delivery=again["delivery"])


async def test_nobody_has_to_be_there_and_what_was_stored_first_can_be_asked_for(party: Party) -> None:
    async with party.socket("planner", first=True) as planner:
        await publish(planner, 1, 2)
        async with party.socket("w1", first=True) as one:
            await join(one, since="all", max_in_flight=1)
            message = await one.expect("message")
            assert message["data"] == 1
            await one.send(type="ack", delivery=message["delivery"], id="k")
            while (await one.receive())["type"] != "settled":
                pass  # The next message may come before.
        await publish(planner, 3)
        async with party.socket("w2", first=False) as two:
            await join(two)
            assert {(await two.expect("message"))["data"] for _ in range(2)} == {2, 3}


async def test_a_server_that_stands_still_loses_no_work(party: Party) -> None:
    """Its leases run out, and the other server's worker gets what its worker had."""
    async with party.socket("planner", first=True) as planner, party.socket("w1", first=True) as one:
        async with party.socket("w2", first=False) as two:
            await join(two, lease_ms=LEASE_MS)
            await publish(planner, *range(5))
            held = [await two.expect("message") for _ in range(5)]
            await two.send(type="ack", delivery=held[0]["delivery"], id="k")
            await two.expect("settled", id="k")
            await join(one)
            process = party.installation.two.process
            process.send_signal(signal.SIGSTOP)  # As good as dead, and its connections stand.
            got: dict[int, int] = {}
            try:
                while len(got) < 4:
                    message = await one.expect("message")
                    assert message["data"] not in got, "it was acknowledged"
                    got[message["data"]] = message["redelivered"]
                    await one.send(type="ack", delivery=message["delivery"])
            finally:
                process.send_signal(signal.SIGCONT)
        assert sorted(got) == [1, 2, 3, 4]
        assert min(got.values()) == 1


async def test_what_nobody_can_do_becomes_a_dead_letter_and_is_announced(party: Party) -> None:
    async with (
        party.socket("planner", first=True) as planner,
        party.socket("w1", first=False) as one,
    ):
        await planner.send(type="subscribe", subject="dlq.jobs", id="d")
        await planner.expect("subscribed", id="d")
        await join(one, max_deliveries=2)
        await publish(planner, "poison")
        for redelivered in (0, 1):
            message = await one.expect("message")
            assert message.get("redelivered", 0) == redelivered
            await one.send(type="nak", delivery=message["delivery"])
        notice = await planner.expect("message")
        assert (notice["from"], notice["subject"]) == ("sys", "dlq.jobs")
        assert notice["data"] == {
            "subject": "jobs.new",
            "from": "planner",
            "seq": message["seq"],
            "durable": "workers",
            "deliveries": 2,
            "reason": "delivered too often",
        }
        await publish(planner, "torn")
        message = await one.expect("message")
        assert message["data"] == "torn"
        await one.send(type="term", delivery=message["delivery"], reason="torn", id="t")
        await one.expect("settled", id="t")
        assert (await planner.expect("message"))["data"]["reason"] == "torn"
        async with party.rest() as rest:
            listed = (await rest.get("/channels/jobs/dead-letters")).json()["dead_letters"]
            assert [(each["reason"], each["data"]) for each in listed] == [
                ("delivered too often", "poison"),
                ("torn", "torn"),
            ]
            [state] = (await rest.get("/channels/jobs/subscriptions")).json()["subscriptions"]
            assert (state["name"], state["pending"], state["in_flight"]) == ("workers", 0, 0)
            again = await rest.post(f"/channels/jobs/dead-letters/{listed[1]['seq']}/retry")
            assert again.status_code == 200, again.text
            message = await one.expect("message")
            assert (message["data"], message["from"]) == ("torn", "planner")
            await one.send(type="ack", delivery=message["delivery"])
            assert (await rest.delete("/channels/jobs/dead-letters")).json()["removed"] == 1
            assert (await rest.delete("/channels/jobs/subscriptions/workers")).status_code == 204
        over = await one.expect("error")
        assert (over["code"], over["details"]) == (
            "not_durable",
            {"subject": "jobs.>", "durable": "workers"},
        )
