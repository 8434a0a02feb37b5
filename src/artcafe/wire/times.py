"""How an instant is written: RFC 3339, UTC, milliseconds."""

from datetime import UTC, datetime


def rfc3339(seconds: float) -> str:
    """Write seconds since the Unix epoch as `2026-11-23T03:40:00.123Z`."""
    instant = datetime.fromtimestamp(seconds, UTC)
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{instant.microsecond // 1000:03d}Z"


def utc_day(seconds: float) -> str:
    """The UTC day of an instant, as `2026-11-23`."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
