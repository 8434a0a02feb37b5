"""Tallies that tell what they were told to count."""

from collections.abc import Callable, Sequence

from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.quota import Quota
from artcafe.server.domain.tally import Tally

Count = tuple[str, tuple[str, ...], int]
"""One message: the agent that it is counted for, its channels, its size."""


class _Told(Tally):
    def __init__(self, counted: list[Count], agent: str, channels: tuple[str, ...]) -> None:
        self._counted = counted
        self._about = (agent, channels)

    def count(self, size: int, now: float) -> None:
        self._counted.append((*self._about, size))


def telling(counted: list[Count]) -> Callable[[TenantId, str, Sequence[str]], Tally]:
    """SessionServices.tally: everything they count is added to the list."""
    return lambda _, agent, channels: _Told(counted, agent, tuple(channels))


def unlimited(_: TenantId) -> Quota:
    """MessageServices.quota: nothing is limited."""
    return Quota()
