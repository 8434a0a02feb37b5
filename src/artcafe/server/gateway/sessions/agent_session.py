"""Executes the frames of one logged-in client, in order."""

from collections.abc import Iterator, Sequence

import msgspec

from artcafe.server.core.publishing.publisher import Permit, Publisher, anywhere
from artcafe.server.domain.access import Rights
from artcafe.server.domain.channel_rules import ChannelRules
from artcafe.server.domain.ids import AgentId
from artcafe.server.domain.principal import Principal
from artcafe.server.domain.rate import message_bucket, patience_bucket
from artcafe.server.gateway.dialects.dialect import Dialect, IncomingFrame
from artcafe.server.gateway.dialects.unreadable import UNREADABLE, frame_id, reason
from artcafe.server.gateway.fanout.hub import TenantHub
from artcafe.server.gateway.fanout.responder import Responder
from artcafe.server.gateway.fanout.subscriber import Subscriber
from artcafe.server.gateway.sessions.answers import Answers
from artcafe.server.gateway.sessions.client import Client, Work
from artcafe.server.gateway.sessions.client_deliveries import ClientDeliveries
from artcafe.server.gateway.sessions.client_discovery import ClientDiscovery
from artcafe.server.gateway.sessions.client_inbox import ClientInbox
from artcafe.server.gateway.sessions.client_memberships import ClientMemberships
from artcafe.server.gateway.sessions.client_requests import ClientRequests
from artcafe.server.gateway.sessions.client_subscriptions import ClientSubscriptions
from artcafe.server.gateway.sessions.inbox_sender import InboxSender
from artcafe.server.gateway.sessions.publish_template import PublishTemplate, template_of
from artcafe.server.gateway.sessions.session_services import SessionServices
from artcafe.server.gateway.sessions.storing import Storing
from artcafe.wire import frames
from artcafe.wire.codes import Code
from artcafe.wire.deliveries import AckDelivery, DeliveryFrame, NakDelivery, RenewDelivery, TermDelivery
from artcafe.wire.discovery import Unfollow, Who
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.frames import Publish
from artcafe.wire.inbox import CloseInbox, OpenInbox
from artcafe.wire.subjects import REPLY_PREFIX, is_reply_address

WHO_COSTS = 8
"""Frames as many as one `who`, or `unfollow`, in the time that it takes at most."""

UNREADABLE_COSTS = 16
"""Frames as many as one that cannot be read, in the time that it takes: it is read twice."""


