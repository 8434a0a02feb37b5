"""The rules of all channels of a tenant, by subject: one immutable tree, shared by all connections."""

from collections.abc import Iterable
from dataclasses import dataclass

from artcafe.server.domain.channel import ChannelRule
from artcafe.server.domain.ids import ChannelId
from artcafe.server.domain.interest import Interest
from artcafe.server.domain.recent import Recent
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import pattern_to_bus, to_bus

MAX_PER_SUBJECT = 32
"""Channels that one subject may belong to."""

MAX_REMEMBERED = 2048
"""Subjects for which a tenant's rules remember their channels."""


@dataclass(frozen=True, slots=True)
class DurableChannel:
    """A channel whose messages are stored: in `stream`, from all subjects of the short `pattern`. No two
    durable channels of a tenant have a subject in common."""

    id: ChannelId
    stream: str
    pattern: str


@dataclass(frozen=True, slots=True)
class PublishPermission:
    """Permission to publish to one subject: the channels that count a message, the bytes that its data may
    have (None where no channel sets a limit), and the durable channel that stores it, if one does."""

    channels: tuple[str, ...]
    max_bytes: int | None
    durable: DurableChannel | None = None


NO_CHANNEL = PublishPermission((), None)


@dataclass(frozen=True, slots=True)
class Audience:
    """The principals that may do something in a channel: ids of agents, and roles with `role:`."""

    channel: ChannelId
    members: frozenset[str]


@dataclass(frozen=True, slots=True)
class Found:
    """The channels of one subject: the permission to publish to them, and the audiences of those that are not
    for everybody."""

    permission: PublishPermission
    publishers: tuple[Audience, ...]
    subscribers: tuple[Audience, ...]
    too_many: bool
    """Whether they are more than MAX_PER_SUBJECT; then the rest of this is empty."""


@dataclass(frozen=True, slots=True)
class _Rule:
    position: int
    counted_as: str
    max_bytes: int | None
    durable: DurableChannel | None
    publishers: Audience | None
    subscribers: Audience | None


class ChannelRules:
    """The channels of one tenant. Immutable, but for what it remembers."""

    __slots__ = ("__weakref__", "_closed", "_durable", "_known", "_rules", "channels")

    def __init__(self, channels: Iterable[ChannelRule]) -> None:
        self.channels = tuple(channels)
        self._rules: Interest[_Rule] = Interest()
        self._closed: Interest[Audience] = Interest()
        self._durable: Interest[DurableChannel] = Interest()
        self._known = Recent(MAX_REMEMBERED)
        for position, channel in enumerate(self.channels):
            rule = _rule(position, channel)
            pattern = pattern_to_bus(channel.pattern)
            self._rules.add(pattern, rule)
            if rule.subscribers is not None:
                self._closed.add(pattern, rule.subscribers)
            if rule.durable is not None:
                self._durable.add(pattern, rule.durable)

    @property
    def visited(self) -> int:
        """Nodes of the trees that were looked at so far (Interest)."""
        return self._rules.visited + self._closed.visited + self._durable.visited

    def of(self, subject: str) -> Found:
        """The rules for a subject in its short form."""
        found: Found | None = self._known.get(subject)
        if found is None:
            found = _found(self._rules.of(to_bus("-", subject)))
            self._known.put(subject, found)
        return found

    def covering(self, pattern: str) -> Iterable[Audience]:
        """The audiences of channels to which every subject of a short pattern belongs."""
        return self._closed.covering(pattern_to_bus(pattern))

    def overlapping(self, pattern: str) -> Iterable[Audience]:
        """The audiences of channels to which some subject of a short pattern belongs."""
        return self._closed.overlapping(pattern_to_bus(pattern))

    def storing(self, pattern: str) -> DurableChannel | None:
        """The durable channel to which every subject of a short pattern belongs."""
        return next(iter(self._durable.covering(pattern_to_bus(pattern))), None)

    def storing_some(self, pattern: str) -> Iterable[DurableChannel]:
        """The durable channels to which some subject of a short pattern belongs."""
        return self._durable.overlapping(pattern_to_bus(pattern))

    def check_room(self, channel: ChannelRule) -> None:
        """Raises too_many_channels when, with this one in place of the one with its id, there might be
        subjects of more than MAX_PER_SUBJECT channels (Interest.most)."""
        patterns: Interest[ChannelId] = Interest()
        for known in self.channels:
            if known.id != channel.id:
                patterns.add(pattern_to_bus(known.pattern), known.id)
        before = patterns.most
        patterns.add(pattern_to_bus(channel.pattern), channel.id)
        if patterns.most > max(before, MAX_PER_SUBJECT):
            raise too_many_channels()


def too_many_channels() -> ArtcafeError:
    """A subject belongs to more channels than MAX_PER_SUBJECT."""
    return ArtcafeError(
        Code.too_many_channels,
        f"A subject belongs to {MAX_PER_SUBJECT} channels at most; here their patterns overlap too much.",
    )


def _rule(position: int, channel: ChannelRule) -> _Rule:
    publishers, subscribers = (
        None if members is None else Audience(channel.id, frozenset(members))
        for members in (channel.publishers, channel.subscribers)
    )
    durable = None
    if channel.durability is not None:
        durable = DurableChannel(channel.id, channel.stream, channel.pattern)
    return _Rule(position, channel.counted_as, channel.max_message_bytes, durable, publishers, subscribers)


def _found(rules: list[_Rule]) -> Found:
    if not rules:
        return _NOTHING
    if len(rules) > MAX_PER_SUBJECT:
        return Found(NO_CHANNEL, (), (), too_many=True)
    rules.sort(key=lambda rule: rule.position)
    sizes = [rule.max_bytes for rule in rules if rule.max_bytes is not None]
    return Found(
        PublishPermission(
            tuple(rule.counted_as for rule in rules),
            min(sizes, default=None),
            next((rule.durable for rule in rules if rule.durable is not None), None),
        ),
        tuple(rule.publishers for rule in rules if rule.publishers is not None),
        tuple(rule.subscribers for rule in rules if rule.subscribers is not None),
        too_many=False,
    )


_NOTHING = Found(NO_CHANNEL, (), (), too_many=False)
