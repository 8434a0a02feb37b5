"""Reads the places from which a subscription begins: a sequence, a time, a duration, `last` or `all`."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

_DURATION = re.compile(r"([0-9]{1,9})([smhd])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_SEQUENCE = re.compile(r"[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment, in Unix seconds."""

    seconds: float


Since = int | Moment | Literal["last", "all"]
"""A sequence, which is delivered first; the first message of a moment or later; the last; all."""


def parse_since(value: int | str, now: float) -> Since:
    """Read `17` or `"17"`, `"2026-11-23T03:40:00Z"`, `"30s"`, `"10m"`, `"1h"`, `"7d"` before `now` (Unix
    seconds), `"last"` or `"all"`. Raises validation_failed."""
    if isinstance(value, int):
        return value
    if value in {"last", "all"}:
        return "last" if value == "last" else "all"
    if _SEQUENCE.fullmatch(value):
        return int(value)
    duration = _DURATION.fullmatch(value)
    if duration is not None:
        return Moment(now - int(duration[1]) * _SECONDS[duration[2]])
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or "T" not in value:
        raise ArtcafeError(
            Code.validation_failed,
            "A place to begin is a sequence, a time (RFC 3339), a duration (30s, 10m, 1h, 7d), last or all.",
        )
    return Moment((moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp())
