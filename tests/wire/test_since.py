"""Where a subscription begins, as people and programs write it."""

import pytest

from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.since import Moment, Since, parse_since

NOW = 1_764_000_000.0


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (17, 17),
        ("17", 17),
        ("0", 0),
        ("last", "last"),
        ("all", "all"),
        ("30s", Moment(NOW - 30)),
        ("10m", Moment(NOW - 600)),
        ("1h", Moment(NOW - 3600)),
        ("7d", Moment(NOW - 604_800)),
        ("2025-11-24T16:00:00Z", Moment(NOW)),
        ("2025-11-24T16:00:00.500Z", Moment(NOW + 0.5)),
        ("2025-11-24T17:00:00+01:00", Moment(NOW)),
        ("2025-11-24T16:00:00", Moment(NOW)),
    ],
)
def test_a_place_is_a_sequence_a_time_a_duration_or_a_word(value: int | str, place: Since) -> None:
    assert parse_since(value, NOW) == place


@pytest.mark.parametrize("value", ["", "yesterday", "-5", "10 m", "1h30m", "2025-11-24", "١٢"])
def test_anything_else_is_refused(value: str) -> None:
    with pytest.raises(ArtcafeError) as refused:
        parse_since(value, NOW)
    assert refused.value.code is Code.validation_failed
