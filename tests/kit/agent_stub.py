"""The agents' side of the stand-in server: a login that lets everybody in, and a broker of a few lines."""

import itertools
from dataclasses import dataclass, field

import msgspec
from fastapi import WebSocket, WebSocketDisconnect

from artcafe.wire import frames
from artcafe.wire.challenge import NAMESPACE, Challenge
from artcafe.wire.codes import Code
from artcafe.wire.subjects import matches

TIME = "2026-11-23T12:34:56.789Z"
NONCE = "n" * 43


@dataclass
class Broker:
    """What agents said. Its attributes are set by tests before a client comes.

    `backlog` is delivered to whoever subscribes first. `refuse` is the close code of every login,
    `silent` swallows every message, `forge` is the sender that messages then seem to have.
    """

    backlog: list[frames.Message] = field(default_factory=list)
    refuse: Code | None = None
    silent: bool = False
    forge: str | None = None
    logins: list[tuple[str, str, frames.Auth]] = field(default_factory=list)
    published: list[tuple[str, str, bytes]] = field(default_factory=list)
    subscribed: list[tuple[str, str, str | None]] = field(default_factory=list)
    since: list[int | str] = field(default_factory=list)
    _members: list[tuple[str, WebSocket]] = field(default_factory=list)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def challenge(self, server: str, tenant: str, agent: str) -> str:
        """The text that every login of an agent signs here."""
        return Challenge(server, tenant, agent, "c1", NONCE, 4_000_000_000).text()

    async def serve(self, socket: WebSocket, server: str, tenant: str, agent: str) -> None:
        """One connection, from the upgrade to the close."""
        await socket.accept(frames.SUBPROTOCOL)
        try:
            if await self._log_in(socket, server, tenant, agent):
                while True:
                    await self._act(socket, agent, frames.decode_client(await socket.receive_text()))
        except WebSocketDisconnect:
            self._members = [member for member in self._members if member[1] is not socket]

    async def _log_in(self, socket: WebSocket, server: str, tenant: str, agent: str) -> bool:
        text = self.challenge(server, tenant, agent)
        challenge = frames.Challenge(namespace=NAMESPACE, nonce=NONCE, expires_at=TIME, text=text)
        await _send(socket, challenge)
        self.logins.append((tenant, agent, frames.decode_auth(await socket.receive_text())))
        if self.refuse is not None:
            await _send(socket, frames.Error(code=self.refuse.name, message=self.refuse.value.when))
            await socket.close(self.refuse.close)
            return False
        limits = frames.Limits(max_payload_bytes=1_048_576, messages_per_second=200, subscriptions=256)
        welcome = frames.Welcome(
            tenant=tenant, agent=agent, connection="c1", server_time=TIME, heartbeat_seconds=25, limits=limits
        )
        await _send(socket, welcome)
        return True

    async def _act(self, socket: WebSocket, agent: str, frame: frames.ClientFrame) -> None:
        match frame:
            case frames.Subscribe():
                self.subscribed.append((agent, frame.subject, frame.queue))
                if frame.since is not None:
                    self.since.append(frame.since)
                self._members.append((frame.subject, socket))
                await _send(socket, frames.Subscribed(subject=frame.subject, id=frame.id))
                backlog, self.backlog = self.backlog, []
                for message in backlog:
                    await _send(socket, message)
            case frames.Publish():
                self.published.append((agent, frame.subject, bytes(frame.data)))
                message_id = f"m{next(self._numbers)}"
                if frame.id is not None:
                    await _send(socket, frames.Ack(id=frame.id, message_id=message_id))
                message = frames.Message(
                    subject=frame.subject,
                    sender=self.forge or agent,
                    id=message_id,
                    timestamp=TIME,
                    data=frame.data,
                )
                for pattern, member in self._members:
                    if matches(pattern, frame.subject) and not self.silent:
                        await _send(member, message)
            case _:
                pass


def message(
    subject: str,
    data: str,
    sender: str = "planner",
    *,
    headers: dict[str, str] | None = None,
    reply_to: str | None = None,
) -> frames.Message:
    """A message to put into the backlog; `data` is JSON text."""
    return frames.Message(
        subject=subject,
        sender=sender,
        id="m1",
        timestamp=TIME,
        data=msgspec.Raw(data.encode()),
        headers=headers,
        reply_to=reply_to,
    )


async def _send(socket: WebSocket, frame: object) -> None:
    await socket.send_text(frames.encode(frame).decode())
