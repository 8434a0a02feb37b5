"""The frames of inboxes: what a client asks of its own, and what it is told of it."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from artcafe.wire.deliveries import DEFAULT_IN_FLIGHT, MAX_IN_FLIGHT, Correlation

URGENT: Final = 0
NORMAL: Final = 1
LOW: Final = 2
"""Priorities (subjects.PRIORITIES): what is urgent is delivered first."""

MAX_AGE_SECONDS: Final = 7 * 86_400
"""How long a message waits in an inbox at most."""

Priority = Annotated[int, Meta(ge=URGENT, le=LOW)]

ExpiresInMs = Annotated[int, Meta(ge=1, le=MAX_AGE_SECONDS * 1000)]
"""How long a message waits, rounded up to whole seconds."""

CLOSED: Final = "closed"
TAKEN_OVER: Final = "taken_over"
"""The reasons of `inbox_closed`: the client asked for it, or another connection opened the inbox."""


class OpenInbox(Struct, tag_field="type", tag="inbox", omit_defaults=True, kw_only=True):
    """Deliver what waits in the client's own inbox, and what comes, up to `max_in_flight` messages that are
    not settled."""

    id: Correlation | None = None
    max_in_flight: Annotated[int, Meta(ge=1, le=MAX_IN_FLIGHT)] = DEFAULT_IN_FLIGHT


class CloseInbox(Struct, tag_field="type", tag="close_inbox", omit_defaults=True, kw_only=True):
    """Deliver nothing more of the inbox. What was delivered can still be settled."""

    id: Correlation | None = None


InboxFrame = OpenInbox | CloseInbox


class InboxOpened(Struct, tag_field="type", tag="inbox_opened", omit_defaults=True, kw_only=True):
    """From here on the messages of the inbox are delivered, of which so many wait now."""

    waiting: int
    id: str | None = None


class InboxClosed(Struct, tag_field="type", tag="inbox_closed", omit_defaults=True, kw_only=True):
    """Nothing more of the inbox is delivered on this connection, for this reason."""

    reason: str
    id: str | None = None