class AgentSession:
    """A logged-in client on one connection: what a frame asks for is done, or refused with an `error`.

    An agent's as it is; DashboardSession adds what humans see."""

    answers = True
    """Whether what is delivered says where a reply goes, so that the client counts as one who may answer."""

    def __init__(
        self,
        principal: Principal,
        rights: Rights,
        *,
        client: Client,
        dialect: Dialect,
        hub: TenantHub,
        limits: frames.Limits,
        services: SessionServices,
    ) -> None:
        self.principal = principal
        self.hub = hub
        self._link = hub.link
        self.subscriber = Subscriber(client, dialect)
        self.subscribers: tuple[Subscriber, ...] = (self.subscriber,)
        self.limits = limits
        self._client = client
        self._answers = Answers(client, dialect)
        self._read = dialect.read
        self._clock = services.messages.clock
        self._start = services.start
        self._clock.read()
        self._patience = patience_bucket(limits.messages_per_second, self._clock.monotonic)
        self._services = services.messages
        self._said = services.said
        self._bucket = message_bucket(limits.messages_per_second, self._clock.monotonic)
        self.storing = Storing(self._answers)
        self._publisher = self._publisher_of(rights.publish)
        # Of its presence, made when it tells some.
        self._presence_publisher: Publisher | None = None
        # Of what the client published last, once it did so twice.
        self._template: PublishTemplate | None = None
        self._subject = ""
        self._rights = rights
        self.subscriber.filter(rights.hears)
        self._responder = Responder()
        self._deliveries = ClientDeliveries(self._answers, hub.acknowledgements, services.start)
        self.inbox = ClientInbox(hub.inboxes, principal.sender, client, self._answers, self._deliveries)
        self._sender = InboxSender(hub.link.inboxes, services.require_owner, self.storing)
        self._requests = ClientRequests(hub.requests, self._responder, self._answers)
        if self.answers:
            self.subscriber.responder = self._responder
        self._subscriptions = ClientSubscriptions(
            self.subscriber,
            hub,
            self._answers,
            rights=rights,
            most=limits.subscriptions,
            room=client.room,
            start=services.start,
            clock=services.messages.clock,
        )
        self._memberships = ClientMemberships(
            self.subscriber,
            hub,
            self._answers,
            client=client,
            dialect=dialect,
            deliveries=self._deliveries,
            clock=services.messages.clock,
            rights=rights,
            most=limits.subscriptions,
        )
        self._discovery = ClientDiscovery(services.rosters, principal.tenant, hub.link, self._answers, rights)
        self._follow(rights.rules)

    def _follow(self, rules: ChannelRules) -> None:
        """Let the hub go by the rules that this session goes by."""
        work = self.hub.channels.follow(rules)
        if work is not None:
            self._start(work)

    async def begin(self, connection: str, heartbeat_seconds: float) -> None:
        """Tell the client that it is in, on this connection."""
        self._answers.send(
            frames.Welcome(
                tenant=self.principal.tenant,
                agent=self.principal.sender,
                connection=connection,
                server_time=self.now(),
                heartbeat_seconds=heartbeat_seconds,
                limits=self.limits,
            )
        )

    def tell_cancellations(self) -> None:
        """Tell the client of requests that are over: it knows the frame `cancelled`."""
        self._responder.tell = self._client.send

    def patterns(self) -> list[str]:
        """What the client subscribed to, in the short form."""
        return [held.address.subject for held in self.subscriber.subscriptions.values()]

    def leave(self) -> Work:
        """Deliver nothing any more, and take no more subscriptions; what is left to do on the bus is handed
        back. Leaving twice is allowed."""
        for subscriber in self.subscribers:
            subscriber.stop()
        self._requests.leave()
        self._memberships.end()
        self._discovery.leave()
        return self.hub.leave(*self.subscribers)

    @property
    def shares_work(self) -> bool:
        """Whether others get what this client does not take."""
        return self.subscriber.grouped or len(self._memberships) > 0

    async def drain(self) -> None:
        """Share in no work any more; when this returns, what it was sent is delivered. Subscriptions without
        a queue go on, and what was delivered may be settled."""
        self._memberships.drain()
        self.inbox.drain()
        await self.hub.drain(self.subscriber)

    def set_rate(self, messages_per_second: int) -> None:
        """Take so many messages a second from now on."""
        if messages_per_second != self.limits.messages_per_second:
            self.limits = msgspec.structs.replace(self.limits, messages_per_second=messages_per_second)
            self._clock.read()
            self._patience = patience_bucket(messages_per_second, self._clock.monotonic)
            self._bucket = message_bucket(messages_per_second, self._clock.monotonic)
            for publisher in (self._publisher, self._presence_publisher):
                if publisher is not None:
                    publisher.limit(self._bucket)

    def rights_changed(self, principal: Principal, rights: Rights) -> Work | None:
        """Live by other rights from now on. Subscriptions that are no longer allowed end at once, and the
        client is told of each, by its text and its group; what is left to do on the bus is handed back."""
        if rights.equals(self._rights):
            return None
        self.principal, self._rights, self._subscriptions.rights = principal, rights, rights
        self._publisher.permit(rights.publish)
        self._follow(rights.rules)
        self._memberships.rights_changed(rights)
        self._discovery.rights_changed(rights)
        for subscriber in self.subscribers:
            subscriber.filter(rights.hears)
        over = [
            (subscriber, key, error)
            for subscriber in self.subscribers
            for key, held in subscriber.subscriptions.items()
            if (error := self._subscriptions.over(held)) is not None
        ]
        if not over:
            return None
        work = self.hub.end([(subscriber, key) for subscriber, key, _ in over])
        for _, (text, queue), error in over:
            details = {"subject": text} if queue is None else {"subject": text, "queue": queue}
            self._answers.send(frames.Error(code=error.code.name, message=error.message, details=details))
        return work

    def take(self, message: bytes) -> Work | None:
        """Handle one frame; work that has to wait for the bus is handed back."""
        known = self._template
        if known is not None:
            data = known.data(message)
            if data is not None:
                try:
                    return self._publish(known.subject, data, None, None, None, None)
                except ArtcafeError as error:
                    self._refused(error, None)
                    return None
        try:
            asked = self._read(message)
        except UNREADABLE as error:
            self._charge(UNREADABLE_COSTS)
            self._answers.refuse(ArtcafeError(Code.bad_frame, reason(error)), frame_id(message))
            return None
        if len(asked) > 1:
            return self._in_order(asked)
        frame = asked[0]
        if isinstance(frame, Publish):
            again = frame.subject == self._subject and REPLY_PREFIX not in frame.subject
            self._template = template_of(message, frame) if again else None
            self._subject = frame.subject
        return self._one(frame)

    def _in_order(self, asked: Sequence[IncomingFrame]) -> Work | None:
        """Handle frames up to the first that has to wait; the rest is handed back with its work."""
        left = iter(asked)
        for frame in left:
            work = self._one(frame)
            if work is not None:
                return self._rest(work, left)
            if self.subscriber.stopped:
                break
        return None

    async def _rest(self, work: Work, left: Iterator[IncomingFrame]) -> None:
        """Wait for `work`, then handle the frames that are left. A loop, not a chain of coroutines: how many
        there are is for the client to say. Nothing is handled once the connection is closed."""
        await work
        for frame in left:
            if self.subscriber.stopped:
                return
            more = self._one(frame)
            if more is not None:
                await more

    def _one(self, frame: IncomingFrame) -> Work | None:
        """Handle a frame, or refuse it; work that has to wait is handed back."""
        try:
            if isinstance(frame, Publish):
                if is_reply_address(frame.subject, self.principal.tenant):
                    return self._reply(
                        frames.Reply(to=frame.subject, data=frame.data, headers=frame.headers, id=frame.id)
                    )
                if frame.for_inbox:
                    return self._sender.put(frame, self._publisher, self._refused)
                return self._publish(
                    frame.subject, frame.data, frame.id, frame.headers, frame.reply_to, frame.dedup
                )
            return self._handle(frame)
        except ArtcafeError as error:
            self._refused(error, frame.id)
        return None

    def _publish(
        self,
        subject: str,
        data: bytes | msgspec.Raw,
        frame_id: str | None,
        headers: dict[str, str] | None,
        reply_to: str | None,
        dedup: str | None,
    ) -> Work | None:
        """Publish a message, and answer when the bus has it. Raises as Publisher.publish."""
        publisher = self._publisher
        message_id = publisher.publish(subject, data, headers, reply_to, dedup)
        if publisher.receipt is not None:
            return self.storing.answer(publisher.receipt, frame_id, message_id, len(data))
        return self._published(frame_id, message_id)

    def _published(self, frame_id: str | None, message_id: str) -> Work | None:
        """Answer when the bus has what was published just now."""
        if frame_id is not None:
            ack = frames.Ack(id=frame_id, message_id=message_id)
            work = self._answers.confirm(ack, frame_id, self.hub.acknowledgements)
            if work is not None:
                self._start(work)
        return None if self._publisher.roomy else self._link.room()

    def _handle(self, frame: IncomingFrame) -> Work | None:
        match frame:
            case frames.Subscribe():
                self._charge()
                if frame.durable is not None:
                    return self._memberships.join(frame)
                return self._subscriptions.begin(frame)
            case frames.Unsubscribe():
                self._charge()
                if frame.durable is not None:
                    self._memberships.leave(frame)
                    return None
                return self._subscriptions.end(frame)
            case frames.Ping():
                self._charge()
                self._answers.send(frames.Pong(timestamp=self.now(), id=frame.id))
            case frames.Presence():
                return self._presence(frame)
            case Who() | Unfollow():
                self._charge(WHO_COSTS)
                return self._discovery.take(frame)
            case frames.Request():
                return self._request(frame)
            case frames.Reply():
                return self._reply(frame)
            case frames.Cancel():
                self._charge()
                self._requests.cancel(frame.request)
            case AckDelivery() | NakDelivery() | RenewDelivery() | TermDelivery():
                return self._settle(frame)
            case OpenInbox() | CloseInbox():
                self._charge()
                return self.inbox.handle(frame)
        return None

    def _settle(self, frame: DeliveryFrame) -> Work | None:
        if not (isinstance(frame, AckDelivery) and self._deliveries.holds(frame.delivery)):
            self._charge()  # Acks of what was delivered are as many as that.
        return self._deliveries.settle(frame)

    def _request(self, frame: frames.Request) -> Work | None:
        if not self._requests.listening:
            self._charge()
            return self._requests.ask_first(frame, self._publisher)
        self._requests.ask(frame, self._publisher)
        return None if self._publisher.roomy else self._link.room()

    def _reply(self, frame: frames.Reply) -> Work | None:
        return self._published(frame.id, self._requests.reply(frame, self._publisher))

    def now(self) -> str:
        """The server's time, RFC 3339."""
        self._clock.read()
        return self._clock.text

    async def acknowledged(self) -> None:
        """Return when everything that was published before has its answer."""
        await self.hub.acknowledgements.all()
        await self.storing.all()

    def _presence(self, frame: frames.Presence) -> Work | None:
        """What the agent says of itself, for everybody subscribed to presence.{agent}."""
        agent = self.principal.sender
        said = frames.encode({"agent_id": agent, "status": frame.status, "metadata": frame.metadata})
        if self._presence_publisher is None:
            self._presence_publisher = self._publisher_of(anywhere)
        self._presence_publisher.publish(f"presence.{agent}", said, None, None)
        self._said(self.principal.tenant, AgentId(agent), frame.status, frame.metadata)
        return None if self._presence_publisher.roomy else self._link.room()

    def _publisher_of(self, permit: Permit) -> Publisher:
        principal = self.principal
        return Publisher(
            self._services,
            tenant=principal.tenant,
            sender=principal.sender,
            counted_as=principal.counted_as,
            permit=permit,
            max_bytes=self.limits.max_payload_bytes,
            bucket=self._bucket,
            publish_there=self._link.publish,
            store_there=self._link.streams.store,
        )

    def _refused(self, error: ArtcafeError, frame_id: str | None) -> None:
        """Answer a frame with an error; one beyond the rate is charged to the client."""
        if error.code is Code.rate_limited:
            self._client.throttled()
            self._charge()
        self._answers.refuse(error, frame_id)

    def _charge(self, cost: int = 1) -> None:
        self._clock.read()
        patience = self._patience
        if patience.spend(self._clock.monotonic) > 0.0:
            self._client.end(Code.flooding)
        elif patience.tokens < patience.burst - patience.rate:
            self._client.owe(cost)
