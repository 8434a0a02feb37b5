"""The inboxes of one tenant on this process: opened by one connection each, and read together when many come
back at once."""

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Iterable
from typing import Any

from artcafe.server.domain.ids import HUMAN_PREFIX, TenantId
from artcafe.server.gateway.fanout.inbox import HELD_BYTES, RETRY_SECONDS, Inbox, SharedReading
from artcafe.server.gateway.fanout.inbox_delivery import Holder, WantedReceipt
from artcafe.server.ports.inboxes import Inboxes, InboxWatch
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.frames import encode

LOG = logging.getLogger("artcafe.gateway")

JOIN_SECONDS = 0.05
"""How long those who open their inboxes are waited for at least, so that they are counted together."""

SCAN_FROM = 200
"""So many that come at once are counted together, and so many of them with messages are read for together:
all inboxes from their beginning to their end."""

SCAN_BYTES = 262_144
"""What is read for all of them at a time."""

COUNTS = 32
"""Inboxes that are counted one by one at a time."""

_PAUSES, _PAUSE_SECONDS = 100, 0.01
"""How long a scan waits for clients before it goes on without the slow ones."""

Announce = Callable[[str, bytes], object]
"""Publishes what the platform says, to a subject. May raise ArtcafeError."""


class TenantInboxes:
    """Opens inboxes for connections, and tells them what is stored. Of each inbox one connection is the
    holder: who opens it last."""

    def __init__(
        self,
        tenant: TenantId,
        inboxes: Inboxes,
        start: Callable[[Coroutine[Any, Any, None]], None] | None,
        announce: Announce | None,
    ) -> None:
        """`start` runs work as a task; without it, or `announce`, nothing can be opened."""
        self._tenant = tenant
        self._bus = inboxes
        self._start = start or _refuse
        self._announce = announce or _refuse
        self._shared = SharedReading(inboxes, self._start, self._tell_settled, self._over)
        self._inboxes: dict[str, Inbox] = {}
        self._joining: dict[Inbox, asyncio.Future[None]] = {}
        self._watch: InboxWatch | None = None
        self._counting = asyncio.Semaphore(COUNTS)
        self._scanning = asyncio.Lock()
        self._counting_now = self._recounting = self._closed = False

    async def open(self, owner: str, holder: Holder) -> Inbox:
        """The inbox of an owner, whose messages go to this holder once it lets it `begin`, and to nobody
        else. Raises unavailable."""
        inbox = self._inboxes.setdefault(owner, Inbox(owner, self._shared))
        inbox.open(holder)
        try:
            await self._join(inbox)
        except BaseException:
            inbox.release(holder)
            raise
        return inbox

    async def close(self) -> None:
        """Nobody is here any more."""
        self._closed = True
        if self._watch is not None:
            await self._watch.close()

    # ports.inboxes.InboxListener

    def stored(self, owner: str, priority: int, seq: int) -> None:
        """See InboxListener."""
        inbox = self._inboxes.get(owner)
        if inbox is not None:
            inbox.stored(priority, seq)

    def opened(self, owner: str) -> None:
        """See InboxListener."""
        inbox = self._inboxes.get(owner)
        if inbox is not None:
            inbox.lose()

    def missed(self) -> None:
        """See InboxListener."""
        if not self._recounting and not self._closed:
            self._recounting = True
            self._start(self._recount())

    async def _recount(self) -> None:
        """Count all anew, once the bus is back."""
        while self._recounting and not self._closed:
            await asyncio.sleep(RETRY_SECONDS)
            try:
                await self._count_all([each for each in self._inboxes.values() if each.holder is not None])
                self._recounting = False
            except ArtcafeError as error:
                LOG.debug("tenant %s: inboxes are counted later: %s", self._tenant, error)

    def _over(self, inbox: Inbox) -> None:
        if self._inboxes.get(inbox.owner) is inbox:
            del self._inboxes[inbox.owner]

    # Counting and reading together.

    async def _join(self, inbox: Inbox) -> None:
        """Count what waits, together with others. Raises unavailable."""
        counted = self._joining.get(inbox)
        if counted is None:
            counted = self._joining[inbox] = asyncio.get_running_loop().create_future()
        if not self._counting_now:
            self._counting_now = True
            self._start(self._count_in_rounds())
        await asyncio.shield(counted)

    async def _count_in_rounds(self) -> None:
        """Count for those who join, as long as any do. Who joins during a round is in the next one: the more
        there is to do, the more are counted together."""
        try:
            while self._joining:
                await asyncio.sleep(JOIN_SECONDS)
                joining, self._joining = self._joining, {}
                try:
                    await self._count(joining)
                except ArtcafeError as error:
                    _settle(joining.values(), error)
        finally:
            self._counting_now = False

    async def _count(self, joining: dict[Inbox, asyncio.Future[None]]) -> None:
        if self._watch is None:
            self._watch = await self._bus.watch(self)
        for inbox in joining:
            self._watch.announce(inbox.owner)
        if len(joining) < SCAN_FROM:
            await asyncio.gather(*[self._count_one(each, counted) for each, counted in joining.items()])
        else:
            await self._count_all(joining, lambda: _settle(joining.values(), None))

    async def _count_one(self, inbox: Inbox, counted: asyncio.Future[None]) -> None:
        try:
            async with self._counting:
                inbox.counted(await self._bus.counts(inbox.owner))
        except ArtcafeError as error:
            _settle([counted], error)
        else:
            _settle([counted], None)

    async def _count_all(
        self, inboxes: Collection[Inbox], counted: Callable[[], None] = lambda: None
    ) -> None:
        """Count what waits in many inboxes, call `counted`, and read for them. Raises unavailable, before it
        called it."""
        async with self._scanning:
            for each in inboxes:
                each.count_begins()
            counts = await self._bus.counts(None)
            full = [each for each in inboxes if any(counts.get((each.owner, n)) for n in range(3))]
            together = len(full) >= SCAN_FROM
            for each in inboxes:
                each.scanning = together
                each.counted(counts)
            counted()
            if together:
                self._shared.removable.clear()
                try:
                    await self._scan({each.owner: each for each in full})
                finally:
                    self._shared.removable.set()
                    for each in inboxes:
                        each.scanned()

    async def _scan(self, wanted: dict[str, Inbox]) -> None:
        """Read all inboxes for these, as far as the bus answers: the rest each reads by itself."""
        following: int | None = 1
        try:
            while following is not None and wanted:
                for _ in range(_PAUSES):
                    if self._shared.held_bytes <= HELD_BYTES // 2:
                        break
                    await asyncio.sleep(_PAUSE_SECONDS)
                found = await self._bus.read(following, most_bytes=SCAN_BYTES)
                for message in found.messages:
                    inbox = wanted.get(message.owner)
                    if inbox is not None:
                        inbox.offer(message)
                        if inbox.complete:
                            del wanted[message.owner]
                following = found.following
        except ArtcafeError as error:
            LOG.debug("tenant %s: inboxes are read one by one: %s", self._tenant, error)

    # Receipts.

    def _tell_settled(self, owner: str, receipt: WantedReceipt, reason: str | None) -> None:
        human = receipt.sender.startswith(HUMAN_PREFIX)
        said: dict[str, str] = {
            "message_id": receipt.message_id,
            "subject": receipt.subject,
            "settled_by": owner,
            "outcome": "acknowledged" if reason is None else "terminated",
        }
        if reason:
            said["reason"] = reason
        try:
            self._announce(f"{'inbox' if human else 'agents'}.{receipt.sender}.receipts", encode(said))
        except ArtcafeError as error:
            LOG.warning("tenant %s: a receipt was not sent: %s", self._tenant, error)


def _refuse(*_: object) -> None:
    raise ArtcafeError(Code.unavailable, "Nothing is opened here.")


def _settle(futures: Iterable[asyncio.Future[None]], error: ArtcafeError | None) -> None:
    for each in futures:
        if each.done():
            continue
        if error is None:
            each.set_result(None)
        else:
            each.set_exception(ArtcafeError(error.code, error.message))
            each.exception()  # Nobody may wait for it any more.
