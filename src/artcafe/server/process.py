"""The environment of a server process: clock, identifiers, and listening address."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from artcafe.server.domain.message_id import numbered_id


class SystemClock:
    """The machine's time."""

    def __init__(self) -> None:
        # Asked several times for each message, so without a call in between.
        self.now: Callable[[], float] = time.time
        self.monotonic: Callable[[], float] = time.monotonic


def new_id() -> str:
    """A random identifier, unguessable and unique."""
    return secrets.token_hex(16)


class MessageIds:
    """Called for identifiers of messages (domain.message_id), each right before its message is published."""

    __slots__ = ("_count", "process")

    def __init__(self) -> None:
        self.process = secrets.token_hex(8)
        """What those of no other process begin with."""
        self._count = 0

    def __call__(self) -> str:
        """The next one."""
        self._count += 1
        return numbered_id(self.process, self._count)


@dataclass(frozen=True, slots=True)
class Place:
    """Where this process listens, once it is known: the port in the settings may be 0."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """How this machine reaches it."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::", ""} else self.host  # noqa: S104  # nosec B104 - asked, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"
