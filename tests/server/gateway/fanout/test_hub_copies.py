"""Copies of a message, in whatever order the bus brings them, while subscriptions come and go."""

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from artcafe.server.bus.memory_consumers import MemoryConsumers
from artcafe.server.bus.memory_inboxes import MemoryInboxes
from artcafe.server.bus.memory_streams import MemoryStreams
from artcafe.server.bus.nats.grammar import receives
from artcafe.server.gateway.fanout.hub import TenantHub
from artcafe.server.gateway.websocket.turn_scheduler import TurnScheduler
from artcafe.server.ports.bus import Deliver, Own
from artcafe.wire.envelopes import Envelope
from artcafe.wire.frames import encode
from artcafe.wire.subjects import matches, to_bus
from tests.kit.hubs import ACME, Reader
from tests.kit.turns import turns

PATTERNS = ["a.b", "a.*", ">", "tenant.acme.a.b"]
SUBJECTS = ["a.b", "a.b", "a.c"]
READERS = 2


class Copies:
    """ports.Subscription: copies that wait, in the order of their messages."""

    def __init__(self, pattern: str, deliver: Deliver) -> None:
        self.pattern = pattern
        self.deliver = deliver
        self.waiting: deque[tuple[str, bytes]] = deque()
        self.open = True

    async def close(self) -> None:
        """See ports.Subscription."""
        self.open = False


class ScriptedLink:
    """ports.Link that delivers what waits for one subscription when told; a new one gets later messages."""

    gaps = 0

    def __init__(self) -> None:
        self.subscriptions: list[Copies] = []
        self.paused = False
        self.streams = MemoryStreams(lambda *_: None, lambda: True)
        self.consumers = MemoryConsumers(self.streams)
        self.inboxes = MemoryInboxes(lambda: True)

    async def subscribe(
        self, pattern: str, deliver: Deliver, queue: str | None = None, own: Own | None = None
    ) -> Copies:
        """See ports.Link."""
        assert queue is None
        subscription = Copies(pattern, deliver)
        self.subscriptions.append(subscription)
        return subscription

    def publish(self, subject: str, payload: bytes, /) -> bool:
        """See ports.Link."""
        for each in self.subscriptions:
            if each.open and receives(each.pattern, subject):
                each.waiting.append((subject, payload))
        return not self.paused

    def new_inbox(self) -> str:
        """See ports.Link."""
        return "_INBOX.0123456789abcdef"

    def ask(self, subject: str, payload: bytes, reply: str, /) -> bool:
        """See ports.Link: nobody asks here."""
        raise AssertionError(subject)

    def bring(self, which: int) -> None:
        """Deliver one copy of one of the subscriptions that have any."""
        ready = [each for each in self.subscriptions if each.waiting]
        if ready:
            chosen = ready[which % len(ready)]
            subject, payload = chosen.waiting.popleft()
            if chosen.open:
                chosen.deliver(subject, payload)

    def pause(self, paused: bool, /) -> None:
        """See ports.Link."""
        self.paused = paused

    async def room(self) -> None:
        """See ports.Link."""

    async def flush(self) -> None:
        """See ports.Link."""

    async def settle(self) -> None:
        """See ports.Link."""


steps = st.lists(
    st.tuples(st.just("subscribe"), st.integers(0, READERS - 1), st.sampled_from(PATTERNS))
    | st.tuples(st.just("unsubscribe"), st.integers(0, READERS - 1), st.sampled_from(PATTERNS))
    | st.tuples(st.just("end"), st.integers(0, READERS - 1), st.sampled_from(PATTERNS))
    | st.tuples(st.just("publish"), st.sampled_from(SUBJECTS), st.just(""))
    | st.tuples(st.just("bring"), st.integers(0, 2), st.just(""))
    | st.tuples(st.just("bring"), st.integers(0, 2), st.just(""))
    | st.tuples(st.just("turn"), st.just(0), st.just("")),
    min_size=5,
    max_size=40,
)


held = st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=3, unique=True)


async def play(begin: list[list[str]], script: list[tuple[str, Any, str]], budget: int) -> None:
    """Whoever had a matching subscription from before a message was published until its last copy came
    gets it exactly once; nobody gets it twice; and what comes to one reader is in the order of the bus."""
    link = ScriptedLink()
    hub = TenantHub(ACME, link, TurnScheduler(), budget=budget)
    readers = [Reader(hub) for _ in begin]
    # For each message: its subject, and the subscriptions by which each reader surely hears it.
    published: dict[int, tuple[str, list[set[str]]]] = {}

    closing: list[Coroutine[Any, Any, None]] = []

    def short(pattern: str) -> str:
        return pattern.removeprefix("tenant.acme.")

    for reader, patterns in zip(readers, begin, strict=True):
        for pattern in patterns:
            await reader.subscribe(pattern)
    for act, what, pattern in script:
        if act == "subscribe":
            await readers[what % len(readers)].subscribe(pattern)
        elif act == "unsubscribe":
            if await readers[what % len(readers)].unsubscribe(pattern):
                for _, sure in published.values():
                    sure[what % len(readers)].discard(pattern)
        elif act == "end":
            # At once, and the bus is told later.
            subscriber, key = readers[what % len(readers)].subscriber, (pattern, None)
            if key in subscriber.subscriptions:
                closing.append(hub.end([(subscriber, key)]))
                for _, sure in published.values():
                    sure[what % len(readers)].discard(pattern)
        elif act == "publish":
            number = len(published)
            sure = [
                {text for text, _ in reader.subscriber.subscriptions if matches(short(text), what)}
                for reader in readers
            ]
            published[number] = (what, sure)
            envelope = Envelope(id=f"m{number}", timestamp="t", data=Raw(encode(number)))
            link.publish(to_bus("planner", what), encode(envelope))
        elif act == "bring":
            link.bring(what)
        else:
            await turns(1)
            while closing:
                await closing.pop()
    for work in closing:
        await work
    while any(each.waiting for each in link.subscriptions):
        link.bring(0)
    await turns(READERS * (len(published) + 2))
    assert not link.paused
    for index, reader in enumerate(readers):
        got = [number for _, number in reader.got]
        assert len(got) == len(set(got)), "nothing twice"
        wanted = {number for number, (_, sure) in published.items() if sure[index]}
        assert wanted <= set(got), "and nothing lost"


@settings(max_examples=400)
@given(st.lists(held, min_size=1, max_size=READERS), steps, st.sampled_from([1, 2, 5, 1000]))
def test_each_message_comes_once_whatever_the_order_of_its_copies(
    begin: list[list[str]], script: list[tuple[str, Any, str]], budget: int
) -> None:
    asyncio.run(play(begin, script, budget))
