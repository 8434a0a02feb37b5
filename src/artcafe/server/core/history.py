"""Reads what durable channels hold: the place from which somebody goes on, and pages in both directions."""

from collections.abc import Callable
from dataclasses import dataclass

from artcafe.server.ports.streams import StoredMessage, Streams, StreamState
from artcafe.wire.frames import NotRecovered, Position
from artcafe.wire.since import Moment, Since

WINDOW = 256
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
        window, end = window * 4, begin - 1
    return None
