"""Queues a tenant's messages until the end of the turn, then delivers them to subscribers."""

import logging
from collections.abc import Callable, Sequence

from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.dialects.rendering import MessageBatch
from artcafe.server.gateway.fanout.responder import Responder
from artcafe.server.gateway.fanout.subscriber import MessageRoute, MessageSink, Subscriber, Topic
from artcafe.server.gateway.fanout.topics import Topics
from artcafe.server.gateway.websocket.turn_scheduler import TurnScheduler
from artcafe.server.ports.bus import Link
from artcafe.wire.envelopes import is_request, reply_address_of

LOG = logging.getLogger("artcafe.gateway")

TRACED = b'"traceparent":"'
"""What stands in a message that carries a trace, and perhaps in the data of one that does not."""


class QueuedBatch:
    """Consecutive messages on one route, and how far they are delivered."""

    __slots__ = ("batch", "number", "position", "route", "subscribers")

    def __init__(self, route: MessageRoute, batch: MessageBatch, number: int) -> None:
        self.route = route
        self.batch = batch
        self.number = number
        self.subscribers: tuple[Subscriber, ...] | None = None
        self.position = 0


class DeliveryQueue(MessageSink):
    """Batches in the order in which they came.

    What is delivered in one turn of the event loop is bounded by `budget`. While more waits, nothing is
    read from the bus and publishers here have no room, so what waits is bounded by what is read and
    published in one turn.
    """

    def __init__(
        self,
        tenant: TenantId,
        link: Link,
        scheduler: TurnScheduler,
        topics: Topics,
        budget: int,
        requested: Callable[[str, Sequence[Responder]], None],
    ) -> None:
        """`requested` is told of each request that is kept: its reply address, and who may answer it."""
        self._tenant = tenant
        self._link = link
        self._scheduler = scheduler
        self._topics = topics
        self._budget = budget
        self._requested = requested
        self.waiting: list[QueuedBatch] = []
        # The last of them, while more may be added: its route and its payloads.
        self._last: MessageRoute | None = None
        self._latest: list[bytes] = []
        self._number = 0
        self.behind = False
        """Whether deliveries were left for the next turn."""

    def enqueue(self, route: MessageRoute, payload: bytes) -> None:
        """Keep a message for the end of the turn: what is alike is delivered at once."""
        if is_request(payload):
            self._announce(route, payload)
        if self._scheduler.traced is not None and TRACED in payload:
            self._scheduler.trace(self._tenant, route.subject, payload)
        if route is self._last:
            self._latest.append(payload)
            return
        if not self.waiting:
            self._scheduler.at_end(self._deliver)
        self._last, self._latest = route, [payload]
        self._number += 1
        self.waiting.append(QueuedBatch(route, MessageBatch(self._latest), self._number))

    def _announce(self, route: MessageRoute, payload: bytes) -> None:
        """Tell of a request, unless nobody here can answer it."""
        subscribers = self._topics.subscribers(route)
        responders = [
            each.responder for each in subscribers if each.responder is not None and each.reached(route)
        ]
        if responders:
            self._requested(reply_address_of(payload), responders)

    def _deliver(self) -> None:
        """Deliver what waits, as far as the budget reaches."""
        waiting, count, done, left = self.waiting, len(self.waiting), 0, self._budget
        self._last, self._latest = None, []
        if self._scheduler.sampling and waiting:
            self._sample(waiting[0])
        while done < count:
            queued = waiting[done]
            try:
                left = self._advance(queued, left)
            except Exception:  # Whoever comes after it is delivered to all the same.
                LOG.exception("tenant %s: fault in a delivery", self._tenant)
                if queued.subscribers is not None:
                    queued.subscribers[queued.position - 1].failed()
            if queued.subscribers is None or queued.position >= len(queued.subscribers):
                done += 1
            elif left <= 0:
                break
        del waiting[:done]
        if waiting:
            self._scheduler.at_end(self._deliver)
        if done < count:
            self.behind = True
            self._link.pause(True)
        elif self.behind:
            self.behind = False
            self._link.pause(False)

    def _sample(self, queued: QueuedBatch) -> None:
        """Let the first message of a batch be measured, the oldest one that waits here."""
        self._scheduler.sample(queued.batch.payloads[0])

    def messages(self) -> int:
        """How many messages wait."""
        return sum([len(queued.batch.payloads) for queued in self.waiting])

    def _advance(self, queued: QueuedBatch, left: int) -> int:
        """Deliver a batch to further subscribers, for so many units of work; the units that are left."""
        if queued.subscribers is None:
            queued.subscribers = self._topics.subscribers(queued.route)
        subscribers = queued.subscribers
        while left > 0 and queued.position < len(subscribers):
            subscriber = subscribers[queued.position]
            queued.position += 1
            if subscriber.upto < queued.number:
                subscriber.upto = queued.number
                left -= subscriber.take(queued.route, queued.batch)
        return left

    def catch_up(self, subscriber: Subscriber) -> None:
        """Deliver now what waits for a subscriber."""
        self._last, self._latest = None, []
        for queued in tuple(self.waiting):
            if subscriber.upto < queued.number:
                subscriber.upto = queued.number
                self._topics.update(queued.route)
                try:
                    subscriber.take(queued.route, queued.batch)
                except Exception:
                    LOG.exception("tenant %s: fault in a delivery", self._tenant)
                    subscriber.failed()

    def hand_on(self, topic: Topic, subscriber: Subscriber, other: Topic) -> None:
        """Give what waits for a member of a group to another one: in its place, unless that one already had
        what came later. So copies of a message to one member by several groups stay beside each other."""
        heir = next(iter(other.subscribers))
        for queued in [
            queued
            for queued in self.waiting
            if queued.route.group is topic and subscriber.upto < queued.number
        ]:
            route = self._topics.route(self, other, queued.route.bus_subject)
            if heir.upto < queued.number:
                self._turn(queued, route)
            else:
                for payload in queued.batch.payloads:
                    self.enqueue(route, payload)

    def _turn(self, queued: QueuedBatch, route: MessageRoute) -> None:
        queued.route, queued.subscribers, queued.position = route, None, 0
        self._last, self._latest = None, []
