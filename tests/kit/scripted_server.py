"""A real WebSocket server that plays a script: challenge, welcome, messages, closes, lost connections."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from artcafe.client.backoff import Backoff
from artcafe.wire import frames
from artcafe.wire.challenge import NAMESPACE, Challenge

TENANT, AGENT = "acme", "planner"
NONCE = "n" * 43

T = TypeVar("T")


def quick() -> Backoff:
    """Delays that a test can wait for."""
    return Backoff(base=0.002, cap=0.01)


@dataclass
class Peer:
    """The server's end of one connection. `opened` is when it was accepted, by the monotonic clock."""

    socket: ServerConnection
    origin: str
    opened: float = field(default_factory=time.monotonic)
    auth: frames.Auth | None = None

    @property
    def closed_with(self) -> int | None:
        """The close code that the client sent; 1006 for none, None while the connection is open."""
        return self.socket.close_code

    async def challenge(self, **changes: str) -> None:
        """Send a challenge, honest unless `changes` say otherwise: server, tenant, agent, namespace, text."""
        honest = {"server": self.origin, "tenant": TENANT, "agent": AGENT}
        told = honest | {name: value for name, value in changes.items() if name in honest}
        text = Challenge(**told, connection="c1", nonce=NONCE, expires=1_800_000_000).text()
        await self.send(
            frames.Challenge(
                namespace=changes.get("namespace", NAMESPACE),
                nonce=NONCE,
                expires_at="2027-01-15T08:00:00.000Z",
                text=changes.get("text", text),
            )
        )

    async def welcome(self, heartbeat: float = 25.0, payload: int = 1_048_576) -> None:
        """Let the agent in."""
        await self.send(
            frames.Welcome(
                tenant=TENANT,
                agent=AGENT,
                connection="c1",
                server_time="2026-11-23T03:40:00.000Z",
                heartbeat_seconds=heartbeat,
                limits=frames.Limits(max_payload_bytes=payload, messages_per_second=200, subscriptions=256),
            )
        )

    async def log_in(self, heartbeat: float = 25.0, payload: int = 1_048_576) -> None:
        """Challenge, take any answer, welcome."""
        await self.challenge()
        self.auth = frames.decode_auth(await self.socket.recv())
        await self.welcome(heartbeat, payload)

    async def next(self) -> frames.ClientFrame:
        """The next frame of the client."""
        frame: frames.ClientFrame = frames.decode_client(await self.socket.recv())
        return frame

    async def expect(self, form: type[T]) -> T:
        """The next frame, which must be of this form."""
        frame = await self.next()
        assert isinstance(frame, form), f"the client sent {frame}"
        return frame

    async def confirm(self, count: int = 1) -> list[frames.Subscribe]:
        """Take and confirm this number of subscriptions, one after the other."""
        taken = []
        for _ in range(count):
            frame = await self.expect(frames.Subscribe)
            taken.append(frame)
            await self.send(frames.Subscribed(subject=frame.subject, id=frame.id))
        return taken

    async def acknowledge(self, count: int = 1) -> list[frames.Publish]:
        """Take and acknowledge this number of messages."""
        taken = []
        for _ in range(count):
            frame = await self.expect(frames.Publish)
            taken.append(frame)
            if frame.id is not None:
                await self.send(frames.Ack(id=frame.id, message_id=f"m-{frame.id}"))
        return taken

    async def send(self, *answers: msgspec.Struct | str) -> None:
        """Send frames, or text that is none."""
        for frame in answers:
            await self.socket.send(frame if isinstance(frame, str) else frames.encode(frame), text=True)

    async def deliver(self, subject: str, data: Any = None, **more: Any) -> None:
        """Send a message."""
        await self.send(message(subject, data, **more))

    async def close(self, code: int, reason: str = "") -> None:
        """Close with this code."""
        await self.socket.close(code, reason)

    def lose(self) -> None:
        """Cut the connection without a word."""
        self.socket.transport.abort()

    async def until_closed(self) -> None:
        """Take whatever comes until the client has gone."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.socket.recv()
        await self.socket.wait_closed()


def message(subject: str, data: Any = None, *, sender: str = "writer", **more: Any) -> frames.Message:
    """A delivered message."""
    return frames.Message(
        subject=subject,
        sender=sender,
        id=more.pop("id", "m1"),
        timestamp="2026-11-23T03:40:00.123Z",
        data=msgspec.Raw(msgspec.json.encode(data)),
        **more,
    )


@dataclass(frozen=True)
class Refusal:
    """An HTTP answer in place of the upgrade."""

    status: int
    problem: dict[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


Script = Callable[[Peer], Awaitable[None]] | Refusal


@dataclass
class ScriptedServer:
    """A running server; `peers` are the connections so far, `requests` the handshakes, refused ones too."""

    url: str
    peers: list[Peer] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)


async def stay(peer: Peer) -> None:
    """The plainest script: let the agent in and keep it."""
    await peer.log_in()


@contextlib.asynccontextmanager
async def scripted(
    *scripts: Script, speaks: bool = True, tls: ssl.SSLContext | None = None
) -> AsyncIterator[ScriptedServer]:
    """Serve on a random port of 127.0.0.1: the n-th handshake gets the n-th script, the last one repeats.

    With `speaks` False it upgrades without agreeing on a protocol.

    After its script a connection stays open until the client closes it. What a script finds wrong
    fails the test at the end of the block; a client that has gone away does not.
    """
    faults: list[Exception] = []
    running = ScriptedServer("")

    def script() -> Script:
        return scripts[min(len(running.requests), len(scripts)) - 1]

    def decide(_socket: ServerConnection, request: Request) -> Response | None:
        running.requests.append(request)
        running.arrivals.append(time.monotonic())
        turn = script()
        if not isinstance(turn, Refusal):
            return None
        body = b"" if turn.problem is None else msgspec.json.encode(turn.problem)
        headers = Headers({"Content-Length": str(len(body)), **turn.headers})
        return Response(turn.status, "Refused", headers, body)

    async def play(socket: ServerConnection) -> None:
        turn = script()
        assert not isinstance(turn, Refusal)
        peer = Peer(socket, running.url)
        running.peers.append(peer)
        (fault,) = await asyncio.gather(turn(peer), return_exceptions=True)
        if isinstance(fault, Exception) and not isinstance(fault, ConnectionClosed):
            faults.append(fault)
            peer.lose()
        await peer.until_closed()

    server: Server
    async with serve(
        play,
        "127.0.0.1",
        0,
        subprotocols=[Subprotocol(frames.SUBPROTOCOL)] if speaks else None,
        process_request=decide,
        ping_interval=None,
        compression=None,
        close_timeout=1,
        ssl=tls,
    ) as server:
        scheme = "ws" if tls is None else "wss"
        running.url = f"{scheme}://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        try:
            yield running
        finally:
            for peer in running.peers:
                peer.lose()
            await asyncio.sleep(0)
    if faults:
        raise ExceptionGroup("the scripted server met", faults)
