"""The deliveries that one client has to settle: each is acknowledged, given back, renewed or terminated."""

import secrets
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from itertools import count
from typing import Any, Protocol

from artcafe.server.gateway.fanout.acknowledgements import Acknowledgements
from artcafe.server.gateway.sessions.answers import Answers
from artcafe.server.gateway.sessions.client import Work
from artcafe.wire.codes import Code
from artcafe.wire.deliveries import AckDelivery, DeliveryFrame, NakDelivery, RenewDelivery, Settled
from artcafe.wire.errors import ArtcafeError


class Delivery(Protocol):
    """One message that a client got, and has to settle. Where something of it raises unavailable, the message
    comes again when its lease is over."""

    def ack(self) -> Awaitable[None] | None:
        """It is done: when the link is flushed, or when this is."""
        ...

    def nak(self, delay: float) -> None:
        """It is to be delivered again, after so many seconds."""
        ...

    def renew(self) -> None:
        """It is being worked on: its lease begins anew."""
        ...

    def term(self, reason: str) -> Coroutine[Any, Any, None]:
        """It cannot be done: return when it is a dead letter."""
        ...


class ClientDeliveries:
    """The deliveries of one connection that are not settled, by the token that the client names them with."""

    __slots__ = ("_answers", "_connection", "_held", "_numbers", "_sent", "_start")

    def __init__(self, answers: Answers, sent: Acknowledgements, start: Callable[[Work], None]) -> None:
        self._answers = answers
        self._sent = sent
        self._start = start
        self._connection = ""
        self._numbers = count(1)
        self._held: dict[str, Delivery] = {}

    def __iter__(self) -> Iterator[Delivery]:
        return iter(tuple(self._held.values()))

    def holds(self, token: str) -> bool:
        """Whether the client has this delivery to settle."""
        return token in self._held

    def begin(self, delivery: Delivery) -> str:
        """The token of a new delivery, which no other connection had: what is said too late, after a
        reconnect, settles nothing else."""
        if not self._connection:
            self._connection = secrets.token_urlsafe(6)
        token = f"{self._connection}.{next(self._numbers)}"
        self._held[token] = delivery
        return token

    def end(self, token: str) -> None:
        """Its lease is over: it is another client's."""
        self._held.pop(token, None)

    def settle(self, frame: DeliveryFrame) -> Work | None:
        """Do what a frame says about a delivery, and answer a frame with an id when the bus has it. Raises
        not_found for a delivery that is not held, and unavailable."""
        keeps = isinstance(frame, RenewDelivery)
        delivery = self._held.get(frame.delivery) if keeps else self._held.pop(frame.delivery, None)
        if delivery is None:
            raise ArtcafeError(
                Code.not_found, "There is no such delivery on this connection, or its lease is over."
            )
        match frame:
            case AckDelivery():
                acked = delivery.ack()
                if acked is not None:
                    if frame.id is not None:
                        self._start(self._acked(acked, frame.id, frame.delivery))
                    return None
            case NakDelivery():
                delivery.nak(frame.delay_ms / 1000)
            case RenewDelivery():
                delivery.renew()
            case _:
                return self._term(delivery, frame.reason, frame.id, frame.delivery)
        self._confirm(frame.id, frame.delivery)
        return None

    async def _acked(self, acked: Awaitable[None], frame_id: str, token: str) -> None:
        await acked
        self._answers.send(Settled(id=frame_id, delivery=token))

    async def _term(self, delivery: Delivery, reason: str, frame_id: str | None, token: str) -> None:
        try:
            await delivery.term(reason)
        except ArtcafeError as error:
            self._answers.refuse(error, frame_id)
        else:
            self._confirm(frame_id, token)

    def _confirm(self, frame_id: str | None, token: str) -> None:
        if frame_id is not None:
            work = self._answers.confirm(Settled(id=frame_id, delivery=token), frame_id, self._sent)
            if work is not None:
                self._start(work)
