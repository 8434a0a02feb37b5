"""A tenant's link: ports.Link, made of one or two NATS links."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from artcafe.server.bus.nats.link import NatsLink
from artcafe.server.bus.nats.message import FullMessage
from artcafe.server.bus.nats.requests import Requests
from artcafe.server.bus.nats.servers import ServerAddress
from artcafe.server.bus.nats.streams.api import Connected
from artcafe.server.bus.nats.streams.commit import Spawn
from artcafe.server.bus.nats.streams.consumers import NatsConsumers
from artcafe.server.bus.nats.streams.inboxes import NatsInboxes
from artcafe.server.bus.nats.streams.streams import NatsStreams
from artcafe.server.bus.nats.subscription import NatsSubscription
from artcafe.server.domain.ids import TenantId
from artcafe.server.ports.bus import Deliver, Own
from artcafe.server.ports.consumers import Consumers
from artcafe.server.ports.inboxes import Inboxes
from artcafe.server.ports.streams import Streams


class TenantLink:
    """What is published here is delivered to those who listen here by the link itself, without the server.

    Which member of a queue group gets a message is the server's to choose, among all processes. So
    members listen on a link of their own, to which the server sends like to any other; it is made
    with the first of them, and stays. Between the two links there is no order.
    """

    def __init__(
        self,
        own: NatsLink,
        make_groups: Callable[[], NatsLink],
        connected: Connected,
        spawn: Spawn,
        tenant: TenantId,
        inboxes: Mapping[str, Any],
    ) -> None:
        """`own` runs, or will; `make_groups` makes a link that echoes, and runs it; `connected` is
        NatsConsumers'; `spawn` runs tasks, which `close` ends; `inboxes` is NatsInboxes' configuration."""
        self._own = own
        self.publish: Callable[[str, bytes], bool] = own.publish
        self.ask: Callable[[str, bytes, str], bool] = own.ask
        self._requests = Requests(own)
        self._streams = NatsStreams(own, self._requests, spawn)
        self._consumers = NatsConsumers(own, self._streams, connected, self._streams.run)
        self._inboxes = NatsInboxes(
            own, self._requests, self._streams, connected, inboxes, tenant, own.publish
        )
        self._make_groups = make_groups
        self._groups: NatsLink | None = None

    @property
    def gaps(self) -> int:
        """How often subscriptions here may have missed messages."""
        return self._own.gaps + (0 if self._groups is None else self._groups.gaps)

    @property
    def streams(self) -> Streams:
        """See ports.Link."""
        return self._streams

    @property
    def consumers(self) -> Consumers:
        """See ports.Link."""
        return self._consumers

    @property
    def inboxes(self) -> Inboxes:
        """See ports.Link."""
        return self._inboxes

    @property
    def known(self) -> Sequence[ServerAddress]:
        """The servers that it knows."""
        return self._own.known

    @property
    def up(self) -> bool:
        """Whether what is published leaves now."""
        return self._own.up

    @property
    def stood(self) -> bool:
        """Whether it was ever connected."""
        return self._own.stood

    @property
    def over(self) -> bool:
        """Whether it was closed, or never came to be."""
        return self._own.over

    async def ready(self) -> None:
        """As NatsLink.ready."""
        await self._own.ready()

    def new_inbox(self) -> str:
        """As NatsLink.new_inbox."""
        return self._own.new_inbox()

    async def room(self) -> None:
        """As NatsLink.room."""
        await self._own.room()

    def pause(self, paused: bool, /) -> None:
        """As NatsLink.pause."""
        self._own.pause(paused)
        self._streams.pause(paused)
        if self._groups is not None:
            self._groups.pause(paused)

    async def subscribe(
        self, pattern: str, deliver: Deliver, queue: str | None = None, own: Own | None = None
    ) -> NatsSubscription:
        """As NatsLink.subscribe."""
        if queue is not None:
            if self._groups is None or self._groups.over:
                self._own.check_open()
                self._groups = self._make_groups()
            await self._groups.ready()
            return await self._groups.subscribe(pattern, deliver, queue)
        return await self._own.subscribe(pattern, deliver, own=own)

    async def request(
        self, subject: str, payload: bytes = b"", *, seconds: float, headers: Mapping[str, str] | None = None
    ) -> FullMessage:
        """As Requests.request. Subscriptions here do not get it, except those of queue groups."""
        return await self._requests.request(subject, payload, seconds=seconds, headers=headers)

    async def flush(self) -> None:
        """As NatsLink.flush."""
        await self._own.flush()

    async def settle(self) -> None:
        """When this returns, what the server had sent here before has been delivered. Raises unavailable."""
        await self._own.settle()
        if self._groups is not None:
            await self._groups.settle()

    async def farewell(self, seconds: float) -> None:
        """As NatsLink.farewell."""
        await self._own.farewell(seconds)

    def close(self) -> None:
        """Take nothing more, whoever holds it."""
        self._own.close()
        self._streams.close()
        if self._groups is not None:
            self._groups.close()
