"""What developers do with a client, against a real server that plays a script."""

import asyncio
from pathlib import Path

import pytest
from tests.kit.deadlines import eventually
from tests.kit.scripted_client import Seal, client_of
from tests.kit.scripted_server import Peer, message, scripted, stay
from tests.kit.ssh_keys import make_key, public_line, ssh_keygen_accepts

from artcafe import (
    ArtcafeError,
    Backoff,
    Client,
    Code,
    Message,
    OutcomeUnknownError,
    SignerError,
    SlowSubscriptionError,
    State,
)
from artcafe.wire import frames


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


# Logging in.


async def test_the_login_is_signed_by_the_key_and_openssh_accepts_it(tmp_path: Path) -> None:
    key = make_key(tmp_path)
    async with scripted(stay) as server, client_of(server, key=key):
        auth = server.peers[0].auth
        assert auth is not None
        assert auth.client is not None
        assert (auth.format, auth.client.name) == ("sshsig", "artcafe-python")
        text = (
            f"artcafe-agent-auth/1\nserver={server.url}\ntenant=acme\nagent=planner\n"
            f"connection=c1\nnonce={'n' * 43}\nexpires=1800000000\n"
        )
        assert ssh_keygen_accepts(tmp_path, public_line(key), text, auth.signature)
    asked = server.requests[0]
    assert asked.path == "/api/v1/ws/agent/planner?tenant_id=acme"
    assert asked.headers["Sec-WebSocket-Protocol"] == "artcafe.v1"
    assert asked.headers["User-Agent"].startswith("artcafe-python/")


async def test_a_tilde_in_the_path_of_the_key_is_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    make_key(tmp_path, name="id_agent")
    async with scripted(stay) as server, client_of(server, key="~/id_agent") as client:
        assert client.connected


async def test_a_key_that_cannot_be_read_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(SignerError, match="no key file"):
        client_of("ws://127.0.0.1:1", key=tmp_path / "nothing")


@pytest.mark.parametrize(
    "lie",
    [
        {"server": "wss://bank.example"},
        {"tenant": "other"},
        {"agent": "admin"},
        {"namespace": "file"},
        {"text": "please sign"},
    ],
    ids=lambda lie: next(iter(lie)),
)
async def test_nothing_is_signed_for_another_server_tenant_agent_or_purpose(lie: dict[str, str]) -> None:
    async def relay(peer: Peer) -> None:
        await peer.challenge(**lie)

    seal = Seal()
    async with scripted(relay) as server:
        with pytest.raises(ArtcafeError, match="The login was stopped") as caught:
            await client_of(server, key=seal).connect()
    assert caught.value.code is Code.unauthorized
    assert seal.signed == []
    assert len(server.peers) == 1


async def test_a_second_challenge_is_not_signed() -> None:
    async def greedy(peer: Peer) -> None:
        await peer.challenge()
        await peer.socket.recv()
        await peer.challenge()

    seal = Seal()
    async with scripted(greedy) as server:
        with pytest.raises(ArtcafeError, match="second challenge"):
            await client_of(server, key=seal).connect()
    assert len(seal.signed) == 1


async def test_a_signer_that_refuses_ends_the_login_with_its_sentence() -> None:
    async with scripted(stay) as server:
        with pytest.raises(ArtcafeError, match="The ssh-agent is locked") as caught:
            await client_of(server, key=Seal(SignerError("The ssh-agent is locked."))).connect()
    assert caught.value.code is Code.unauthorized


async def test_a_signer_that_breaks_is_a_fault_and_told_as_such() -> None:
    async with scripted(stay) as server:
        with pytest.raises(RuntimeError, match="out of ink"):
            await client_of(server, key=Seal(RuntimeError("out of ink"))).connect()


# Publishing.


async def test_without_ack_nothing_is_awaited() -> None:
    taken: list[frames.Publish] = []

    async def script(peer: Peer) -> None:
        await peer.log_in()
        taken.append(await peer.expect(frames.Publish))

    async with scripted(script) as server, client_of(server) as client:
        assert await client.publish("tasks.new", [1, 2], ack=False) is None
    await eventually(lambda: taken, "the message")
    assert (taken[0].id, bytes(taken[0].data)) == (None, b"[1,2]")


