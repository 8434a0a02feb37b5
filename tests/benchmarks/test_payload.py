"""The generator knows its own messages, and nothing else passes for one."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.payload import Lane, Stamp, WrongDelivery, place_of_number


@pytest.mark.parametrize("size", [64, 256, 8192])
def test_a_message_has_the_size_that_was_asked_for(size: int) -> None:
    assert len(Lane("c12", size).body(7)) == size


def test_a_size_too_small_for_the_number_is_refused() -> None:
    with pytest.raises(ValueError, match="at least"):
        Lane("c0", 20)


def test_the_right_message_passes_however_it_is_spaced() -> None:
    lane = Lane("c0", 256)
    lane.check(lane.body(41), 41)
    lane.check(json.dumps(json.loads(lane.body(41)), indent=2).encode(), 41)


def test_a_message_out_of_order_names_both_numbers() -> None:
    lane = Lane("c0", 256)
    with pytest.raises(WrongDelivery, match="message 41 was due, 00000042 came"):
        lane.check(lane.body(42), 41)


def test_a_message_of_another_lane_is_refused() -> None:
    with pytest.raises(WrongDelivery, match="a message of lane c1 came"):
        Lane("c0", 256).check(Lane("c1", 256).body(3), 3)


@pytest.mark.parametrize(
    "harm",
    [
        lambda body: body.replace(b"quick", b"quack", 1),
        lambda body: body.replace(b"dog ", b"dog", 1),
        lambda body: body[:-1],
        lambda body: body[:-2] + b"\xff" + body[-1:],
        lambda body: b"",
    ],
)
def test_a_changed_message_is_refused(harm: Callable[[bytes], bytes]) -> None:
    lane = Lane("c0", 256)
    with pytest.raises(WrongDelivery):
        lane.check(harm(lane.body(0)), 0)


@given(st.integers(min_value=0, max_value=99_999_999), st.binary(min_size=8, max_size=8))
def test_a_stamped_command_is_the_command_of_that_message(number: int, key: bytes) -> None:
    lane = Lane("c0", 128)
    head = b"PUB bench.c0 128\r\n"
    at = place_of_number(head + lane.body(0))

    def covered(command: bytes) -> bytes:
        """The command with the key over the place of its number."""
        digits = bytes(a ^ b for a, b in zip(command[at : at + 8], key, strict=True))
        return command[:at] + digits + command[at + 8 :]

    stamp = Stamp(covered(head + lane.body(0)), at, key)
    assert covered(stamp.with_number(number)) == head + lane.body(number)


def test_a_command_without_a_number_has_no_place_for_one() -> None:
    with pytest.raises(ValueError, match="not found"):
        place_of_number(b"PING")
