"""The marks by which a store and a bus prove that they are of one installation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from artcafe.server.domain.installation import Mark
from artcafe.server.domain.tenant import TenantRules


class InstallationRecords(Protocol):
    """The mark by which a store knows its bus, and whose turn it is to look after it."""

    async def mark(self) -> Mark | None:
        """The mark, or None in a store that no server has opened yet."""

    async def make(self, mark: Mark) -> Mark:
        """Give the store this mark, unless it has one; the one that it has now."""

    async def stamp(self, above: int = 0) -> Mark:
        """Raise the stamp by one at least, and above this one; the new mark. Raises not_found without one."""

    async def turn(self, now: float, rest: float) -> bool:
        """Whether `rest` seconds have passed since some process was told so; then no other one is, whoever
        asks at the same moment. `now` is in Unix seconds."""


@dataclass(frozen=True, slots=True)
class Survey:
    """The accounts on a bus besides the tenants': the number of unknown ones, made with the seed in force and
    not just now, and the marks under other seeds."""

    strangers: int = 0
    marks: Sequence[Mark] = ()


class Marked(Protocol):
    """The installation's mark on the bus."""

    async def mark(self) -> Mark | None:
        """The mark that the bus has under the operator seed in force. Raises unavailable."""

    async def put_mark(self, mark: Mark) -> None:
        """Give the bus this mark. Raises unavailable."""

    async def survey(self, tenants: Sequence[TenantRules]) -> Survey:
        """The other accounts on the bus, where these are all tenants. Raises unavailable."""
