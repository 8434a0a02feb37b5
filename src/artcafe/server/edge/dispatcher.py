"""The dispatcher: which request is started next, and how many in one turn of the event loop."""

import asyncio
from collections import deque
from collections.abc import Callable

from artcafe.server.domain.addresses import Networks, client_address, network_of
from artcafe.server.edge.exchange import HttpExchange

STARTS_A_TURN = 1
"""Requests that are started in one turn. Messages, which share the loop, wait for so many at the most."""

Start = Callable[[HttpExchange], None]


class Dispatcher:
    """Starts requests: at most `STARTS_A_TURN` in a turn of the event loop, and client by client.

    A client is an address, behind a trusted proxy too. Whoever has many connections with requests on them
    gets no more of the server than somebody with one. Nothing is delayed while there is time: every turn of
    the loop starts some. The queues hold one request of each connection at the most.
    """

    def __init__(self, proxies: Networks) -> None:
        self._proxies = proxies
        self._queues: dict[str, deque[tuple[HttpExchange, Start]]] = {}
        self._left = STARTS_A_TURN
        self._scheduled = False

    def submit(self, remote: str, exchange: HttpExchange, start: Start) -> None:
        """Call `start` with the exchange, in this turn or a later one, unless its client leaves before.

        `remote` is the client's address, "" where only the request says it.
        """
        if not self._queues and self._left:
            self._left -= 1
            self._schedule()
            start(exchange)
            return
        key = network_of(remote or self._forwarded(exchange))
        self._queues.setdefault(key, deque()).append((exchange, start))
        self._schedule()

    def _forwarded(self, exchange: HttpExchange) -> str:
        scope = exchange.scope
        peer = "" if scope["client"] is None else scope["client"][0]
        lines = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
        return client_address(peer, lines, self._proxies)

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        self._left = STARTS_A_TURN
        while self._queues and self._left:
            # Dictionaries keep their order: the client whose turn it is stands first.
            key = next(iter(self._queues))
            queue = self._queues.pop(key)
            exchange, start = queue.popleft()
            if queue:
                self._queues[key] = queue
            if not exchange.disconnected:
                self._left -= 1
                start(exchange)
        if self._queues or self._left < STARTS_A_TURN:
            self._schedule()
