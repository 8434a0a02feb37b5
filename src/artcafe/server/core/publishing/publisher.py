"""Publishes messages: the only place where rate, permission and size are checked, and a message is made, sent
and counted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from msgspec import UNSET, Raw

from artcafe.server.domain.channel_rules import NO_CHANNEL, PublishPermission
from artcafe.server.domain.ids import PLATFORM_SENDER, TenantId
from artcafe.server.domain.quota import Quota
from artcafe.server.domain.rate import TokenBucket
from artcafe.server.domain.tally import Tally
from artcafe.server.ports.bus import Link
from artcafe.server.ports.clock import Clock
from artcafe.server.ports.streams import Receipt
from artcafe.server.ports.tracing import TracePublication
from artcafe.wire.codes import Code
from artcafe.wire.envelopes import Envelope, InboxEnvelope, ReplyEnvelope, decode_envelope, envelope, stamp
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.frames import encode
from artcafe.wire.inbox import NORMAL
from artcafe.wire.subjects import Address, inbox_owner, parse_subject, to_bus
from artcafe.wire.times import rfc3339

MAX_REMEMBERED = 256
"""Subjects for which a publisher remembers that it may publish there."""


Permit = Callable[[Address], PublishPermission]
"""Gives the permission to publish to a subject. Raises forbidden, too_many_channels."""

Store = Callable[[str, str, bytes, str | None], Receipt]
"""Streams.store."""


class StoreInInbox(Protocol):
    """Inboxes.store."""

    def __call__(
        self, owner: str, priority: int, payload: bytes, *, dedup_id: str | None, expires_in: int | None
    ) -> Receipt: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxTerms:
    """How a message waits in an inbox: its priority (wire.inbox), for how many seconds at most, and whether
    its sender wants to hear when it is settled."""

    store_there: StoreInInbox
    priority: int = NORMAL
    expires_in: int | None = None
    receipt: bool = False


class MessageClock:
    """The time of messages, in each form that they need. To be `read` before the others are."""

    __slots__ = ("_clock", "monotonic", "now", "stamp")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.monotonic = 0.0
        """Seconds that never go back."""
        self.now = 0.0
        """Seconds since the Unix epoch."""
        self.stamp = b""
        """The same, as `envelopes.envelope` takes it."""

    @property
    def text(self) -> str:
        """The same, RFC 3339."""
        return rfc3339(self.now)

    def read(self) -> None:
        """Take the time from the clock."""
        self.take()

    def take(self) -> None:
        """As `read`, whatever a subclass remembers."""
        self.monotonic = self._clock.monotonic()
        self.now = self._clock.now()
        self.stamp = stamp(rfc3339(self.now))


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageServices:
    """What the publishers of a process share."""

    clock: MessageClock
    new_message_id: Callable[[], str]
    """Gives ids that rise: subscribers go by their order (domain.message_id)."""
    tally: Callable[[TenantId, str, Sequence[str]], Tally]
    """Finds the counters of a sender and of the channels it publishes to."""
    quota: Callable[[TenantId], Quota]
    """Finds what is left of a tenant's monthly quota."""
    trace: TracePublication | None = None
    """Continues the trace of a message; None where nothing is traced."""


class Destination:
    """A subject that a publisher may publish to: where it is on the bus, the bytes that data may have there,
    what counts its messages (None: nothing), the stream that stores them (None: they are not), and whose
    inbox may (None: nobody's)."""

    __slots__ = ("bus_subject", "max_bytes", "owner", "stream", "subject", "tally")

    def __init__(
        self, bus_subject: str, max_bytes: int, tally: Tally | None, stream: str | None, address: Address
    ) -> None:
        self.subject = address.subject
        self.owner = inbox_owner(address)
        self.bus_subject = bus_subject
        self.max_bytes = max_bytes
        self.tally = tally
        self.stream = stream


