"""The bus: messages between agents, and control messages between the processes of one installation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.tenant import TenantRules
from artcafe.server.ports.channel_streams import NO_STREAMS, KeptStreams
from artcafe.server.ports.consumers import Consumers
from artcafe.server.ports.inboxes import Inboxes
from artcafe.server.ports.streams import Streams

Deliver = Callable[[str, bytes], None]
"""Called with (bus subject, payload) in the event loop, in the order of arrival; must not block or raise."""

Own = Callable[[str], Callable[[bytes], None]]
"""Called with a bus subject, once for many messages; what it gives is called with each payload, in the order
in which they were published; neither may block or raise. Receivers that are equal are called once."""


class Subscription(Protocol):
    """Interest in a pattern."""

    async def close(self) -> None:
        """Nothing is delivered after this returns. Closing twice is allowed.

        With a queue, what the bus had sent to it before is delivered until then, while the link lives, and
        what comes later goes to other members of the group.
        """


class Asking(Protocol):
    """The part of a link that requests use."""

    def new_inbox(self) -> str:
        """A subject below which no other user of the bus may subscribe."""

    def ask(self, subject: str, payload: bytes, reply: str, /) -> bool:
        """As Link.publish, and an empty message on `reply`, which is below the inbox, where no other
        connection subscribes to the subject. Raises unavailable while the bus is away, too: nothing was
        taken."""


class Link(Asking, Protocol):
    """One tenant's place on the bus. Subjects are bus subjects, as wire.subjects spells them."""

    @property
    def gaps(self) -> int:
        """How often its subscriptions may have missed messages: the bus was away."""

    @property
    def streams(self) -> Streams:
        """The streams of the tenant's durable channels."""

    @property
    def consumers(self) -> Consumers:
        """The consumers of those streams."""

    @property
    def inboxes(self) -> Inboxes:
        """The inboxes of the tenant's agents and humans."""

    def publish(self, subject: str, payload: bytes, /) -> bool:
        """Send at most once; never blocks. Order is kept per link. False when the bus is slower than the
        publishers: the message was taken, and before the next one they had better wait for `room`.

        Raises unavailable when the bounded buffer is full: nothing was taken.
        """

    async def room(self) -> None:
        """Return when there is room again, or the bus is away: then nobody knows how long that takes."""

    def pause(self, paused: bool, /) -> None:
        """Begin or end a pause: who listens here is behind. As far as it can, the link brings no more;
        `publish` is False, and `room` waits. To be told again while it is to last: a connection that is
        made meanwhile may bring more."""

    async def subscribe(
        self, pattern: str, deliver: Deliver, queue: str | None = None, own: Own | None = None
    ) -> Subscription:
        """When this returns, whatever is published later is delivered while the link lives; what is published
        at another node of a cluster, as soon as that node has heard of it, which is before it hears anything
        that this link publishes later.

        What was published on this link may come by `own`, where given, instead of `deliver`: the very
        payload, from within `publish`, in which it must not publish.

        With `queue`, each message goes to one member of the group of that name and pattern. Order is
        kept among subscriptions with a queue, and among those without; not between the two.
        """

    async def flush(self) -> None:
        """When this returns, the bus has everything published before. Raises unavailable where that cannot be
        known: what `publish` took may have left, or leave later."""

    async def settle(self) -> None:
        """When this returns, what the bus had sent to the subscriptions here before has been delivered.
        Raises unavailable."""


class Bus(Protocol):
    """Links to tenants' accounts: at most one connection per tenant and process."""

    async def link(self, tenant: TenantRules) -> Link:
        """The tenant's link, connected. Each call is matched by one `release`; the last one lets it close
        after a while of silence. Raises unavailable."""

    def release(self, tenant: TenantId) -> None:
        """Give back one `link`."""

    async def drop(self, tenant: TenantId) -> None:
        """Close the tenant's connection at once, whoever holds it: the tenant was deleted or suspended."""

    async def ping(self) -> None:
        """Raises unavailable when the bus does not answer."""


@dataclass(frozen=True, slots=True)
class Reconciled:
    """How many accounts were pushed and removed, and how many of no tenant were kept, for being too many;
    what was done with the tenants' streams, and those of how many tenants could not be reconciled."""

    pushed: int = 0
    removed: int = 0
    kept: int = 0
    streams: KeptStreams = NO_STREAMS
    streams_failed: int = 0


class Accounts(Protocol):
    """Tenants' accounts on the bus. The store is the source of truth; this makes the bus agree with it."""

    async def push(self, tenant: TenantRules) -> None:
        """Create or update the tenant's account. Effective on live connections when it returns."""

    async def remove(self, tenant: TenantRules) -> None:
        """Delete the account with its streams; its connections end. Nothing happens when it is gone."""

    async def reconcile(
        self,
        tenants: Sequence[TenantRules],
        *,
        as_of: float | None = None,
        many: bool = False,
        whole: bool = True,
    ) -> Reconciled:
        """Push what the bus lacks or holds differently, remove accounts that no tenant owns; what was done.

        Unless `many`, it removes none when they are too many to be left over (domain.installation). Unless
        these are `whole`, all tenants that there were at `as_of` (Unix seconds; now unless given), it removes
        none either. An account that may be of a tenant made since is kept.
        """


class Control(Protocol):
    """Words between the server processes of one installation, on an account no tenant sees."""

    async def tell(self, topic: str, payload: bytes) -> None:
        """To every process that hears the topic, this one included. At most once. Raises unavailable."""

    async def hear(self, topic: str, deliver: Deliver) -> Subscription:
        """`deliver` gets (topic, payload)."""

    async def missed(self) -> bool:
        """Whether words may have been missed since this was last true: the bus was away, and whatever is told
        from now on is heard. False while it is away, so it is to be asked again."""

    async def ask(self, topic: str, payload: bytes, answers: int) -> Sequence[bytes]:
        """What processes answer, as soon as there are so many answers; after a second those that came,
        and the lack of the others is logged. Raises unavailable when nobody can be asked."""

    async def answer(self, topic: str, reply: Callable[[bytes], bytes | None]) -> Subscription:
        """Answer what is asked on a topic; `reply` gives None where this process has nothing to say. It
        is called in the event loop, and must not block or raise."""
