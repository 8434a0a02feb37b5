"""The call of a client that opens its inbox."""

from collections.abc import Callable

from artcafe.client.inbox import Inbox
from artcafe.client.inbox_route import InboxRoute
from artcafe.client.session import Session
from artcafe.client.subscription import Subscription


class InboxCalls:
    """The inbox of one client."""

    _session: Session
    _timeout: float

    def inbox(self, *, max_in_flight: int | None = None, timeout: float | None = None) -> Inbox:
        """What waits for this agent, and what comes: `max_in_flight` messages that are not settled at a time
        (16 unless given). To be awaited, entered or iterated over as a subscription.

        Raises validation_failed at once; when it is opened, unavailable, and conflict where this client has
        opened it already.
        """
        seconds = self._timeout if timeout is None else timeout
        routes, call = self._session.routes, self._session.calls.next_id()

        async def open_it(_: Subscription) -> None:
            await self._open(inbox, seconds, lambda: routes.add_inbox(InboxRoute(call, inbox)))

        inbox = Inbox(max_in_flight, open_it, self._unsubscribe, self._drain)
        return inbox

    async def _open(
        self, subscription: Subscription, seconds: float, add: Callable[[], bytes | None]
    ) -> None:
        raise NotImplementedError

    async def _unsubscribe(self, subscription: Subscription) -> None:
        raise NotImplementedError

    async def _drain(self, subscription: Subscription) -> None:
        raise NotImplementedError
