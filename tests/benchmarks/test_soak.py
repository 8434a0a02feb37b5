"""A soak finds what is lost and what grows; the platform, loaded for a moment, does neither."""

from pathlib import Path

import msgspec
import pytest

from benchmarks.measure import machine
from benchmarks.peers.artcafe import ArtCafe
from benchmarks.session import started
from benchmarks.soak import GROWTH_KIB, PARTS, Growth, Soak, as_json, soak, text


def samples(seconds: int, per_minute: float) -> list[tuple[float, float]]:
    """A pool that fills in the first half, then this growth, and every tenth sample far off."""
    half = seconds / 2
    return [
        (at, 50_000 + min(at, half) * 20 + max(0.0, at - half) / 60 * per_minute + 900 * (at % 10 == 0))
        for at in range(seconds)
    ]


def test_a_process_that_keeps_its_size_is_flat() -> None:
    found = Growth.of(samples(300, 0.0))
    assert found.per_minute == pytest.approx(0.0, abs=20)
    assert found.flat


def test_a_process_that_goes_on_growing_is_not() -> None:
    found = Growth.of(samples(300, 600.0))
    assert found.per_minute == pytest.approx(600, abs=20)
    assert found.bound == pytest.approx(GROWTH_KIB / 2.5, rel=0.02)
    assert not found.flat


def test_nothing_is_said_of_a_run_that_ended_at_once() -> None:
    found = Soak(machine(), memory_kib={"python 1": samples(3, 0.0)})
    assert not found.growth
    assert not found.passed


def test_the_platform_is_loaded_with_everything_and_loses_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    with started([ArtCafe()], tmp_path, None) as (running,):
        found = soak(running, machine(), 1.0, said.append)
    assert found.fault is None
    assert not found.log
    assert all(found.delivered[part.title] > 0 for part in PARTS)
    assert {name.partition(" ")[0] for name in found.growth} == {"python", "nats-server"}
    assert all(each.p50 > 0 for each in found.latencies.values())
    assert "none lost, none doubled, none overtaken, none changed" in text(found)
    assert any("of its core" in words for words in said)
    whole = msgspec.json.decode(as_json(found))
    assert whole["delivered"] == found.delivered
    assert whole["passed"] == found.passed


def test_a_server_that_goes_away_fails_the_soak(tmp_path: Path) -> None:
    with started([ArtCafe()], tmp_path, None) as (running,):
        running.server.stop()
        found = soak(running, machine(), 1.0, lambda _: None)
    assert found.fault is not None
    assert not found.passed
    assert found.fault in text(found)
