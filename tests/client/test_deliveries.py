"""Durable subscriptions of a client: what it asks for, whose a message is, and settling it once."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec import Raw

from artcafe.client.deliveries import durable_rules
from artcafe.client.message import Message
from artcafe.client.routes import Routes
from artcafe.client.subscription import Subscription
from artcafe.wire import deliveries, frames
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.installation import counting


class Book:
    """The routes of a client, and what it settled."""

    def __init__(self) -> None:
        self.settled: list[tuple[deliveries.DeliveryFrame, bool]] = []
        self.routes = Routes("acme", counting("r"), self._unused, self._unused, self._settle)

    async def _unused(self, *_: Any, **_more: Any) -> str:
        raise AssertionError

    async def _nothing(self, _subscription: Subscription) -> None: ...

    async def _settle(self, frame: deliveries.DeliveryFrame, *, confirm: bool) -> None:
        self.settled.append((frame, confirm))

    def subscribe(
        self, subject: str = "tasks.>", durable: str | None = "workers", lease: float | None = None
    ) -> tuple[Subscription, frames.Subscribe]:
        """A subscription, confirmed by the server, and the frame that asked for it."""
        rules = None if durable is None else durable_rules(durable, 2, lease, None)
        subscription = Subscription(
            subject,
            queue=None,
            durable=rules,
            buffer=1,
            opener=self._nothing,
            closer=self._nothing,
            drainer=self._nothing,
        )
        frame = frames.decode_client(self.routes.add(subscription) or b"")
        assert isinstance(frame, frames.Subscribe)
        answer = frames.Subscribed(subject=subject, id=frame.id, durable=durable, lease_ms=30_000)
        self.routes.confirm(frame.id or "", answer)
        return subscription, frame

    def deliver(self, data: int, delivery: str | None = None, durable: str | None = None) -> None:
        """A message comes."""
        self.routes.dispatch(
            frames.Message(
                subject="tasks.new",
                sender="planner",
                id="m",
                timestamp="t",
                data=Raw(b"%d" % data),
                delivery=delivery,
                durable=durable,
                redelivered=1 if delivery else 0,
            )
        )


async def first(subscription: Subscription) -> Message:
    """The next message, which is there."""
    assert subscription.pending
    return await anext(subscription)


def test_what_is_asked_for_is_in_the_frame() -> None:
    book = Book()
    subscription, frame = book.subscribe(lease=5.0)
    assert (frame.durable, frame.max_in_flight, frame.lease_ms, frame.queue) == ("workers", 2, 5000, None)
    assert subscription.lease == 30.0


@pytest.mark.parametrize(
    "asked", [("a b", 1, None, None), ("x", 257, None, None), ("x", None, 0.5, None), ("x", None, None, 101)]
)
def test_what_the_server_would_close_for_is_refused_at_once(asked: Any) -> None:
    with pytest.raises(ArtcafeError) as refused:
        durable_rules(*asked)
    assert refused.value.code is Code.validation_failed


async def test_a_message_is_of_the_subscription_that_it_names() -> None:
    book = Book()
    workers, _ = book.subscribe()
    others, _ = book.subscribe(durable="others")
    plain, _ = book.subscribe(durable=None)
    book.deliver(1, "d1", "workers")
    book.deliver(2)
    assert [each.pending for each in (workers, others, plain)] == [1, 0, 1]
    message = await first(workers)
    assert (message.data, message.delivery, message.redelivered) == (1, "d1", 1)
    message = await first(plain)
    assert (message.data, message.delivery, message.redelivered) == (2, None, 0)
    with pytest.raises(ArtcafeError, match="durable"):
        await message.ack()


async def test_a_message_is_settled_once_and_may_be_renewed_before() -> None:
    book = Book()
    workers, _ = book.subscribe()
    ways: list[tuple[deliveries.DeliveryFrame, Callable[[Message], Awaitable[None]]]] = [
        (deliveries.AckDelivery(delivery="d"), lambda message: message.ack(confirm=True)),
        (deliveries.NakDelivery(delivery="d", delay_ms=1500), lambda message: message.nak(1.5)),
        (deliveries.TermDelivery(delivery="d", reason="torn"), lambda message: message.term("torn")),
    ]
    for frame, settle in ways:
        book.deliver(1, "d", "workers")
        message = await first(workers)
        await message.progress()
        await settle(message)
        assert [said for said, _ in book.settled] == [deliveries.RenewDelivery(delivery="d"), frame]
        for again in (message.ack, message.progress):
            with pytest.raises(ArtcafeError) as over:
                await again()
            assert over.value.code is Code.not_found
        assert len(book.settled) == 2
        book.settled.clear()


async def test_what_came_on_a_lost_connection_is_not_settled_and_not_read_any_more() -> None:
    book = Book()
    workers, _ = book.subscribe()
    book.deliver(1, "d1", "workers")
    message = await first(workers)
    book.deliver(2, "d2", "workers")
    book.routes.away()
    assert (workers.pending, workers.gaps) == (0, 0)
    with pytest.raises(ArtcafeError) as over:
        await message.ack()
    assert over.value.code is Code.not_found
    assert book.settled == []


def test_the_buffer_holds_what_may_be_in_flight() -> None:
    book = Book()
    workers, _ = book.subscribe()
    for number in range(2):
        book.deliver(number, f"d{number}", "workers")
    assert workers.pending == 2


def test_a_durable_subscription_that_ends_at_the_server_ends_here() -> None:
    book = Book()
    book.subscribe()
    plain, _ = book.subscribe(durable=None)
    details: dict[str, object] = {"subject": "tasks.>", "durable": "workers"}
    assert book.routes.end_named(ArtcafeError(Code.not_durable, "Deleted.", details=details))
    assert len(book.routes) == 1
    assert plain.pending == 0


def test_one_client_has_a_durable_subscription_by_one_set_of_rules() -> None:
    book = Book()
    book.subscribe()
    with pytest.raises(ArtcafeError) as conflict:
        book.subscribe("tasks.new")
    assert conflict.value.code is Code.conflict
