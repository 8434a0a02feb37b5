"""Agents and whoever asks them, on a platform in memory."""

import asyncio
import logging
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from artcafe import (
    Agent,
    ArtcafeError,
    Client,
    Code,
    Message,
    NoRespondersError,
    Refusal,
    RemoteError,
    RequestTimeoutError,
    testing,
)
from artcafe.client.options import ClientOptions
from artcafe.wire import deliveries, frames
from tests.kit.deadlines import PATIENCE
from tests.kit.scripted_client import Seal
from tests.kit.scripted_server import AGENT, TENANT, Peer, scripted

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform() -> AsyncIterator[testing.MemoryPlatform]:
    async with testing.platform() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def asker(platform: testing.MemoryPlatform) -> AsyncIterator[Client]:
    key = await platform.key("asker")
    async with Client(platform.url, tenant=platform.tenant, agent="asker", key=key, timeout=PATIENCE) as one:
        yield one


@pytest_asyncio.fixture(loop_scope="module")
async def app(platform: testing.MemoryPlatform) -> Agent:
    """An agent that handles nothing yet."""
    return await agent_of(platform)


async def agent_of(platform: testing.MemoryPlatform, **options: Any) -> Agent:
    key = await platform.key("worker")
    return Agent(platform.url, tenant=platform.tenant, agent="worker", key=key, **options)


async def serve(app: Agent) -> asyncio.Task[None]:
    """Serve in a task; return as soon as everything is subscribed."""
    ready = asyncio.Event()

    @app.started
    async def tell() -> None:
        ready.set()

    serving = asyncio.create_task(app.serve())
    await ready.wait()
    return serving


@dataclass
class Task:
    n: int


class Done(msgspec.Struct):
    square: int


async def test_a_request_is_decoded_handled_and_answered(app: Agent, asker: Client) -> None:
    @app.on("tasks.new", queue="workers")
    async def work(task: Task) -> Done:
        return Done(task.n**2)

    async with app:
        assert await asker.request("tasks.new", Task(3), reply=Done) == Done(9)
        answers = await asker.map("tasks.new", [Task(n) for n in range(5)], reply=Done)
    assert answers == [Done(n**2) for n in range(5)]
    assert await work(Task(2)) == Done(4), "the function is still its author's"
    with pytest.raises(NoRespondersError):
        await asker.request("tasks.new", Task(3))


async def test_a_plain_function_answers_from_a_thread(app: Agent, asker: Client) -> None:
    @app.on("tasks.plain")
    def work(task: Task, message: Message) -> list[Any]:
        return [threading.current_thread() is threading.main_thread(), message.sender, task.n]

    async with app:
        assert await asker.request("tasks.plain", Task(1)) == [False, "asker", 1]


async def test_nothing_returned_is_a_reply_of_null(app: Agent, asker: Client) -> None:
    @app.on("tasks.null")
    async def work(_: Task) -> None: ...

    async with app:
        assert await asker.request("tasks.null", Task(1)) is None


async def test_what_is_yielded_is_a_stream(app: Agent, asker: Client) -> None:
    @app.on("parts")
    async def parts(count: int) -> AsyncIterator[str]:
        for each in range(count):
            if each == 4:
                raise Refusal("enough", "four are enough")
            yield f"part {each}"

    got: list[str] = []
    async with app:
        assert [each async for each in asker.stream("parts", 3)] == ["part 0", "part 1", "part 2"]
        assert [each async for each in asker.stream("parts", 0)] == []
        with pytest.raises(RemoteError) as refused:
            await _collect(asker.stream("parts", 9), got)
    assert refused.value.remote_code == "enough"
    assert got == [f"part {each}" for each in range(4)]


async def _collect(parts: AsyncIterator[str], got: list[str]) -> None:
    async for part in parts:
        got.append(part)  # noqa: PERF401 - what came before an error counts.


class Secret(Exception):
    """Says something that nobody else is to read."""


