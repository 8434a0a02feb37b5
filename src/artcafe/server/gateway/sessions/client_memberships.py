"""The durable subscriptions that one client shares in."""

from functools import partial

from artcafe.server.core.durable import history
from artcafe.server.core.publishing.publisher import MessageClock
from artcafe.server.domain.access import Rights
from artcafe.server.gateway.dialects.dialect import Dialect
from artcafe.server.gateway.fanout.durable_subscription import DurableSubscription, Share
from artcafe.server.gateway.fanout.hub import TenantHub
from artcafe.server.gateway.fanout.subscriber import Subscriber
from artcafe.server.gateway.sessions.answers import Answers
from artcafe.server.gateway.sessions.client import Client
from artcafe.server.gateway.sessions.client_deliveries import ClientDeliveries
from artcafe.server.gateway.sessions.durable_member import DurableMember
from artcafe.server.ports.consumers import ConsumerRules
from artcafe.wire import frames
from artcafe.wire.codes import Code
from artcafe.wire.deliveries import DEFAULT_DELIVERIES, DEFAULT_IN_FLIGHT, DEFAULT_LEASE_MS
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.since import parse_since
from artcafe.wire.subjects import Address, parse_pattern, pattern_to_bus


class ClientMemberships:
    """Lets one client join and leave durable subscriptions, by the rights of the moment. A connection has at
    most `most` subscriptions, these and others together."""

    __slots__ = (
        "_answers",
        "_client",
        "_clock",
        "_deliveries",
        "_dialect",
        "_hub",
        "_left",
        "_members",
        "_most",
        "_rights",
        "_subscriber",
    )

    def __init__(
        self,
        subscriber: Subscriber,
        hub: TenantHub,
        answers: Answers,
        *,
        client: Client,
        dialect: Dialect,
        deliveries: ClientDeliveries,
        clock: MessageClock,
        rights: Rights,
        most: int,
    ) -> None:
        self._subscriber = subscriber
        self._hub = hub
        self._answers = answers
        self._client = client
        self._dialect = dialect
        self._deliveries = deliveries
        self._clock = clock
        self._rights = rights
        self._most = most
        self._members: dict[tuple[str, str], DurableMember] = {}
        # Of those that it left, while it has something of them.
        self._left: list[tuple[DurableSubscription, Share]] = []

    def __len__(self) -> int:
        return len(self._members)

    async def join(self, frame: frames.Subscribe) -> None:
        """Join the durable subscription that a frame names, and answer it."""
        try:
            await self._join(frame)
        except ArtcafeError as error:
            self._answers.refuse(error, frame.id)

    async def _join(self, frame: frames.Subscribe) -> None:
        assert frame.durable is not None
        if frame.queue is not None or frame.recover is not None:
            raise ArtcafeError(Code.bad_frame, "A durable subscription has no queue, and nothing to recover.")
        address = parse_pattern(frame.subject, self._hub.tenant)
        self._rights.check_subscribe(address, queue=True)
        key = (frame.subject, frame.durable)
        member = self._members.get(key)
        if member is not None:
            _check_rules(frame, address, member.subscription)
            self._joined(frame, member.subscription)
            return
        if len(self._members) + len(self._subscriber.subscriptions) >= self._most:
            raise ArtcafeError(Code.too_many_subscriptions)
        subscription = await self._open(frame, address)
        member = self._members[key] = DurableMember(
            frame,
            address,
            rights=self._rights,
            subscriber=self._subscriber,
            client=self._client,
            dialect=self._dialect,
            answers=self._answers,
            deliveries=self._deliveries,
            ended=partial(self._members.pop, key, None),
        )
        self._joined(frame, subscription)
        member.join(subscription, frame.max_in_flight or DEFAULT_IN_FLIGHT)

    def _joined(self, frame: frames.Subscribe, subscription: DurableSubscription) -> None:
        rules = subscription.consumer.rules
        self._answers.send(
            frames.Subscribed(
                subject=frame.subject,
                id=frame.id,
                durable=frame.durable,
                lease_ms=int(rules.lease * 1000),
                max_deliveries=rules.max_deliveries,
            )
        )

    async def _open(self, frame: frames.Subscribe, address: Address) -> DurableSubscription:
        """The subscription, which the client may join in this turn of the event loop."""
        assert frame.durable is not None
        channel = self._hub.channels.storing(address.subject)
        if channel is None:
            raise ArtcafeError(Code.not_durable, "The pattern does not lie within one durable channel.")
        self._clock.read()
        asked = None if frame.since is None else parse_since(frame.since, self._clock.now)
        streams, stream, pattern = self._hub.channels.streams, channel.stream, pattern_to_bus(address.subject)
        state = await streams.state(stream)
        first = state.last + 1
        if asked is not None:
            first = (await history.since(streams, stream, pattern, asked, state)).seq + 1
        rules = ConsumerRules(
            pattern=pattern,
            first=first,
            lease=(frame.lease_ms or DEFAULT_LEASE_MS) / 1000,
            max_deliveries=frame.max_deliveries or DEFAULT_DELIVERIES,
        )
        subscription = await self._hub.durable.open(channel, frame.durable, rules)
        try:
            if self._subscriber.stopped or self._subscriber.drained:
                raise ArtcafeError(Code.unavailable, "The connection is over.")
            self._rights.check_subscribe(address, queue=True)  # They may have changed meanwhile.
            _check_rules(frame, address, subscription)
        except ArtcafeError:
            self._hub.durable.trim(subscription)
            raise
        return subscription

    def leave(self, frame: frames.Unsubscribe) -> None:
        """Leave a durable subscription, and answer the frame: what the client has of it, it may still settle.
        Raises not_found."""
        member = self._members.pop((frame.subject, frame.durable or ""), None)
        if member is None:
            raise ArtcafeError(Code.not_found, "There is no such subscription on this connection.")
        self._stop(member)
        self._answers.send(frames.Unsubscribed(subject=frame.subject, id=frame.id))

    def drain(self) -> None:
        """Get nothing more: what the client has, it may still settle."""
        while self._members:
            self._stop(self._members.popitem()[1])

    def end(self) -> None:
        """The client is gone: what it has is given back. Ending twice is allowed."""
        self.drain()
        while self._left:
            subscription, share = self._left.pop()
            subscription.leave(share)

    def rights_changed(self, rights: Rights) -> None:
        """Live by other rights from now on. What they do not allow any more ends, and is given back."""
        self._rights = rights
        for member in tuple(self._members.values()):
            member.rights = rights
            try:
                rights.check_subscribe(member.address, queue=True)
            except ArtcafeError as error:
                member.subscription.leave(member.share)
                member.end(error)

    def _stop(self, member: DurableMember) -> None:
        self._left = [(each, share) for each, share in self._left if share.held]
        member.subscription.stop(member.share)
        self._left.append((member.subscription, member.share))


def _check_rules(frame: frames.Subscribe, address: Address, subscription: DurableSubscription) -> None:
    """Raises conflict where a client expects other rules than the subscription has."""
    rules = subscription.consumer.rules
    expected = {
        "subject": (address.subject, rules.subject),
        "lease_ms": (frame.lease_ms, int(rules.lease * 1000)),
        "max_deliveries": (frame.max_deliveries, rules.max_deliveries),
    }
    for name, (said, known) in expected.items():
        if said is not None and said != known:
            raise ArtcafeError(
                Code.conflict,
                f"The durable subscription {subscription.name} has another {name}: {known}.",
                details={name: known},
            )
