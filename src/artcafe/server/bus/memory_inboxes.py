"""Inboxes in one process, with the promises of the real ones: order, bounds, expiry, de-duplication."""

import asyncio
from collections.abc import Callable, Mapping

from artcafe.server.bus.memory_streams import DUPLICATE_SECONDS, MAX_PAYLOAD_BYTES
from artcafe.server.bus.unavailable import bus_unavailable
from artcafe.server.ports.inboxes import InboxListener, InboxMessage, InboxMessages
from artcafe.server.ports.streams import Stored
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

MOST_MESSAGES = 100
"""Messages of one owner and priority."""


class MemoryWatch:
    """ports.InboxWatch."""

    def __init__(self, inboxes: "MemoryInboxes", listener: InboxListener) -> None:
        self.listener = listener
        self._inboxes = inboxes

    def announce(self, owner: str) -> None:
        """See ports.InboxWatch."""
        for watch in self._inboxes.watches:
            if watch is not self:
                asyncio.get_running_loop().call_soon(watch.listener.opened, owner)

    async def close(self) -> None:
        """See ports.InboxWatch."""
        self._inboxes.watches.pop(self, None)


class MemoryInboxes:
    """ports.Inboxes of one account. `reads` counts the calls of `read`, `away` lets all fail."""

    def __init__(self, link_up: Callable[[], bool], most: int = MOST_MESSAGES) -> None:
        self._link_up = link_up
        self.most = most
        self.away = False
        self.reads = 0
        self.last = 0
        self.messages: dict[int, InboxMessage] = {}
        self.watches: dict[MemoryWatch, None] = {}
        self._ids: dict[str, tuple[int, float]] = {}

    def store(
        self,
        owner: str,
        priority: int,
        payload: bytes,
        *,
        dedup_id: str | None = None,
        expires_in: int | None = None,
    ) -> asyncio.Future[Stored]:
        """See ports.Inboxes."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Stored] = loop.create_future()
        try:
            self._check_up()
            done.set_result(self._store(InboxMessage(0, owner, priority, payload), dedup_id, expires_in))
        except ArtcafeError as error:
            done.set_exception(error)
        return done

    def _store(self, message: InboxMessage, dedup_id: str | None, expires_in: int | None) -> Stored:
        loop = asyncio.get_running_loop()
        if len(message.payload) > MAX_PAYLOAD_BYTES:
            raise ArtcafeError(Code.too_large, "The message is larger than the bus takes.")
        if dedup_id is not None:
            seq, before = self._ids.get(dedup_id, (0, 0.0))
            if seq and loop.time() < before + DUPLICATE_SECONDS:
                return Stored(seq, "memory", duplicate=True)
        owner, priority = message.owner, message.priority
        waiting = sum((each.owner, each.priority) == (owner, priority) for each in self.messages.values())
        if waiting >= self.most:
            raise ArtcafeError(Code.inbox_full)
        self.last += 1
        self.messages[self.last] = InboxMessage(self.last, owner, priority, message.payload)
        if dedup_id is not None:
            self._ids[dedup_id] = self.last, loop.time()
        if expires_in is not None:
            loop.call_later(expires_in, self.messages.pop, self.last, None)
        for watch in self.watches:
            loop.call_soon(watch.listener.stored, owner, priority, self.last)
        return Stored(self.last, "memory")

    async def counts(self, owner: str | None) -> Mapping[tuple[str, int], int]:
        """See ports.Inboxes."""
        await self._turn()
        found: dict[tuple[str, int], int] = {}
        for each in self.messages.values():
            if owner in {None, each.owner}:
                found[each.owner, each.priority] = found.get((each.owner, each.priority), 0) + 1
        return found

    async def read(
        self, first: int, *, owner: str | None = None, priority: int | None = None, most_bytes: int = 65_536
    ) -> InboxMessages:
        """See ports.Inboxes."""
        self.reads += 1
        await self._turn()
        found: list[InboxMessage] = []
        size = 0
        for each in self.messages.values():
            if each.seq < first or owner not in {None, each.owner} or priority not in {None, each.priority}:
                continue
            size += len(each.payload)
            if found and size > most_bytes:
                return InboxMessages(found, found[-1].seq + 1)
            found.append(each)
        return InboxMessages(found, None)

    async def remove(self, owner: str, priority: int | None, last: int | None = None) -> int:
        """See ports.Inboxes."""
        await self._turn()
        gone = [
            each.seq
            for each in self.messages.values()
            if each.owner == owner
            and priority in {None, each.priority}
            and (last is None or each.seq <= last)
        ]
        for seq in gone:
            del self.messages[seq]
        return len(gone)

    async def remove_one(self, seq: int) -> None:
        """See ports.Inboxes."""
        await self._turn()
        self.messages.pop(seq, None)

    async def watch(self, listener: InboxListener) -> MemoryWatch:
        """See ports.Inboxes."""
        await self._turn()
        watch = MemoryWatch(self, listener)
        self.watches[watch] = None
        return watch

    async def _turn(self) -> None:
        await asyncio.sleep(0)
        self._check_up()

    def _check_up(self) -> None:
        if self.away or not self._link_up():
            raise bus_unavailable()
