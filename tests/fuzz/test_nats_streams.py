"""What a nats-server says is the same however its stream is cut into reads."""

import pytest

from tests.fuzz.cases import SECONDS, cases
from tests.fuzz.nats_streams import cuts, damaged, heard, stream

pytestmark = pytest.mark.timeout(SECONDS + 120)


def test_a_stream_is_what_it_was_made_of_at_every_cut() -> None:
    for name, choose in cases(600):
        text, meant, full = stream(choose)
        for places in cuts(choose, text):
            assert heard(text, places, full) == (meant, True), (name, places[:20], text[:300])


def test_a_damaged_stream_is_the_same_or_nonsense_at_the_same_place_at_every_cut() -> None:
    for name, choose in cases(600):
        text, _, full = stream(choose)
        text = damaged(choose, text)
        whole = heard(text, [], full)
        for places in cuts(choose, text):
            assert heard(text, places, full) == whole, (name, places[:20], text[:300])
