"""The counters of usage, and their retention."""

from datetime import UTC, datetime, timedelta

EVER = "ever"
"""Where counts stand that are of no single day: messages sent and received by agents, and in channels."""

SENT = "sent:"
RECEIVED = "received:"
CHANNEL = "channel:"
"""What is counted there of an agent, or a channel: one of these, and then what its `counted_as` says."""

MAX_DAYS = 400
"""The longest span of days one report covers, and so long a day's counts are kept after it."""


def incarnation(entry: str) -> str:
    """The tag that tells a created record from earlier ones of the same id: from the entry of the audit."""
    return entry[-12:]


def counted_as(identifier: str, incarnation: str) -> str:
    """The name of the counters of an agent or a channel: up to the first `#` it is the id. No other
    incarnation of the id has them; what is older than incarnations has the id alone."""
    return f"{identifier}#{incarnation}" if incarnation else identifier


def ends(day: str, kept: int = MAX_DAYS) -> int | None:
    """The expiry of the counters of a UTC day (`2026-11-23`) that are kept for so many days after it, in Unix
    seconds; None for lifetime counters."""
    if day == EVER:
        return None
    return int((datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1 + kept)).timestamp())
