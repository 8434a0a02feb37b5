"""Many agents under a steady load, as plain WebSockets that come back the way docs/protocol.md says.

Each lane has a publisher, which numbers its messages and waits for each ack, and subscribers. What a
subscriber gets in one life of its connection is checked: in order, once, and without a hole, but for
numbers whose publisher does not know whether they were taken.
"""

import asyncio
import json
import random
import ssl
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from artcafe.client import login
from artcafe.client.signer import KeyFile
from artcafe.wire import frames
from tests.kit.sockets import agent_url

UNAVAILABLE = 1013
"""By this close a client is told that it may have missed something: then a hole before it is no fault."""

LONGEST = 10.0
FIRST = 0.25
"""Seconds of the backoff where the server gave no hint: full jitter, doubled each time."""


@dataclass
class Fleet:
    """Agents of one tenant at one address, all with the same key.

    `codes` are the close codes they saw, `away` the seconds from each to the next welcome, `faults` what
    was lost, doubled or overtaken.
    """

    ws: str
    tenant: str
    agent: str
    key: Path
    tls: ssl.SSLContext | None = None
    interval: float = 1.0
    codes: Counter[int] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    away: list[float] = field(default_factory=list)
    up: int = 0
    received: int = 0
    acked: int = 0
    faults: list[str] = field(default_factory=list)
    uncertain: set[tuple[int, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._signer = KeyFile(self.key)
        self._numbers: Counter[int] = Counter()

    async def run(self, lanes: int, subscribers: int, ready: asyncio.Event, stop: asyncio.Event) -> None:
        """Connect all of them, tell so, and go on until told to stop."""
        gate = asyncio.Semaphore(50)
        go = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            members = [
                tasks.create_task(self._live(lane, publishes=number == 0, gate=gate, go=go))
                for lane in range(lanes)
                for number in range(subscribers + 1)
            ]
            while self.up < len(members):
                await asyncio.sleep(0.02)
            go.set()
            ready.set()
            await stop.wait()
            for member in members:
                member.cancel()

    async def _live(self, lane: int, *, publishes: bool, gate: asyncio.Semaphore, go: asyncio.Event) -> None:
        failures, left = 0, None
        while True:
            hint = None
            try:
                async with gate:
                    socket = await self._enter()
                async with socket:
                    self.up += 1
                    failures = 0
                    if left is not None:
                        self.away.append(time.monotonic() - left)
                    try:
                        if publishes:
                            await go.wait()
                            await self._publish(socket, lane)
                        else:
                            await self._listen(socket, lane)
                    except _Goaway as goaway:
                        hint = goaway.seconds
                    finally:
                        self.up -= 1
                        left = time.monotonic()
            except ConnectionClosed as closed:
                self.codes[closed.rcvd.code if closed.rcvd else 1006] += 1
            except _RefusedError as refused:
                self.refused[f"{refused}"] += 1
            except InvalidStatus as refused:
                self.refused[f"{refused.response.status_code}"] += 1
            except (OSError, InvalidHandshake, TimeoutError) as error:
                self.refused[type(error).__name__] += 1
            if hint is None:
                hint = random.random() * min(LONGEST, FIRST * 2**failures)
                failures += 1
            await asyncio.sleep(hint)

    async def _enter(self) -> ClientConnection:
        socket = await connect(
            agent_url(self.ws, self.tenant, self.agent),
            subprotocols=[Subprotocol(frames.SUBPROTOCOL)],
            ssl=self.tls,
            compression=None,
            ping_interval=None,
            open_timeout=20,
        )
        try:
            async with asyncio.timeout(20):
                challenge = frames.decode_server(await socket.recv(decode=False))
                assert isinstance(challenge, frames.Challenge)
                text = login.text_to_sign(challenge, server=self.ws, tenant=self.tenant, agent=self.agent)
                await socket.send(login.answer(self._signer.sign(text), name="fleet", version="1"), text=True)
                welcome = json.loads(await socket.recv())
                if welcome["type"] != "welcome":
                    raise _RefusedError(welcome["code"])
        except BaseException:
            await socket.close()
            raise
        return socket

    async def _listen(self, socket: ClientConnection, lane: int) -> None:
        await socket.send(json.dumps({"type": "subscribe", "subject": f"load.{lane}"}))
        last, found = None, list[str]()
        try:
            while True:
                frame = json.loads(await self._next(socket))
                if frame["type"] == "message":
                    self.received += 1
                    number = frame["data"]["n"]
                    if last is not None:
                        missing = [n for n in range(last + 1, number) if (lane, n) not in self.uncertain]
                        if missing or number <= last:
                            found.append(f"lane {lane}: {number} after {last}")
                    last = number
        finally:
            if socket.close_code != UNAVAILABLE:
                self.faults += found

    async def _publish(self, socket: ClientConnection, lane: int) -> None:
        while True:
            self._numbers[lane] += 1
            number = self._numbers[lane]
            self.uncertain.add((lane, number))
            frame = {"type": "publish", "subject": f"load.{lane}", "data": {"n": number}, "id": f"{number}"}
            await socket.send(json.dumps(frame))
            answer = json.loads(await self._next(socket))
            if answer["type"] == "ack":
                self.acked += 1
                self.uncertain.discard((lane, number))
            else:
                self.refused[answer.get("code", answer["type"])] += 1
            await asyncio.sleep(self.interval)

    async def _next(self, socket: ClientConnection) -> str:
        """The next frame, unless the server says that it goes: then its close, and when to come back."""
        text = str(await socket.recv())
        if '"goaway"' not in text:
            return text
        hint = json.loads(text)["reconnect_after_ms"] / 1000
        with suppress(ConnectionClosed):
            while True:
                await socket.recv()
        self.codes[socket.close_code or 1006] += 1
        raise _Goaway(hint)


class _RefusedError(Exception):
    """A login that was not taken; the name of why."""


class _Goaway(Exception):
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__()


def quantiles(values: list[float]) -> str:
    """p50, p99 and the largest, in seconds."""
    order = sorted(values) or [0.0]
    return " ".join(
        f"{name} {order[min(len(order) - 1, int(len(order) * share))]:.2f} s"
        for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
    )
