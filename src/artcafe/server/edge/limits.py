"""The bounds of one HTTP connection."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """The limits of one connection; times are seconds.

    `head_seconds` run from the first byte of a head (from the connection, for the first one) to its end.
    `body_seconds` is silence inside a body, `idle_seconds` the wait for the next request, and
    `answer_seconds` how long a client may leave an answer unread once the send buffer is full.
    """

    head_bytes: int = 65_536
    head_fields: int = 100
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    idle_seconds: float = 75.0
    answer_seconds: float = 30.0
    pipelined: int = 8
    close_seconds: float = 2.0
    """How long a closing connection is read from, so that the client gets the answer and no reset."""
