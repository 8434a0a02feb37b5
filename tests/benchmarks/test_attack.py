"""An attack is judged by what a neighbour felt of it; one is carried out against the platform itself."""

import statistics
from pathlib import Path

import pytest

from benchmarks.attack import KEPT_BYTES, STALL_SECONDS, Felt, Found, strike, text
from benchmarks.attacks import ATTACKS
from benchmarks.measure import machine
from benchmarks.peers.watched import StallFile

CALM = Felt(400.0, 900.0)
MIB = 1 << 20


def found(
    during: Felt | None = CALM, stall: float = 0.01, after: int = 80 * MIB, fault: str | None = None
) -> Found:
    messages = None if during is None else (CALM, during)
    return Found("an attack", "it was tried", messages, None, stall, 80 * MIB, 90 * MIB, after, fault)


def test_half_of_the_latencies_are_at_most_p50_and_all_but_a_hundredth_at_most_p99() -> None:
    felt = Felt.of(range(1, 1002))
    assert (felt.p50, felt.p99) == (501, 991)


def test_nothing_is_said_of_a_single_latency() -> None:
    with pytest.raises(statistics.StatisticsError):
        Felt.of([1.0])


def test_an_attack_that_nobody_feels_is_within_bounds() -> None:
    assert not found().broken
    assert "| yes |" in text([found()], machine(), 1.0)


@pytest.mark.parametrize(
    ("each", "words"),
    [
        (found(Felt(2_100.0, 3_000.0)), "messages 5.2 times slower"),
        (found(stall=STALL_SECONDS * 2), "a stall of 500 ms"),
        (found(after=81 * MIB + KEPT_BYTES), "33 MiB kept"),
        (found(None, fault="the server ended"), "the server ended"),
    ],
)
def test_each_bound_that_does_not_hold_is_named(each: Found, words: str) -> None:
    assert each.broken == [words]
    assert f"**no**: {words}" in text([each], machine(), 1.0)


def test_the_longest_stall_is_kept_until_it_is_reset(tmp_path: Path) -> None:
    stalls = StallFile(tmp_path / "stalls")
    for seconds in (0.1, 0.3, 0.2):
        stalls.note(seconds)
    assert StallFile(tmp_path / "stalls").seconds == 0.3
    stalls.reset()
    assert StallFile(tmp_path / "stalls").seconds == 0.0


def test_every_attack_has_a_name_of_its_own() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) > 25


def test_a_frame_of_many_subjects_is_carried_out_and_nobody_falls() -> None:
    attack = next(attack for attack in ATTACKS if attack.name == "subjects")
    seen = strike(attack, machine(), 0.5)
    assert seen.fault is None
    assert seen.messages is not None
    assert seen.requests is not None
    assert "connections with a frame" in seen.sentence
