"""The whole instrument, small: the platform and a nats-server, measured for real."""

from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.cases import FAN, LARGE, ONE, SMALL, Case, Plan
from benchmarks.measure import machine
from benchmarks.peers.artcafe import ArtCafe
from benchmarks.peers.nats_server import NatsServer
from benchmarks.peers.peer import Failed, Peer, Server
from benchmarks.results import Results
from benchmarks.session import Invalid, Load, Session, started

SMALL_PLAN = Plan(
    cases=(Case(ONE, 1, SMALL), Case(ONE, 4, LARGE), Case(FAN, 2, SMALL)),
    latency=(ONE,),
    idle=8,
    rounds=2,
    seconds=0.02,
)


def test_a_run_measures_everything_of_everybody(tmp_path: Path) -> None:
    peers: list[Peer] = [ArtCafe(), NatsServer()]
    results = Results(machine(), True, {peer.name: peer.title for peer in peers})
    with started(peers, tmp_path, None) as running:
        Session(running, results.machine, SMALL_PLAN, lambda _: None).measure(results)
    both = {"artcafe", "nats-ws"}
    assert list(results.cases) == [case.title for case in SMALL_PLAN.cases]
    for samples in results.cases.values():
        assert set(samples) == both
        assert all(len(each) == 2 for each in samples.values())
        assert all(sample.cpu > 0 and sample.per_second > 0 for each in samples.values() for sample in each)
    ours = results.cases[Case(FAN, 2, SMALL).title]["artcafe"][0]
    assert ours.parts["nats-server"] >= 0
    assert ours.cpu == pytest.approx(ours.own + ours.parts["nats-server"])
    assert ours.own > 0
    assert set(results.latency["1→1"]) == set(results.logins) == set(results.idle_bytes) == both
    assert 0 < results.latency["1→1"]["artcafe"].p50 <= results.latency["1→1"]["artcafe"].p999
    assert set(results.rest) == {"artcafe"}
    assert "not measured" in report.table(results)


def test_a_generator_that_cannot_go_on_makes_the_run_invalid(tmp_path: Path) -> None:
    with started([NatsServer()], tmp_path, None) as running:
        load = Load("nats-ws", running[0].place, None)
        load.ask("join", lanes=1, receivers=1)
        running[0].server.stop()
        with pytest.raises(Invalid, match="nats-ws: "):
            load.ask("closed", seconds=0.02, size=SMALL, batch=1)
        load.end()


def test_a_peer_that_does_not_start_says_why(tmp_path: Path) -> None:
    server = Server(["sh", "-c", "echo the port is taken; exit 1"], tmp_path, None)
    with pytest.raises(Failed, match="the port is taken"):
        server.until(lambda: False)
