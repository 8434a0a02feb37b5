"""Reads what durable channels hold: the place from which somebody goes on, and pages in both directions."""

from collections.abc import Callable
from dataclasses import dataclass

from artcafe.server.core.durable.opening import durable_channel, tenant_link
from artcafe.server.domain.access import Action, Rights, require
from artcafe.server.domain.ids import ChannelId
from artcafe.server.domain.principal import Human
from artcafe.server.ports.bus import Bus
from artcafe.server.ports.records import Directory
from artcafe.server.ports.streams import StoredMessage, Streams, StreamState
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.frames import NotRecovered, Position
from artcafe.wire.since import Moment, Since, parse_since
from artcafe.wire.subjects import covers, from_bus, parse_pattern, to_bus

PAGE_BYTES = 1_048_576
MAX_READS = 64
"""What one page holds, and how often the store is asked for it."""

WINDOW, MAX_WINDOW = 256, 16_384
"""Sequences that are looked through first from the end; each further window is four times as long."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """The place behind which messages are delivered, and the reason why it is not the one asked for."""

    seq: int
    reason: NotRecovered | None = None


def after(position: Position, state: StreamState) -> Beginning:
    """The place of somebody who has everything up to a position."""
    if position.epoch != state.epoch:
        return Beginning(state.first - 1, NotRecovered.epoch)
    return _after(position.seq, state)


async def since(streams: Streams, stream: str, pattern: str, asked: Since, state: StreamState) -> Beginning:
    """The place of somebody who asks for what is stored since then, of a bus pattern. Raises unavailable,
    not_found."""
    if asked == "all":
        return Beginning(state.first - 1)
    if asked == "last":
        last = await last_before(
            streams, stream, state.last + 1, state.first, lambda _: True, pattern=pattern
        )
        return Beginning(state.last if last is None else last.seq - 1)
    if isinstance(asked, Moment):
        return Beginning(max(await streams.first_since(stream, asked.seconds), state.first) - 1)
    assert isinstance(asked, int)
    return Beginning(state.first - 1) if asked == 0 else _after(asked - 1, state)


def _after(seq: int, state: StreamState) -> Beginning:
    if seq > state.last:
        return Beginning(state.last, NotRecovered.ahead)
    if seq + 1 < state.first:
        return Beginning(state.first - 1, NotRecovered.gone)
    return Beginning(seq)


async def last_before(
    streams: Streams,
    stream: str,
    before: int,
    first: int,
    wanted: Callable[[StoredMessage], bool],
    *,
    pattern: str | None,
) -> StoredMessage | None:
    """The last wanted message of the sequences from `first` to `before`, without that. Raises unavailable,
    not_found."""
    window, end = WINDOW, before - 1
    while end >= first:
        at, begin, last = max(first, end - window + 1), max(first, end - window + 1), None
        while at <= end:
            found = await streams.read(stream, at, end, pattern=pattern)
            last = next((each for each in reversed(found.messages) if wanted(each)), last)
            at = found.following
        if last is not None:
            return last
        window, end = min(window * 4, MAX_WINDOW), begin - 1
    return None


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Which messages of a channel: behind the sequence `after`, or before `before`, or since a place; the
    last ones where none of them is given. `pattern` is one of subjects, `sender` publishes them."""

    after: int | None = None
    before: int | None = None
    since: int | str | None = None
    pattern: str | None = None
    sender: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Messages in the order of their channel, and what it holds. `after` and `before` are the sequences to go
    on with in both directions; None where there is no more."""

    state: StreamState
    messages: list[StoredMessage]
    after: int | None
    before: int | None


class History:
    """Reads what durable channels hold, for humans who may subscribe to them."""

    def __init__(self, *, bus: Bus, directory: Directory, now: Callable[[], float]) -> None:
        self._bus = bus
        self._directory = directory
        self._now = now

    async def page(self, human: Human, channel_id: ChannelId, query: HistoryQuery) -> HistoryPage:
        """Up to `limit` messages of at most PAGE_BYTES that the human may hear; fewer where many may not be
        heard.

        Raises not_found, not_durable, forbidden, invalid_subject, validation_failed, unavailable.
        """
        require(human, Action.read)
        if sum(each is not None for each in (query.after, query.before, query.since)) > 1:
            raise ArtcafeError(Code.validation_failed, "It is one of after, before and since.")
        asked = None if query.since is None else parse_since(query.since, self._now())
        channel, rights = await durable_channel(self._directory, human, channel_id)
        wanted = channel.pattern
        if query.pattern is not None:
            wanted = parse_pattern(query.pattern, human.tenant).subject
        if not covers(channel.pattern, wanted):
            raise ArtcafeError(Code.invalid_subject, f"The channel's subjects are {channel.pattern}.")
        pattern = to_bus(query.sender or "*", wanted)
        async with tenant_link(self._bus, self._directory, human) as link:
            reader = _Reader(link.streams, channel.stream, pattern, rights, query.limit)
            state = await link.streams.state(channel.stream)
            if asked is not None:
                start = (await since(link.streams, channel.stream, pattern, asked, state)).seq
                return await reader.forward(state, start)
            if query.after is not None:
                return await reader.forward(state, query.after)
            return await reader.backward(state, query.before or state.last + 1)


class _Reader:
    """Pages of one stream. What one request reads is bounded by MAX_READS."""

    def __init__(self, streams: Streams, stream: str, pattern: str, rights: Rights, limit: int) -> None:
        self._streams = streams
        self._stream = stream
        self._pattern = pattern
        self._rights = rights
        self._limit = limit

    async def _read(self, first: int, last: int) -> tuple[list[StoredMessage], int]:
        found = await self._streams.read(self._stream, first, last, pattern=self._pattern)
        heard = [each for each in found.messages if self._rights.hears(from_bus(each.subject)[1])]
        return heard, found.following

    async def forward(self, state: StreamState, after: int) -> HistoryPage:
        """The messages behind a sequence."""
        at, size, reads = max(after + 1, state.first), 0, 0
        page: list[StoredMessage] = []
        while at <= state.last and reads < MAX_READS:
            found, following = await self._read(at, state.last)
            reads += 1
            for each in found:
                size += len(each.payload)
                if len(page) == self._limit or (page and size > PAGE_BYTES):
                    return HistoryPage(state, page, page[-1].seq, _earlier(state, page[0].seq))
                page.append(each)
            at = following
        more = at - 1 if at <= state.last else None
        return HistoryPage(state, page, more, _earlier(state, page[0].seq if page else after + 1))

    async def backward(self, state: StreamState, before: int) -> HistoryPage:
        """The messages before a sequence."""
        end, window, reads = min(before - 1, state.last), self._limit, 0
        page: list[StoredMessage] = []
        cut = False
        while end >= state.first and reads < MAX_READS and len(page) < self._limit and not cut:
            begin = at = max(state.first, end - window + 1)
            found: list[StoredMessage] = []
            while at <= end:
                more, at = await self._read(at, end)
                reads += 1
                found, left_out = _last(found + more, self._limit)
                cut |= left_out
            page, left_out = _last(found + page, self._limit)
            cut |= left_out
            end, window = begin - 1, min(window * 4, MAX_WINDOW)
        after = page[-1].seq if page else before - 1
        rest = page[0].seq if cut else end + 1
        return HistoryPage(state, page, after if after < state.last else None, _earlier(state, rest))


def _earlier(state: StreamState, seq: int) -> int | None:
    """Before which sequence to go on; None where nothing is."""
    return seq if seq > state.first else None


def _last(messages: list[StoredMessage], limit: int) -> tuple[list[StoredMessage], bool]:
    """The last messages, of at most PAGE_BYTES, and whether any were left out."""
    size, kept = 0, 0
    for each in reversed(messages[-limit:]):
        size += len(each.payload)
        if kept and size > PAGE_BYTES:
            break
        kept += 1
    return messages[len(messages) - kept :], kept < len(messages)
