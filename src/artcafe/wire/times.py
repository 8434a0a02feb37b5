"""Instants as text: RFC 3339, UTC, milliseconds."""

from datetime import UTC, datetime
from functools import lru_cache
from math import floor

_DAY = 86_400


def rfc3339(seconds: float) -> str:
    """Write seconds since the Unix epoch as `2026-11-23T03:40:00.123Z`."""
    # Half a microsecond is what a float of this size is wrong by: .123 must not become .122.
    count = int((seconds * 1000 + 0.0005) // 1)
    return f"{_second(count // 1000)}.{count % 1000:03d}Z"


def utc_day(seconds: float) -> str:
    """The UTC day of an instant, as `2026-11-23`."""
    return _second(floor(seconds) // _DAY * _DAY)[:10]


# Many messages are of the same second: it is written once.
@lru_cache(maxsize=64)
def _second(whole: int) -> str:
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}"
