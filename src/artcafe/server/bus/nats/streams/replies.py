"""Replies: the answers to what is sent with a reply subject, of which one message may have several."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Protocol

from artcafe.server.bus.nats.message import FullMessage
from artcafe.server.bus.nats.requests import RequestLink

TakeReply = Callable[[FullMessage | None], None]
"""Called with each answer, and with None once the connection ended, after which none comes. It must not
raise."""


class StreamLink(RequestLink, Protocol):
    """The part of a NatsLink that streams use."""

    @property
    def up(self) -> bool:
        """Whether it is connected."""

    @property
    def over(self) -> bool:
        """Whether it was closed."""


class Replies:
    """One subscription to reply subjects of a link, for all its streams. Those subjects are numbered: what is
    sent with one is received by JetStream alone, and the inbox is this link's own (Requests)."""

    def __init__(self, link: StreamLink) -> None:
        self._link = link
        self._space = f"{link.inbox}.s"
        self._numbers = itertools.count(1)
        self._opened = False
        self._opening = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._paused = False
        self._resumed = 0.0
        self._takers: dict[str, TakeReply] = {}

    @property
    def opened(self) -> bool:
        """Whether replies are received."""
        return self._opened

    async def open(self) -> None:
        """Receive replies from now on. Raises unavailable. Opening twice is allowed."""
        async with self._opening:
            if not self._opened:
                await self._link.subscribe_full(f"{self._space}.*", self._take, self._lost)
                self._opened = True

    def pause(self, paused: bool) -> None:
        """The link reads nothing for now, or reads on."""
        self._paused = paused
        self._resumed = self._loop.time()

    @property
    def read_since(self) -> float:
        """Since which time of the event loop the link has been reading: now, while it is not."""
        return self._loop.time() if self._paused else self._resumed

    def expect(self, take: TakeReply) -> str:
        """Returns a new reply subject; `take` is called with what comes to it, until `forget`."""
        subject = f"{self._space}.{next(self._numbers)}"
        self._takers[subject] = take
        return subject

    def forget(self, subject: str) -> None:
        """Expect nothing more."""
        self._takers.pop(subject, None)

    def _take(self, subject: str, message: FullMessage) -> None:
        take = self._takers.get(subject)
        if take is not None:  # Else it is late.
            take(message)

    def _lost(self) -> None:
        takers, self._takers = self._takers, {}
        for take in takers.values():
            take(None)
