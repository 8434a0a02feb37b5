"""Open requests of one client, and its replies to others'."""

import msgspec

from artcafe.server.core.publishing.publisher import Publisher
from artcafe.server.gateway.fanout.requests import OpenRequest, RequestExchange
from artcafe.server.gateway.fanout.responder import Responder
from artcafe.server.gateway.sessions.answers import Answers
from artcafe.wire import envelopes, frames
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import parse_subject

MAX_OPEN = 256
"""Open requests of one connection."""


class ClientRequests:
    """The requests of one connection, by the id of their frame, and what it answers to others'."""

    __slots__ = ("_answers", "_exchange", "_left", "_open", "_responder")

    def __init__(
        self,
        exchange: RequestExchange,
        responder: Responder,
        answers: Answers,
    ) -> None:
        self._exchange = exchange
        self._responder = responder
        self._answers = answers
        self._open: dict[str, OpenRequest] = {}
        self._left = False

    @property
    def listening(self) -> bool:
        """Whether `ask` may be called."""
        return self._exchange.listening

    def ask(self, frame: frames.Request, publisher: Publisher) -> None:
        """Make a request: it ends with a `reply` that has `end`, or with an `error`.

        Raises, the first that applies: rate_limited; conflict for an id that is in use; rate_limited where
        too many are open; what RequestExchange.ask raises.
        """
        publisher.spend()
        if frame.id in self._open:
            raise ArtcafeError(Code.conflict, "A request with this id is open.")
        if len(self._open) >= MAX_OPEN:
            raise ArtcafeError(Code.rate_limited, f"{MAX_OPEN} requests are open, as many as may be.")

        def tell(reply: frames.RequestReply | ArtcafeError) -> None:
            if isinstance(reply, ArtcafeError) or reply.end:
                del self._open[frame.id]
            if isinstance(reply, ArtcafeError):
                self._answers.refuse(reply, frame.id)
            else:
                self._answers.send(reply)

        self._open[frame.id] = self._exchange.ask(frame, publisher, tell)

    async def ask_first(self, frame: frames.Request, publisher: Publisher) -> None:
        """As `ask`, which has to wait until the process listens to replies; refuses instead of raising."""
        try:
            await self._exchange.listen()
            if not self._left:
                self.ask(frame, publisher)
        except ArtcafeError as error:
            self._answers.refuse(error, frame.id)

    def cancel(self, request_id: str) -> None:
        """End a request, which is answered with `cancelled`. Raises not_found for one that is not open."""
        request = self._open.pop(request_id, None)
        if request is None:
            raise ArtcafeError(Code.not_found, "No such request is open on this connection.")
        self._exchange.end(request, "cancelled")
        self._answers.refuse(ArtcafeError(Code.cancelled), request_id)

    def reply(self, frame: frames.Reply, publisher: Publisher) -> str:
        """Answer a request; the id of the reply.

        Raises, the first that applies: rate_limited; bad_frame for an error with data or that does not end;
        invalid_subject; not_found where the request is over; what Publisher.reply raises.
        """
        publisher.spend()
        if frame.error is not None and (frame.data is not msgspec.UNSET or not frame.end):
            raise ArtcafeError(Code.bad_frame, "An error ends a reply, and has no data beside it.")
        if frame.data is msgspec.UNSET and not frame.end:
            raise ArtcafeError(Code.bad_frame, "A reply that is not the end has data.")
        address = parse_subject(frame.to, publisher.tenant)
        if not address.reply:
            raise ArtcafeError(Code.invalid_subject, "This is not the reply address of a request.")
        reply = envelopes.ReplyEnvelope(
            source=self._responder.name,
            data=frame.data,
            headers=frame.headers,
            error=frame.error,
            end=frame.end,
        )
        with self._exchange.replying(address.subject, self._responder, end=frame.end):
            return publisher.reply(address.subject, reply, self._exchange.send)

    def leave(self) -> None:
        """End all requests of the client, which is gone; leaving twice is allowed."""
        self._left = True
        self._responder.tell = None
        while self._open:
            self._exchange.end(self._open.popitem()[1], "gone")
