"""The table says what was measured, what was not, and how it stands to the goals."""

from xml.etree import ElementTree as ET

import msgspec
import pytest

from benchmarks import plot, report
from benchmarks.cases import FAN_BURSTS, FAN_PACED, FULL, GOALS, HEADLINES, PAIRS_PACED, QUICK
from benchmarks.measure import Machine
from benchmarks.results import Latency, Results, Sample, noise, verdicts


def samples(*spent: float) -> list[Sample]:
    return [Sample({"python": each - 0.25, "nats-server": 0.25}, 1000.0, 0.5) for each in spent]


@pytest.fixture
def results() -> Results:
    """Two peers and a part of the work."""
    return Results(
        machine=Machine(2, "A <processor>", "6.1", 0, 1),
        quick=True,
        peers={"artcafe": "ArtCafe", "nats-ws": "nats & co", "plain": "plain"},
        left_out={"plain": "not asked for"},
        cases={
            FAN_BURSTS.title: {"artcafe": samples(1.0, 2.0, 1.5), "nats-ws": samples(1.5, 3.2, 2.25)},
            PAIRS_PACED.title: {"artcafe": samples(4.0, 4.0, 4.0), "nats-ws": samples(2.0, 2.0, 2.0)},
        },
        latency={"1→1": {"artcafe": Latency.of(500.0, [*range(100, 1100)])}},
        logins={"artcafe": samples(800.0, 900.0)},
        idle_bytes={"artcafe": 10_240.0, "nats-ws": 5_120.0},
        idle_count=2_000,
        rest={"artcafe": samples(300.0)},
        seconds=12.0,
    )


def test_each_goal_is_met_missed_or_not_measured(results: Results) -> None:
    found = {verdict.title: verdict.met for verdict in verdicts(results)}
    assert found[f"{FAN_BURSTS.title}: nats & co : ours"] is True
    assert found[f"{PAIRS_PACED.title}: nats & co : ours"] is False
    assert found[f"{FAN_PACED.title}: nats & co : ours"] is None
    assert found[f"{PAIRS_PACED.title}: plain : ours"] is None
    assert found["memory of an idle connection: nats & co : ours"] is False
    assert found["SSHSIG logins a second of one core"] is True


def test_a_goal_compares_within_each_round(results: Results) -> None:
    (fan,) = [verdict for verdict in verdicts(results) if verdict.title.startswith(FAN_BURSTS.title)]
    assert fan.got is not None
    assert (fan.got.median, fan.got.low, fan.got.high) == (1.5, 1.5, 1.6)


def test_the_table_has_every_figure(results: Results) -> None:
    text = report.table(results)
    for line in (
        f"| {FAN_BURSTS.title}: nats & co : ours | ≥ 1.5 | 1.50 (1.50 to 1.60) | yes | 1.83 |",
        f"| {PAIRS_PACED.title}: nats & co : ours | ≥ 0.8 | 0.50 | **no** | 0.53 |",
        f"| {PAIRS_PACED.title}: plain : ours | ≥ 4 | not measured | - | - |",
        f"| {FAN_BURSTS.title} | 1.50 | 2.25 (1.50x) |",
        f"| {FAN_BURSTS.title} | 1.25 | 0.25 | 1.00 to 2.00 | 1,000 | 50% |",
        "| 1→1, ArtCafe | 500 | 0.60 | 1.09 | 1.10 |",
        "| ArtCafe | 850 | 1,000 | 10.0 | 300 |",
        "Left out: plain (not asked for).",
    ):
        assert f"\n{line}\n" in f"\n{text}\n"
    assert "servers on core 0, the generator on core 1" in text


def test_noise_is_that_of_the_figure_in_the_middle(results: Results) -> None:
    results.cases = {
        "one": {"a": samples(1.0, 1.5, 2.0), "b": samples(2.0, 2.0), "c": samples(9.0, 10.0, 11.0)}
    }
    assert noise(results) == pytest.approx(0.1)


def test_the_json_has_every_sample(results: Results) -> None:
    whole = msgspec.json.decode(report.as_json(results))
    assert whole["results"]["cases"][FAN_BURSTS.title]["nats-ws"][1]["parts"] == {
        "python": pytest.approx(2.95),
        "nats-server": 0.25,
    }
    assert len(whole["goals"]) == len(GOALS) + 3


def test_the_plot_is_one_that_a_browser_can_read(results: Results) -> None:
    drawn = ET.fromstring(plot.svg(results))
    words = [each.text for each in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"nats & co", "1.50 µs", "2.25 µs", FAN_BURSTS.title} <= set(words)
    height = float(drawn.attrib["height"])
    assert all(float(each.attrib["y"]) < height for each in drawn.iter() if "y" in each.attrib)


def test_every_goal_is_measured_by_both_plans() -> None:
    for plan in (FULL, QUICK):
        assert {goal.case for goal in GOALS} <= set(plan.cases)
        assert not {goal.peer for goal in GOALS} & plan.without
    assert set(HEADLINES) == {goal.case for goal in GOALS}
