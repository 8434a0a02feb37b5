"""Interprets the server's frames for one client, across its connections. No I/O."""

import re
from collections.abc import Callable
from typing import get_args

import msgspec

from artcafe.client.calls import PendingCalls
from artcafe.client.deliveries import Settler
from artcafe.client.errors import OutcomeUnknownError, copy, of_frame
from artcafe.client.message import UNREADABLE, Answerer, Publisher
from artcafe.client.questions import OpenQuestions
from artcafe.client.requests import OpenRequests
from artcafe.client.routes import Routes
from artcafe.wire import frames
from artcafe.wire.codes import Code
from artcafe.wire.deliveries import Settled
from artcafe.wire.discovery import AgentChanged, Agents
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.inbox import TAKEN_OVER, InboxClosed, InboxOpened

_KNOWN = frozenset(form.__struct_config__.tag for form in get_args(frames.ServerFrame))


_MESSAGE = re.compile(
    rb'\{"type":"message","subject":"([^"\\\\]+)","from":"([^"\\\\]+)",'
    rb'(?:"delivery":"([^"\\\\]+)",)?(?:"durable":"([^"\\\\]+)",)?(?:"redelivered":\d+,)?'
    rb'(?:"seq":\d+,"epoch":"[^"]*",)?"id":"([^"\\\\]+)","timestamp":"([^"\\\\]+)","data":'
)
"""What the server writes before the data of a message."""


class _Tagged(msgspec.Struct):
    type: str


def decode(data: bytes) -> frames.ServerFrame | None:
    """Read a frame; None for a type that only newer clients know. Raises protocol_error for a broken one.

    A message whose frame cannot be read as a whole is given with everything behind `data` as its data, which
    cannot be read either (Message.undecodable).
    """
    try:
        frame: frames.ServerFrame = frames.decode_server(data)
    except UNREADABLE as broken:
        undecodable = _undecodable(data)
        if undecodable is not None:
            return undecodable
        try:
            known = msgspec.json.decode(data, type=_Tagged).type in _KNOWN
        except UNREADABLE:
            known = True
        if known:
            message = "The server sent a frame that this client cannot read."
            raise ArtcafeError(Code.protocol_error, message) from broken
        return None
    return frame


def _undecodable(data: bytes) -> frames.Message | None:
    head = _MESSAGE.match(data)
    if head is None:
        return None
    subject, sender, delivery, durable, message_id, timestamp = (
        None if part is None else part.decode(errors="replace") for part in head.groups()
    )
    return frames.Message(
        subject=subject or "",
        sender=sender or "",
        id=message_id or "",
        timestamp=timestamp or "",
        data=msgspec.Raw(data[head.end() : -1]),
        delivery=delivery,
        durable=durable,
    )


class Session:
    """The state of one client: pending calls, subscriptions, and the server's last welcome."""

    def __init__(
        self,
        tenant: str,
        publish: Publisher,
        answer: Answerer,
        settle: Settler,
        on_error: Callable[[ArtcafeError], None],
    ) -> None:
        self.calls = PendingCalls()
        self.requests = OpenRequests()
        self.questions = OpenQuestions()
        self.routes = Routes(tenant, self.calls.next_id, publish, answer, settle)
        self._on_error = on_error
        self.goaway: frames.Goaway | None = None
        """The server's farewell on this connection."""
        self.refusal: ArtcafeError | None = None
        """The last error of this connection that answered no frame and ended no subscription of ours."""

    def receive(self, frame: frames.ServerFrame) -> None:
        """Act on a frame."""
        match frame:
            case frames.Message():
                self.routes.dispatch(frame)
            case frames.Ack():
                self.calls.answer(frame.id, frame.message_id)
            case Settled():
                self.calls.answer(frame.id, frame.delivery)
            case frames.Subscribed(id=str() as call):
                self.routes.confirm(call, frame)
            case frames.Unsubscribed(id=str() as call):
                self.calls.answer(call, call)
            case InboxOpened() | InboxClosed():
                self._inbox(frame)
            case frames.Error():
                self._refused(frame.id, of_frame(frame))
            case frames.RequestReply():
                self.requests.reply(frame)
            case frames.Cancelled():
                self.routes.cancelled(frame.reply_to)
            case Agents() | AgentChanged():
                self.questions.take(frame)
            case frames.Goaway():
                self.goaway = frame
            case _:
                # Pong has done its work by arriving; the rest answers nothing that anybody waits for.
                pass

    def _inbox(self, frame: InboxOpened | InboxClosed) -> None:
        if isinstance(frame, InboxOpened):
            self.routes.inbox_opened(frame.id or "", frame.waiting)
        elif frame.id is not None:
            self.calls.answer(frame.id, frame.id)
        elif frame.reason == TAKEN_OVER:
            self.routes.inbox_closed()

    def _refused(self, call: str | None, error: ArtcafeError) -> None:
        if call is None:
            taken = self.routes.end_named(error) or self.questions.end_named(error)
        else:
            taken = (
                self.calls.answer(call, error)
                or self.requests.refuse(call, error)
                or self.questions.refuse(call, error)
                or self.routes.refuse(call, error)
            )
        if taken:
            return
        self.refusal = error
        self._on_error(error)

    def away(self) -> None:
        """The connection is gone, and the next one begins from nothing."""
        self.goaway = None
        self.refusal = None
        self.routes.away()
        self.calls.fail(_unknown)
        self.requests.fail(_unanswered)
        self.questions.fail(_unanswered)

    def end(self, error: ArtcafeError | None) -> None:
        """There will be no further connection, because of this error, or because the caller closed."""
        self.routes.end(error)
        self.calls.fail(_unknown if error is None else lambda: copy(error))
        self.requests.fail(_unanswered if error is None else lambda: copy(error))
        self.questions.fail(_unanswered if error is None else lambda: copy(error))


def _unknown() -> ArtcafeError:
    return OutcomeUnknownError("The connection was lost before the server acknowledged the message.")


def _unanswered() -> ArtcafeError:
    return OutcomeUnknownError("The connection was lost before the request was answered.")
