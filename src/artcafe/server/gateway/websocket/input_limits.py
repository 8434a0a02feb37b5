"""Limits a client's input: the rate of control frames, and bytes before the login."""

import asyncio
from collections.abc import Callable

from artcafe.server.domain.rate import TokenBucket
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

CONTROL_BURST_SECONDS = 10.0
"""Seconds' worth of control frames that may come at once."""

FRAME_OVERHEAD = 64
"""Bytes that a frame is charged beyond its payload: what it costs to keep an empty one."""

_LONGEST_HEADER = 14
"""Bytes of a frame's header at most (RFC 6455 section 5.2)."""


class ControlFrameLimiter:
    """The rate limiter of one client's control frames and small fragments."""

    __slots__ = ("_bucket", "_now", "_rate")

    def __init__(self, rate: float, now: Callable[[], float]) -> None:
        """`rate` is in frames per second; `now` is in seconds, monotonic."""
        self._rate = rate
        self._now = now
        # Most clients send one PONG in each heartbeat, or none.
        self._bucket: TokenBucket | None = None

    def take(self) -> None:
        """Charge one. Raises flooding when there are too many."""
        now = self._now()
        if self._bucket is None:
            self._bucket = TokenBucket(self._rate, CONTROL_BURST_SECONDS * self._rate, now)
        if self._bucket.spend(now) > 0.0:
            raise ArtcafeError(Code.flooding, "Too many control frames or small fragments.")


class PreLoginReader(asyncio.BufferedProtocol):
    """Reads for the frame parser while the client is not logged in, and counts.

    The parser's own limit is that of a client which is logged in, and it gathers a frame up to that. Before
    the login a frame has `most` bytes at most, and all of them twice as many; each is charged
    FRAME_OVERHEAD besides.
    """

    def __init__(
        self, parser: asyncio.BufferedProtocol, most: int, refuse: Callable[[ArtcafeError], None]
    ) -> None:
        """`refuse` closes the connection; it is called once or more."""
        self._parser = parser
        self._most = most
        self._left = 2 * most
        self._refuse = refuse
        self._unframed = 0  # Bytes that came since the last whole frame.

    def framed(self, size: int, tail: int) -> None:
        """A whole frame came, of so many bytes, and so many bytes behind it were read already.

        Raises too_large for the one, flooding for all of them.
        """
        self._unframed = tail
        self._left -= size + FRAME_OVERHEAD
        if size > self._most:
            raise self._too_large()
        if self._left < 0:
            raise ArtcafeError(Code.flooding, f"Too much before the login: {2 * self._most} bytes are taken.")

    # asyncio.BufferedProtocol.

    def get_buffer(self, sizehint: int) -> memoryview:
        """The parser's."""
        return memoryview(self._parser.get_buffer(sizehint))

    def buffer_updated(self, nbytes: int) -> None:
        """The parser reads; a frame that is still not whole must not become too large."""
        self._unframed += nbytes
        self._parser.buffer_updated(nbytes)
        if self._unframed > self._most + _LONGEST_HEADER:
            self._refuse(self._too_large())

    def eof_received(self) -> bool | None:
        """The parser's."""
        return self._parser.eof_received()

    def pause_writing(self) -> None:
        """The parser's."""
        self._parser.pause_writing()

    def resume_writing(self) -> None:
        """The parser's."""
        self._parser.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """The parser's."""
        self._parser.connection_lost(exc)

    def _too_large(self) -> ArtcafeError:
        return ArtcafeError(Code.too_large, f"Before the login a frame has {self._most} bytes at most.")
