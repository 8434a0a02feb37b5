"""Requests start a few in a turn of the event loop, client by client, and none for a client that has left."""

import asyncio
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, cast

import pytest

from artcafe.server.edge.dispatcher import STARTS_A_TURN, Dispatcher
from artcafe.server.edge.exchange import HttpExchange
from tests.kit.deadlines import eventually

pytestmark = pytest.mark.asyncio


@dataclass
class Request:
    """As much of an Exchange as is looked at."""

    scope: dict[str, Any]
    disconnected: bool = False


class Counter:
    """Submits requests and remembers the order, and the turn, in which they were started."""

    def __init__(self, proxies: tuple[str, ...] = ()) -> None:
        self.dispatcher = Dispatcher([ip_network(each) for each in proxies])
        self.started: list[str] = []
        self.turns: list[int] = []
        self._turn = 0

    def count_turns(self) -> None:
        """From now on."""
        self._turn += 1
        asyncio.get_running_loop().call_soon(self.count_turns)

    def submit(self, name: str, remote: str, forwarded: str | None = None) -> Request:
        """A request of this client."""
        headers = [] if forwarded is None else [(b"x-forwarded-for", forwarded.encode())]
        request = Request({"client": ("127.0.0.1", 1), "headers": headers})

        def start(_: HttpExchange) -> None:
            self.started.append(name)
            self.turns.append(self._turn)

        self.dispatcher.submit(remote, cast("HttpExchange", request), start)
        return request


async def test_one_request_starts_at_once() -> None:
    counter = Counter()
    counter.submit("a", "192.0.2.1")
    assert counter.started == ["a"]


async def test_a_turn_starts_a_few_and_the_next_ones_the_rest_in_order() -> None:
    counter = Counter()
    counter.count_turns()
    for number in range(10):
        counter.submit(f"{number}", "192.0.2.1")
    assert len(counter.started) == STARTS_A_TURN
    await eventually(lambda: len(counter.started) == 10)
    assert counter.started == [f"{number}" for number in range(10)]
    assert max(counter.turns.count(turn) for turn in counter.turns) == STARTS_A_TURN


async def test_clients_take_turns_however_many_connections_one_of_them_has() -> None:
    counter = Counter()
    for number in range(50):
        counter.submit(f"many {number}", "192.0.2.1")
    counter.submit("one", "192.0.2.2")
    await eventually(lambda: "one" in counter.started)
    assert counter.started.index("one") <= STARTS_A_TURN + 1


async def test_the_addresses_of_one_ipv6_network_are_one_client() -> None:
    counter = Counter()
    for number in range(50):
        counter.submit(f"many {number}", f"2001:db8::{number:x}")
    counter.submit("one", "2001:db8:0:1::1")
    await eventually(lambda: "one" in counter.started)
    assert counter.started.index("one") <= STARTS_A_TURN + 1


async def test_behind_a_proxy_a_client_is_the_address_that_the_proxy_tells() -> None:
    counter = Counter(("127.0.0.0/8",))
    for number in range(50):
        counter.submit(f"many {number}", "", f"198.51.100.{number}, 192.0.2.1")
    counter.submit("one", "", "192.0.2.2")
    await eventually(lambda: "one" in counter.started)
    assert counter.started.index("one") <= STARTS_A_TURN + 1


async def test_a_request_whose_client_has_left_is_not_started() -> None:
    counter = Counter()
    requests = [counter.submit(f"{number}", "192.0.2.1") for number in range(6)]
    requests[3].disconnected = True
    await eventually(lambda: len(counter.started) == 5)
    assert "3" not in counter.started


async def test_nothing_is_scheduled_while_there_is_nothing_to_do() -> None:
    loop, counter, calls = asyncio.get_running_loop(), Counter(), 0
    counter.submit("a", "192.0.2.1")
    for _ in range(3):
        await asyncio.sleep(0)
    call_soon = loop.call_soon

    def counting(*args: Any, **kwargs: Any) -> asyncio.Handle:
        nonlocal calls
        calls += 1
        return call_soon(*args, **kwargs)

    loop.call_soon = counting  # type: ignore[assignment, method-assign]  # the loop ends with this test
    for _ in range(5):
        await asyncio.sleep(0)
    assert calls <= 5, "only this test's own"
