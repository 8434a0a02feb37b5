"""One run: peers and generators as processes, windows in turn, so that a disturbance meets everybody."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cases import SMALL, Case, Plan, Shape
from benchmarks.figures import figure
from benchmarks.measure import Machine, Meter, pinned
from benchmarks.peers import REST
from benchmarks.peers.peer import ROOT, Peer, Place, Server
from benchmarks.results import Latency, Results, Sample

_WARM_UP_SECONDS = 0.1
_LOGIN_ROUNDS = 4
_REST_CONNECTIONS = 8
_QUIET_SECONDS, _QUIET_STEP = 10.0, 0.1
_QUIET_SHARE = 0.03
"""Of a core: what a server with nothing to do may take."""

Say = Callable[[str], None]


class Invalid(Exception):
    """The run counts for nothing, and why: a message was lost or doubled, or a peer failed."""


class Load:
    """A generator's process, connected to one peer."""

    def __init__(self, dialect: str, place: Place, core: int | None) -> None:
        self._dialect = dialect
        command = [sys.executable, "-m", "benchmarks.load", dialect, json.dumps(place)]
        self._process = subprocess.Popen(
            pinned(command, core),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            start_new_session=True,  # Ctrl-C is for the run, which ends it.
        )

    def ask(self, do: str, **more: Any) -> dict[str, Any]:
        """Give one command and wait for its figures. Raises Invalid."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **more}) + "\n")
            self._process.stdin.flush()
            told: dict[str, Any] = json.loads(self._process.stdout.readline() or '{"fault": "it ended"}')
        except BrokenPipeError:
            told = {"fault": "it ended between two windows"}
        if "fault" in told:
            raise Invalid(f"{self._dialect}: {told['fault']}")
        return told

    def end(self) -> None:
        """Let it hang up and go."""
        self._process.communicate()


@dataclass(slots=True)
class Running:
    """A peer that runs."""

    peer: Peer
    server: Server
    place: Place
    meter: Meter


class Session:
    """The peers, all running from the first measurement to the last."""

    def __init__(self, running: list[Running], machine: Machine, plan: Plan, say: Say) -> None:
        self._running = running
        self._core = machine.generator_core
        self._plan = plan
        self._say = say

    def measure(self, results: Results) -> None:
        """Fill in the results. Raises Invalid."""
        with self._loads({each.peer.name: (each.peer.name, each) for each in self._running}) as loads:
            # First, while nobody's memory has grown from other work.
            for each in self._running:
                self._idle(each, loads[each.peer.name], results)
            for shape in self._plan.shapes:
                self._shape(shape, loads, results)
        if self._plan.rest:
            self._rest(results)

    def _idle(self, each: Running, load: Load, results: Results) -> None:
        name = each.peer.name
        portion = self._plan.idle // _LOGIN_ROUNDS
        results.idle_count = portion * _LOGIN_ROUNDS
        load.ask("idle", count=1)  # Whatever is loaded at first use.
        before = each.meter.memory()
        samples = results.logins[name] = []
        for _ in range(_LOGIN_ROUNDS):
            cpu = each.meter.cpu()
            told = load.ask("idle", count=portion)
            samples.append(sample(cpu, each.meter.cpu(), portion, told))
        _quiet([each])
        results.idle_bytes[name] = (each.meter.memory() - before) / results.idle_count
        load.ask("leave")
        _quiet([each])
        self._say(f"{results.idle_count} idle connections: {name}")

    def _shape(self, shape: Shape, loads: dict[str, Load], results: Results) -> None:
        for load in loads.values():
            load.ask("join", lanes=shape.lanes, receivers=shape.receivers)
        for case in self._plan.cases:
            if case.shape == shape:
                results.cases[case.title] = self._windows(loads, case)
                self._say(case.title)
        if shape in self._plan.latency:
            self._latency(loads, shape, results)
            self._say(f"{shape.title} latency")
        for load in loads.values():
            load.ask("leave")
        _quiet(self._running)

    def _windows(self, loads: dict[str, Load], case: Case) -> dict[str, list[Sample]]:
        found: dict[str, list[Sample]] = {name: [] for name in loads}
        meters = {each.peer.name: each.meter for each in self._running}
        for load in loads.values():
            load.ask("closed", seconds=_WARM_UP_SECONDS, size=case.size, batch=case.batch)
        for _ in range(self._plan.rounds):
            for name, load in loads.items():
                cpu = meters[name].cpu()
                told = load.ask("closed", seconds=self._plan.seconds, size=case.size, batch=case.batch)
                found[name].append(sample(cpu, meters[name].cpu(), told["delivered"], told))
        return found

    def _latency(self, loads: dict[str, Load], shape: Shape, results: Results) -> None:
        """At half the rate that each reached when its messages went one by one."""
        reached = results.cases[Case(shape, 1, SMALL).title]
        rates = {name: figure([each.per_second for each in reached[name]]).median / 2 for name in loads}
        heard: dict[str, list[int]] = {name: [] for name in loads}
        for _ in range(self._plan.rounds):
            for name, load in loads.items():
                rate = rates[name] / shape.receivers
                load.ask("paced", seconds=self._plan.seconds, size=SMALL, rate=rate)
                heard[name] += load.ask("latencies")["us"]
        results.latency[shape.title] = {name: Latency.of(rates[name], heard[name]) for name in loads}

    def _rest(self, results: Results) -> None:
        case = Case(Shape("REST", _REST_CONNECTIONS, 1), 1, SMALL)
        able = [each for each in self._running if each.peer.name in REST]
        names = {each.peer.name: (REST[each.peer.name].name, each) for each in able}
        with self._loads(names) as loads:
            for load in loads.values():
                load.ask("join", lanes=case.shape.lanes, receivers=1)
            results.rest = self._windows(loads, case)
        self._say("REST publish")

    @contextmanager
    def _loads(self, wanted: dict[str, tuple[str, Running]]) -> Iterator[dict[str, Load]]:
        """Generators by peer, given the dialect each speaks."""
        with ExitStack() as stack:
            loads = {}
            for name, (dialect, each) in wanted.items():
                loads[name] = Load(dialect, each.place, self._core)
                stack.callback(loads[name].end)
            yield loads


@contextmanager
def started(peers: list[Peer], folder: Path, core: int | None) -> Iterator[list[Running]]:
    """Start them side by side; all are stopped at the end. Raises Failed."""

    def start(peer: Peer) -> Running:
        own = folder / peer.name
        own.mkdir()
        server, place = peer.start(own, core)
        stack.callback(server.stop)
        return Running(peer, server, place, Meter(server.pid))

    with ExitStack() as stack, ThreadPoolExecutor(len(peers)) as pool:
        yield list(pool.map(start, peers))


def sample(before: dict[str, float], after: dict[str, float], count: int, told: dict[str, Any]) -> Sample:
    """What a window cost: processor seconds before and after it, what was done in it, what was told of it."""
    parts: dict[str, float] = {}
    for process, spent in after.items():
        name = process.partition(" ")[0]
        parts[name] = parts.get(name, 0.0) + (spent - before[process]) * 1e6 / count
    return Sample(parts, count / told["seconds"], told["cpu"] / told["seconds"])


def _quiet(running: list[Running]) -> None:
    """Wait until the servers are done with what came before, for a while."""
    deadline = time.monotonic() + _QUIET_SECONDS
    spent = _spent(running)
    while time.monotonic() < deadline:
        time.sleep(_QUIET_STEP)
        before, spent = spent, _spent(running)
        if spent - before < _QUIET_STEP * _QUIET_SHARE * len(running):
            return


def _spent(running: list[Running]) -> float:
    return sum(sum(each.meter.cpu().values()) for each in running)