async def test_every_failure_is_a_refusal_that_leaks_nothing_and_the_agent_goes_on(
    app: Agent, asker: Client, caplog: pytest.LogCaptureFixture
) -> None:
    @app.on("fails")
    async def fail(task: Task) -> Any:
        match task.n:
            case 0:
                raise Refusal("no_beds", "all beds are taken")
            case 1:
                raise Secret("password")
            case 2:
                return {"a": object()}
            case 3:
                raise ArtcafeError(Code.forbidden, "password")
        return task.n

    @app.on("fails.parts")
    async def parts(_: Task) -> AsyncIterator[Any]:
        yield 1
        yield object()

    async with app:
        found = await asker.map("fails", [Task(n) for n in range(5)])
        unfitting: list[Any] = [{"n": "one"}, {}, [], None]
        for data in unfitting:
            with pytest.raises(RemoteError) as unfit:
                await asker.request("fails", data)
            assert unfit.value.remote_code == "validation_failed"
        with pytest.raises(RemoteError) as unwritable:
            _ = [each async for each in asker.stream("fails.parts", Task(1))]
    refusals = [(each.remote_code, each.message) for each in found[:4]]
    failed = ("request_refused", "The handler failed.")
    assert refusals == [("no_beds", "all beds are taken"), failed, failed, failed]
    assert unwritable.value.remote_code == "request_refused"
    assert found[4] == 4
    assert "password" in caplog.text, "its author reads why"


async def test_a_refusal_has_a_code_that_fits_into_the_frame() -> None:
    assert Refusal("a" * 64, "b" * 2000).text == "b" * 1024
    for code in ("", "a" * 65):
        with pytest.raises(ValueError, match="64"):
            Refusal(code)