async def test_messages_leave_in_the_order_of_the_calls() -> None:
    numbers: list[bytes] = []

    async def script(peer: Peer) -> None:
        await peer.log_in()
        while len(numbers) < 50:
            numbers.extend(bytes(frame.data) for frame in await peer.acknowledge())

    async with scripted(script) as server, client_of(server) as client, asyncio.TaskGroup() as tasks:
        for number in range(50):
            tasks.create_task(client.publish("n", number))
    assert numbers == [b"%d" % number for number in range(50)]


async def test_a_refused_message_raises_what_the_server_said() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        frame = await peer.expect(frames.Publish)
        await peer.send(
            frames.Error(code="rate_limited", message="Slow down.", id=frame.id, retry_after_ms=250)
        )
        await peer.acknowledge()

    async with scripted(script) as server, client_of(server) as client:
        with pytest.raises(ArtcafeError, match=r"Slow down\.") as caught:
            await client.publish("tasks.new", 1)
        assert (caught.value.code, caught.value.retry_after) == (Code.rate_limited, 0.25)
        assert await client.publish("tasks.new", 2)


async def test_an_error_of_no_call_goes_to_the_listener_and_the_log(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[ArtcafeError] = []

    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.expect(frames.Publish)
        await peer.send(frames.Error(code="forbidden", message="Not there."))

    async with scripted(script) as server, client_of(server, on_error=heard.append) as client:
        await client.publish("tasks.new", 1, ack=False)
        await eventually(lambda: heard, "the error")
        assert (heard[0].code, heard[0].message) == (Code.forbidden, "Not there.")
        assert client.connected
    assert "Not there." in caplog.text


async def test_what_the_server_would_close_on_is_refused_here() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in(payload=100)
        await peer.acknowledge()

    async with scripted(script) as server, client_of(server) as client:
        limits = client.limits
        assert limits is not None
        assert limits.max_payload_bytes == 100
        for subject, more, code in [
            ("tasks.*", {}, Code.invalid_subject),
            ("tenant.other.x", {}, Code.forbidden),
            ("tasks.new", {"reply_to": "a b"}, Code.invalid_subject),
            ("tasks.new", {"headers": {"k": "v" * 1025}}, Code.validation_failed),
            ("tasks.new", {"headers": {str(n): "v" for n in range(33)}}, Code.validation_failed),
        ]:
            with pytest.raises(ArtcafeError) as caught:
                await client.publish(subject, None, **more)
            assert caught.value.code is code
        with pytest.raises(ArtcafeError, match="100 bytes") as caught:
            await client.publish("tasks.new", "x" * 99)
        assert caught.value.code is Code.too_large
        with pytest.raises(TypeError):
            await client.publish("tasks.new", object())
        assert await client.publish("tasks.new", "x" * 98)


async def test_away_a_message_waits_for_the_next_connection() -> None:
    taken: list[frames.Publish] = []

    async def first(peer: Peer) -> None:
        await peer.log_in()
        peer.lose()

    async def second(peer: Peer) -> None:
        await peer.log_in()
        taken.extend(await peer.acknowledge())

    async with scripted(first, second) as server, client_of(server) as client:
        await eventually(lambda: not client.connected, "the loss")
        assert await client.publish("tasks.new", "late")
        assert len(taken) == 1


async def test_away_too_long_nothing_was_sent() -> None:
    async def first(peer: Peer) -> None:
        await peer.log_in()
        peer.lose()

    far = Backoff(base=60, cap=60, draw=lambda: 1.0)
    async with scripted(first) as server, client_of(server, backoff=far) as client:
        await eventually(lambda: not client.connected, "the loss")
        with pytest.raises(ArtcafeError, match="nothing was sent") as caught:
            await client.publish("tasks.new", 1, timeout=0.05)
        assert caught.value.code is Code.unavailable
        assert not isinstance(caught.value, OutcomeUnknownError)


async def test_a_message_unacknowledged_at_the_loss_is_reported_and_never_sent_again() -> None:
    taken: list[str] = []

    async def first(peer: Peer) -> None:
        await peer.log_in()
        taken.append(bytes((await peer.expect(frames.Publish)).data).decode())
        peer.lose()

    async def second(peer: Peer) -> None:
        await peer.log_in()
        taken.extend(bytes(frame.data).decode() for frame in await peer.acknowledge())

    async with scripted(first, second) as server, client_of(server) as client:
        with pytest.raises(OutcomeUnknownError) as caught:
            await client.publish("tasks.new", "once")
        assert caught.value.code is Code.unavailable
        await client.publish("tasks.new", "next")
    assert taken == ['"once"', '"next"']


async def test_an_answer_that_does_not_come_in_time_leaves_the_outcome_unknown() -> None:
    async with scripted(stay) as server, client_of(server) as client:
        with pytest.raises(OutcomeUnknownError, match="did not acknowledge"):
            await client.publish("tasks.new", 1, timeout=0.03)
        assert client.connected


async def test_a_cancelled_publish_leaves_nothing_behind_and_the_late_answer_hurts_nobody() -> None:
    got, go = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.log_in()
        frame = await peer.expect(frames.Publish)
        got.set()
        await go.wait()
        await peer.send(frames.Ack(id=frame.id or "", message_id="m"))
        await peer.acknowledge()

    async with scripted(script) as server, client_of(server) as client:
        publishing = asyncio.create_task(client.publish("tasks.new", 1))
        await got.wait()
        publishing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await publishing
        go.set()
        assert await client.publish("tasks.new", 2)


# Subscribing.


async def test_three_ways_to_subscribe() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        for _ in range(2):
            await peer.confirm()
            await peer.deliver("a.b", 1)
            await peer.expect(frames.Unsubscribe)
        await peer.confirm()
        await peer.deliver("a.b", 3)

    async with scripted(script) as server, client_of(server) as client:
        async with await client.subscribe("a.*") as awaited:
            assert (await anext(awaited)).data == 1
        async with client.subscribe("a.*") as entered:
            assert (await anext(entered)).data == 1
        async for got in client.subscribe("a.*"):
            assert got.data == 3
            break


async def test_a_refused_subscription_raises_and_can_be_tried_again() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        frame = await peer.expect(frames.Subscribe)
        await peer.send(frames.Error(code="forbidden", message="Not yours.", id=frame.id))
        await peer.confirm()

    async with scripted(script) as server, client_of(server) as client:
        with pytest.raises(ArtcafeError, match="Not yours"):
            await client.subscribe("agents.other.*")
        assert await client.subscribe("agents.other.*")


async def test_a_pattern_or_group_that_breaks_the_grammar_is_refused_at_once() -> None:
    client = client_of("ws://127.0.0.1:1")
    with pytest.raises(ArtcafeError) as caught:
        client.subscribe("a..b")
    assert caught.value.code is Code.invalid_subject
    for options in ({"queue": "no dots."}, {"buffer": 0}):
        with pytest.raises(ArtcafeError) as caught:
            client.subscribe("a", **options)  # type: ignore[arg-type]
        assert caught.value.code is Code.validation_failed


async def test_a_subscription_that_is_not_confirmed_in_time_is_given_up() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.expect(frames.Subscribe)
        gone = await peer.expect(frames.Unsubscribe)
        assert gone.subject == "a"
        await peer.confirm()

    async with scripted(script) as server, client_of(server) as client:
        with pytest.raises(ArtcafeError, match="did not confirm") as caught:
            await client.subscribe("a", timeout=0.03)
        assert caught.value.code is Code.unavailable
        assert await client.subscribe("b")


async def test_one_pattern_twice_is_one_subscription_at_the_server() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.confirm()
        await peer.acknowledge()
        await peer.deliver("a.b", 1)
        # The first close says nothing to the server: the next frame is the second's.
        await peer.expect(frames.Unsubscribe)

    async with scripted(script) as server, client_of(server) as client:
        async with client.subscribe("a.*") as one:
            async with client.subscribe("a.*") as other:
                await client.publish("go", None)
                assert [(await anext(one)).data, (await anext(other)).data] == [1, 1]
            assert client.connected


async def test_overlapping_subscriptions_each_get_the_message_in_their_own_form() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.confirm(4)
        await peer.deliver("tasks.new", 1)

    async with scripted(script) as server, client_of(server) as client:
        patterns = ["tasks.*", ">", "tenant.acme.channel.tasks.new", "others.>"]
        subscriptions = [await client.subscribe(pattern) for pattern in patterns]
        got = [(await anext(subscription)).subject for subscription in subscriptions[:3]]
        assert got == ["tasks.new", "tasks.new", "tenant.acme.channel.tasks.new"]
        assert [subscription.pending for subscription in subscriptions] == [0, 0, 0, 0]


async def test_a_queue_group_that_overlaps_is_refused_because_it_could_not_share() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.confirm(2)

    async with scripted(script) as server, client_of(server) as client:
        async with client.subscribe("tasks.*"), client.subscribe("jobs.*", queue="workers"):
            for pattern, queue in [("tasks.new", "workers"), ("jobs.>", None), ("jobs.*", "others")]:
                with pytest.raises(ArtcafeError, match="second client") as caught:
                    await client.subscribe(pattern, queue=queue)
                assert caught.value.code is Code.conflict


async def test_a_slow_loop_hears_how_much_it_lost_and_nobody_else_loses_anything() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.confirm(2)
        for number in range(25):
            await peer.deliver("n", number)

    async with scripted(script) as server, client_of(server) as client:
        slow = await client.subscribe("*", buffer=10)
        quick = await client.subscribe("n")
        assert [(await anext(quick)).data for _ in range(25)] == list(range(25))
        with pytest.raises(SlowSubscriptionError) as caught:
            await anext(slow)
        assert (caught.value.dropped, caught.value.code) == (15, Code.slow_consumer)
        assert [(await anext(slow)).data for _ in range(10)] == list(range(15, 25))


async def test_a_burst_does_not_drown_a_loop_that_keeps_up() -> None:
    """One read of the socket holds thousands of small messages; they came faster than loops had a turn."""
    burst = b"".join(_text_frame(frames.encode(message("n", [number, "." * 50]))) for number in range(5000))

    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.confirm()
        peer.socket.transport.write(burst)

    async with scripted(script) as server, client_of(server) as client:
        subscription = await client.subscribe("n", buffer=128)
        assert [(await anext(subscription)).data[0] for _ in range(5000)] == list(range(5000))


def _text_frame(payload: bytes) -> bytes:
    assert 126 <= len(payload) < 65536
    return b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload


async def test_a_loop_that_is_cancelled_loses_nothing() -> None:
    async def script(peer: Peer) -> None:
        await peer.log_in()
        await peer.confirm()
        await peer.acknowledge()
        await peer.deliver("n", 1)

    async with scripted(script) as server, client_of(server) as client, client.subscribe("n") as numbers:
        waiting = asyncio.create_task(anext(numbers))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await client.publish("go", None)
        assert (await anext(numbers)).data == 1


# Beginning and end.


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


async def _all(messages: object) -> list[Message]:
    return [message async for message in messages]  # type: ignore[attr-defined]


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
    with pytest.raises(
        ArtcafeError, match=r"Not connected within 0\.2 seconds: No connection to ws"
    ) as caught:
        await client.connect()
    assert caught.value.code is Code.unavailable


async def test_a_client_may_be_made_outside_of_a_loop_and_tls_needs_a_tls_address() -> None:
    def made() -> Client:
        return client_of("https://pubsub.example.com")

    assert (await asyncio.to_thread(made)).state is State.idle
    with pytest.raises(ArtcafeError) as caught:
        client_of("ws://127.0.0.1:1", tls=object())
    assert caught.value.code is Code.validation_failed
