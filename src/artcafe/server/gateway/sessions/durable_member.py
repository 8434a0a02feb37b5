"""A client's membership in a durable subscription."""

from collections.abc import Callable

from artcafe.server.domain.access import Rights
from artcafe.server.gateway.dialects.dialect import Dialect
from artcafe.server.gateway.dialects.envelope import leased as leased_envelope
from artcafe.server.gateway.dialects.rendering import MessageBatch
from artcafe.server.gateway.fanout.durable_subscription import DurableSubscription, LeasedMessage, Share
from artcafe.server.gateway.fanout.subscriber import MessageRoute, Subscriber
from artcafe.server.gateway.sessions.answers import Answers
from artcafe.server.gateway.sessions.client import Client
from artcafe.server.gateway.sessions.client_deliveries import ClientDeliveries
from artcafe.wire import frames
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import Address


class DurableMember:
    """fanout.durable_subscription.Member. It hears what its `rights` of the moment let it hear."""

    def __init__(
        self,
        frame: frames.Subscribe,
        address: Address,
        *,
        rights: Rights,
        subscriber: Subscriber,
        client: Client,
        dialect: Dialect,
        answers: Answers,
        deliveries: ClientDeliveries,
        ended: Callable[[], object],
    ) -> None:
        """`ended` is called when the subscription is over."""
        assert frame.durable is not None
        self.text = frame.subject
        self.name = frame.durable
        self.address = address
        self.rights = rights
        self.subscription: DurableSubscription
        self.share: Share
        self._subscriber = subscriber
        self._client = client
        self._dialect = dialect
        self._answers = answers
        self._deliveries = deliveries
        self._ended = ended

    def join(self, subscription: DurableSubscription, most: int) -> None:
        """Share in a durable subscription."""
        self.subscription = subscription
        self.share = subscription.join(self, most)

    def take(self, leased: LeasedMessage, route: MessageRoute, payload: bytes) -> bool:
        """See Member."""
        if self._subscriber.stopped or not self.rights.hears(route.subject):
            return False
        leased.token = self._deliveries.begin(leased)
        encoder, _ = route.choice(self.address.form, self._dialect, 0)
        batch = MessageBatch([leased_envelope(payload, leased.token, self.name, leased.redelivered)])
        encoded = batch.encoded(encoder)
        if not encoded.count:
            self._deliveries.end(leased.token)
            return False
        self._client.deliver(encoded.joined)
        self._subscriber.count(1)
        return True

    def lapse(self, leased: LeasedMessage) -> None:
        """See Member."""
        self._deliveries.end(leased.token)

    def end(self, error: ArtcafeError) -> None:
        """See Member. The client is told."""
        self._ended()
        details = {"subject": self.text, "durable": self.name}
        self._answers.send(frames.Error(code=error.code.name, message=error.message, details=details))
