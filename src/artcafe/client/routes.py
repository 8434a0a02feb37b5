"""Routes each message to its subscriptions. No I/O: frames to send are returned to the caller."""

import asyncio
from collections.abc import Callable, Iterator
from weakref import WeakValueDictionary

import msgspec

from artcafe.client.deliveries import Connected, ReceivedDelivery, Settler
from artcafe.client.message import Answerer, Message, Publisher, ReceivedRequest
from artcafe.client.route import Route, Stand
from artcafe.client.subscription import Subscription
from artcafe.wire import frames
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.since import parse_since
from artcafe.wire.subjects import REPLY_PREFIX, matches, overlap, parse_pattern, parse_subject

_REMEMBERED = 1024
_RETRY_SECONDS = 1.0


class Routes:
    """The subscriptions that one client wants, over all its connections.

    The server sends a message once to a connection, in the form of one of the patterns that match
    (docs/protocol.md). Here it is given to every subscription that matches, in that one's own form.
    """

    def __init__(
        self,
        tenant: str,
        next_id: Callable[[], str],
        publish: Publisher,
        answer: Answerer,
        settle: Settler,
    ) -> None:
        self._tenant = tenant
        self._next_id = next_id
        self._publish = publish
        self._answer = answer
        self._settle = settle
        self._connection = Connected()
        # Those whose messages somebody still holds, by reply address.
        self._requests: WeakValueDictionary[str, ReceivedRequest] = WeakValueDictionary()
        self._routes: dict[str, Route] = {}
        self._remembered: dict[str, tuple[str, tuple[Route, ...]]] = {}
        self._answered = asyncio.Event()
        self.crowded = False
        """Whether the last message went into a buffer that is half full: its loop needs a turn."""

    def __len__(self) -> int:
        return len(self._routes)

    def check(self, subject: str, queue: str | None, since: int | str | None) -> None:
        """Refuse early what the server would refuse by closing. Raises invalid_subject, validation_failed."""
        parse_pattern(subject, self._tenant)
        if since is not None:
            parse_since(since, 0.0)
            if queue is not None or (isinstance(since, int) and since < 0):
                message = "`since` is not for queue groups, and not negative."
                raise ArtcafeError(Code.validation_failed, message)
        try:
            frames.decode_client(frames.encode(frames.Subscribe(subject=subject, queue=queue)))
        except msgspec.ValidationError as error:
            message = "A queue group is named by 1 to 64 letters, digits, _ and -."
            raise ArtcafeError(Code.validation_failed, message) from error

    def add(self, subscription: Subscription) -> bytes | None:
        """Take a subscription in; the frame to send when the server does not know its pattern yet.

        Raises conflict for a queue group that overlaps another subscription: which of the two a
        message was sent for is not told, so the group's other members could no longer share the work.
        """
        address = parse_pattern(subscription.subject, self._tenant)
        for route in self._routes.values():
            if route.of_inbox:
                continue
            if (route.subject, route.queue, route.durable) == (
                subscription.subject,
                subscription.queue,
                subscription.durable,
            ):
                if subscription.since is not None:
                    message = "A subject is subscribed to with `since` once by a client; use a second client."
                    raise ArtcafeError(Code.conflict, message)
                route.members.append(subscription)
                if route.stand is Stand.live:
                    subscription.lease = route.members[0].lease
                    subscription.open()
                return None
            if route.durable is not None or subscription.durable is not None:
                self._check_durable(route, subscription)
                continue
            grouped = route.queue is not None or subscription.queue is not None
            if grouped and overlap(route.address.subject, address.subject):
                message = (
                    "A queue group may not overlap another subscription of one client; use a second client."
                )
                raise ArtcafeError(Code.conflict, message)
        route = Route(self._next_id(), address, subscription)
        self._routes[route.id] = route
        self._remembered.clear()
        return route.ask()

    def add_inbox(self, route: Route) -> bytes:
        """Take the inbox in; the frame to send. Raises conflict where there is one."""
        if self._inbox is not None:
            raise ArtcafeError(Code.conflict, "A client opens its inbox once.")
        self._routes[route.id] = route
        return route.ask()

    @property
    def _inbox(self) -> Route | None:
        return next((each for each in self._routes.values() if each.of_inbox), None)

    def inbox_opened(self, call: str, waiting: int) -> None:
        """The server opened the inbox of the route with this id."""
        if (route := self._routes.get(call)) is not None:
            route.opened(waiting)
            self._answered.set()

    def inbox_closed(self) -> None:
        """The server closed the inbox, unasked: another connection has it."""
        if (route := self._inbox) is not None:
            self._over(
                route, ArtcafeError(Code.conflict, "Another connection of the agent opened its inbox.")
            )

    def _check_durable(self, route: Route, subscription: Subscription) -> None:
        """Raises conflict for another subscription with the same durable name: whose a message is would not
        be told."""
        names = {None if each is None else each.name for each in (route.durable, subscription.durable)}
        if len(names) == 1:
            raise ArtcafeError(
                Code.conflict, "A client has a durable subscription once, and by one set of rules."
            )

    def remove(self, subscription: Subscription) -> bytes | None:
        """Let a subscription go; the frame to send when it was the last of its route."""
        for route in self._routes.values():
            if subscription in route.members:
                route.members.remove(subscription)
                if route.members:
                    return None
                self._forget(route)
                return route.drop() if route.stand in {Stand.asked, Stand.live} else None
        return None

    def leave(self, subscription: Subscription, call: str) -> bytes | None:
        """The frame with this id that ends a route at the server, whose messages are taken until it is
        removed; None where others share the route, or the server does not know it."""
        for route in self._routes.values():
            if route.members == [subscription] and route.stand is Stand.live:
                route.stand = Stand.left
                return route.drop(call)
        return None

    def asks(self) -> Iterator[bytes]:
        """The frames that subscribe whatever the server does not know on this connection now.

        Each is made when it is taken, and is to be written before anything else is awaited: until then its
        route does not count as asked for, so a subscription that is closed meanwhile is left out, and no
        `unsubscribe` is written before its `subscribe`.
        """
        for route in self._unknown():
            if route.id in self._routes:
                yield route.ask()

    def complete(self) -> bool:
        """Whether the server knows, or was asked for, everything."""
        return not self._unknown()

    def _unknown(self) -> list[Route]:
        return [r for r in self._routes.values() if r.stand in {Stand.new, Stand.deferred}]

    async def settled(self) -> float:
        """Wait until every frame of `asks` is answered; the seconds to wait before asking again."""
        while any(route.stand is Stand.asked for route in self._routes.values()):
            self._answered.clear()
            await self._answered.wait()
        return max((r.wait for r in self._routes.values() if r.stand is Stand.deferred), default=0.0)

    def confirm(self, call: str, answer: frames.Subscribed) -> None:
        """The server subscribed the route with this id."""
        route = self._routes.get(call)
        if route is not None:
            route.confirm(answer)
            self._answered.set()

    def refuse(self, call: str, error: ArtcafeError) -> bool:
        """The server refused the frame with this id; False when it was none of a subscription.

        A route that was live before, refused for a reason that passes, is asked for again; any other
        is over, and its subscriptions raise the error.
        """
        route = self._routes.get(call)
        if route is None:
            return False
        if route.proven and error.code.retry:
            route.stand = Stand.deferred
            route.wait = _RETRY_SECONDS if error.retry_after is None else error.retry_after
        elif route.place is not None and route.since is None and error.code is Code.not_durable:
            # The channel is not durable any more: it goes on as any other.
            route.place = None
            route.stand, route.wait = Stand.deferred, _RETRY_SECONDS
            for member in route.members:
                member.miss(None)
        else:
            self._over(route, error)
        self._answered.set()
        return True

    def end_named(self, error: ArtcafeError) -> bool:
        """End the subscription that an error without an id names in its details, because it is over at the
        server (docs/protocol.md, Policies and channel rules). False when the error names none of these.

        One that is asked for and not answered yet goes on: the error is about an earlier one of the same
        text, or the answer, which is still to come, says the same.
        """
        details = error.details or {}
        for route in self._routes.values():
            # A server that names no groups yet means the only one of this text: groups overlap nothing here.
            durable = None if route.durable is None else route.durable.name
            named = (details.get("subject"), details.get("queue", route.queue), details.get("durable"))
            if named == (route.subject, route.queue, durable) and route.stand in {Stand.asked, Stand.live}:
                if route.stand is Stand.live:
                    self._over(route, error)
                return True
        return False

    def dispatch(self, frame: frames.Message) -> None:
        """Give a message to every subscription that matches."""
        short, routes = self._matching(frame.subject)
        inbox = self._inbox if frame.delivery is not None and frame.durable is None else None
        if inbox is not None:
            routes = (inbox,)
        request = None
        if frame.reply_to is not None and frame.reply_to.startswith(REPLY_PREFIX):
            request = self._requests.setdefault(frame.reply_to, ReceivedRequest(self._answer))
        delivery = None
        if frame.delivery is not None:
            delivery = ReceivedDelivery(frame.delivery, self._connection, self._settle)
        self.crowded = False
        for route in routes:
            if not route.takes(frame):
                continue
            for member in route.receivers():
                subject = route.address.form + short
                member.push(Message(frame, subject, self._publish, request, delivery))
                self.crowded |= member.crowded

    def cancelled(self, reply_to: str) -> None:
        """A request that was delivered here is over."""
        request = self._requests.get(reply_to)
        if request is not None:
            request.over.set()

    def away(self) -> None:
        """The connection is gone; the next one knows none of the routes."""
        self._connection.over = True
        self._connection = Connected()
        for route in self._routes.values():
            if route.stand is Stand.live and route.place is None:
                for member in route.members:
                    member.away()
            route.stand = Stand.new
        self._answered.set()

    def end(self, error: ArtcafeError | None) -> None:
        """There will be no further connection."""
        for route in self._routes.values():
            for member in route.members:
                member.end(error)
        self._routes.clear()
        self._remembered.clear()

    def _over(self, route: Route, error: ArtcafeError) -> None:
        self._forget(route)
        for member in route.members:
            member.end(error)

    def _forget(self, route: Route) -> None:
        del self._routes[route.id]
        self._remembered.clear()
        self._answered.set()

    def _matching(self, subject: str) -> tuple[str, tuple[Route, ...]]:
        found = self._remembered.get(subject)
        if found is None:
            short = self._short(subject)
            found = (
                short,
                tuple(r for r in self._routes.values() if matches(r.address.subject, short)),
            )
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            self._remembered[subject] = found
        return found

    def _short(self, subject: str) -> str:
        try:
            return parse_subject(subject, self._tenant).subject
        except ArtcafeError:
            # A newer server may allow characters that this grammar does not: they still match.
            return subject