async def test_so_many_are_handled_at_once_and_no_more(app: Agent, asker: Client) -> None:
    running = most = 0
    full = asyncio.Event()

    @app.on("slow", concurrency=3)
    async def slow(_: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 3:
            full.set()
        await full.wait()
        await asyncio.sleep(0)
        running -= 1

    async with app:
        assert await asker.map("slow", range(12)) == [None] * 12
    assert most == 3


async def test_a_request_that_is_cancelled_cancels_its_function(app: Agent, asker: Client) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    @app.on("long")
    async def long(_: int) -> str:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return "never"

    async with app:
        asking = asyncio.create_task(asker.request("long", 1))
        await begun.wait()
        asking.cancel()
        async with asyncio.timeout(PATIENCE):
            await ended.wait()
        begun.clear()
        again = asyncio.create_task(asker.request("long", 1))
        async with asyncio.timeout(PATIENCE):
            await begun.wait()  # The one slot is free again.
        again.cancel()


async def test_a_message_that_wants_no_reply_is_handled_and_one_of_the_older_kind_is_answered(
    app: Agent, asker: Client
) -> None:
    got: list[int] = []

    @app.on("told")
    async def told(n: int) -> int | None:
        got.append(n)
        return n + 1 if n else None

    async with app, asker.subscribe("inbox.asker.*") as answers:
        await asker.publish("told", 1)
        await asker.publish("told", 0, reply_to="inbox.asker.none")
        await asker.publish("told", 2, reply_to="inbox.asker.x")
        answer = await anext(answers)
        assert (answer.data, answer.subject) == (3, "inbox.asker.x")
    assert got == [1, 0, 2]


async def test_what_cannot_be_read_is_logged_and_the_rest_handled(
    app: Agent, asker: Client, caplog: pytest.LogCaptureFixture
) -> None:
    got = asyncio.Queue[int]()

    @app.on("numbers")
    async def number(n: int) -> None:
        got.put_nowait(n)

    async with app:
        await asker.publish("numbers", "no number")
        await asker.publish("numbers", 7)
        assert await got.get() == 7
    assert "does not fit" in caplog.text


async def test_draining_finishes_what_came_and_takes_nothing_new(app: Agent, asker: Client) -> None:
    go, begun = asyncio.Event(), asyncio.Event()

    @app.on("jobs", queue="workers")
    async def job(n: int) -> int:
        begun.set()
        await go.wait()
        return n

    serving = await serve(app)
    asking = asyncio.create_task(_answered(asker, "jobs", 3))
    await begun.wait()
    app.stop()
    async with asyncio.timeout(PATIENCE):
        while True:  # The others are in its buffer, and it has left the group.
            try:
                await asker.request("jobs", 9, timeout=0.1)
            except RequestTimeoutError:
                continue  # It came before the group was left, and waits with the others.
            except NoRespondersError:
                break
    assert not serving.done()
    go.set()
    assert await asking == [0, 1, 2]
    await serving


async def _answered(asker: Client, subject: str, count: int) -> list[Any]:
    return await asker.map(subject, range(count), retries=0, timeout=PATIENCE)


async def test_a_member_of_a_group_that_drains_loses_nothing(
    platform: testing.MemoryPlatform, asker: Client
) -> None:
    got: list[int] = []
    enough, everything = asyncio.Event(), asyncio.Event()

    async def take(n: int) -> None:
        got.append(n)
        if len(got) == 50:
            enough.set()
        if len(got) == 300:
            everything.set()

    leaves, stays = await agent_of(platform), await agent_of(platform)
    for app in (leaves, stays):
        app.on("shared", queue="workers", concurrency=2)(take)

    async def publish() -> None:
        for number in range(300):
            await asker.publish("shared", number)

    async with stays, asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        serving = await serve(leaves)
        tasks.create_task(publish())
        await enough.wait()
        leaves.stop()
        await serving
        await everything.wait()
    assert sorted(got) == list(range(300)), "each once"


async def test_what_is_not_finished_in_time_is_refused(
    platform: testing.MemoryPlatform, asker: Client
) -> None:
    app = await agent_of(platform, drain_seconds=0.05)
    begun = asyncio.Event()

    @app.on("stuck")
    async def stuck(_: int) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with app:
        asking = asyncio.create_task(asker.map("stuck", [1, 2]))
        await begun.wait()
        # The second is in the buffer as soon as a later message is answered.
        await asker.publish("inbox.worker.x", None)
        await asker.publish("stuck", 3)
    found = await asking
    assert [each.remote_code for each in found] == ["going_away", "going_away"]


async def test_a_second_stop_cuts_off_what_runs(platform: testing.MemoryPlatform, asker: Client) -> None:
    app = await agent_of(platform, drain_seconds=600)
    begun = asyncio.Event()

    @app.on("stuck.too")
    async def stuck(_: int) -> None:
        begun.set()
        await asyncio.Event().wait()

    serving = await serve(app)
    asking = asyncio.create_task(asker.map("stuck.too", [1]))
    await begun.wait()
    app.stop()
    app.stop()
    async with asyncio.timeout(PATIENCE):
        await serving
    assert [each.remote_code for each in await asking] == ["going_away"]


async def test_a_durable_message_is_done_when_its_function_returns(
    platform: testing.MemoryPlatform, asker: Client
) -> None:
    await platform.durable_channel("orders", "orders.>")
    got = asyncio.Queue[tuple[int, int]]()

    async def handle(n: int, message: Message) -> str:
        got.put_nowait((n, message.redelivered))
        return "dropped"

    app = await agent_of(platform)
    app.on("orders.>", durable="workers", concurrency=4)(handle)
    async with app:
        for number in range(5):
            await asker.publish("orders.new", number)
        assert sorted([await got.get() for _ in range(5)]) == [(number, 0) for number in range(5)]
    await asker.publish("orders.new", 5)
    again = await agent_of(platform)
    again.on("orders.>", durable="workers")(handle)
    async with again:
        assert await got.get() == (5, 0), "what was acknowledged does not come again"


async def test_a_durable_message_comes_again_after_a_failure_and_never_after_a_refusal(
    platform: testing.MemoryPlatform, asker: Client, app: Agent
) -> None:
    await platform.durable_channel("jobs", "jobs.>")
    done = asyncio.Event()

    @app.on("jobs.>", durable="workers", concurrency=2)
    async def handle(n: int, message: Message) -> None:
        if n == 0:
            raise Refusal("no_such_job", "there is none")
        if not message.redelivered:
            raise Secret
        done.set()

    async with app, asker.subscribe("dlq.jobs") as letters:
        await asker.publish("jobs.new", 1)
        await asker.publish("jobs.new", 0)
        await asker.publish("jobs.new", "no number")
        async with asyncio.timeout(PATIENCE):
            await done.wait()
            reasons = {(await anext(letters)).data["reason"] for _ in range(2)}
    assert "no_such_job: there is none" in reasons
    assert any(reason.startswith("validation_failed: Expected `int`") for reason in reasons)


async def test_a_durable_message_that_is_cut_off_goes_to_another(
    platform: testing.MemoryPlatform, asker: Client
) -> None:
    await platform.durable_channel("loads", "loads.>")
    begun, got = asyncio.Event(), asyncio.Queue[int]()
    app = await agent_of(platform, drain_seconds=0.05)

    @app.on("loads.>", durable="workers", lease=600)
    async def stuck(_: int) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with app:
        await asker.publish("loads.new", 1)
        await begun.wait()
    other = await agent_of(platform)

    @other.on("loads.>", durable="workers")
    async def take(n: int) -> None:
        got.put_nowait(n)

    async with other, asyncio.timeout(PATIENCE):
        assert await got.get() == 1


async def test_a_lease_is_renewed_while_its_message_is_handled() -> None:
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.log_in()
        asked = await peer.expect(frames.Subscribe)
        assert (asked.durable, asked.max_in_flight) == ("workers", 3)
        await peer.send(frames.Subscribed(subject="n", id=asked.id, durable="workers", lease_ms=30))
        await peer.deliver("n", 1, delivery="d1", durable="workers")
        for _ in range(3):
            assert (await peer.expect(deliveries.RenewDelivery)).delivery == "d1"
        go.set()
        while not isinstance(frame := await peer.next(), deliveries.AckDelivery):
            assert isinstance(frame, deliveries.RenewDelivery)
        assert frame.delivery == "d1"
        worker.stop()
        left = await peer.expect(frames.Unsubscribe)
        assert left.durable == "workers"
        await peer.send(frames.Unsubscribed(subject="n", id=left.id))

    async with scripted(script) as server, asyncio.timeout(PATIENCE):
        worker = Agent(server.url, tenant=TENANT, agent=AGENT, key=Seal())

        @worker.on("n", durable="workers", concurrency=3)
        async def handle(_: int) -> None:
            await go.wait()

        await worker.serve()


async def test_hooks_run_when_everything_is_subscribed_and_end_the_agent_by_raising(
    platform: testing.MemoryPlatform,
) -> None:
    app, got = await agent_of(platform), list[Any]()

    @app.on("hooked")
    async def handle(n: int) -> int:
        return n + 1

    @app.started
    async def ask_oneself() -> None:
        got.append(await app.client.request("hooked", 1))

    async with app:
        assert got == [2]

    broken = await agent_of(platform)

    @broken.started
    async def fail() -> None:
        raise Secret

    with pytest.raises(Secret):
        await broken.serve()
    assert not broken.client.connected


async def test_a_right_that_is_taken_ends_the_agent_with_its_error(
    platform: testing.MemoryPlatform, caplog: pytest.LogCaptureFixture
) -> None:
    key = await platform.key("narrow")
    app = Agent(platform.url, tenant=platform.tenant, agent="narrow", key=key)

    @app.on("secret.x")
    async def handle(_: int) -> None: ...

    serving = await serve(app)
    await platform.rest.change_agent("narrow", policy={"subscribe": {"deny": ["secret.>"]}})
    with pytest.raises(ArtcafeError) as ended:
        async with asyncio.timeout(PATIENCE):
            await serving
    assert ended.value.code is Code.forbidden


async def test_what_is_wrong_is_said_when_it_is_registered(app: Agent) -> None:
    with pytest.raises(ArtcafeError) as wrong:
        app.on("a..b")
    assert wrong.value.code is Code.invalid_subject
    for options in ({"queue": "a b"}, {"concurrency": 0}, {"buffer": 0}):
        with pytest.raises(ArtcafeError) as wrong:
            app.on("a", **options)
        assert wrong.value.code is Code.validation_failed


async def test_an_error_of_the_block_comes_out_as_it_is(app: Agent) -> None:
    @app.on("x")
    async def handle(_: int) -> None: ...

    with pytest.raises(Secret):
        async with app:
            raise Secret
    assert not app.client.connected


PROGRAM = """
import sys
import time

from artcafe import Agent

app = Agent(sys.argv[1], tenant=sys.argv[2], agent="program", key=sys.argv[3])


@app.on("program.sleep")
def sleep(seconds: float) -> str:
    print("begun", flush=True)
    time.sleep(seconds)
    return "slept"


@app.started
async def tell() -> None:
    print("ready", flush=True)


app.run()
print("over", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_a_program(
    platform: testing.MemoryPlatform, asker: Client, tmp_path: Path, number: signal.Signals
) -> None:
    path, key = tmp_path / "program.py", await platform.key("program")
    path.write_text(PROGRAM)
    process = await asyncio.create_subprocess_exec(
        sys.executable, path, platform.url, platform.tenant, key, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    asking = asyncio.create_task(asker.request("program.sleep", 0.3))
    assert await process.stdout.readline() == b"begun\n"
    process.send_signal(number)
    assert await asking == "slept"
    assert await process.stdout.readline() == b"over\n"
    assert await process.wait() == 0


async def test_the_options_of_a_client_are_its_own() -> None:
    """ClientOptions repeats what Client takes."""
    known = Client.__init__.__kwdefaults__
    assert known is not None
    assert ClientOptions.__annotations__.keys() == known.keys()


async def test_a_logger_names_the_function(
    app: Agent, asker: Client, caplog: pytest.LogCaptureFixture
) -> None:
    @app.on("named")
    async def named_so(_: int) -> None:
        raise Secret

    async with app:
        with pytest.raises(RemoteError):
            await asker.request("named", 1)
    [record] = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert "named_so" in record.getMessage()
