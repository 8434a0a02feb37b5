"""One subscription at the server, which several local ones may share. No I/O."""

from collections.abc import Iterable
from enum import Enum

from artcafe.client.subscription import Subscription
from artcafe.wire import frames
from artcafe.wire.subjects import Address


class Stand(Enum):
    """The state of a route at the server on the current connection."""

    new = "not asked yet"
    asked = "asked, not answered"
    live = "confirmed"
    deferred = "refused for now, to be asked again"
    left = "confirmed, and the server was told to end it"


class Route:
    """One subscription at the server, and the local ones that share it: same pattern, same queue group."""

    __slots__ = (
        "address",
        "durable",
        "id",
        "members",
        "place",
        "proven",
        "queue",
        "since",
        "stand",
        "subject",
        "wait",
    )

    of_inbox = False
    """Whether it is the client's inbox, which matches no subject."""

    def __init__(self, route: str, address: Address, subscription: Subscription) -> None:
        self.id = route
        self.address = address
        self.subject = subscription.subject
        self.queue = subscription.queue
        self.durable = subscription.durable
        self.members = [subscription]
        self.since = subscription.since
        self.place: frames.Position | None = None
        """What it has of its durable channel; None where it lies within none, or is not known yet."""
        self.stand = Stand.new
        self.proven = False
        self.wait = 0.0

    def ask(self) -> bytes:
        """The `subscribe` frame: it goes on where it was, or begins where it was told to."""
        self.stand = Stand.asked
        since = self.since if self.place is None else None
        asked = frames.Subscribe(
            subject=self.subject, id=self.id, queue=self.queue, since=since, recover=self.place
        )
        if self.durable is not None:
            asked.durable, asked.max_in_flight = self.durable.name, self.durable.max_in_flight
            asked.lease_ms, asked.max_deliveries = self.durable.lease_ms, self.durable.max_deliveries
        return frames.encode(asked)

    def drop(self, call: str | None = None) -> bytes:
        """The `unsubscribe` frame; with an id it is answered."""
        durable = None if self.durable is None else self.durable.name
        return frames.encode(
            frames.Unsubscribe(subject=self.subject, id=call, queue=self.queue, durable=durable)
        )

    def confirm(self, answer: frames.Subscribed) -> None:
        """The server has it."""
        self.stand = Stand.live
        self.proven = True
        if answer.epoch is not None and answer.seq is not None:
            self.place = frames.Position(epoch=answer.epoch, seq=answer.seq)
        elif self.place is not None:
            self.place = None
        for member in self.members:
            member.lease = None if answer.lease_ms is None else answer.lease_ms / 1000
            member.open()
            if answer.recovered is False:
                member.miss(answer.reason)

    def opened(self, waiting: int) -> None:
        """The server has opened the inbox, and so many messages wait."""
        self.stand, self.proven = Stand.live, True
        for member in self.members:
            member.open()

    def takes(self, frame: frames.Message) -> bool:
        """Whether a message is its own, and new to it; it is not again."""
        if frame.durable is not None or self.durable is not None:
            return self.durable is not None and frame.durable == self.durable.name
        if frame.seq is None or frame.epoch is None or self.queue is not None:
            return True
        if self.stand not in {Stand.live, Stand.left}:
            return False  # It belongs to another subscription; what this one is to have follows its answer.
        place = self.place
        if place is None or place.epoch != frame.epoch:
            return True
        if frame.seq <= place.seq:
            return False
        place.seq = frame.seq
        return True

    def receivers(self) -> Iterable[Subscription]:
        """The members that get a message: all of them, or where work is shared the least busy one."""
        if self.queue is None and self.durable is None:
            return self.members
        return (min(self.members, key=lambda member: member.pending),)
