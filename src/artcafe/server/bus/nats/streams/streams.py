"""The streams of one tenant on its link: ports.Streams on JetStream."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from artcafe.server.bus.nats.requests import Requests
from artcafe.server.bus.nats.streams.commit import Commit, Spawn
from artcafe.server.bus.nats.streams.reader import Reader
from artcafe.server.bus.nats.streams.replies import Replies, StreamLink
from artcafe.server.bus.nats.streams.tail import NatsTail
from artcafe.server.ports.streams import Stored, StoredMessage, StoredMessages, StreamState, Tail
from artcafe.wire.subjects import to_stored

_KEPT = 256
"""Commits that are kept, before those with nothing to do are forgotten."""


class NatsStreams:
    """One Commit for each stream, and one Reader."""

    def __init__(self, link: StreamLink, requests: Requests, spawn: Spawn) -> None:
        """`spawn` runs tasks, which `close` ends."""
        self._link = link
        self._requests = requests
        self._replies = Replies(link)
        self.reader = Reader(link, self._replies, requests)
        self._spawn = spawn
        self._tasks: set[asyncio.Task[None]] = set()
        self._commits: dict[str, Commit] = {}

    def store(
        self, stream: str, subject: str, payload: bytes, dedup_id: str | None
    ) -> asyncio.Future[Stored]:
        """See ports.Streams."""
        return self.store_as(stream, to_stored(subject), payload, dedup_id)

    def store_as(
        self, stream: str, stored: str, payload: bytes, dedup_id: str | None
    ) -> asyncio.Future[Stored]:
        """As `store`, under a subject of the stream itself."""
        return self.commit(stream, self.reader.state).store(stored, payload, dedup_id)

    async def state(self, stream: str) -> StreamState:
        """See ports.Streams."""
        return await self.reader.state(stream)

    async def first_since(self, stream: str, moment: float) -> int:
        """See ports.Streams."""
        return await self.reader.first_since(stream, moment)

    async def read(
        self, stream: str, first: int, last: int, *, pattern: str | None = None, most_bytes: int = 131_072
    ) -> StoredMessages:
        """See ports.Streams."""
        return await self.reader.read(stream, first, last, pattern=pattern, most_bytes=most_bytes)

    async def tail(
        self,
        stream: str,
        pattern: str,
        deliver: Callable[[StoredMessage], None],
        restarted: Callable[[], None],
    ) -> Tail:
        """See ports.Streams."""
        tail = NatsTail(self._link, self._requests, self.reader, stream, pattern, deliver, restarted)
        await tail.open(self.run)
        return tail

    def pause(self, paused: bool) -> None:
        """The link reads nothing for now, or reads on: answers are waited for longer."""
        self._replies.pause(paused)

    def close(self) -> None:
        """End everything, once the link is closed: what waits to be stored is refused."""
        for task in tuple(self._tasks):
            task.cancel()
        for commit in self._commits.values():
            commit.close()

    def commit(self, stream: str, state: Callable[[str], Awaitable[StreamState]]) -> Commit:
        """The commit of a stream; `state` is Commit's."""
        known = self._commits.get(stream)
        if known is not None:
            return known
        if len(self._commits) >= _KEPT:
            self._commits = {name: each for name, each in self._commits.items() if not each.idle}
        commit = Commit(self._link, self._replies, stream, state, self.run)
        self._commits[stream] = commit
        return commit

    def run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a task, which `close` ends."""
        task = self._spawn(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
