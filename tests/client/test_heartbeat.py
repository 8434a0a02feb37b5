"""When to ping, and when to give a server up: every moment is written down, nothing waits."""

import asyncio

from artcafe import ArtcafeError, Client
from artcafe.client.heartbeat import Beat, Heartbeat
from artcafe.wire import frames
from tests.kit.deadlines import eventually
from tests.kit.scripted_client import client_of
from tests.kit.scripted_server import Peer, scripted, stay


def test_nothing_is_due_while_both_directions_are_busy() -> None:
    heartbeat = Heartbeat(25, pinged=0)
    assert heartbeat.due(30, heard=20, sent=28) == 15


def test_a_ping_is_due_when_the_server_was_not_heard_for_an_interval() -> None:
    assert Heartbeat(25, pinged=0).due(25, heard=0, sent=24) is Beat.ping


def test_a_ping_is_due_when_the_server_did_not_hear_us_for_an_interval() -> None:
    assert Heartbeat(25, pinged=0).due(25, heard=25, sent=0) is Beat.ping


def test_one_ping_is_enough_for_an_interval() -> None:
    heartbeat = Heartbeat(25, pinged=0)
    heartbeat.ping_sent(25)
    assert heartbeat.due(26, heard=0, sent=25) == 24


def test_two_silent_intervals_and_an_unanswered_ping_mean_dead() -> None:
    heartbeat = Heartbeat(25, pinged=0)
    heartbeat.ping_sent(25)
    assert heartbeat.due(49.9, heard=0, sent=25) != Beat.dead
    assert heartbeat.due(50, heard=0, sent=49) is Beat.dead


def test_an_answer_however_late_within_the_time_is_life() -> None:
    heartbeat = Heartbeat(25, pinged=0)
    heartbeat.ping_sent(25)
    assert heartbeat.due(50, heard=49, sent=25) is Beat.ping


def test_a_process_that_was_stopped_asks_before_it_concludes() -> None:
    heartbeat = Heartbeat(25, pinged=0)
    assert heartbeat.due(1000, heard=10, sent=10) is Beat.ping
    heartbeat.ping_sent(1000)
    assert heartbeat.due(1001, heard=10, sent=1000) == 24
    assert heartbeat.due(1025, heard=10, sent=1000) is Beat.dead


# Against a server.


async def test_an_idle_client_pings_once_an_interval() -> None:
    pings: list[frames.ClientFrame] = []

    async def script(peer: Peer) -> None:
        await peer.log_in(heartbeat=0.15)
        while len(pings) < 3:
            pings.append(await peer.expect(frames.Ping))
            await peer.send(frames.Pong(timestamp="2026-11-23T03:40:00.000Z"))

    async with scripted(script) as server, client_of(server) as client:
        await eventually(lambda: len(pings) == 3, "three pings")
        assert client.reconnects == 0


async def test_a_server_that_says_nothing_for_two_intervals_is_left() -> None:
    errors: list[ArtcafeError | None] = []

    async def deaf(peer: Peer) -> None:
        await peer.log_in(heartbeat=0.03)
        await peer.until_closed()
        assert peer.closed_with == 1006
        errors.append(client.error)

    async with scripted(deaf, stay) as server, client_of(server) as client:
        await eventually(lambda: client.reconnects == 1, "the return")
        await eventually(lambda: errors, "the loss")
    assert 0.06 <= server.arrivals[1] - server.arrivals[0] < 2


async def test_a_server_that_does_not_even_read_is_left() -> None:
    async def stuck(peer: Peer) -> None:
        await peer.log_in(heartbeat=0.05)
        peer.socket.transport.pause_reading()

    async with scripted(stuck, stay) as server, client_of(server) as client:
        publishing = asyncio.create_task(_flood(client))
        await eventually(lambda: client.reconnects == 1, "the return")
        publishing.cancel()
        await asyncio.wait([publishing])


async def _flood(client: Client) -> None:
    while True:
        try:
            await client.publish("n", "x" * 500_000, ack=False)
        except ArtcafeError:
            return
