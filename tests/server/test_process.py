"""Where a process is reached, and what nobody else has."""

import pytest

from artcafe.server.process import MessageIds, Place, SystemClock, new_id


@pytest.mark.parametrize(
    ("place", "url"),
    [
        (Place("127.0.0.1", 8000), "http://127.0.0.1:8000"),
        (Place("0.0.0.0", 8000), "http://127.0.0.1:8000"),
        (Place("::1", 8000), "http://[::1]:8000"),
        (Place("::", 8000), "http://127.0.0.1:8000"),
        (Place("10.0.0.7", 80), "http://10.0.0.7:80"),
    ],
)
def test_how_the_machine_reaches_itself(place: Place, url: str) -> None:
    assert place.url == url


def test_message_ids_differ_within_and_between_processes() -> None:
    one, two = MessageIds(), MessageIds()
    assert len({one() for _ in range(100)} | {two() for _ in range(100)}) == 200


def test_identifiers_differ_and_fit_into_every_key() -> None:
    made = {new_id() for _ in range(100)}

    assert len(made) == 100
    assert all(text.isalnum() and len(text) == 32 for text in made)


def test_the_clock_goes_forward() -> None:
    clock = SystemClock()

    assert clock.now() > 1_700_000_000
    assert clock.monotonic() <= clock.monotonic()
