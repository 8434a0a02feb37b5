"""The inboxes of one tenant on JetStream: ports.Inboxes.

One stream holds them all, with a subject for each owner and priority (ADR 36). It is made when something is
stored for the first time, by the user who makes streams; the link itself stores, reads and removes. When a
message is stored, the stream publishes its headers again, which the processes hear.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from artcafe.server.bus.nats.headers import value_of
from artcafe.server.bus.nats.message import FullMessage
from artcafe.server.bus.nats.requests import Requests
from artcafe.server.bus.nats.streams.api import Connected, ask
from artcafe.server.bus.nats.streams.faults import NAME_IN_USE, NO_SUCH_MESSAGE, STREAM_NOT_FOUND, Fault
from artcafe.server.bus.nats.streams.replies import StreamLink
from artcafe.server.bus.nats.streams.streams import NatsStreams
from artcafe.server.bus.nats.subscription import NatsSubscription
from artcafe.server.bus.unavailable import bus_unavailable
from artcafe.server.domain.ids import TenantId
from artcafe.server.events import StreamRefused, note
from artcafe.server.ports.inboxes import InboxListener, InboxMessage, InboxMessages
from artcafe.server.ports.streams import Stored, StreamState
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.inbox import MAX_AGE_SECONDS
from artcafe.wire.subjects import NOTICES, QUEUED, from_queued, to_queued

STREAM: Final = "INBOX"

ANSWER_SECONDS = 10.0
"""How long the stream may take to answer: to remove messages, it reads what stands between them."""

_OPENED = "opened"
_LAST = 2**53
_SECOND = 1_000_000_000


class _State(msgspec.Struct):
    subjects: dict[str, int] | None = None


class _Answer(msgspec.Struct):
    """Any answer of the JetStream API."""

    error: Fault | None = None
    state: _State | None = None
    total: int = 0
    limit: int = 0
    purged: int = 0


def inbox_config(most_messages: int | None, max_bytes: int, replicas: int) -> dict[str, Any]:
    """The configuration of a tenant's inboxes, as the JetStream API has it: `most_messages` of one owner and
    priority, and `max_bytes` in all, reserved on the disk."""
    return {
        "name": STREAM,
        "subjects": [f"{QUEUED}.*.*"],
        "retention": "limits",
        "storage": "file",
        "num_replicas": replicas,
        "discard": "new",
        "discard_new_per_subject": most_messages is not None,
        "max_msgs_per_subject": most_messages or -1,
        "max_bytes": max_bytes,
        "max_age": MAX_AGE_SECONDS * _SECOND,
        "max_consumers": 1,
        "duplicate_window": 120 * _SECOND,
        "allow_direct": True,
        "allow_atomic": True,
        "allow_msg_ttl": True,
        "republish": {
            "src": f"{QUEUED}.*.*",
            "dest": f"{NOTICES}.{{{{wildcard(1)}}}}.{{{{wildcard(2)}}}}",
            "headers_only": True,
        },
    }


class NatsInboxWatch:
    """ports.InboxWatch. What a link publishes is not heard by itself."""

    def __init__(self, heard: NatsSubscription, publish: Callable[[str, bytes], bool]) -> None:
        self._heard = heard
        self._publish = publish

    def announce(self, owner: str) -> None:
        """See ports.InboxWatch."""
        self._publish(f"{NOTICES}.{owner}.{_OPENED}", b"")

    async def close(self) -> None:
        """See ports.InboxWatch."""
        await self._heard.close()


class NatsInboxes:
    """The inboxes on one link."""

    def __init__(
        self,
        link: StreamLink,
        requests: Requests,
        streams: NatsStreams,
        connected: Connected,
        config: Mapping[str, Any],
        tenant: TenantId,
        publish: Callable[[str, bytes], bool],
    ) -> None:
        """`config` is inbox_config's, by the tenant's plan; `publish` is the link's."""
        self._tenant = tenant
        self._link = link
        self._requests = requests
        self._streams = streams
        self._connected = connected
        self._config = config
        self._publish = publish
        self._made = asyncio.Lock()
        self._agreed = False

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
        commit = self._streams.commit(STREAM, self._state)
        stored = commit.store(to_queued(owner, priority), payload, dedup_id, expires_in)
        told: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        told.add_done_callback(lambda done: done.cancelled() or done.exception())

        def tell(done: asyncio.Future[Stored]) -> None:
            if told.done():
                return
            error = done.exception()
            if error is None:
                told.set_result(done.result())
            else:
                told.set_exception(_meaning(error))

        stored.add_done_callback(tell)
        return told

    async def counts(self, owner: str | None) -> Mapping[tuple[str, int], int]:
        """See ports.Inboxes."""
        found: dict[tuple[str, int], int] = {}
        wanted, seen = to_queued(owner or "*", None), 0
        while True:
            asked = {"subjects_filter": wanted, "offset": seen}
            answer = await self._ask("INFO", asked)
            if answer.error is not None and answer.error.err_code == STREAM_NOT_FOUND:
                return {}
            if answer.error is not None or answer.state is None:
                raise bus_unavailable()
            subjects = answer.state.subjects or {}
            found |= {from_queued(subject): count for subject, count in subjects.items()}
            seen += len(subjects)
            if not subjects or seen >= answer.total:
                return found

    async def read(
        self, first: int, *, owner: str | None = None, priority: int | None = None, most_bytes: int = 65_536
    ) -> InboxMessages:
        """See ports.Inboxes."""
        wanted = to_queued(owner or "*", priority)
        try:
            read, following = await self._streams.reader.read_stored(
                STREAM, max(first, 1), _LAST, wanted, most_bytes
            )
        except ArtcafeError as error:
            if error.code is Code.not_found:  # The stream was deleted; the next message makes it anew.
                return InboxMessages((), None)
            raise
        messages = [InboxMessage(each.seq, *from_queued(each.subject), each.payload) for each in read]
        return InboxMessages(messages, None if following > _LAST else following)

    async def remove(self, owner: str, priority: int | None, last: int | None = None) -> int:
        """See ports.Inboxes."""
        asked: dict[str, str | int] = {"filter": to_queued(owner, priority)}
        if last is not None:
            asked["seq"] = last + 1
        answer = await self._ask("PURGE", asked)
        if answer.error is not None and answer.error.err_code != STREAM_NOT_FOUND:
            raise bus_unavailable()
        return answer.purged

    async def remove_one(self, seq: int) -> None:
        """See ports.Inboxes."""
        answer = await self._ask("MSG.DELETE", {"seq": seq, "no_erase": True})
        gone = {STREAM_NOT_FOUND, *NO_SUCH_MESSAGE}
        if answer.error is not None and answer.error.err_code not in gone:
            raise bus_unavailable()

    async def watch(self, listener: InboxListener) -> "NatsInboxWatch":
        """See ports.Inboxes."""

        def take(subject: str, message: FullMessage) -> None:
            _, owner, what = subject.split(".")
            if what == _OPENED:
                listener.opened(owner)
                return
            seq = value_of(message.headers, b"Nats-Sequence")
            if seq is not None and seq.isdigit() and what.isdigit():
                listener.stored(owner, int(what), int(seq))

        heard = await self._link.subscribe_full(f"{NOTICES}.*.*", take, listener.missed)
        return NatsInboxWatch(heard, self._publish)

    async def _state(self, stream: str) -> StreamState:
        """The state of the stream, which is there then, as the plan says. Raises unavailable."""
        async with self._made:
            if not self._agreed:
                await self._make()
                self._agreed = True
        try:
            return await self._streams.state(stream)
        except ArtcafeError:
            self._agreed = False  # It may have been deleted.
            raise

    async def _make(self) -> None:
        """Make the stream, or let it be as the plan says now."""
        async with self._connected() as requests:
            answer = await self._ask("CREATE", self._config, requests)
            if answer.error is not None and answer.error.err_code == NAME_IN_USE:
                answer = await self._ask("UPDATE", self._config, requests)
        if answer.error is not None:
            reason = f"{answer.error.description} ({answer.error.err_code})"
            note(StreamRefused(tenant=self._tenant, channel="", stream=STREAM, reason=reason))
            raise bus_unavailable()

    async def _ask(self, what: str, said: Mapping[str, Any], requests: Requests | None = None) -> _Answer:
        call = f"STREAM.{what}.{STREAM}"
        return await ask(requests or self._requests, call, said, _Answer, seconds=ANSWER_SECONDS)


def _meaning(error: BaseException) -> BaseException:
    if isinstance(error, ArtcafeError) and error.code is Code.channel_full:
        return ArtcafeError(Code.inbox_full)
    return error
