"""The topics of one tenant on this process, and the routes of messages to them."""

from collections import Counter
from collections.abc import Callable, Iterator

from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.interest import Interest
from artcafe.server.domain.recent import Recent
from artcafe.server.gateway.fanout.queue_groups import QueueGroups
from artcafe.server.gateway.fanout.subscriber import MessageRoute, MessageSink, Subscriber, Topic
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import pattern_to_bus

MAX_OVERLAP = 128
"""Patterns of one tenant on this process that may match one message, by the bound of Interest.most."""

MAX_ROUTES = 4096
"""Routes that are remembered."""


class Topics:
    """All that are alive. A route is matched with them once, and again when they change."""

    def __init__(self, tenant: TenantId) -> None:
        self._tenant = tenant
        # Those without a queue, by pattern.
        self.plain: dict[str, Topic] = {}
        self.groups = QueueGroups()
        # The patterns of all topics, and how many topics have each.
        self.interest: Interest[str] = Interest()
        self.counts: Counter[str] = Counter()
        # Grows with every change of the topics.
        self._version = 0
        # Which stream stores what is on a subject.
        self._stream_of: Callable[[str], str | None] = lambda _: None
        # By bus subject; those of a group by (group, bus subject).
        self.routes = Recent(MAX_ROUTES)

    def include(self, topic: Topic) -> None:
        """Add a topic. Raises too_many_subscriptions."""
        pattern = topic.pattern
        if pattern not in self.counts:
            self.interest.add(pattern_to_bus(pattern), pattern)
            if self.interest.most > MAX_OVERLAP:
                self.interest.discard(pattern_to_bus(pattern), pattern)
                raise ArtcafeError(
                    Code.too_many_subscriptions,
                    f"One message may match {MAX_OVERLAP} patterns of a tenant; here they overlap more.",
                )
        self.counts[pattern] += 1
        if topic.queue is None:
            self.plain[pattern] = topic
        else:
            self.groups.add(topic)
        self._version += 1

    def forget(self, topic: Topic) -> None:
        """Remove a topic; nothing happens when it is not alive."""
        if not topic.alive:
            return
        topic.alive = False
        self._version += 1
        pattern = topic.pattern
        if self.plain.get(pattern) is topic:
            del self.plain[pattern]
        self.groups.discard(topic)
        self.counts[pattern] -= 1
        if not self.counts[pattern]:
            del self.counts[pattern]
            self.interest.discard(pattern_to_bus(pattern), pattern)
        if not self.counts:
            self.routes.clear()

    def store(self, stream_of: Callable[[str], str | None]) -> None:
        """Go by this from now on: the stream that stores what is on a short subject, None where none does."""
        self._stream_of = stream_of
        self._version += 1

    def plain_subscribers(self, pattern: str) -> Iterator[Subscriber]:
        """Those who may be sent what is on a short pattern, by subscriptions without a queue; some of them
        several times."""
        for each in self.interest.overlapping(pattern_to_bus(pattern)):
            if each in self.plain:
                yield from self.plain[each].subscribers

    def route(self, sink: MessageSink, group: Topic | None, bus_subject: str) -> MessageRoute:
        """The route of a subject; `sink` gets its messages. Raises ValueError for a subject that is not
        ours."""
        key = bus_subject if group is None else (group, bus_subject)
        route: MessageRoute | None = self.routes.get(key)
        if route is None:
            route = MessageRoute(sink, self._tenant, bus_subject, group)
            self.routes.put(key, route)
        return route

    def update(self, route: MessageRoute) -> None:
        """Match a route with the topics as they are now."""
        if route.version != self._version:
            self._match(route)

    def _match(self, route: MessageRoute) -> None:
        route.version = self._version
        route.patterns = tuple(self.interest.of(route.bus_subject))
        route.stream = self._stream_of(route.subject)
        if route.group is None:
            route.topics = tuple(self.plain[each] for each in route.patterns if each in self.plain)

    def subscribers(self, route: MessageRoute) -> tuple[Subscriber, ...]:
        """The subscribers that the messages of a route may concern, each once."""
        self.update(route)
        topics = route.topics
        if len(topics) == 1:
            return tuple(topics[0].subscribers)
        merged: dict[Subscriber, None] = {}
        for topic in topics:
            merged.update(topic.subscribers)
        return tuple(merged)
