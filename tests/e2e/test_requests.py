"""Requests through two servers: who asks is on one, who answers on the other or on both, in every dialect."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from artcafe import (
    ArtcafeError,
    Client,
    Code,
    Message,
    NoRespondersError,
    RemoteError,
    RequestTimeoutError,
    Subscription,
)
from tests.kit.deadlines import PATIENCE
from tests.kit.sockets import Socket, legacy, proven
from tests.kit.ssh_keys import make_key
from tests.kit.two_servers import Installation, make_tenant

pytestmark = pytest.mark.asyncio(loop_scope="session")


@dataclass(frozen=True)
class Task:
    n: int


@dataclass(frozen=True)
class Done:
    square: int


@dataclass
class Party:
    """A tenant with two agents: `asker` on the first server, `worker` on the second."""

    installation: Installation
    tenant: str
    keys: dict[str, Path]

    def client(self, agent: str, *, first: bool) -> Client:
        """The SDK's client of an agent at one of the servers."""
        url = (self.installation.one if first else self.installation.two).url
        return Client(url, tenant=self.tenant, agent=agent, key=self.keys[agent], timeout=PATIENCE)

    def socket(self, agent: str, *, first: bool) -> AbstractAsyncContextManager[Socket]:
        """A plain WebSocket of an agent."""
        ws = (self.installation.one if first else self.installation.two).ws
        return proven(ws, self.tenant, agent, self.keys[agent])


@pytest_asyncio.fixture(loop_scope="session")
async def party(installation: Installation, tmp_path: Path) -> Party:
    keys = {name: make_key(tmp_path, name=name) for name in ("asker", "worker")}
    tenant = f"t{secrets.token_hex(6)}"
    await make_tenant(installation, tenant, **keys)
    return Party(installation, tenant, keys)


@asynccontextmanager
async def answering(
    messages: Subscription, answer: Callable[[Message], object], *, count: int = 1
) -> AsyncIterator[None]:
    """Let an async function answer so many requests meanwhile."""

    async def answer_all() -> None:
        for _ in range(count):
            await answer(await anext(messages))  # type: ignore[misc]

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        tasks.create_task(answer_all())
        yield


@pytest.mark.parametrize("near", [True, False])
@pytest.mark.parametrize("queue", [None, "workers"])
async def test_a_request_is_answered_typed_in_and_out(party: Party, near: bool, queue: str | None) -> None:
    async def square(message: Message) -> None:
        assert message.sender == "asker"
        await message.respond(Done(message.decode(Task).n ** 2))

    async with (
        party.client("asker", first=True) as asker,
        party.client("worker", first=near) as worker,
        worker.subscribe("tasks.new", queue=queue) as tasks,
        answering(tasks, square),
    ):
        assert await asker.request("tasks.new", Task(3), reply=Done) == Done(9)


@pytest.mark.parametrize("near", [True, False])
async def test_a_stream_comes_in_order_and_ends(party: Party, near: bool) -> None:
    async def draft(message: Message) -> None:
        for n in range(200):
            await message.respond(n, end=False)
        await message.finish()

    async with (
        party.client("asker", first=True) as asker,
        party.client("worker", first=near) as worker,
        worker.subscribe("agents.worker.>") as tasks,
        answering(tasks, draft),
    ):
        assert [part async for part in asker.stream("agents.worker.draft", None)] == list(range(200))


async def test_nobody_listens_anywhere(party: Party) -> None:
    async with party.client("asker", first=True) as asker, asyncio.timeout(PATIENCE):
        with pytest.raises(NoRespondersError):
            await asker.request("tasks.new", 1, timeout=600)


@pytest.mark.parametrize("near", [True, False])
async def test_the_error_of_who_was_asked_comes_with_its_code(party: Party, near: bool) -> None:
    async def refuse(message: Message) -> None:
        await message.refuse("out_of_ink", "The pen is empty.")

    async with (
        party.client("asker", first=True) as asker,
        party.client("worker", first=near) as worker,
        worker.subscribe("tasks.new") as tasks,
        answering(tasks, refuse),
    ):
        with pytest.raises(RemoteError, match="The pen is empty") as refused:
            await asker.request("tasks.new", 1)
        assert (refused.value.remote_code, refused.value.sender) == ("out_of_ink", "worker")


