"""The client that blocks, against a platform in memory that runs in another thread."""

import asyncio
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from artcafe import (
    Agent,
    ArtcafeError,
    Client,
    Code,
    Message,
    NoRespondersError,
    RemoteError,
    State,
    SyncClient,
    testing,
)
from artcafe.client.loop_thread import LoopThread
from tests.kit.deadlines import PATIENCE

Running = tuple[testing.MemoryPlatform, LoopThread]


@dataclass
class Task:
    n: int


@dataclass
class Done:
    square: int


@pytest.fixture(scope="module")
def platform() -> Iterator[Running]:
    """A platform with an agent that answers."""
    with testing.platform_in_thread() as (running, thread):
        key = thread.run(running.key("worker"))
        app = Agent(running.url, tenant=running.tenant, agent="worker", key=key)

        @app.on("square", concurrency=4)
        async def square(task: Task) -> Done:
            return Done(task.n**2)

        @app.on("count")
        async def count(most: int):  # type: ignore[no-untyped-def]
            for each in range(most):
                yield each

        @app.on("never")
        async def never(_: None, message: Message) -> None:
            await app.client.publish("never.begun", None)
            try:
                await asyncio.Event().wait()
            finally:
                await app.client.publish("never.ended", message.cancelled)

        thread.run(app.__aenter__())
        yield running, thread
        thread.run(app.__aexit__(None, None, None))


def client_of(platform: Running) -> SyncClient:
    running, thread = platform
    key = thread.run(running.key("script"))
    return SyncClient(running.url, tenant=running.tenant, agent="script", key=key, timeout=PATIENCE)


def test_calls_wait_for_what_they_give(platform: Running) -> None:
    with client_of(platform) as client:
        assert client.request("square", Task(3), reply=Done) == Done(9)
        found = client.map("square", [Task(1), {"n": "x"}, Task(2)], reply=Done)
        assert (found[0], found[2]) == (Done(1), Done(4))
        assert isinstance(found[1], RemoteError)
        assert list(client.stream("count", 3)) == [0, 1, 2]
        assert client.gather("square", Task(2), max_replies=1, window=PATIENCE, reply=Done) == [Done(4)]
        with pytest.raises(NoRespondersError):
            client.request("nobody", 1)
    assert client.state is State.closed


def test_a_subscription_is_an_iterator(platform: Running) -> None:
    with client_of(platform) as client, client.subscribe("news.*") as news:
        for number in range(3):
            client.publish("news.new", number, headers={"n": f"{number}"})
        got = [next(news) for _ in range(3)]
        assert [(each.data, each.sender, each.headers) for each in got] == [
            (number, "script", {"n": f"{number}"}) for number in range(3)
        ]
        assert news.next(timeout=0.01) is None
        client.publish("news.new", 7)
        news.drain()
        assert [each.decode(int) for each in news] == [7]


def test_requests_are_answered_and_durable_messages_settled(platform: Running) -> None:
    running, thread = platform
    thread.run(running.durable_channel("orders", "orders.>"))
    other = thread.run(running.connect("other"))
    with client_of(platform) as client:
        questions = client.subscribe("agents.script.>")
        asking = asyncio.run_coroutine_threadsafe(other.request("agents.script.ask", 1), _loop(thread))
        question = next(questions)
        assert question.is_request
        question.respond(2)
        assert asking.result(PATIENCE) == 2
        with client.subscribe("orders.>", durable="workers") as orders:
            client.publish("orders.new", 1)
            order = next(orders)
            assert order.delivery is not None
            order.ack(confirm=True)
        with client.subscribe("orders.>", since="all") as orders:
            assert next(orders).data == 1


def _loop(thread: LoopThread) -> asyncio.AbstractEventLoop:
    async def running() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    return thread.run(running())


def test_an_interrupt_takes_a_request_back(platform: Running) -> None:
    main = threading.get_ident()
    with client_of(platform) as client:
        told = client.subscribe("never.*")

        def interrupt() -> None:
            while (message := told.next()) is not None and message.subject != "never.begun":
                pass
            signal.pthread_kill(main, signal.SIGINT)

        interrupting = threading.Thread(target=interrupt)
        interrupting.start()
        with pytest.raises(KeyboardInterrupt):
            client.request("never", None)
        interrupting.join()
        ended = next(told)
        assert (ended.subject, ended.data) == ("never.ended", True)
        assert client.request("square", Task(1), reply=Done) == Done(1), "the client goes on"


def test_a_stream_that_is_left_early_is_taken_back(platform: Running) -> None:
    with client_of(platform) as client:
        for part in client.stream("count", 1000):
            if part == 3:
                break
        assert client.request("square", Task(1), reply=Done) == Done(1)


async def test_it_works_where_a_loop_runs_already(platform: Running) -> None:
    with client_of(platform) as client:
        assert client.request("square", Task(2), reply=Done) == Done(4)


def test_without_a_block_it_connects_by_itself_and_closes_once(platform: Running) -> None:
    before = threading.active_count()
    client = client_of(platform)
    assert client.publish("news.new", 1)
    news = client.subscribe("news.*")
    client.close()
    client.close()
    news.close()
    assert threading.active_count() == before
    for call in (lambda: client.publish("news.new", 1), lambda: client.subscribe("news.*"), client.connect):
        with pytest.raises(ArtcafeError) as refused:
            call()
        assert refused.value.code is Code.unavailable


def test_who_is_refused_leaves_no_thread(platform: Running) -> None:
    running, thread = platform
    key = thread.run(running.key("script"))
    before = threading.active_count()
    client = SyncClient(running.url, tenant=running.tenant, agent="nobody", key=key)
    with pytest.raises(ArtcafeError) as refused:
        client.connect()
    assert refused.value.code is Code.unauthorized
    assert threading.active_count() == before


def test_it_takes_what_the_client_takes() -> None:
    """The calls of both have the same parameters."""
    for name in ("request", "stream", "gather", "map", "subscribe"):
        ours, theirs = getattr(SyncClient, name), getattr(Client, name)
        assert ours.__kwdefaults__.keys() == theirs.__kwdefaults__.keys(), name
