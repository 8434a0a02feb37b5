"""The inbox of a client: an async iterator over what waits for its agent."""

from collections.abc import Awaitable, Callable

import msgspec

from artcafe.client.deliveries import DurableRules
from artcafe.client.subscription import Subscription
from artcafe.wire import frames
from artcafe.wire.codes import Code
from artcafe.wire.deliveries import DEFAULT_IN_FLIGHT, MAX_IN_FLIGHT
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.inbox import CloseInbox, OpenInbox


class Inbox(Subscription):
    """What was published for this agent with `store`: the urgent ones first, each priority in order.

        async for message in client.inbox():
            ...
            await message.ack()

    What is not settled when the connection is lost comes again (`Message.redelivered`). Of an agent's
    connections the one that opens its inbox last has it; in the others the iteration raises conflict.
    """

    def __init__(
        self,
        max_in_flight: int | None,
        opener: Callable[[Subscription], Awaitable[None]],
        closer: Callable[[Subscription], Awaitable[None]],
        drainer: Callable[[Subscription], Awaitable[None]],
    ) -> None:
        """Raises validation_failed."""
        most = DEFAULT_IN_FLIGHT if max_in_flight is None else max_in_flight
        try:
            frames.decode_client(frames.encode(OpenInbox(max_in_flight=most)))
        except msgspec.ValidationError as error:
            message = f"An inbox has 1 to {MAX_IN_FLIGHT} messages in flight."
            raise ArtcafeError(Code.validation_failed, message) from error
        super().__init__(
            "",
            queue=None,
            durable=DurableRules("", most),
            buffer=most,
            opener=opener,
            closer=closer,
            drainer=drainer,
        )
        self.waiting = 0
        """How many messages wait behind the last one that came, or waited when it was opened."""

    def ask(self, call: str) -> bytes:
        """The frame that opens it."""
        assert self.durable is not None
        return frames.encode(OpenInbox(id=call, max_in_flight=self.durable.max_in_flight))

    def drop(self, call: str | None) -> bytes:
        """The frame that closes it; with an id it is answered."""
        return frames.encode(CloseInbox(id=call))