@pytest.mark.parametrize("near", [True, False])
async def test_a_reply_that_comes_too_late_is_refused(party: Party, near: bool) -> None:
    async with (
        party.client("asker", first=True) as asker,
        party.client("worker", first=near) as worker,
        worker.subscribe("tasks.new") as tasks,
    ):
        with pytest.raises(RequestTimeoutError):
            await asker.request("tasks.new", 1, timeout=0.2)
        task = await anext(tasks)
        async with asyncio.timeout(PATIENCE):
            await task.cancellation()
        with pytest.raises(ArtcafeError, match="over") as late:
            await task.respond(2)
        assert late.value.code is Code.not_found


@pytest.mark.parametrize("near", [True, False])
async def test_who_is_asked_is_told_that_who_asked_stopped_waiting(party: Party, near: bool) -> None:
    async with (
        party.client("asker", first=True) as asker,
        party.client("worker", first=near) as worker,
        worker.subscribe("tasks.new") as tasks,
        asyncio.timeout(PATIENCE),
    ):
        asking = asyncio.ensure_future(asker.request("tasks.new", 1))
        task = await anext(tasks)
        assert not task.cancelled
        asking.cancel()
        await task.cancellation()
        async with aclosing(asker.stream("tasks.new", 2)) as parts:
            reading = asyncio.ensure_future(anext(parts))
            task = await anext(tasks)
            await task.respond("first", end=False)
            assert await reading == "first"
        await task.cancellation()


async def test_a_connection_that_ends_cancels_its_requests(party: Party) -> None:
    async with party.client("worker", first=False) as worker, worker.subscribe("tasks.new") as tasks:
        async with party.socket("asker", first=True) as asker:
            await asker.send(type="request", subject="tasks.new", data=1, id="r1")
            task = await anext(tasks)
        async with asyncio.timeout(PATIENCE):
            await task.cancellation()


async def test_replies_of_several_are_gathered(party: Party) -> None:
    async def answer(message: Message) -> None:
        await message.respond("yes")

    async with (
        party.client("asker", first=True) as asker,
        party.client("worker", first=False) as far,
        party.client("worker", first=True) as near,
        far.subscribe("questions") as at_far,
        near.subscribe("questions") as at_near,
        answering(at_far, answer, count=2),
        answering(at_near, answer, count=2),
    ):
        assert await asker.gather("questions", 1, max_replies=2, window=PATIENCE) == ["yes", "yes"]
        # One more than there are: the window ends it.
        assert await asker.gather("questions", 1, max_replies=3, window=2.0) == ["yes", "yes"]


async def test_a_map_gives_replies_in_order_and_errors_as_values(party: Party) -> None:
    async def square(message: Message) -> None:
        if message.data == 2:
            await message.refuse("not_two")
        else:
            await message.respond(message.data**2)

    async with (
        party.client("asker", first=True) as asker,
        party.client("worker", first=False) as worker,
        worker.subscribe("tasks.new", queue="workers") as tasks,
        answering(tasks, square, count=4),
    ):
        one, two, *rest = await asker.map("tasks.new", [1, 2, 3, 4])
        assert (one, rest) == (1, [9, 16])
        assert isinstance(two, RemoteError)


@pytest.mark.parametrize("dialect", ["native", "A", "B"])
@pytest.mark.parametrize("near", [True, False])
async def test_a_client_that_knows_only_publish_can_answer(party: Party, dialect: str, near: bool) -> None:
    ws = (party.installation.one if near else party.installation.two).ws
    key = party.keys["worker"]
    if dialect == "native":
        opened = proven(ws, party.tenant, "worker", key)
    elif dialect == "A":
        opened = legacy(ws, party.tenant, "worker", key, "a" * 32)
    else:
        opened = legacy(ws, party.tenant, "worker", key, "b" * 32, path="/ws/agent")
    async with party.client("asker", first=True) as asker, opened as worker, asyncio.timeout(PATIENCE):
        await worker.send(type="subscribe", subject="agents.worker.>", id="1")
        if dialect == "B":
            await worker.send(type="heartbeat")
            await worker.expect("heartbeat_ack")
        else:
            await worker.expect("subscribed")
        asking = asyncio.ensure_future(asker.request("agents.worker.ask", 20))
        message = await worker.expect("message")
        reply_to = message["message"]["reply_to"] if dialect == "B" else message["reply_to"]
        await worker.send(type="publish", subject=reply_to, data=21)
        assert await asking == 21
        await unknowing(worker, dialect)


async def unknowing(worker: Socket, dialect: str) -> None:
    """Nothing came that an older client does not know."""
    if dialect == "B":
        await worker.send(type="heartbeat")
        await worker.expect("heartbeat_ack")
    else:
        await worker.silence()
