"""Durable subscriptions and dead letters, over REST."""

import httpx
import pytest
from msgspec import Raw

from artcafe.server.bus.memory import MemoryLink
from artcafe.server.ports.consumers import ConsumerRules, HandedOut
from artcafe.wire.codes import Code
from artcafe.wire.deliveries import DeadLetter
from artcafe.wire.frames import encode
from artcafe.wire.subjects import pattern_to_bus
from tests.kit.api import Api, good, problem
from tests.kit.installation import ACME

CHANNEL = "/api/v1/channels/tasks"
LETTERS, SUBSCRIPTIONS = f"{CHANNEL}/dead-letters", f"{CHANNEL}/subscriptions"
RULES = ConsumerRules(pattern=pattern_to_bus("tasks.>"), first=1, lease=5.0, max_deliveries=3)


class Tasks:
    """The durable channel `tasks` of `acme`, as a gateway has it."""

    def __init__(self, stream: str, link: MemoryLink) -> None:
        self.stream = stream
        self.link = link
        self.over = 0

    def ended(self) -> None:
        """Its subscription was deleted."""
        self.over += 1

    async def bury(self, n: int, *, subject: str = "tasks.new", name: str = "workers") -> int:
        """A dead letter; its sequence."""
        envelope = b'{"id":"m%d","timestamp":"2026-01-01T00:00:00Z","data":{"n":%d}}' % (n, n)
        letter = DeadLetter(
            subject=subject,
            sender="planner",
            seq=n,
            durable=name,
            deliveries=3,
            reason="torn",
            message=Raw(envelope),
        )
        return await self.link.consumers.bury(self.stream, name, encode(letter), f"{name}.{n}")


@pytest.fixture
async def tasks(api: Api, olivia: httpx.AsyncClient) -> Tasks:
    body = {"id": "tasks", "name": "Tasks", "subject": "tasks.>", "durability": {"max_bytes": 1_000_000}}
    good(await olivia.post("/api/v1/channels", json=body), 201)
    good(await olivia.post("/api/v1/channels", json={"id": "chat", "name": "Chat"}), 201)
    tenant = await api.installation.process.directory.tenant(ACME)
    assert tenant is not None
    link = await api.installation.bus.link(tenant)
    [stream] = link.streams.streams
    return Tasks(stream, link)


async def test_subscriptions_are_listed_with_what_waits_and_deleted(
    olivia: httpx.AsyncClient, tasks: Tasks
) -> None:
    assert good(await olivia.get(SUBSCRIPTIONS))["subscriptions"] == []
    got: list[HandedOut] = []
    await tasks.link.consumers.consume(tasks.stream, "workers", RULES, got.append, tasks.ended)
    for n in range(2):
        await tasks.link.streams.store(tasks.stream, "m.planner.tasks.new", b"%d" % n, None)
    [found] = good(await olivia.get(SUBSCRIPTIONS))["subscriptions"]
    assert found.pop("created_at")
    assert found == {
        "name": "workers",
        "subject": "tasks.>",
        "lease_ms": 5000,
        "max_deliveries": 3,
        "pending": 2,
        "in_flight": 0,
        "redelivered": 0,
    }
    assert (await olivia.delete(f"{SUBSCRIPTIONS}/workers")).status_code == 204
    assert tasks.over == 1
    problem(await olivia.delete(f"{SUBSCRIPTIONS}/workers"), Code.not_found)
    problem(await olivia.delete(f"{SUBSCRIPTIONS}/a.b"), Code.validation_failed)


async def test_dead_letters_are_listed_in_pages_and_removed(olivia: httpx.AsyncClient, tasks: Tasks) -> None:
    seqs = [await tasks.bury(n) for n in range(1, 4)]
    other = await tasks.bury(9, name="others")
    page = good(await olivia.get(LETTERS, params={"limit": 2}))
    assert [each["seq"] for each in page["dead_letters"]] == seqs[:2]
    assert page["dead_letters"][0] == {
        "seq": seqs[0],
        "subscription": "workers",
        "reason": "torn",
        "deliveries": 3,
        "message_seq": 1,
        "subject": "tasks.new",
        "from": "planner",
        "data": {"n": 1},
    }
    rest = good(await olivia.get(LETTERS, params={"after": page["after"]}))
    assert ([each["seq"] for each in rest["dead_letters"]], rest["after"]) == ([seqs[2], other], None)
    only = good(await olivia.get(LETTERS, params={"subscription": "others"}))
    assert [each["seq"] for each in only["dead_letters"]] == [other]
    assert (await olivia.delete(f"{LETTERS}/{seqs[0]}")).status_code == 204
    problem(await olivia.delete(f"{LETTERS}/{seqs[0]}"), Code.not_found)
    assert good(await olivia.delete(LETTERS, params={"subscription": "workers"}))["removed"] == 2
    assert good(await olivia.delete(LETTERS))["removed"] == 1


async def test_a_message_that_is_retried_is_stored_again_as_its_senders(
    olivia: httpx.AsyncClient, tasks: Tasks
) -> None:
    seq = await tasks.bury(7)
    stored = good(await olivia.post(f"{LETTERS}/{seq}/retry"))
    [message] = good(await olivia.get(f"{CHANNEL}/messages"))["messages"]
    assert (message["seq"], message["from"], message["data"], message["id"]) == (
        stored["seq"],
        "planner",
        {"n": 7},
        "m7",
    )
    assert good(await olivia.get(LETTERS))["dead_letters"] == []
    problem(await olivia.post(f"{LETTERS}/{seq}/retry"), Code.not_found)


async def test_a_message_is_no_dead_letter(olivia: httpx.AsyncClient, tasks: Tasks) -> None:
    await tasks.link.streams.store(tasks.stream, "m.planner.tasks.new", b"{}", None)
    problem(await olivia.delete(f"{LETTERS}/1"), Code.not_found)
    problem(await olivia.post(f"{LETTERS}/1/retry"), Code.not_found)
    assert (await tasks.link.streams.state(tasks.stream)).first == 1


async def test_a_channel_that_stores_nothing_has_neither(olivia: httpx.AsyncClient, tasks: Tasks) -> None:
    for path in ("subscriptions", "dead-letters"):
        problem(await olivia.get(f"/api/v1/channels/chat/{path}"), Code.not_durable)
        problem(await olivia.get(f"/api/v1/channels/none/{path}"), Code.not_found)
