"""The connections of a link: which server is tried, and when again."""

import secrets
from collections.abc import Callable

import pytest

from artcafe.server.bus.accounts.operator import Operator
from artcafe.server.bus.nats.connection import NotConnectedError
from artcafe.server.bus.nats.dialer import Dialer
from artcafe.server.bus.nats.greeting import Info
from artcafe.server.bus.nats.servers import ServerPool
from tests.kit.nats import WallClock
from tests.kit.scripted_nats import ScriptedNats


def dialer(*urls: str, refused: Callable[[], object] = lambda: None) -> Dialer:
    return Dialer(
        ServerPool(urls, lambda: 0.0),
        Operator(secrets.token_bytes(32), WallClock()).control_credentials(),
        "test",
        jitter=lambda: 0.5,
        echo=True,
        tls=None,
        refused=refused,
    )


def test_pauses_grow_up_to_two_seconds_and_begin_anew_after_a_connection_that_lasted() -> None:
    link = dialer("nats://a")
    pauses = [link.pause() for _ in range(20)]
    assert pauses[:8] == [0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.0]
    assert set(pauses[7:]) == {2.0}
    link.ended(0.9)
    assert link.pause() == 2.0
    link.ended(1.0)
    assert link.pause() == 0.02


async def test_a_server_that_refuses_the_login_is_reported_and_the_next_one_is_tried() -> None:
    refused: list[bool] = []
    async with (
        ScriptedNats(then=b"-ERR 'Authorization Violation'\r\n") as stranger,
        ScriptedNats() as ours,
    ):
        link = dialer(
            f"nats://{stranger.server}", f"nats://{ours.server}", refused=lambda: refused.append(True)
        )
        connection = await link.connect(lambda: None)
        try:
            assert (ours.open, refused) == (1, [True])
            assert [f"{each}" for each in link.known] == [f"{ours.server}", f"{stranger.server}"]
        finally:
            await connection.end()
        link.ended(0.0)
        assert [f"{each}" for each in link.known] == [f"{stranger.server}", f"{ours.server}"]


async def test_the_fault_of_the_last_server_is_raised() -> None:
    async with ScriptedNats(first=b"HTTP/1.1 400 Bad Request\r\n\r\n") as other:
        with pytest.raises(NotConnectedError, match="does not speak"):
            await dialer(f"nats://{other.server}").connect(lambda: None)


def test_announced_servers_are_known_and_none_are_forgotten_where_none_are_announced() -> None:
    link = dialer("nats://a")
    link.learn(Info(connect_urls=["b:4222"]))
    assert len(link.known) == 2
    link.learn(Info())
    assert len(link.known) == 2
    link.learn(Info(ldm=True))
    assert len(link.known) == 1
