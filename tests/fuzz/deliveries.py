"""Several server processes on one nats-server: who publishes, joins, leaves and loses rights by chance, and
what each subscriber was given."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from msgspec import Raw

from artcafe.server.gateway.dialects.native import NativeDialect
from artcafe.server.gateway.fanout.hub import TenantHub
from artcafe.server.gateway.fanout.subscriber import Subscriber
from artcafe.server.gateway.websocket.turn_scheduler import TurnScheduler
from artcafe.server.ports.bus import Link
from artcafe.server.process import MessageIds
from artcafe.wire.codes import Code
from artcafe.wire.envelopes import Envelope
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.frames import encode
from artcafe.wire.subjects import matches, parse_pattern, to_bus
from tests.kit.deadlines import eventually
from tests.kit.hubs import ACME
from tests.kit.scripted_peer import texts

SUBJECTS = ["jobs", "jobs", "jobs", "notes"]
SENDERS = ["planner", "coder"]
PATTERNS = ["jobs", ">", "*", "tenant.acme.jobs"]
GROUPS = [("jobs", "q"), ("jobs", "q"), ("*", "other")]


@dataclass(slots=True)
class Sent:
    """A message: when it was published, and when the bus had it."""

    subject: str
    process: int
    published: int
    acknowledged: int | None = None


@dataclass(slots=True)
class Window:
    """From when to when a subscription was asked for, held and ended: in moments of the world."""

    pattern: str
    asked: int
    held: int | None = None
    closing: int | None = None
    over: int | None = None
    strict: bool = True
    """Whether what the bus had before it was closed was to come."""
    abrupt: bool = False
    """Whether it was ended at once: its right was lost, or its connection."""


@dataclass(slots=True)
class World:
    """What happened, in the order of its moments."""

    choose: random.Random
    sent: list[Sent] = field(default_factory=list)
    now: int = 0

    def moment(self) -> int:
        """The next one."""
        self.now += 1
        return self.now


class Process:
    """One server process: its link, its hub, and what it publishes."""

    def __init__(self, world: World, index: int, link: Link) -> None:
        self.index, self.link, self._world = index, link, world
        self._ids = MessageIds()
        self.hub = TenantHub(ACME, link, TurnScheduler(), process=self._ids.process)

    def publish(self, tasks: asyncio.TaskGroup) -> bool:
        """One message; whether there is room for more."""
        world = self._world
        subject = world.choose.choice(SUBJECTS)
        sent = Sent(subject, self.index, world.moment())
        data = Raw(encode(len(world.sent)))
        world.sent.append(sent)

        def acknowledge(failure: ArtcafeError | None) -> None:
            if failure is None:
                sent.acknowledged = world.moment()

        envelope = Envelope(id=self._ids(), timestamp="t", data=data)
        try:
            roomy = self.link.publish(to_bus(world.choose.choice(SENDERS), subject), encode(envelope))
        except ArtcafeError:
            return True  # The buffer is full: nothing was taken.
        work = self.hub.acknowledgements.later(acknowledge)
        if work is not None:
            tasks.create_task(work)
        return roomy


class Client:
    """One connection: its subscriptions, and when each message came."""

    def __init__(self, world: World, process: Process) -> None:
        self.process, self._world = process, world
        self.subscriber = Subscriber(self, NativeDialect())
        self.came: list[tuple[int, int]] = []
        self.windows: list[Window] = []
        self.joins: list[Window] = []
        self.grouped: set[tuple[str, str]] = set()
        """Every group that it ever was in."""
        self.open: dict[tuple[str, str | None], Window] = {}
        self.gone = False

    def deliver(self, framed: bytes) -> None:
        """subscriber.Receiver."""
        moment = self._world.moment()
        for text in texts(framed):
            self.came.append((json.loads(text)["data"], moment))

    def end(self, code: Code) -> None:
        """subscriber.Receiver."""
        raise AssertionError(f"ended with {code}")

    async def subscribe(self, text: str, queue: str | None) -> None:
        """As a client does; it may be refused while the bus is away."""
        if (text, queue) in self.open:
            return
        address = parse_pattern(text, ACME)
        window = self.open[text, queue] = Window(address.subject, self._world.moment())
        if queue is None:
            self.windows.append(window)
        else:
            self.joins.append(window)
            self.grouped.add((text, queue))
        try:
            await self.process.hub.subscribe(self.subscriber, text, address, queue)
        except ArtcafeError:
            self.open.pop((text, queue), None)
            window.closing = window.over = self._world.moment()
            return
        window.held = self._world.moment()

    async def unsubscribe(self, text: str, queue: str | None) -> None:
        """As a client does."""
        window = self.open.get((text, queue))
        if window is None:
            return
        # Without a group nothing is waited for, and what is on its way is dropped.
        window.closing, window.strict = self._world.moment(), self.subscriber.grouped
        try:
            await self.process.hub.unsubscribe(self.subscriber, text, queue)
        except ArtcafeError:
            window.strict = False  # It is still there; what comes is not asked for.
        else:
            self.open.pop((text, queue), None)
        window.over = self._world.moment()

    def lose(self, text: str, queue: str | None) -> Coroutine[Any, Any, None] | None:
        """The right to a subscription is gone."""
        if (text, queue) not in self.subscriber.subscriptions:
            return None
        window = self.open.pop((text, queue))
        window.closing = self._world.moment()
        window.strict, window.abrupt = False, True
        work = self.process.hub.end([(self.subscriber, (text, queue))])

        async def finish() -> None:
            await work
            window.over = self._world.moment()

        return finish()

    async def go(self, kindly: bool) -> None:
        """The connection ends: the server sends it away, or it is just closed."""
        self.gone = True
        for window in self.open.values():
            window.closing, window.strict, window.abrupt = self._world.moment(), False, not kindly
        if kindly:
            await self.process.hub.drain(self.subscriber)
        self.subscriber.stop()
        await self.process.hub.leave(self.subscriber)
        for window in self.open.values():
            window.over = self._world.moment()
        self.open.clear()

    def could_have_it_by_plain(self, subject: str, moment: int) -> bool:
        """Whether a subscription without a queue may have brought this then."""
        return any(
            each.asked < moment and (each.over is None or moment < each.over)
            for each in self.windows
            if matches(each.pattern, subject)
        )

    def came_anew(self, number: int) -> bool:
        """Whether a message came again by a subscription that was asked for after what brought it first was
        given up: it was delivered here before the bus had it, or a copy of it was late."""
        first, *again = [moment for each, moment in self.came if each == number]
        subject = self._world.sent[number].subject
        held = [each for each in (*self.windows, *self.joins) if matches(each.pattern, subject)]
        brought = [each for each in held if each.asked < first]
        return len(again) == 1 and any(
            all(each.closing is not None and each.closing < new.asked for each in brought)
            for new in held
            if first < new.asked < again[0]
        )

    def took_along(self, group: tuple[str, str], sent: Sent) -> bool:
        """Whether it was in a group, had a subscription in place of the group's copies, and lost one of
        both at once while a message was on its way: then that is lost with it."""
        joined = [each for each in self.joins if group in self.grouped and each.pattern == group[0]]
        others = [each for each in self.windows if matches(each.pattern, sent.subject)]
        assert sent.acknowledged is not None
        return any(
            join.asked < sent.acknowledged
            and (join.over is None or join.over > sent.published)
            and other.asked < (join.over or self._world.now)
            and (other.over is None or other.over > sent.published)
            and any(each.abrupt and (each.closing or 0) > sent.published for each in (join, other))
            for join in joined
            for other in others
        )

    def story(self, number: int) -> str:
        """What has to do with a message."""
        came = [moment for each, moment in self.came if each == number]
        return f"{self._world.sent[number]} came {came}: {self.windows} {self.joins}"

    def must_have(self, sent: Sent) -> bool:
        """Whether a subscription without a queue surely brings it."""
        return sent.acknowledged is not None and any(
            each.held is not None
            and each.held < sent.published
            and (each.closing is None or (each.strict and sent.acknowledged < each.closing))
            for each in self.windows
            if matches(each.pattern, sent.subject)
        )


class Round:
    """Everybody at once for a while, then silence; and what is wrong with what came."""

    def __init__(self, choose: random.Random, links: list[Link], cut: Callable[[int], None] | None) -> None:
        """`cut` breaks the connections of one link, where that is to happen."""
        self.world = World(choose)
        self.processes = [Process(self.world, index, link) for index, link in enumerate(links)]
        self.subscribers: list[Client] = []
        self._cut = cut
        self._broken: set[int] = set()
        self._acting = 0

    async def run(self, steps: int) -> list[str]:
        """So many steps of each who acts; the faults that were found."""
        choose, world = self.world.choose, self.world
        for process in self.processes:
            # They stay, so that each group has somebody.
            steady = self._newcomer(process)
            for group in set(GROUPS):
                await steady.subscribe(*group)
        async with asyncio.TaskGroup() as tasks:
            self._acting = actors = choose.randrange(2, 6)
            for _ in range(actors):
                tasks.create_task(self._act(steps, tasks))
            for process in self.processes:
                tasks.create_task(self._publish(process, tasks))
            if self._cut is not None:
                tasks.create_task(self._break())
        await self._silence()
        faults = self._faults()
        for subscriber in self.subscribers:
            if not subscriber.gone:
                subscriber.subscriber.stop()
                await subscriber.process.hub.leave(subscriber.subscriber)
        return [f"{len(world.sent)} messages", *faults] if faults else []

    def _newcomer(self, process: Process) -> Client:
        subscriber = Client(self.world, process)
        self.subscribers.append(subscriber)
        return subscriber

    async def _publish(self, process: Process, tasks: asyncio.TaskGroup) -> None:
        choose = self.world.choose
        while self._acting:
            for _ in range(choose.choice([0, 1, 2, 20])):
                if not process.publish(tasks):
                    await process.link.room()
            for _ in range(choose.randrange(1, 4)):
                await asyncio.sleep(0)

    async def _act(self, steps: int, tasks: asyncio.TaskGroup) -> None:
        """One connection after the other, each with what it asks for."""
        choose = self.world.choose
        try:
            subscriber = self._newcomer(choose.choice(self.processes))
            for _ in range(steps):
                for _ in range(choose.choice([0, 0, 1, 5, 30])):
                    await asyncio.sleep(0)
                text, queue = choose.choice([*GROUPS, *((pattern, None) for pattern in PATTERNS)])
                match choose.randrange(12):
                    case 0 | 1 | 2 | 3 | 4:
                        await subscriber.subscribe(text, queue)
                    case 5 | 6 | 7:
                        await subscriber.unsubscribe(text, queue)
                    case 8 | 9:
                        work = subscriber.lose(text, queue)
                        if work is not None:
                            tasks.create_task(work)
                    case 10:
                        # While it asks for one thing, the right to it or to another is taken.
                        asking = tasks.create_task(subscriber.subscribe(text, queue))
                        for _ in range(choose.randrange(6)):
                            await asyncio.sleep(0)
                        other = choose.choice(list(subscriber.open) or [(text, queue)])
                        work = subscriber.lose(*other)
                        if work is not None:
                            tasks.create_task(work)
                        await asking
                    case _:
                        await subscriber.go(choose.random() < 0.5)
                        subscriber = self._newcomer(choose.choice(self.processes))
        finally:
            self._acting -= 1

    async def _break(self) -> None:
        choose = self.world.choose
        assert self._cut is not None
        while self._acting:
            for _ in range(choose.randrange(50, 400)):
                await asyncio.sleep(0)
            index = choose.randrange(len(self.processes))
            self._broken.add(index)
            self._cut(index)
            link: Any = self.processes[index].link
            await eventually(lambda: link.up)  # noqa: B023 - asked at once

    async def _silence(self) -> None:
        """Everything that was published is delivered, or lost."""

        async def settled(link: Link) -> bool:
            try:
                await link.settle()
            except ArtcafeError:
                return False
            return True

        for _ in range(2):
            for process in self.processes:
                while not await settled(process.link):
                    await asyncio.sleep(0.01)
                await eventually(lambda: not process.hub._queue.waiting)  # noqa: B023 - asked at once

    def _faults(self) -> list[str]:
        faults = [
            f"process {index} lost its connection and tells of no gap"
            for index in self._broken
            if not self.processes[index].link.gaps
        ]
        by_group: dict[tuple[str, str], Counter[int]] = {group: Counter() for group in GROUPS}
        reached: dict[tuple[str, str], set[int]] = {group: set() for group in GROUPS}
        for number, subscriber in enumerate(self.subscribers):
            who = f"subscriber {number} of process {subscriber.process.index}"
            came = Counter(each for each, _ in subscriber.came)
            twice = [each for each, count in came.items() if count > 1 and not subscriber.came_anew(each)]
            if twice:
                faults.append(f"{who} was given twice: {twice[:10]}; {subscriber.story(twice[0])}")
            missing = [
                index
                for index, sent in enumerate(self.world.sent)
                if index not in came
                and subscriber.process.index not in self._broken
                and subscriber.must_have(sent)
            ]
            if missing:
                faults.append(f"{who} did not get: {missing[:10]}")
            for group in subscriber.grouped:
                reached[group].update(came)
            if len(subscriber.grouped) == 1:
                [group] = subscriber.grouped
                by_group[group].update(
                    each
                    for each, moment in subscriber.came
                    if not subscriber.could_have_it_by_plain(self.world.sent[each].subject, moment)
                )
        for group, came in by_group.items():
            twice = [each for each, count in came.items() if count > 1]
            if twice:
                faults.append(f"group {group} was given twice: {twice[:10]}")
        for group, numbers in reached.items():
            lost = [
                index
                for index, sent in enumerate(self.world.sent)
                if sent.acknowledged is not None and matches(group[0], sent.subject) and index not in numbers
                if not any(subscriber.took_along(group, sent) for subscriber in self.subscribers)
            ]
            if lost and not self._broken:
                faults.append(f"group {group} did not get: {lost[:10]}")
        return faults
