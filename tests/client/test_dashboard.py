"""A dashboard against a stand-in server: what it says first, what it gives, and how it ends."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve

from artcafe import ArtcafeError, Dashboard
from artcafe.wire.codes import Code
from tests.kit.rest_stub import RestStub, unused_url

ONLINE = {"type": "agent.online", "topic": "presence.planner", "data": {"agent_id": "planner"}}
MESSAGE = {"type": "message", "topic": "tasks", "payload": {"n": 1}, "from": "planner"}


async def test_the_token_is_in_the_first_frame_and_in_no_url(stub: RestStub) -> None:
    async with Dashboard(stub.url, "t.o.k", tenant="acme") as dashboard:
        assert dashboard.welcome["role"] == "owner"
        await dashboard.renew("n.e.w")

    assert stub.heard == [
        {"type": "auth", "token": "t.o.k", "tenant_id": "acme"},
        {"type": "auth", "token": "n.e.w", "id": "1"},
    ]


async def test_without_a_tenant_none_is_claimed(stub: RestStub) -> None:
    async with Dashboard(stub.url, "t"):
        pass

    assert stub.heard == [{"type": "auth", "token": "t"}]


async def test_events_come_in_order_and_the_end_says_why(stub: RestStub) -> None:
    stub.events = [ONLINE, MESSAGE]

    async with Dashboard(stub.url, "t") as dashboard:
        await dashboard.preview()
        assert [await anext(dashboard), await anext(dashboard)] == [ONLINE, MESSAGE]
        with pytest.raises(ArtcafeError) as ended:
            await anext(dashboard)

    assert ended.value.code is Code.going_away


async def test_subscriptions_are_named_and_end(stub: RestStub) -> None:
    stub.subscriptions, stub.events = 2, [MESSAGE]

    async with Dashboard(stub.url, "t") as dashboard:
        await dashboard.subscribe("tasks.*")
        await dashboard.unsubscribe("tasks.*")
        await dashboard.subscribe("tasks")
        assert await anext(dashboard) == MESSAGE

    assert [(said["type"], said["topic"]) for said in stub.heard[1:]] == [
        ("subscribe", "tasks.*"),
        ("unsubscribe", "tasks.*"),
        ("subscribe", "tasks"),
    ]


async def test_a_refused_sign_in_is_raised(stub: RestStub) -> None:
    stub.refusals["auth"] = {"code": "unauthorized", "message": "No such login."}

    with pytest.raises(ArtcafeError, match="No such login") as refused:
        async with Dashboard(stub.url, "t"):
            pass

    assert refused.value.code is Code.unauthorized


async def test_a_refused_subscription_is_raised_and_the_rest_goes_on(stub: RestStub) -> None:
    stub.refusals["subscribe"] = {"code": "forbidden", "message": "Not for viewers."}
    stub.events = [MESSAGE]

    async with Dashboard(stub.url, "t") as dashboard:
        with pytest.raises(ArtcafeError, match="Not for viewers"):
            await dashboard.subscribe("agents.planner.>")
        await dashboard.preview()
        assert await anext(dashboard) == MESSAGE


async def test_nothing_at_the_address_is_unavailable() -> None:
    with pytest.raises(ArtcafeError) as refused:
        async with Dashboard(unused_url(), "t"):
            pass

    assert refused.value.code is Code.unavailable


async def test_before_it_is_connected_it_says_so() -> None:
    with pytest.raises(ArtcafeError, match="async with Dashboard"):
        await Dashboard("ws://127.0.0.1:1", "t").preview()


@asynccontextmanager
async def serving(script: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[str]:
    """The address of a server that plays this script after the sign-in."""

    async def handler(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send('{"type":"connected"}')
        await script(socket)

    async with serve(handler, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


async def test_what_comes_before_an_answer_is_kept() -> None:
    async def late(socket: ServerConnection) -> None:
        asked = json.loads(await socket.recv())
        await socket.send(json.dumps(MESSAGE))
        await socket.send(json.dumps({"type": "error", "code": "bad_frame", "message": "Another's."}))
        await socket.send(json.dumps({"type": "subscribed", "topic": "tasks", "id": asked["id"]}))
        await socket.send(json.dumps(ONLINE))

    async with serving(late) as url, Dashboard(url, "t") as dashboard:
        await dashboard.subscribe("tasks")
        assert [(await anext(dashboard))["type"] for _ in range(3)] == ["message", "error", "agent.online"]


async def test_an_answer_that_never_comes_is_not_waited_for() -> None:
    async with serving(ServerConnection.wait_closed) as url, Dashboard(url, "t", timeout=0.1) as dashboard:
        with pytest.raises(ArtcafeError, match=r"did not answer within 0\.1 seconds") as refused:
            await dashboard.preview()

    assert refused.value.code is Code.unavailable


@pytest.mark.parametrize("text", ["[]", "{", '{"type":1}', "{}"])
async def test_a_frame_that_is_none_is_told(text: str) -> None:
    async with serving(lambda socket: socket.send(text)) as url, Dashboard(url, "t") as dashboard:
        with pytest.raises(ArtcafeError) as broken:
            await anext(dashboard)

    assert broken.value.code is Code.protocol_error


@pytest.mark.parametrize(
    "data", ["1e999", "1" * 5000, "[" * 61 + "]" * 61, "[" * 500 + "]" * 500], ids=lambda data: data[:9]
)
async def test_what_cannot_be_read_is_told_as_such_and_the_rest_goes_on(data: str) -> None:
    async def poison(socket: ServerConnection) -> None:
        await socket.send(f'{{"type":"message","topic":"tasks","payload":{data},"from":"planner"}}')
        await socket.send(json.dumps(MESSAGE))

    async with serving(poison) as url, Dashboard(url, "t") as dashboard:
        assert await anext(dashboard) == {
            "type": "message",
            "topic": "tasks",
            "payload": None,
            "from": "planner",
            "undecodable": {"payload": data},
        }
        assert await anext(dashboard) == MESSAGE
        assert dashboard.undecodable == 1


async def test_a_frame_that_cannot_be_taken_apart_is_told_as_such() -> None:
    text = '{"type":"message","payload":' + "[" * 5000 + "]" * 5000 + "}"

    async with serving(lambda socket: socket.send(text)) as url, Dashboard(url, "t") as dashboard:
        assert await anext(dashboard) == {"type": "undecodable", "undecodable": {"frame": text}}
        assert dashboard.undecodable == 1


async def test_data_as_deep_as_the_rule_lets_is_read() -> None:
    text = '{"type":"message","payload":' + "[" * 60 + "1.5e3" + "]" * 60 + "}"

    async with serving(lambda socket: socket.send(text)) as url, Dashboard(url, "t") as dashboard:
        assert await anext(dashboard) == json.loads(text)
        assert dashboard.undecodable == 0


async def test_a_silent_server_is_asked_and_given_up_when_it_does_not_answer() -> None:
    asked: list[str | bytes] = []

    async def mute(socket: ServerConnection) -> None:
        asked.append(await socket.recv())
        await socket.wait_closed()

    async with serving(mute) as url, Dashboard(url, "t", silence=0.05) as dashboard:
        with pytest.raises(ArtcafeError) as lost:
            await anext(dashboard)

    assert lost.value.code is Code.heartbeat_lost
    assert asked == ['{"type":"ping"}']


async def test_a_server_that_answers_pings_is_waited_for() -> None:
    async def quiet(socket: ServerConnection) -> None:
        for _ in range(3):
            await socket.recv()
            await socket.send('{"type":"pong","timestamp":"now"}')
        await socket.send(json.dumps(MESSAGE))

    async with serving(quiet) as url, Dashboard(url, "t", silence=0.05) as dashboard:
        assert await anext(dashboard) == MESSAGE


async def test_the_close_says_why_in_the_words_of_the_last_error() -> None:
    async def expire(socket: ServerConnection) -> None:
        error = {"type": "error", "code": "token_expired", "message": "Bring a newer token."}
        await socket.send(json.dumps(error))
        await socket.close(4004)

    async with serving(expire) as url, Dashboard(url, "t") as dashboard:
        assert (await anext(dashboard))["code"] == "token_expired"
        with pytest.raises(ArtcafeError, match="Bring a newer token") as ended:
            await anext(dashboard)

    assert ended.value.code is Code.token_expired
