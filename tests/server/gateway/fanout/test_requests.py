"""Requests between hubs on one bus in memory: each hub is a process."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec import UNSET, Raw

from artcafe.server.bus.memory import BUFFER_BYTES, MemoryLink
from artcafe.server.core.publishing.publisher import MessageClock, MessageServices, Publisher, anywhere
from artcafe.server.gateway.dialects.native import NativeDialect
from artcafe.server.gateway.fanout import requests
from artcafe.server.gateway.fanout.hub import TenantHub
from artcafe.server.gateway.fanout.requests import OpenRequest
from artcafe.server.gateway.fanout.responder import Responder
from artcafe.server.gateway.sessions.answers import Answers
from artcafe.server.gateway.sessions.client_requests import ClientRequests
from artcafe.server.gateway.websocket.turn_scheduler import TurnScheduler
from artcafe.wire import frames
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.deadlines import eventually
from tests.kit.hubs import ACME, Reader
from tests.kit.installation import counting
from tests.kit.issuers import StoppedClock
from tests.kit.sessions import Client
from tests.kit.tallies import telling, unlimited
from tests.kit.unreliable_bus import UnreliableLink


@dataclass
class Process:
    """A hub, whose clients ask and answer."""

    hub: TenantHub
    publisher: Publisher
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


@dataclass
class Answering:
    """A client that may answer: what it got of requests, and how it answers."""

    reader: Reader
    requests: ClientRequests
    publisher: Publisher
    told: list[frames.Cancelled]

    def reply(self, address: str, data: bytes | None = b"1", **more: Any) -> str:
        """Reply, as a client would."""
        given = UNSET if data is None else Raw(data)
        return self.requests.reply(frames.Reply(to=address, data=given, **more), self.publisher)


class Bus:
    """Processes on one bus."""

    def __init__(self) -> None:
        self.link = UnreliableLink(MemoryLink(BUFFER_BYTES))

    def process(self) -> Process:
        """One more."""
        tasks: set[asyncio.Task[None]] = set()
        hub = TenantHub(
            ACME, self.link, TurnScheduler(), start=lambda work: tasks.add(asyncio.ensure_future(work))
        )
        clock = MessageClock(StoppedClock())
        services = MessageServices(
            clock=clock,
            new_message_id=counting("m"),
            tally=telling([]),
            quota=unlimited,
        )
        publisher = Publisher(
            services,
            tenant=ACME,
            sender="planner",
            counted_as=None,
            permit=anywhere,
            max_bytes=1000,
            bucket=None,
            publish_there=self.link.publish,
            store_there=self.link.streams.store,
        )
        return Process(hub, publisher, tasks)

    async def answering(self, process: Process, pattern: str, queue: str | None = None) -> Answering:
        """A client that subscribed and can answer."""
        told: list[frames.Cancelled] = []
        reader = Reader(process.hub)
        responder = reader.subscriber.responder = Responder()
        responder.tell = told.append
        client = ClientRequests(process.hub.requests, responder, Answers(Client(), NativeDialect()))
        await reader.subscribe(pattern, queue)
        return Answering(reader, client, process.publisher, told)


@dataclass
class Question:
    """A request, and what came of it."""

    request: OpenRequest
    got: list[frames.RequestReply | ArtcafeError]

    @property
    def address(self) -> str:
        """Its reply address."""
        return self.request.address

    async def ended(self, code: Code) -> None:
        """Wait for the error that ends it; nothing came before."""
        await eventually(lambda: bool(self.got))
        [error] = self.got
        assert isinstance(error, ArtcafeError)
        assert error.code is code


async def ask(process: Process, subject: str = "tasks.new", **more: Any) -> Question:
    """Make a request on a process."""
    got: list[frames.RequestReply | ArtcafeError] = []
    await process.hub.requests.listen()
    frame = frames.Request(subject=subject, data=Raw(b"1"), id="r1", **more)
    return Question(process.hub.requests.ask(frame, process.publisher, got.append), got)


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture(params=["the same process", "another process"])
def processes(bus: Bus, request: pytest.FixtureRequest) -> tuple[Process, Process]:
    """Who asks, and who answers."""
    one = bus.process()
    return one, one if request.param == "the same process" else bus.process()


Two = tuple[Process, Process]


def parts(question: Question) -> list[tuple[bytes, bool]]:
    """The data of the replies, and whether each is the end."""
    replies = [each for each in question.got if isinstance(each, frames.RequestReply)]
    assert len(replies) == len(question.got)
    return [(bytes(each.data) if isinstance(each.data, Raw) else b"", each.end) for each in replies]


async def test_a_reply_comes_to_who_asked_and_ends_the_request(bus: Bus, processes: Two) -> None:
    here, there = processes
    worker = await bus.answering(there, "tasks.*")
    question = await ask(here)
    await eventually(lambda: question.request.accepted == 1)
    worker.reply(question.address, b"42")
    await eventually(lambda: bool(question.got))
    [reply] = question.got
    assert isinstance(reply, frames.RequestReply)
    assert (reply.id, reply.sender) == ("r1", "planner")
    assert parts(question) == [(b"42", True)]
    assert here.hub.requests.open == 0


async def test_parts_come_in_order_and_of_one_responder_only(bus: Bus, processes: Two) -> None:
    here, there = processes
    one, two = await bus.answering(there, "tasks.new"), await bus.answering(there, "tasks.*")
    question = await ask(here)
    await eventually(lambda: question.request.accepted == 2)
    for n in range(3):
        one.reply(question.address, b"%d" % n, end=False)
        two.reply(question.address, b"%d" % (10 + n), end=False)
    one.reply(question.address, None)
    await eventually(lambda: here.hub.requests.open == 0)
    assert parts(question) == [(b"0", False), (b"1", False), (b"2", False), (b"", True)]
    await eventually(lambda: [each.reason for each in two.told] == ["answered"])
    assert one.told == []


async def test_who_delivers_a_request_when_all_clients_of_its_process_are_gone_hears_that_it_is_over(
    bus: Bus,
) -> None:
    here, there = bus.process(), bus.process()
    worker = await bus.answering(there, "tasks.new")
    question = await ask(here)
    here.hub.requests.end(question.request, "gone")  # Before the word that it is delivered comes.
    assert question.request.accepted == 0
    closing = asyncio.ensure_future(here.hub.requests.close())
    await eventually(lambda: [each.reply_to for each in worker.told] == [question.address])
    await closing
    assert not here.hub.requests.listening


async def test_nobody_on_the_bus_is_told_at_once(bus: Bus) -> None:
    question = await ask(bus.process(), timeout_ms=600_000)
    await question.ended(Code.no_responders)


async def test_who_hears_but_cannot_answer_is_no_responder(
    bus: Bus, processes: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = processes
    monkeypatch.setattr(here.hub.requests, "_grace", 0.05)
    preview = Reader(there.hub)
    await preview.subscribe(">")
    forbidden = await bus.answering(there, "tasks.new")
    forbidden.reader.subscriber.filter(lambda _: False)
    question = await ask(here, timeout_ms=600_000)
    await question.ended(Code.no_responders)
    assert preview.got == [("tasks.new", 1)]
    assert forbidden.reader.got == []


async def test_without_a_reply_it_ends_in_its_time_and_responders_are_told(bus: Bus, processes: Two) -> None:
    here, there = processes
    worker = await bus.answering(there, "tasks.new", "workers")
    question = await ask(here, timeout_ms=50)
    await question.ended(Code.timeout)
    await eventually(lambda: [each.reason for each in worker.told] == ["timeout"])
    with pytest.raises(ArtcafeError) as late:
        worker.reply(question.address)
    assert (late.value.code, late.value.details) == (Code.not_found, {"reason": "timeout"})


async def test_an_end_tells_responders_why(bus: Bus, processes: Two) -> None:
    here, there = processes
    worker = await bus.answering(there, "tasks.new")
    question = await ask(here)
    await eventually(lambda: question.request.accepted == 1)
    here.hub.requests.end(question.request, "cancelled")
    here.hub.requests.end(question.request, "cancelled")
    await eventually(lambda: bool(worker.told))
    assert worker.told == [frames.Cancelled(reply_to=question.address, reason="cancelled")]
    assert question.got == []


async def test_the_error_of_who_was_asked_ends_it(bus: Bus, processes: Two) -> None:
    here, there = processes
    worker = await bus.answering(there, "tasks.new")
    question = await ask(here)
    worker.reply(question.address, None, error=frames.ReplyError(code="busy", message="Not now."))
    await question.ended(Code.request_refused)
    [error] = question.got
    assert isinstance(error, ArtcafeError)
    assert (error.message, error.details) == ("Not now.", {"code": "busy", "from": "planner"})


async def test_several_replies_end_with_the_last_that_was_asked_for(bus: Bus, processes: Two) -> None:
    here, there = processes
    workers = [await bus.answering(there, "tasks.new") for _ in range(3)]
    question = await ask(here, max_replies=2)
    await eventually(lambda: question.request.accepted == 3)
    for number, worker in enumerate(workers[:2]):
        worker.reply(question.address, b"%d" % number)
        await eventually(lambda: len(question.got) == number + 1)  # noqa: B023
    await eventually(lambda: [each.reason for each in workers[2].told] == ["answered"])
    assert parts(question) == [(b"0", False), (b"1", True)]


async def test_several_replies_end_with_their_window(bus: Bus, processes: Two) -> None:
    here, there = processes
    worker = await bus.answering(there, "tasks.new")
    question = await ask(here, max_replies=2, timeout_ms=300)
    worker.reply(question.address, None, error=frames.ReplyError(code="busy"))
    await eventually(lambda: len(question.got) == 2)
    refusal, end = question.got
    assert isinstance(refusal, frames.RequestReply)
    assert refusal.error == frames.ReplyError(code="busy")
    assert end == frames.RequestReply(id="r1", end=True)


async def test_a_responder_ends_its_reply_once(bus: Bus, processes: Two) -> None:
    here, there = processes
    worker = await bus.answering(there, "tasks.new")
    question = await ask(here, max_replies=2)
    await eventually(lambda: question.request.accepted == 1)
    worker.reply(question.address)
    with pytest.raises(ArtcafeError, match="ended already"):
        worker.reply(question.address)


async def test_a_request_that_is_not_sent_is_not_open(bus: Bus) -> None:
    process = bus.process()
    bus.link.refusal = ArtcafeError(Code.unavailable)
    with pytest.raises(ArtcafeError):
        await ask(process)
    assert process.hub.requests.open == 0


async def test_open_requests_are_bounded(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MAX_OPEN", 1)
    process = bus.process()
    await bus.answering(process, "tasks.new")
    await ask(process)
    with pytest.raises(ArtcafeError, match="too many open requests"):
        await ask(process)


async def test_what_is_remembered_of_deliveries_is_bounded(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MAX_DELIVERED", 2)
    here, there = bus.process(), bus.process()
    worker = await bus.answering(there, "tasks.new")
    questions = [await ask(here) for _ in range(3)]
    await eventually(lambda: all(each.request.accepted for each in questions))
    for question in questions:
        here.hub.requests.end(question.request, "cancelled")
    await eventually(lambda: len(worker.told) == 2)
    assert [each.reply_to for each in worker.told] == [each.address for each in questions[1:]]


async def test_so_are_the_responders_of_all_of_them(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MAX_RESPONDERS", 5)
    here, there = bus.process(), bus.process()
    workers = [await bus.answering(there, "tasks.new") for _ in range(2)]
    questions = [await ask(here) for _ in range(4)]
    await eventually(lambda: all(each.request.accepted == 2 for each in questions))
    for question in questions:
        here.hub.requests.end(question.request, "cancelled")
    await eventually(lambda: all(len(worker.told) == 2 for worker in workers))
    for worker in workers:
        assert [each.reply_to for each in worker.told] == [each.address for each in questions[2:]]


async def test_garbage_at_a_reply_address_is_dropped_and_logged(
    bus: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    process = bus.process()
    await bus.answering(process, "tasks.new")
    question = await ask(process)
    inbox = question.address.replace("inbox._", "_INBOX.")
    bus.link.publish(f"{inbox}.planner", b"{")
    await eventually(lambda: "not ours" in caplog.text)
    assert question.got == []


async def test_a_closed_exchange_leaves_nothing_on_the_bus(bus: Bus) -> None:
    process = bus.process()
    await process.hub.requests.listen()
    assert bus.link.open.total() == 1
    await process.hub.requests.close()
    await process.hub.requests.listen()
    assert bus.link.open.total() == 0
