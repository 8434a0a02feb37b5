"""What developers do with a client, against a real server that plays a script."""

import asyncio
from collections.abc import AsyncIterable

import pytest

from artcafe import (
    ArtcafeError,
    Client,
    Code,
    Message,
    State,
)
from artcafe.wire import frames
from tests.kit.deadlines import eventually
from tests.kit.scripted_client import client_of
from tests.kit.scripted_server import Peer, scripted, stay


async def test_publish_subscribe_respond() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        (subscribed,) = await peer.confirm()
        assert (subscribed.subject, subscribed.queue) == ("tasks.*", None)
        (published,) = await peer.acknowledge()
        assert published.headers == {"trace": "t1"}
        await peer.deliver("tasks.new", {"city": "Rome"}, id="m-7", reply_to="replies.1", headers={"a": "b"})
        (answer,) = await peer.acknowledge()
        assert (answer.subject, bytes(answer.data)) == ("replies.1", b'"done"')

    async with (
        scripted(script) as server,
        client_of(server) as client,
        await client.subscribe("tasks.*") as tasks,
    ):
        made = await client.publish("tasks.new", {"city": "Rome"}, headers={"trace": "t1"})
        assert made.startswith("m-")
        got = await anext(tasks)
        assert (got.subject, got.sender, got.id, got.headers) == ("tasks.new", "writer", "m-7", {"a": "b"})
        assert got.data == {"city": "Rome"}
        assert (await got.respond("done") or "").startswith("m-")


async def test_before_connect_every_call_says_what_is_missing() -> None:
    client = client_of("ws://127.0.0.1:1")
    assert client.state is State.idle
    for call in (client.publish("a", 1), anext(client.subscribe("a"))):
        with pytest.raises(ArtcafeError, match="async with Client"):
            await call
    await client.close()


async def test_a_client_connects_once() -> None:
    async with scripted(stay) as server, client_of(server) as client:
        with pytest.raises(ArtcafeError, match="connects once"):
            await client.connect()
        assert client.connected


async def test_close_ends_loops_after_what_they_still_hold() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.confirm()
        for number in range(3):
            await peer.deliver("n", number)
        await peer.acknowledge()

    got: list[int] = []
    async with scripted(script) as server:
        async with client_of(server) as client:
            numbers = await client.subscribe("n")
            await client.publish("go", None)
        got.extend([one.data async for one in numbers])
        with pytest.raises(ArtcafeError, match="closed"):
            await client.publish("n", 1)
        with pytest.raises(ArtcafeError, match="closed"):
            await client.subscribe("n")
        await client.close()
    assert got == [0, 1, 2]
    assert (client.state, client.error) == (State.closed, None)


async def test_close_waits_for_answers_that_are_due() -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.log_in()
        frame = await peer.expect(frames.Publish)
        asked.set()
        await go.wait()
        await peer.send(frames.Ack(id=frame.id or "", message_id="m-9"))

    async with scripted(script) as server:
        client = client_of(server)
        await client.connect()
        publishing = asyncio.create_task(client.publish("n", 1))
        await asked.wait()
        closing = asyncio.create_task(client.close())
        await asyncio.sleep(0)
        go.set()
        await closing
        assert await publishing == "m-9"
    assert server.peers[0].closed_with == 1000


async def test_waiting_calls_and_loops_end_when_the_client_closes() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.confirm()

    async with scripted(script) as server:
        client = client_of(server)
        await client.connect()
        numbers = await client.subscribe("n")
        looping = asyncio.create_task(_all(numbers))
        opening = asyncio.create_task(_opened(client, "other"))
        await asyncio.sleep(0)
        await client.close()
        assert await looping == []
        with pytest.raises(ArtcafeError) as caught:
            await opening
        assert caught.value.code is Code.unavailable


async def _all(messages: AsyncIterable[Message]) -> list[Message]:
    return [message async for message in messages]


async def _opened(client: Client, subject: str) -> object:
    return await client.subscribe(subject)


async def test_a_client_leaves_no_task_behind_whatever_stage_it_is_closed_in() -> None:
    async def silent(peer: Peer) -> None:
        await peer.until_closed()

    before = asyncio.all_tasks()
    async with scripted(silent, silent, stay) as server:
        within = asyncio.all_tasks()
        client = client_of(server)
        connecting = asyncio.create_task(client.connect())
        await eventually(lambda: server.peers, "the first connection")
        await client.close()
        with pytest.raises(ArtcafeError, match="closed"):
            await connecting

        client = client_of(server)
        connecting = asyncio.create_task(client.connect())
        await eventually(lambda: len(server.peers) == 2, "the second connection")
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        assert client.state is State.closed

        async with client_of(server) as client:
            server.peers[-1].lose()
            await eventually(lambda: not client.connected, "the loss")
        await eventually(
            lambda: all("artcafe" not in task.get_name() for task in asyncio.all_tasks() - within), "the end"
        )
    await eventually(lambda: asyncio.all_tasks() == before, "the end of every task")


async def test_an_error_in_the_block_passes_through() -> None:
    async with scripted(stay) as server:
        with pytest.raises(KeyError):
            async with client_of(server):
                raise KeyError
    assert server.peers[0].closed_with == 1000


async def test_nobody_there_is_told_with_the_reason_when_the_time_is_over() -> None:
    async with scripted(stay) as server:
        url = server.url
    client = client_of(url, connect_timeout=0.2)
    with pytest.raises(ArtcafeError, match=r"Within 0\.2 seconds .*No connection to ws") as caught:
        await client.connect()
    assert caught.value.code is Code.unavailable


async def test_a_client_may_be_made_outside_of_a_loop_and_tls_needs_a_tls_address() -> None:
    def made() -> Client:
        return client_of("https://pubsub.example.com")

    assert (await asyncio.to_thread(made)).state is State.idle
    with pytest.raises(ArtcafeError) as caught:
        client_of("ws://127.0.0.1:1", tls=object())
    assert caught.value.code is Code.validation_failed
