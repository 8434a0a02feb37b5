"""The call of a client that publishes."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, Unpack, overload

from artcafe.client.publication import InboxOptions, OutgoingFrame, Publication
from artcafe.client.session import Session


class PublishCalls:
    """Publishing of one client."""

    tenant: str
    _session: Session
    _timeout: float
    _within: Callable[[float, OutgoingFrame, str | None], Awaitable[str | None]]

    @overload
    async def publish(
        self,
        subject: str,
        data: Any,
        *,
        headers: Mapping[str, str] | None = None,
        reply_to: str | None = None,
        dedup: str | None = None,
        ack: Literal[True] = True,
        timeout: float | None = None,  # noqa: ASYNC109
        **how: Unpack[InboxOptions],
    ) -> str: ...

    @overload
    async def publish(
        self,
        subject: str,
        data: Any,
        *,
        headers: Mapping[str, str] | None = None,
        reply_to: str | None = None,
        dedup: str | None = None,
        ack: bool,
        timeout: float | None = None,  # noqa: ASYNC109
        **how: Unpack[InboxOptions],
    ) -> str | None: ...

    async def publish(
        self,
        subject: str,
        data: Any,
        *,
        headers: Mapping[str, str] | None = None,
        reply_to: str | None = None,
        dedup: str | None = None,
        ack: bool = True,
        timeout: float | None = None,  # noqa: ASYNC109 - it tells unsent from unknown, a caller's cannot
        **how: Unpack[InboxOptions],
    ) -> str | None:
        """Send `data`, anything that JSON can write, to everybody subscribed to `subject`.

        Waits until the server has the message and gives its id. With `ack=False` it waits only until
        the message is written and gives None; a refusal then goes to `on_error`. Messages of one
        client to one subject arrive in the order of the calls.

        Away, it waits for the connection. It never sends twice: when the connection is lost, or the
        timeout passes, before the answer came, or the server says so, it raises OutcomeUnknownError. In a
        durable channel `dedup`, a name of yours for the message, makes it safe to call again: within two
        minutes it is stored once (1 to 64 letters, digits, `.`, `_`, `:` and `-`).

        With `store=True`, what is for one agent (`agents.{id}.…`) or human (`inbox.u-….…`) waits in its inbox
        (InboxOptions); inbox_full, not_found for an agent that there is not, and invalid_subject elsewhere.

        Raises unavailable when nothing was sent, too_large, invalid_subject, validation_failed for headers,
        bad_frame for data that receivers could not read (docs/protocol.md), and what the server says:
        forbidden, rate_limited, too_many_channels. TypeError for data that JSON cannot write: so for bytes,
        except in a field of a dataclass or msgspec.Struct, where they travel as base64 and
        `Message.decode` with that type gives them back.
        """
        call = self._session.calls.next_id() if ack else None
        publication = Publication(
            self.tenant, subject, data, headers=headers, reply_to=reply_to, call=call, dedup=dedup, how=how
        )
        return await self._within(self._timeout if timeout is None else timeout, publication, call)
