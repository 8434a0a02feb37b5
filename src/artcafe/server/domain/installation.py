"""The identity of an installation: its store and its bus carry the same mark, or no server starts."""

import re

from msgspec import Struct

MOST_STRANGERS = 10
"""So many accounts of no tenant are always removed."""

SHARE_OF_STRANGERS = 0.1
"""Above MOST_STRANGERS, no larger share than this of all accounts is removed unless an operator says so."""

UNMARKED = "unmarked"
"""What stands for a bus without a mark."""


class WrongInstallation(Exception):
    """The store and the bus do not belong together: why, and what to do, in one line for their operator."""


class Mark(Struct, frozen=True):
    """An installation's id, and how often its store was stamped.

    A stamp is stored before the bus is told of it. So a store whose stamp is lower than the bus's is an older
    one: a backup, or one that was copied and left behind.
    """

    id: str
    stamp: int = 1

    def __str__(self) -> str:
        return f"{self.id}.{self.stamp}"


MARK_PATTERN = re.compile(r"[0-9a-z]{1,40}\.[0-9]{1,15}")
"""A mark as it is written."""


def too_many(strangers: int, accounts: int) -> bool:
    """Whether so many accounts of no tenant, of so many in all, are too many to be what cut-off deletions and
    creations leave behind."""
    return strangers > MOST_STRANGERS and strangers > accounts * SHARE_OF_STRANGERS
