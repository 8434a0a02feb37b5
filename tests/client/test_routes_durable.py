"""A subscription within a durable channel goes on where it was, whatever happens to the connection."""

import pytest

from artcafe.client.message import Message
from artcafe.client.routes import Routes
from artcafe.client.subscription import Subscription
from artcafe.wire import frames
from artcafe.wire.codes import Code
from artcafe.wire.deliveries import DeliveryFrame
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.frames import NotRecovered
from tests.kit.installation import counting
from tests.kit.scripted_server import message

E = "epoch-1"


async def publish(subject: str, data: object, **more: object) -> str:
    return "m1"


async def answer(*_: object, **more: object) -> str:
    return "m1"


async def settle(frame: DeliveryFrame, *, confirm: bool) -> None:
    raise AssertionError(frame)


class Book:
    """The routes of a client, without a connection."""

    def __init__(self) -> None:
        self.routes = Routes("acme", counting("r"), publish, answer, settle)

    def subscribe(self, subject: str = "tasks.>", since: int | str | None = None) -> Subscription:
        async def nothing(subscription: Subscription) -> None: ...

        made = Subscription(
            subject, queue=None, since=since, buffer=100, opener=nothing, closer=nothing, drainer=nothing
        )
        made._asked = True
        self.asked = self.routes.add(made)
        return made

    def read(self, frame: bytes | None) -> frames.Subscribe:
        assert frame is not None
        read = frames.decode_client(frame)
        assert isinstance(read, frames.Subscribe)
        return read

    def again(self) -> list[frames.Subscribe]:
        """What is asked on the next connection."""
        self.routes.away()
        return [self.read(frame) for frame in self.routes.asks()]

    def confirm(
        self, asked: frames.Subscribe, seq: int | None, recovered: bool | None = None, **more: object
    ) -> None:
        assert asked.id is not None
        epoch = None if seq is None else str(more.get("epoch", E))
        reason = more.get("reason")
        self.routes.confirm(
            asked.id,
            frames.Subscribed(
                subject=asked.subject,
                epoch=epoch,
                seq=seq,
                recovered=recovered,
                reason=None if reason is None else NotRecovered(str(reason)),
            ),
        )

    def deliver(self, *seqs: int, subject: str = "tasks.new", epoch: str = E) -> None:
        for seq in seqs:
            self.routes.dispatch(message(subject, seq, seq=seq, epoch=epoch))


async def got(subscription: Subscription) -> list[Message]:
    return [await anext(subscription) for _ in range(subscription.pending)]


async def seqs(subscription: Subscription) -> list[int | None]:
    return [each.seq for each in await got(subscription)]


async def test_it_begins_where_it_was_told_and_then_goes_on_behind_its_last_message() -> None:
    book = Book()
    tasks = book.subscribe(since="10m")
    asked = book.read(book.asked)
    assert (asked.since, asked.recover) == ("10m", None)
    book.confirm(asked, 3, True)
    book.deliver(4, 5)
    [again] = book.again()
    assert (again.since, again.recover) == (None, frames.Position(epoch=E, seq=5))
    book.confirm(again, 5, True)
    book.deliver(6)
    assert await seqs(tasks) == [4, 5, 6]
    assert (tasks.gaps, tasks.lost) == (0, None)


async def test_one_that_had_no_message_goes_on_where_it_began() -> None:
    book = Book()
    book.subscribe()
    book.confirm(book.read(book.asked), 41)
    [again] = book.again()
    assert again.recover == frames.Position(epoch=E, seq=41)


async def test_what_comes_again_is_not_given_again() -> None:
    book = Book()
    tasks = book.subscribe()
    book.confirm(book.read(book.asked), 0)
    book.deliver(1, 2, 3, 2, 3, 4)
    assert await seqs(tasks) == [1, 2, 3, 4]


async def test_what_is_gone_is_told_with_the_reason_at_its_place() -> None:
    book = Book()
    tasks = book.subscribe()
    book.confirm(book.read(book.asked), 0)
    book.deliver(1)
    [again] = book.again()
    book.confirm(again, 6, False, reason="gone")
    book.deliver(7, 8)
    assert [(each.seq, each.after_gap) for each in await got(tasks)] == [(1, False), (7, True), (8, False)]
    assert (tasks.gaps, tasks.lost) == (1, NotRecovered.gone)


async def test_another_epoch_begins_anew() -> None:
    book = Book()
    tasks = book.subscribe()
    book.confirm(book.read(book.asked), 10)
    [again] = book.again()
    book.confirm(again, 0, False, reason="epoch", epoch="epoch-2")
    book.deliver(1, 2, epoch="epoch-2")
    assert await seqs(tasks) == [1, 2]
    [third] = book.again()
    assert third.recover == frames.Position(epoch="epoch-2", seq=2)


async def test_history_that_another_subscription_asked_for_is_not_given_before_the_own_answer() -> None:
    book = Book()
    whole = book.subscribe("tasks.>")
    book.confirm(book.read(book.asked), 20)
    late = book.subscribe("tasks.new", since="all")
    asked = book.read(book.asked)
    book.deliver(21)
    book.confirm(asked, 0, True)
    book.deliver(1, 2, 21, 22)
    assert await seqs(whole) == [21, 22]
    assert await seqs(late) == [1, 2, 21, 22]


async def test_a_channel_that_is_not_durable_any_more_goes_on_as_any_other() -> None:
    book = Book()
    tasks = book.subscribe()
    book.confirm(book.read(book.asked), 4)
    [again] = book.again()
    assert again.id is not None
    assert book.routes.refuse(again.id, ArtcafeError(Code.not_durable))
    assert tasks.gaps == 1
    [third] = [book.read(frame) for frame in book.routes.asks()]
    assert (third.recover, third.since) == (None, None)


async def test_one_with_since_ends_when_its_channel_is_not_durable_any_more() -> None:
    book = Book()
    tasks = book.subscribe(since="all")
    book.confirm(book.read(book.asked), 4, True)
    assert book.routes.end_named(ArtcafeError(Code.not_durable, details={"subject": "tasks.>"}))
    with pytest.raises(ArtcafeError) as ended:
        await anext(tasks)
    assert ended.value.code is Code.not_durable


async def test_one_elsewhere_counts_its_gaps_as_before() -> None:
    book = Book()
    chat = book.subscribe("chat")
    book.confirm(book.read(book.asked), None)
    [again] = book.again()
    assert (again.recover, chat.gaps) == (None, 1)


async def test_a_subject_is_subscribed_to_with_since_once() -> None:
    book = Book()
    book.subscribe()
    with pytest.raises(ArtcafeError) as refused:
        book.subscribe(since="all")
    assert refused.value.code is Code.conflict


@pytest.mark.parametrize("since", ["yesterday", -1, ""])
def test_a_place_that_is_none_is_refused_at_once(since: int | str) -> None:
    with pytest.raises(ArtcafeError) as refused:
        Book().routes.check("tasks.>", None, since)
    assert refused.value.code is Code.validation_failed
