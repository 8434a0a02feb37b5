"""`make profile`: where the microseconds of a message, a login and a REST publish go, case by case.

Each case runs four times: undisturbed, for the cost; under perf, for the kinds of code; under py-spy, for the
modules; under perf trace, for the system calls. Shares are those of the disturbed runs, microseconds those of
the undisturbed one.
"""

import argparse
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from benchmarks import page, stacks
from benchmarks.cases import FAN, ONE, PAIRS, SMALL, Case, Shape
from benchmarks.measure import Machine, machine, pinned
from benchmarks.peers.artcafe import ArtCafe
from benchmarks.peers.c_loop import CLoop, CLoopWithBus
from benchmarks.peers.peer import ROOT, TOOLS, Failed
from benchmarks.results import BUS
from benchmarks.session import Invalid, Load, Running, Say, sample, started

SECONDS = 2.0
_WARM_UP_SECONDS = 0.3
_PERF_HZ, _PY_SPY_HZ = 1999, 200
_ATTACH_SECONDS = 30.0
_LOGINS_PER_SECOND = 300.0
_REST_CONNECTIONS = 8
_PY_SPY = TOOLS / "profile" / "bin" / "py-spy"
_FEW = 0.02
"""A module or a system call that makes up less than this of every column stands with the others."""

CASES = tuple(Case(shape, batch, SMALL) for shape in (ONE, FAN, PAIRS) for batch in (1, 32))


@dataclass(frozen=True, slots=True)
class Work:
    """Something the server does: `run` does it for so many seconds, and gives how often it was done."""

    title: str
    run: Callable[[float], int]


@dataclass(slots=True)
class Profile:
    """What one piece of work is made of, in µs each time; `calls` are system calls each time."""

    title: str
    kinds: dict[str, float] = field(default_factory=dict)
    bus: dict[str, float] = field(default_factory=dict)
    rooms: dict[str, float] = field(default_factory=dict)
    calls: dict[str, float] = field(default_factory=dict)
    bus_calls: float = 0.0
    samples: dict[str, int] = field(default_factory=dict)

    @property
    def whole(self) -> float:
        """µs of both processes."""
        return sum(self.kinds.values()) + sum(self.bus.values())


@dataclass(slots=True)
class Profiles:
    """All of them, and where they were taken.

    `floors` are what the C loops take for a message, in µs, by their title and that of the case.
    """

    machine: Machine
    profiles: list[Profile] = field(default_factory=list)
    floors: dict[str, dict[str, float]] = field(default_factory=dict)


def missing() -> str | None:
    """What is not installed here; None when profiles can be taken."""
    if shutil.which("perf") is None:
        return "perf is not installed (Debian: linux-perf)"
    return None if _PY_SPY.exists() else "requirements/bench-profile.txt is not installed"


