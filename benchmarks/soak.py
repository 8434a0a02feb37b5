"""`make soak`: a mixed load that takes half of the server's core, for minutes, and what became of its memory.

Exit code 0 when every message came once and in order, and no process went on growing.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import page
from benchmarks.cases import SMALL
from benchmarks.figures import slope
from benchmarks.measure import Machine, machine
from benchmarks.peers.artcafe import ArtCafe
from benchmarks.peers.peer import ROOT, Failed
from benchmarks.results import Latency
from benchmarks.session import Invalid, Load, Running, Say, started

FIVE_MINUTES = 300.0
HALF_LOAD = 0.5
"""Of the server's core."""

GROWTH_KIB = 1024.0
"""What a process may grow by in the second half of a run, however long it is: pools that fill, no leak."""

_SLICE_SECONDS = 5.0
_SAMPLE_SECONDS = 1.0
_CALIBRATIONS = 4
_CALIBRATION_SECONDS = 2.0
_SHORT = 20
"""So many samples, and so many calibrations, a run has at least, however short it is."""


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of load: what its generator opens, and how many bursts (or logins) a second it begins with."""

    title: str
    lanes: int
    receivers: int
    batch: int
    rate: float

    @property
    def logins(self) -> bool:
        """Whether clients come and go in place of messages."""
        return self.lanes == 0


PARTS = (
    Part("1→100", 1, 100, 1, 100.0),
    Part("100→100 pairs", 100, 1, 1, 400.0),
    Part("10→100 bursts of 32", 10, 10, 32, 20.0),
    Part("logins", 0, 0, 1, 20.0),
)


@dataclass(frozen=True, slots=True)
class Growth:
    """A process's memory in KiB at the start, half way and at the end, and its slope over the second half."""

    start: float
    middle: float
    end: float
    per_minute: float
    bound: float

    @classmethod
    def of(cls, samples: list[tuple[float, float]]) -> "Growth":
        """Judge samples of seconds and KiB. Raises ValueError for fewer than four."""
        half = samples[len(samples) // 2 :]
        minutes = (half[-1][0] - half[0][0]) / 60 if len(half) > 1 else 0.0
        if not minutes:
            raise ValueError("nothing was measured")
        return cls(samples[0][1], half[0][1], half[-1][1], slope(half) * 60, GROWTH_KIB / minutes)

    @property
    def flat(self) -> bool:
        """Whether it stayed within the bound."""
        return self.per_minute <= self.bound


@dataclass(slots=True)
class Soak:
    """What a run found. `delivered` and `latencies_us` (how often each was seen) are by part."""

    machine: Machine
    seconds: float = 0.0
    rates: dict[str, float] = field(default_factory=dict)
    delivered: Counter[str] = field(default_factory=Counter)
    latencies_us: dict[str, Counter[int]] = field(default_factory=dict)
    memory_kib: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    server_share: float = 0.0
    fault: str | None = None
    log: str = ""

    @property
    def growth(self) -> dict[str, Growth]:
        """By process; empty when the run ended too soon."""
        return {name: Growth.of(each) for name, each in self.memory_kib.items() if len(each) >= 4}

    @property
    def passed(self) -> bool:
        """Every message once and in order, memory flat, and nothing in the server's log."""
        growth = self.growth
        flat = bool(growth) and all(each.flat for each in growth.values())
        return flat and self.fault is None and not self.log

    @property
    def latencies(self) -> dict[str, Latency]:
        """By part, of all deliveries together."""
        return {
            title: Latency.of(self.delivered[title] / self.seconds, list(counted.elements()))
            for title, counted in self.latencies_us.items()
        }


def soak(running: Running, here: Machine, seconds: float, say: Say) -> Soak:
    """Load one server for so long. A fault ends the run and stands in the result."""
    found = Soak(here)
    silent = len(running.server.log.read_text())
    try:
        with _loads(running, here.generator_core) as loads, ThreadPoolExecutor(len(PARTS)) as pool:
            run = _Run(running, loads, pool, found)
            run.calibrate(min(_CALIBRATION_SECONDS, seconds / _SHORT), say)
            run.go(seconds, say)
    except (Invalid, OSError) as error:
        found.fault = f"{error}"
    found.log = running.server.log.read_text()[silent:].strip()
    return found


@contextmanager
def _loads(running: Running, core: int | None) -> Iterator[dict[Part, Load]]:
    """A generator a part, its clients connected, on lanes of its own."""
    with ExitStack() as stack:
        loads, first = {}, 0
        for part in PARTS:
            loads[part] = Load("artcafe", running.place, core)
            stack.callback(loads[part].end)
            if not part.logins:
                loads[part].ask("join", lanes=part.lanes, receivers=part.receivers, first=first)
                first += part.lanes
        yield loads


class _Run:
    def __init__(
        self, running: Running, loads: dict[Part, Load], pool: ThreadPoolExecutor, found: Soak
    ) -> None:
        self._running = running
        self._loads = loads
        self._pool = pool
        self._found = found
        self._rates = {part: part.rate for part in loads}

    def calibrate(self, seconds: float, say: Say) -> None:
        """Find the rates, all by the same factor, at which the server takes half of its core."""
        for _ in range(_CALIBRATIONS):
            cpu, began = self._spent(), time.monotonic()
            for coming in self._begin(seconds).values():
                coming.result()
            share = (self._spent() - cpu) / (time.monotonic() - began)
            say(f"the server takes {share:.0%} of its core")
            factor = min(4.0, HALF_LOAD / max(share, 0.01))
            self._rates = {part: rate * factor for part, rate in self._rates.items()}
        self._found.rates = {part.title: rate * part.batch for part, rate in self._rates.items()}

    def go(self, seconds: float, say: Say) -> None:
        """Load in slices, memory looked at meanwhile. Raises Invalid."""
        cpu, began = self._spent(), time.monotonic()
        while (left := began + seconds - time.monotonic()) > 0:
            slices = self._begin(min(_SLICE_SECONDS, left))
            coming = set(slices.values())
            while coming:
                self._look(time.monotonic() - began)
                _, coming = wait(coming, min(_SAMPLE_SECONDS, seconds / _SHORT))
            for part, told in slices.items():
                self._found.delivered[part.title] += told.result()["delivered"]
            for part, load in self._loads.items():
                if not part.logins:
                    heard = self._found.latencies_us.setdefault(part.title, Counter())
                    heard.update(load.ask("latencies")["us"])
            self._found.seconds = time.monotonic() - began
            self._found.server_share = (self._spent() - cpu) / self._found.seconds
            say(f"{sum(self._found.delivered.values()):,} checked, {self._memory_now()}")

    def _begin(self, seconds: float) -> dict[Part, "Future[dict[str, Any]]"]:
        return {
            part: self._pool.submit(load.ask, **self._command(part), seconds=seconds)
            for part, load in self._loads.items()
        }

    def _command(self, part: Part) -> dict[str, Any]:
        if part.logins:
            return {"do": "churn", "rate": self._rates[part]}
        return {"do": "paced", "size": SMALL, "rate": self._rates[part], "batch": part.batch}

    def _look(self, at: float) -> None:
        for name, size in self._running.meter.memories().items():
            self._found.memory_kib.setdefault(name, []).append((at, size / 1024))

    def _memory_now(self) -> str:
        each = self._found.memory_kib.items()
        return ", ".join(f"{name.partition(' ')[0]} {samples[-1][1]:,.0f} KiB" for name, samples in each)

    def _spent(self) -> float:
        return sum(self._running.meter.cpu().values())


def text(found: Soak) -> str:
    """What came of it, in Markdown."""
    checked = sum(found.delivered[part.title] for part in PARTS if not part.logins)
    logins = sum(found.delivered[part.title] for part in PARTS if part.logins)
    lines = [
        f"{found.seconds:.0f} s with {found.server_share:.0%} of the server's core taken. "
        f"{checked:,} deliveries and {logins:,} logins, each checked: "
        + (
            f"**{found.fault}**." if found.fault else "none lost, none doubled, none overtaken, none changed."
        ),
        "",
        page.table(
            ["memory, MiB", "start", "half way", "end", "KiB a minute, second half", "bound", "flat"],
            [_row(name, each) for name, each in found.growth.items()],
        ),
    ]
    if found.latencies:
        lines.append(
            page.table(
                ["latency under this load, ms", "deliveries/s", "p50", "p99", "p99.9"],
                [_latency(title, each) for title, each in found.latencies.items()],
            )
        )
    if found.log:
        lines.append(f"The server said:\n\n```\n{found.log}\n```\n")
    here = found.machine
    lines.append(f"{here.model}, {here.cores} cores, Linux {here.kernel}.\n")
    return "\n".join(lines)


def as_json(found: Soak) -> bytes:
    """Every sample of memory, and what was made of it; latencies are summed up."""
    whole = {
        "passed": found.passed,
        "fault": found.fault,
        "log": found.log,
        "machine": found.machine,
        "seconds": found.seconds,
        "server_share": found.server_share,
        "messages_per_second": found.rates,
        "delivered": found.delivered,
        "growth_kib": {name: {"flat": each.flat, **asdict(each)} for name, each in found.growth.items()},
        "latency_us": found.latencies,
        "memory_kib": found.memory_kib,
    }
    return msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n"


def _row(name: str, each: Growth) -> list[str]:
    sizes = [f"{size / 1024:.1f}" for size in (each.start, each.middle, each.end)]
    flat = "yes" if each.flat else "**no**"
    return [name.partition(" ")[0], *sizes, f"{each.per_minute:+,.0f}", f"{each.bound:,.0f}", flat]


def _latency(title: str, each: Latency) -> list[str]:
    found = [f"{value / 1000:.2f}" for value in (each.p50, each.p99, each.p999)]
    return [title, f"{each.per_second:,.0f}", *found]


def main() -> None:
    """Write reports/soak.json and print what came of it."""
    given = _arguments()
    # So that a run that is ended takes its servers along, through every `finally`.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    here = machine()
    if here.generator_core is not None:
        os.sched_setaffinity(
            0, {here.generator_core}
        )  # What counts the latencies keeps off the server's core.
    began = time.monotonic()

    def say(words: str) -> None:
        sys.stderr.write(f"{time.monotonic() - began:6.1f} s  {words}\n")

    with tempfile.TemporaryDirectory(prefix="artcafe-soak-") as folder:
        try:
            with started([ArtCafe()], Path(folder), here.server_core) as (running,):
                found = soak(running, here, given.seconds, say)
        except (Failed, OSError) as error:
            sys.exit(f"The run is invalid: {error}")
    sys.stdout.write(text(found))
    (ROOT / "reports").mkdir(exist_ok=True)
    (ROOT / "reports" / "soak.json").write_bytes(as_json(found))
    if given.publish:
        page.publish(ROOT / "docs" / "performance.md", "soak", text(found))
    sys.exit(0 if found.passed else 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=FIVE_MINUTES, help="how long (%(default)s)")
    parser.add_argument("--publish", action="store_true", help="put what came of it into docs/performance.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
