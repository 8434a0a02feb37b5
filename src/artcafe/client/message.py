"""A message as a subscriber gets it."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol, TypeVar

import msgspec

from artcafe.client.deliveries import ReceivedDelivery
from artcafe.client.errors import UndecodableError
from artcafe.wire import deliveries, frames
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

T = TypeVar("T")

UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
"""What decoding raises for JSON that this process cannot read."""


class Publisher(Protocol):
    """Sends a message and gives its id: what `Message.respond` needs of a client."""

    async def __call__(self, subject: str, data: Any, *, headers: Mapping[str, str] | None = None) -> str: ...


class Answerer(Protocol):
    """Sends a reply to a request and gives its id: what `Message.respond` and `refuse` need of a client."""

    async def __call__(
        self,
        reply_to: str,
        data: Any,
        *,
        end: bool = True,
        error: frames.ReplyError | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> str: ...


class ReceivedRequest:
    """A request that was delivered: how it is answered, and whether it is over for who asked (`over`). All
    copies of its message share it."""

    def __init__(self, answer: Answerer) -> None:
        self.answer = answer
        self.over = asyncio.Event()


class Message:
    """One delivered message.

    `subject` is in the form in which the subscription was written. `sender` is who published it, as
    the server proved it: an agent's id, `u-…` for a human, `sys` for the platform. `id` is the
    message's own, the same for every receiver. `headers` is empty when there are none, `reply_to` is
    the subject that a reply goes to; of a request (`is_request`), its reply address. `raw` is the payload as
    JSON text, also where it cannot be read (`undecodable`).

    `after_gap` is True on the first message after this client was away: others may have been missed
    before it. `seq` and `epoch` are its place in a durable channel, None in any other.

    One of a durable subscription has a `delivery`, and is to be settled: by `ack`, `nak` or `term`, before
    its lease is over. `redelivered` says how often it came before, to whomever. One of an inbox, too, without
    a lease.
    """

    __slots__ = (
        "_data",
        "_delivery",
        "_publish",
        "_request",
        "_timestamp",
        "after_gap",
        "epoch",
        "headers",
        "id",
        "raw",
        "redelivered",
        "reply_to",
        "sender",
        "seq",
        "subject",
    )

    def __init__(
        self,
        frame: frames.Message,
        subject: str,
        publish: Publisher,
        request: ReceivedRequest | None = None,
        delivery: ReceivedDelivery | None = None,
    ) -> None:
        self.subject = subject
        self.sender = frame.sender
        self.id = frame.id
        self.headers: Mapping[str, str] = frame.headers or {}
        self.reply_to = frame.reply_to
        self.raw = bytes(frame.data)
        self.seq = frame.seq
        self.epoch = frame.epoch
        self.redelivered = frame.redelivered
        self.after_gap = False
        self._delivery = delivery
        self._timestamp = frame.timestamp
        self._publish = publish
        self._request = request
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

    @property
    def is_request(self) -> bool:
        """Whether somebody waits for an answer, or did (`cancelled`)."""
        return self._request is not None

    @property
    def cancelled(self) -> bool:
        """Whether it is a request that is over: cancelled, out of time, or answered by another one."""
        return self._request is not None and self._request.over.is_set()

    async def cancellation(self) -> None:
        """Wait until the request is over for who asked; for ever, where that never comes."""
        await (asyncio.Event() if self._request is None else self._request.over).wait()

    @property
    def delivery(self) -> str | None:
        """The token of the delivery; None for a message that is not to be settled."""
        return None if self._delivery is None else self._delivery.token

    async def ack(self, *, confirm: bool = False) -> None:
        """It is done, and does not come again; with `confirm`, returns when the server has heard it.

        Raises, like `nak`, `progress` and `term`: not_found where it was settled, or its lease or connection
        is over and it comes again (without `confirm`, a lease that is over goes to the client's `on_error`);
        invalid_subject for a message that is not to be settled; what `Client.publish` raises for the
        connection.
        """
        await self._settle(deliveries.AckDelivery(delivery=self.delivery or ""), confirm=confirm)

    async def nak(self, delay: float = 0.0, *, confirm: bool = False) -> None:
        """Give it back: it is delivered again, to anybody, after so many seconds."""
        nak = deliveries.NakDelivery(delivery=self.delivery or "", delay_ms=round(delay * 1000))
        await self._settle(nak, confirm=confirm)

    async def progress(self, *, confirm: bool = False) -> None:
        """It is being worked on: its lease begins anew."""
        await self._settle(deliveries.RenewDelivery(delivery=self.delivery or ""), confirm=confirm)

    async def term(self, reason: str = "") -> None:
        """It cannot be done: returns when it is a dead letter of its channel, with this reason."""
        await self._settle(deliveries.TermDelivery(delivery=self.delivery or "", reason=reason), confirm=True)

    async def _settle(self, frame: deliveries.DeliveryFrame, *, confirm: bool) -> None:
        if self._delivery is None:
            raise ArtcafeError(Code.invalid_subject, "This message is of no durable subscription.")
        await self._delivery.say(frame, confirm=confirm)

    async def respond(
        self, data: Any, *, headers: Mapping[str, str] | None = None, end: bool = True
    ) -> str | None:
        """Reply and give the reply's id; None, and nothing sent, when no reply is wanted. With `end=False`
        it is one part of a stream, to be followed by others, of which the last one has `end`, or by
        `finish`; so for requests only.

        Raises not_found where the request is over or this reply has ended, and what `Client.publish` raises.
        """
        if self.reply_to is None:
            return None
        if self._request is None:
            if not end:
                raise _no_request()
            return await self._publish(self.reply_to, data, headers=headers)
        return await self._request.answer(self.reply_to, data, headers=headers, end=end)

    async def finish(self) -> None:
        """End a stream of replies without a further part. Raises as `respond`."""
        if self.reply_to is None or self._request is None:
            raise _no_request()
        await self._request.answer(self.reply_to, msgspec.UNSET)

    async def refuse(self, code: str, text: str = "") -> None:
        """Answer a request with an error: a code of your own and words for people. Raises as `respond`, and
        invalid_subject for a message that is no request."""
        if self.reply_to is None or self._request is None:
            raise _no_request()
        refusal = frames.ReplyError(code=code, message=text)
        await self._request.answer(self.reply_to, msgspec.UNSET, error=refusal)

    def __repr__(self) -> str:
        return f"<Message {self.id} on {self.subject} from {self.sender}, {len(self.raw)} bytes>"


def _no_request() -> ArtcafeError:
    return ArtcafeError(Code.invalid_subject, "Only a request has such an answer; this message is none.")