class Profiler:
    """Samplers on the processes of one running platform."""

    def __init__(self, running: Running, core: int | None, folder: Path) -> None:
        """`folder` is where the samples stay, for whoever wants to see more of them."""
        self._meter = running.meter
        self._core = core
        self._folder = folder
        self._server, self._bus = running.meter.pids

    def take(self, work: Work, seconds: float) -> Profile:
        """Profile one piece of work. Raises Invalid and Failed."""
        found = Profile(work.title)
        work.run(_WARM_UP_SECONDS)
        before = self._meter.cpu()
        done = work.run(seconds)
        server, bus = ((spent - before[name]) * 1e6 / done for name, spent in self._meter.cpu().items())
        sampled = self._kinds(work, seconds)
        found.kinds = _scaled(sampled[self._server], server)
        found.bus = _scaled(_two(sampled[self._bus]), bus)
        modules = self._rooms(work, seconds)
        worked = found.kinds.get(stacks.PYTHON, 0.0) + found.kinds.get(stacks.COMPILED, 0.0)
        found.rooms = _scaled(modules, worked)
        found.samples = {"perf": sampled[self._server].total(), "py-spy": modules.total()}
        found.calls = self._calls(work, seconds, self._server)
        found.bus_calls = sum(self._calls(work, seconds, self._bus).values())
        return found

    def _kinds(self, work: Work, seconds: float) -> dict[int, Counter[str]]:
        data = self._folder / f"{_plain(work.title)}.perf"
        command = ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(_PERF_HZ), "-o", str(data)]
        with self._attached([*command, "-p", f"{self._server},{self._bus}"], "perf"):
            work.run(seconds)
        script = ["perf", "script", "-F", "pid,ip,sym,dso", "-i", str(data)]
        told = subprocess.run(script, capture_output=True, text=True, check=False)
        found = stacks.kinds(told.stdout.splitlines())
        if self._server not in found:
            raise Failed(f"perf saw nothing: {told.stderr.strip()[-300:]}")
        return {pid: found.get(pid, Counter()) for pid in (self._server, self._bus)}

    def _rooms(self, work: Work, seconds: float) -> Counter[str]:
        data = self._folder / f"{_plain(work.title)}.stacks"
        command = [str(_PY_SPY), "record", "--native", "--format", "raw", "--rate", str(_PY_SPY_HZ)]
        with self._attached([*command, "--output", str(data), "--pid", str(self._server)], "py-spy"):
            work.run(2 * seconds)
        if not data.exists():
            raise Failed("py-spy may not look into another process here (ptrace)")
        return stacks.rooms(data.read_text().splitlines())

    def _calls(self, work: Work, seconds: float, pid: int) -> dict[str, float]:
        """System calls of one process, each time."""
        data = self._folder / f"{_plain(work.title)}.calls"
        with self._attached(["perf", "trace", "-s", "-o", str(data), "-p", str(pid)], "perf trace"):
            done = work.run(seconds / 2)
        counted = stacks.calls(data.read_text().splitlines())
        return {name: count / done for name, count in counted.most_common()}

    @contextmanager
    def _attached(self, command: list[str], tool: str) -> Iterator[None]:
        """A sampler that looks on for the time of the block. Raises Failed when it cannot."""
        log = self._folder / "log"
        with log.open("wb") as said:
            process = subprocess.Popen(
                pinned(command, self._core), stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )
        try:
            time.sleep(0.5)
            if process.poll() is not None:
                raise Failed(f"{tool} does not run here: {log.read_text(errors='replace').strip()[-300:]}")
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(_ATTACH_SECONDS)


@contextmanager
def works(running: Running, core: int | None) -> Iterator[list[Callable[[], Work]]]:
    """All that is profiled; each is made ready when it is called."""
    with ExitStack() as stack:
        messages, logins, rest = (
            Load(name, running.place, core) for name in ("artcafe", "artcafe", "artcafe-rest")
        )
        for load in (messages, logins, rest):
            stack.callback(load.end)

        def of_case(case: Case) -> Work:
            _shape(messages, case.shape)

            def run(seconds: float) -> int:
                told = messages.ask("closed", seconds=seconds, size=case.size, batch=case.batch)
                return int(told["delivered"])

            return Work(case.title, run)

        def of_login() -> Work:
            def run(seconds: float) -> int:
                return int(logins.ask("churn", seconds=seconds, rate=_LOGINS_PER_SECOND)["delivered"])

            return Work("login", run)

        def of_rest() -> Work:
            _shape(rest, Shape("REST", _REST_CONNECTIONS, 1))

            def run(seconds: float) -> int:
                return int(rest.ask("closed", seconds=seconds, size=SMALL, batch=1)["delivered"])

            return Work("REST publish", run)

        yield [*((lambda case=case: of_case(case)) for case in CASES), of_login, of_rest]


def _shape(load: Load, shape: Shape) -> None:
    load.ask("leave")
    load.ask("join", lanes=shape.lanes, receivers=shape.receivers)


def _two(sampled: Counter[str]) -> Counter[str]:
    """Of a program that is not Python: the kernel, and the rest."""
    kernel = sampled[stacks.KERNEL]
    return Counter({stacks.KERNEL: kernel, "its own code": sampled.total() - kernel})


def _scaled(sampled: Counter[str], microseconds: float) -> dict[str, float]:
    total = sampled.total()
    return {name: count / total * microseconds for name, count in sampled.most_common()} if total else {}


def _plain(title: str) -> str:
    return re.sub(r"[^\w]+", "-", title).strip("-")


def text(found: Profiles) -> str:
    """Three tables in Markdown: kinds of code, modules, system calls; a column each piece of work."""
    head = ["", *(each.title.removesuffix(", 256 B") for each in found.profiles)]
    profiles = found.profiles
    kinds = [kind for kind in stacks.KINDS if any(each.kinds.get(kind) for each in profiles)]
    rows = [["**all**", *(f"**{_number(each.whole)}**" for each in profiles)]]
    rows += [
        [f"artcafe: {kind}", *(_number(each.kinds.get(kind, 0.0)) for each in profiles)] for kind in kinds
    ]
    rows += [
        [f"{BUS}: {kind}", *(_number(each.bus.get(kind, 0.0)) for each in profiles)]
        for kind in (stacks.KERNEL, "its own code")
    ]
    for title, floor in found.floors.items():
        rows.append([f"the floor: {title}", *(_number(floor.get(each.title, 0.0)) for each in profiles)])
    parts = [
        "µs of processor time each time, by kind of code:\n",
        page.table(head, rows),
        f"*{stacks.PYTHON}* and *{stacks.COMPILED}* by module, in µs (from 2 % of a case):\n",
        page.table(head, _named([each.rooms for each in profiles])),
        "System calls each time (from 2 % of a case):\n",
        page.table(head, _calls(profiles)),
        _where(found),
    ]
    return "\n".join(parts)


