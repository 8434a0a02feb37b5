"""A message as a subscriber gets it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol, TypeVar

import msgspec

from artcafe.client.errors import UndecodableError
from artcafe.wire import frames

T = TypeVar("T")

UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
"""What decoding raises for JSON that this process cannot read."""


class Publisher(Protocol):
    """Sends a message and gives its id: what `Message.respond` needs of a client."""

    async def __call__(self, subject: str, data: Any, *, headers: Mapping[str, str] | None = None) -> str: ...


class Message:
    """One delivered message.

    `subject` is in the form in which the subscription was written. `sender` is who published it, as
    the server proved it: an agent's id, `u-…` for a human, `sys` for the platform. `id` is the
    message's own, the same for every receiver. `headers` is empty when there are none, `reply_to` is
    the subject that a reply goes to. `raw` is the payload as JSON text, also where it cannot be read
    (`undecodable`).

    `after_gap` is True on the first message after this client was away: others may have been missed
    before it. `seq` and `epoch` are its place in a durable channel, None in any other.
    """

    __slots__ = (
        "_data",
        "_publish",
        "_timestamp",
        "after_gap",
        "epoch",
        "headers",
        "id",
        "raw",
        "reply_to",
        "sender",
        "seq",
        "subject",
    )

    def __init__(self, frame: frames.Message, subject: str, publish: Publisher) -> None:
        self.subject = subject
        self.sender = frame.sender
        self.id = frame.id
        self.headers: Mapping[str, str] = frame.headers or {}
        self.reply_to = frame.reply_to
        self.raw = bytes(frame.data)
        self.seq = frame.seq
        self.epoch = frame.epoch
        self.after_gap = False
        self._timestamp = frame.timestamp
        self._publish = publish
        self._data: Any = msgspec.UNSET

    @property
    def data(self) -> Any:
        """The payload, decoded from JSON when it is first asked for. Raises UndecodableError."""
        if self._data is msgspec.UNSET:
            try:
                self._data = msgspec.json.decode(self.raw)
            except UNREADABLE as error:
                raise UndecodableError("The payload of this message cannot be read.") from error
        return self._data

    @property
    def undecodable(self) -> bool:
        """Whether `data` raises."""
        try:
            _ = self.data
        except UndecodableError:
            return True
        return False

    def decode(self, form: type[T]) -> T:
        """The payload as this type: a dataclass, TypedDict, msgspec.Struct or builtin.

        Raises msgspec.ValidationError, which says what does not fit.
        """
        return msgspec.json.decode(self.raw, type=form)

    @property
    def timestamp(self) -> datetime:
        """The time at which the server took the message, in UTC. Raises UndecodableError for what is no
        time."""
        try:
            return datetime.fromisoformat(self._timestamp)
        except ValueError as error:
            raise UndecodableError("The timestamp of this message is no time.") from error

    async def respond(self, data: Any, *, headers: Mapping[str, str] | None = None) -> str | None:
        """Publish to `reply_to` and give the reply's id; None, and nothing sent, when no reply is wanted.

        Raises what `Client.publish` raises.
        """
        if self.reply_to is None:
            return None
        return await self._publish(self.reply_to, data, headers=headers)

    def __repr__(self) -> str:
        return f"<Message {self.id} on {self.subject} from {self.sender}, {len(self.raw)} bytes>"