class Publisher:
    """One sender of one tenant: what it publishes is checked, sent and counted here, wherever it comes from.

    `counted_as` names the sender's own counters, empty for humans; with None nothing is counted, and no quota
    is used. `permit`
    gives the permission for a subject, or raises; what it gave is remembered. `max_bytes` bounds the data
    where no channel takes less. Without a `bucket` there is no rate. `publish_there` is Link.publish of the
    tenant's link, and `store_there` Streams.store of its streams.
    """

    __slots__ = (
        "_bucket",
        "_clock",
        "_counted_as",
        "_destinations",
        "_max_bytes",
        "_new_message_id",
        "_permit",
        "_publish_there",
        "_quota",
        "_sender",
        "_store_there",
        "_tally",
        "_trace",
        "receipt",
        "roomy",
        "tenant",
    )

    def __init__(
        self,
        services: MessageServices,
        *,
        tenant: TenantId,
        sender: str,
        counted_as: str | None,
        permit: Permit,
        max_bytes: int,
        bucket: TokenBucket | None,
        publish_there: Callable[[str, bytes], bool],
        store_there: Store,
    ) -> None:
        self._clock = services.clock
        self._new_message_id = services.new_message_id
        self._tally = services.tally
        self._trace = services.trace
        self.tenant = tenant
        self._sender = sender
        self._counted_as = counted_as
        self._permit = permit
        self._max_bytes = max_bytes
        self._bucket = bucket
        self._quota = None if counted_as is None else services.quota(tenant)
        self._publish_there = publish_there
        self._store_there = store_there
        self._destinations: dict[str, Destination] = {}
        self.roomy = True
        """Whether the bus keeps up: before the next message it is better to wait for the link's `room` if
        not."""
        self.receipt: Receipt | None = None
        """The receipt of the last message, where a durable channel stores it: it comes, or fails, later."""

    def limit(self, bucket: TokenBucket) -> None:
        """Take messages at this rate from now on."""
        self._bucket = bucket

    def permit(self, permit: Permit) -> None:
        """Go by other permissions from now on; what is remembered of the old ones is forgotten."""
        self._permit = permit
        self._destinations.clear()

    def publish(
        self,
        subject: str,
        data: bytes | Raw,
        headers: dict[str, str] | None,
        reply_to: str | None,
        dedup: str | None = None,
    ) -> str:
        """Publish one JSON value, already checked; the id of the message. Never blocks.

        A durable channel stores it: what becomes of that, its `receipt` says. Of this sender's messages there
        with one `dedup`, within two minutes, the first is stored.

        Raises, the first that applies: rate_limited with the seconds to wait; quota_exceeded; invalid_subject
        and forbidden for the subject; what `permit` raises; too_large; invalid_subject and forbidden for
        `reply_to`; not_durable for `dedup` where nothing is stored; what Link.publish raises. Nothing was
        sent then, and nothing counted.
        """
        self.spend()
        return self._send(subject, data, headers, reply_to, dedup, None, None)

    def put(
        self,
        subject: str,
        data: bytes | Raw,
        headers: dict[str, str] | None,
        reply_to: str | None,
        dedup: str | None,
        terms: InboxTerms,
    ) -> str:
        """Store one JSON value, already checked, in the inbox of the subject's owner, and publish it to
        nobody; the id of the message. To be called after `spend`. What becomes of it, its `receipt` says.

        Raises as `publish`, and invalid_subject where the subject is of no inbox.
        """
        return self._send(subject, data, headers, reply_to, dedup, None, terms)

    def spend(self) -> None:
        """Take one message from the rate and from the month's quota. Raises rate_limited with the seconds to
        wait, quota_exceeded."""
        self._clock.read()
        if self._bucket is not None:
            wait = self._bucket.spend(self._clock.monotonic)
            if wait > 0.0:
                raise ArtcafeError(Code.rate_limited, retry_after=wait)
        if self._quota is not None:
            self._quota.take()

    def ask(
        self,
        subject: str,
        data: bytes | Raw,
        headers: dict[str, str] | None,
        reply_to: str,
        ask_there: Callable[[str, bytes], bool],
    ) -> str:
        """Publish a request as `publish` does a message, with `ask_there` in the place of Link.publish; to be
        called after `spend`. Raises as `publish`, and invalid_subject where it would be stored."""
        return self._send(subject, data, headers, reply_to, None, ask_there, None)

    def _send(
        self,
        subject: str,
        data: bytes | Raw,
        headers: dict[str, str] | None,
        reply_to: str | None,
        dedup: str | None,
        ask_there: Callable[[str, bytes], bool] | None,
        terms: InboxTerms | None,
    ) -> str:
        clock = self._clock
        destination = self._destinations.get(subject)
        if destination is None:
            destination = self._ask(subject)
        size = len(data)
        if size > destination.max_bytes:
            raise _too_large(destination.max_bytes)
        if reply_to is not None:
            reply_to = parse_subject(reply_to, self.tenant).subject
        # Numbered as it is published: subscribers go by the order (domain.message_id).
        message_id = self._new_message_id()
        if headers is None and reply_to is None:
            payload = envelope(message_id, clock.stamp, data)
        else:
            if headers is not None and self._trace is not None:
                headers = self._trace(self.tenant, self._sender, destination.subject, message_id, headers)
            said = Envelope(
                id=message_id, timestamp=clock.text, data=Raw(data), headers=headers, reply_to=reply_to
            )
            payload = encode(said)
        if destination.stream is not None or dedup is not None or terms is not None:
            if ask_there is not None:
                raise ArtcafeError(Code.invalid_subject, "A durable channel stores messages, not requests.")
            if terms is None:
                self._store(destination, payload, dedup, size)
            else:
                self._put(destination, payload, dedup, size, terms)
            return message_id
        self.receipt = None
        publish_there = self._publish_there if ask_there is None else ask_there
        self.roomy = publish_there(destination.bus_subject, payload)
        if destination.tally is not None:
            destination.tally.count(size, clock.now)
        return message_id

    def reply(self, address: str, reply: ReplyEnvelope, publish_there: Callable[[str, bytes], bool]) -> str:
        """Publish a reply to the reply address of a request, which needs no permission; the id of the reply.
        It gets its id and time here. To be called after `spend`.

        Raises, the first that applies: too_large; what `publish_there` raises. Nothing was sent then, and
        nothing counted.
        """
        clock = self._clock
        size = 0 if reply.data is UNSET else len(reply.data)
        if size > self._max_bytes:
            raise _too_large(self._max_bytes)
        reply.id, reply.timestamp = self._new_message_id(), clock.text
        self.roomy = publish_there(to_bus(self._sender, address), encode(reply))
        if self._counted_as is not None:
            self._tally(self.tenant, self._counted_as, ()).count(size, clock.now)
        return reply.id

    def _store(self, destination: Destination, payload: bytes, dedup: str | None, size: int) -> None:
        """Let a durable channel store a message. It is counted once it is stored."""
        if destination.stream is None:
            raise ArtcafeError(Code.not_durable, "What no durable channel stores is not de-duplicated.")
        name = None if dedup is None else f"{self._sender}:{dedup}"
        receipt = self._store_there(destination.stream, destination.bus_subject, payload, name)
        self._stored(receipt, destination, size)

    def _put(
        self, destination: Destination, payload: bytes, dedup: str | None, size: int, terms: InboxTerms
    ) -> None:
        """Let an inbox store a message. It is counted once it is stored."""
        owner = destination.owner
        if owner is None:
            raise ArtcafeError(
                Code.invalid_subject,
                "Stored for somebody is what is published to agents.{id}.… or inbox.u-….…: this is nobody's.",
            )
        stored = InboxEnvelope(
            subject=destination.subject,
            sender=self._sender,
            receipt=terms.receipt,
            message=decode_envelope(payload),
        )
        name = None if dedup is None else f"{owner}:{self._sender}:{dedup}"
        receipt = terms.store_there(
            owner, terms.priority, encode(stored), dedup_id=name, expires_in=terms.expires_in
        )
        self._stored(receipt, destination, size)

    def _stored(self, receipt: Receipt, destination: Destination, size: int) -> None:
        if destination.tally is not None:
            receipt.add_done_callback(partial(_count, destination.tally, size, self._clock.now))
        self.receipt = receipt
        self.roomy = True

    def _ask(self, text: str) -> Destination:
        """Ask once per subject whether it may be published to, and remember it."""
        address = parse_subject(text, self.tenant)
        if address.reply:
            raise ArtcafeError(Code.invalid_subject, "A request is answered on a connection.")
        permission = self._permit(address)
        if len(self._destinations) >= MAX_REMEMBERED:
            self._destinations.clear()
        counted_as, most = self._counted_as, permission.max_bytes
        found = self._destinations[text] = Destination(
            to_bus(self._sender, address.subject),
            self._max_bytes if most is None else min(self._max_bytes, most),
            None if counted_as is None else self._tally(self.tenant, counted_as, permission.channels),
            None if permission.durable is None else permission.durable.stream,
            address,
        )
        return found


def _count(tally: Tally, size: int, now: float, receipt: Receipt) -> None:
    """Count a message that was stored, and was not before."""
    if receipt.exception() is None and not receipt.result().duplicate:
        tally.count(size, now)


def anywhere(address: Address) -> PublishPermission:
    """The permission to publish where nobody asks for one, in no channel (Permit)."""
    return NO_CHANNEL


def platform_publisher(services: MessageServices, tenant: TenantId, max_bytes: int, link: Link) -> Publisher:
    """A publisher of what the platform says of itself: it may publish anywhere, and no tenant is charged for
    it, neither by a rate nor by a count."""
    return Publisher(
        services,
        tenant=tenant,
        sender=PLATFORM_SENDER,
        counted_as=None,
        permit=anywhere,
        max_bytes=max_bytes,
        bucket=None,
        publish_there=link.publish,
        store_there=link.streams.store,
    )


def _too_large(most: int) -> ArtcafeError:
    return ArtcafeError(Code.too_large, f"The data is larger than {most} bytes, the limit here.")
