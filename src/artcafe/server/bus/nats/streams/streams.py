"""The streams of one tenant on its link: ports.Streams on JetStream."""

import asyncio

from artcafe.server.bus.nats.requests import Requests
from artcafe.server.bus.nats.streams.commit import Commit, Spawn
from artcafe.server.bus.nats.streams.reader import Reader
from artcafe.server.bus.nats.streams.replies import Replies, StreamLink
from artcafe.server.ports.streams import Stored, StoredMessages, StreamState
from artcafe.wire.subjects import to_stored

_KEPT = 256
"""Commits that are kept, before those with nothing to do are forgotten."""


class NatsStreams:
    """One Commit for each stream, and one Reader."""

    def __init__(self, link: StreamLink, requests: Requests, spawn: Spawn) -> None:
        """`spawn` runs tasks, which `close` ends."""
        self._link = link
        self._replies = Replies(link)
        self._reader = Reader(link, self._replies, requests)
        self._spawn = spawn
        self._commits: dict[str, Commit] = {}

    def store(
        self, stream: str, subject: str, payload: bytes, dedup_id: str | None
    ) -> asyncio.Future[Stored]:
        """See ports.Streams."""
        commit = self._commits.get(stream) or self._commit(stream)
        return commit.store(to_stored(subject), payload, dedup_id)

    async def state(self, stream: str) -> StreamState:
        """See ports.Streams."""
        return await self._reader.state(stream)

    async def first_since(self, stream: str, moment: float) -> int:
        """See ports.Streams."""
        return await self._reader.first_since(stream, moment)

    async def read(
        self, stream: str, first: int, last: int, *, pattern: str | None = None, most_bytes: int = 131_072
    ) -> StoredMessages:
        """See ports.Streams."""
        return await self._reader.read(stream, first, last, pattern=pattern, most_bytes=most_bytes)

    def close(self) -> None:
        """End everything: what waits to be stored is refused."""
        for commit in self._commits.values():
            commit.close()

    def _commit(self, stream: str) -> Commit:
        if len(self._commits) >= _KEPT:
            self._commits = {name: each for name, each in self._commits.items() if not each.idle}
        commit = Commit(self._link, self._replies, stream, self._reader.state, self._spawn)
        self._commits[stream] = commit
        return commit
