"""An endpoint and handlers that do what a test tells them."""

import asyncio
from collections.abc import Awaitable, Callable

from artcafe.server.gateway.websocket.framing import BINARY
from artcafe.server.gateway.websocket.mount import Accept, Peer, Refuse, SocketLimits, Upgrade, frame
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

LIMITS = SocketLimits(
    message_bytes=100_000,
    fragments=8,
    login_bytes=5_000,
    control_frames_per_second=100,
    close_seconds=10,
)
"""Sizes that a test reaches soon, and times that none reaches by accident."""


class Recorder:
    """Lets its client in, echoes messages and remembers what it was told. `on` adds to, or replaces, what an
    event does."""

    def __init__(self) -> None:
        self.peer: Peer
        self.on: dict[str, Callable[[], object]] = {}
        self.opens = 0
        self.texts: list[bytes] = []
        self.slows = 0
        self.endings = 0
        self.closes: list[int] = []
        self.broken: list[Code] = []

    def opened(self, peer: Peer) -> None:
        self.opens += 1
        self.peer = peer
        if not self._do("opened"):
            peer.admitted()

    def text(self, message: bytes) -> None:
        self.texts.append(message)
        if not self._do("text"):
            self.peer.send(message)

    def binary(self, message: bytes) -> None:
        self.peer.write(frame(message, BINARY))

    def slow(self) -> None:
        self.slows += 1
        self._do("slow")

    def broke(self, error: ArtcafeError) -> None:
        self.broken.append(error.code)

    def ending(self) -> None:
        self.endings += 1
        self._do("ending")

    def closed(self, code: int) -> None:
        self.closes.append(code)
        self._do("closed")

    def _do(self, event: str) -> bool:
        act = self.on.get(event)
        if act is not None:
            act()
        return act is not None


class Doorman:
    """An endpoint that lets everybody in with a new recorder, once `gate` is open, or asks `decide`."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew, for the next test."""
        self.asked: list[Upgrade] = []
        self.recorders: list[Recorder] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.cancelled = 0
        self.decide: Callable[[Upgrade], Awaitable[Accept | Refuse]] = self.admit

    async def __call__(self, upgrade: Upgrade) -> Accept | Refuse:
        self.asked.append(upgrade)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return await self.decide(upgrade)

    async def admit(self, upgrade: Upgrade) -> Accept:
        return Accept(self.hire(), upgrade.protocols[0] if upgrade.protocols else None)

    def hire(self) -> Recorder:
        self.recorders.append(Recorder())
        return self.recorders[-1]

    @property
    def last(self) -> Recorder:
        return self.recorders[-1]
