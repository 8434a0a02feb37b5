"""The quota: the messages that a tenant may still publish this month, as one process knows it."""

from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

UNLIMITED = 2**62
"""What is left where nothing is limited, and until the first look at what was used."""


class Quota:
    """The messages that are left to a tenant in one process. Each message that is taken here leaves one less;
    what other processes took is known since it was `set` last."""

    __slots__ = ("__weakref__", "left", "taken")

    def __init__(self) -> None:
        self.left = UNLIMITED
        self.taken = 0
        """How many were taken here since it was `set` last."""

    def set(self, left: int) -> None:
        """Let so many be taken from now on; none where it is not positive."""
        self.left = left
        self.taken = 0

    def take(self) -> None:
        """Take one message. Raises quota_exceeded when none is left; nothing is taken then."""
        if self.left <= 0:
            raise ArtcafeError(Code.quota_exceeded, "The messages of this month's quota are used.")
        self.left -= 1
        self.taken += 1
