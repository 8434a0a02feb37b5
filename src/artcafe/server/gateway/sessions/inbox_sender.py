"""Stores what a client publishes for somebody's inbox."""

from collections.abc import Awaitable, Callable

from artcafe.server.core.publishing.publisher import InboxTerms, Publisher
from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.sessions.client import Work
from artcafe.server.gateway.sessions.storing import Storing
from artcafe.server.ports.inboxes import Inboxes
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.frames import Publish
from artcafe.wire.inbox import NORMAL
from artcafe.wire.subjects import inbox_owner, parse_subject

Refuse = Callable[[ArtcafeError, str | None], None]
"""Answers a frame with an error, by its id."""


def terms(frame: Publish, inboxes: Inboxes) -> InboxTerms:
    """How its message waits. Raises bad_frame."""
    if not frame.store:
        raise ArtcafeError(Code.bad_frame, "priority, expires_in_ms and receipt are for what is stored.")
    return InboxTerms(
        store_there=inboxes.store,
        priority=NORMAL if frame.priority is None else frame.priority,
        expires_in=None if frame.expires_in_ms is None else -(-frame.expires_in_ms // 1000),
        receipt=frame.receipt,
    )


class InboxSender:
    """Stores for one client, and answers."""

    __slots__ = (
        "_inboxes",
        "_require_owner",
        "_storing",
    )

    def __init__(
        self,
        inboxes: Inboxes,
        require_owner: Callable[[TenantId, str], Awaitable[None]],
        storing: Storing,
    ) -> None:
        """`require_owner` is SessionServices'."""
        self._inboxes = inboxes
        self._require_owner = require_owner
        self._storing = storing

    def put(self, frame: Publish, publisher: Publisher, refuse: Refuse) -> Work:
        """Store the message of a frame, and answer when it is stored, or `refuse` it. Raises bad_frame,
        rate_limited."""
        wanted = terms(frame, self._inboxes)
        publisher.spend()
        return self._put(frame, publisher, wanted, refuse)

    async def _put(self, frame: Publish, publisher: Publisher, wanted: InboxTerms, refuse: Refuse) -> None:
        try:
            owner = inbox_owner(parse_subject(frame.subject, publisher.tenant))
            if owner is not None:
                await self._require_owner(publisher.tenant, owner)
            message_id = publisher.put(
                frame.subject, frame.data, frame.headers, frame.reply_to, frame.dedup, wanted
            )
        except ArtcafeError as error:
            refuse(error, frame.id)
            return
        receipt = publisher.receipt
        assert receipt is not None
        work = self._storing.answer(receipt, frame.id, message_id, len(frame.data))
        if work is not None:
            await work
