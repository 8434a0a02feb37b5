"""Tallies that tell what they were told to count."""

from collections.abc import Callable, Sequence

from artcafe.server.core.usage import Tally
from artcafe.server.domain.ids import ChannelId

Count = tuple[str, str, tuple[ChannelId, ...], int]
"""One message: its sender, its subject, its channels, its size."""


class _Told(Tally):
    def __init__(
        self, counted: list[Count], sender: str, subject: str, channels: tuple[ChannelId, ...]
    ) -> None:
        self._counted = counted
        self._about = (sender, subject, channels)

    def count(self, size: int, now: float) -> None:
        self._counted.append((*self._about, size))


def telling(counted: list[Count]) -> Callable[[str, str, Sequence[ChannelId]], Tally]:
    """What makes them, for Session: everything they count is added to the list."""
    return lambda sender, subject, channels: _Told(counted, sender, subject, tuple(channels))