def _where(found: Profiles) -> str:
    here = found.machine
    perf, py_spy = (min(each.samples[tool] for each in found.profiles) for tool in ("perf", "py-spy"))
    return (
        f"{here.model}, {here.cores} cores, Linux {here.kernel}. "
        f"perf at {_PERF_HZ} Hz, {perf:,} samples of a case or more; py-spy at {_PY_SPY_HZ} Hz, {py_spy:,}.\n"
    )


def _named(columns: list[dict[str, float]]) -> list[list[str]]:
    """A row for each name that is enough of some column, the greatest first."""
    names = {name for each in columns for name in each if _share(each, name) > _FEW}
    ordered = sorted(names, key=lambda name: -sum(_share(each, name) for each in columns))
    rest = [sum(value for name, value in each.items() if name not in names) for each in columns]
    rows = [[name, *(_number(each.get(name, 0.0)) for each in columns)] for name in ordered]
    return [*rows, ["others", *(_number(value) for value in rest)]]


def _calls(profiles: list[Profile]) -> list[list[str]]:
    rows = _named([each.calls for each in profiles])
    return [*rows, [f"{BUS}, all", *(_number(each.bus_calls) for each in profiles)]]


def _share(parts: dict[str, float], name: str) -> float:
    whole = sum(parts.values())
    return parts.get(name, 0.0) / whole if whole else 0.0


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return (
        f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}" if value else "-"
    )


def main() -> None:
    """Write reports/profile.json and the samples beside it, and print the tables."""
    given = _arguments()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    why = missing()
    if why is not None:
        sys.exit(f"No profile: {why}")
    here = machine()
    folder = ROOT / "reports" / "profile"
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()

    def say(words: str) -> None:
        sys.stderr.write(f"{time.monotonic() - began:6.1f} s  {words}\n")

    with tempfile.TemporaryDirectory(prefix="artcafe-profile-") as place:
        try:
            floors = [peer for peer in (CLoop(), CLoopWithBus()) if peer.missing() is None]
            with started([ArtCafe(), *floors], Path(place), here.server_core) as (running, *loops):
                found = profiles(running, here, folder, given.seconds, say)
                for loop in loops:
                    found.floors[loop.peer.title] = floor_of(loop, here.generator_core, given.seconds)
        except (Invalid, Failed, OSError) as error:
            sys.exit(f"No profile: {error}")
    sys.stdout.write(text(found))
    whole = msgspec.json.encode(found)
    (ROOT / "reports" / "profile.json").write_bytes(msgspec.json.format(whole, indent=1) + b"\n")
    if given.publish:
        page.publish(ROOT / "docs" / "performance.md", "profile", text(found))


def profiles(running: Running, here: Machine, folder: Path, seconds: float, say: Say) -> Profiles:
    """Profile everything, one after the other. Raises Invalid and Failed."""
    found = Profiles(here)
    profiler = Profiler(running, here.generator_core, folder)
    with works(running, here.generator_core) as ready:
        for make in ready:
            work = make()
            found.profiles.append(profiler.take(work, seconds))
            say(work.title)
    return found


def floor_of(loop: Running, core: int | None, seconds: float) -> dict[str, float]:
    """What a program that does the least takes for each case. Raises Invalid."""
    found = {}
    load = Load(loop.peer.name, loop.place, core)
    try:
        for case in CASES:
            _shape(load, case.shape)
            load.ask("closed", seconds=_WARM_UP_SECONDS, size=case.size, batch=case.batch)
            before = loop.meter.cpu()
            told = load.ask("closed", seconds=seconds, size=case.size, batch=case.batch)
            found[case.title] = sample(before, loop.meter.cpu(), told["delivered"], told).cpu
    finally:
        load.end()
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each run (%(default)s)")
    parser.add_argument("--publish", action="store_true", help="put the tables into docs/performance.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
