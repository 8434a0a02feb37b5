"""The queue groups of one tenant on this process."""

from artcafe.server.gateway.fanout.subscriber import Topic


class QueueGroups:
    """Topics with a queue, by group: those of one name and pattern. Each is one subscriber's."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str | None], dict[Topic, None]] = {}

    def add(self, topic: Topic) -> None:
        """Add a topic to its group."""
        self._groups.setdefault((topic.pattern, topic.queue), {})[topic] = None

    def discard(self, topic: Topic) -> None:
        """Remove a topic from its group; nothing happens where it was in none."""
        key = (topic.pattern, topic.queue)
        group = self._groups.get(key, {})
        group.pop(topic, None)
        if not group:
            self._groups.pop(key, None)

    def other(self, topic: Topic) -> Topic | None:
        """The topic that takes what was sent to one that left the group: the oldest here, if any."""
        group = self._groups.get((topic.pattern, topic.queue))
        return None if group is None else next(iter(group), None)
