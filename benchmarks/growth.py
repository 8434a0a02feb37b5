"""`make growth`: how the cost of a message grows with subscribers, tenants, patterns and its size.

Each axis has a platform of its own, and goes from the least to the most, so that memory only grows by what
an axis adds.
"""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from benchmarks import curves, page
from benchmarks.cases import SMALL
from benchmarks.figures import Figure, figure
from benchmarks.measure import Machine, machine
from benchmarks.peers.artcafe import ArtCafe
from benchmarks.peers.peer import ROOT, Failed
from benchmarks.results import BUS, Sample
from benchmarks.session import Invalid, Load, Running, Say, sample, started

ROUNDS = 3
SECONDS = 0.4
_WARM_UP_SECONDS = 0.1

PACED, BURSTS = 1, 32


@dataclass(frozen=True, slots=True)
class Step:
    """One point of an axis: the load there; `value` is where it stands, `label` how that is called."""

    value: int
    label: str
    lanes: int
    receivers: int
    size: int = SMALL
    tenants: int = 1
    patterns: int = 1


@dataclass(frozen=True, slots=True)
class Axis:
    """What grows, the points it is measured at, and how many messages each publisher sends at a time."""

    title: str
    load: str
    steps: tuple[Step, ...]
    batches: tuple[int, ...]

    @property
    def tenants(self) -> int:
        """How many it needs."""
        return max(step.tenants for step in self.steps)


_MANY = 1000
_SIZES = {64: "64 B", 1 << 10: "1 KiB", 8 << 10: "8 KiB", 64 << 10: "64 KiB", 512 << 10: "512 KiB"}

AXES = (
    Axis(
        "subscribers",
        "1 publisher, 256 B",
        tuple(Step(count, f"{count:,}", 1, count) for count in (1, 10, 100, _MANY)),
        (PACED, BURSTS),
    ),
    Axis(
        "tenants with somebody connected",
        f"{_MANY:,} pairs shared out among them, 256 B",
        tuple(Step(count, f"{count:,}", _MANY, 1, tenants=count) for count in (1, 10, 100, _MANY)),
        (PACED, BURSTS),
    ),
    Axis(
        "patterns of each connection",
        "1→100, 256 B; one of them matches",
        tuple(Step(count, f"{count}", 1, 100, patterns=count) for count in (1, 16, 256)),
        (PACED, BURSTS),
    ),
    Axis(
        "size of a message",
        "1→1",
        tuple(Step(size, label, 1, 1, size=size) for size, label in _SIZES.items()),
        (PACED,),
    ),
    Axis(
        "size of a message to a hundred",
        "1→100",
        tuple(Step(size, label, 1, 100, size=size) for size, label in _SIZES.items()),
        (PACED,),
    ),
)


@dataclass(frozen=True, slots=True)
class Point:
    """What a step came to: windows by batch, and the bytes that the two processes hold with all connected."""

    step: Step
    samples: dict[int, list[Sample]]
    server_bytes: int
    bus_bytes: int

    def own(self, batch: int) -> Figure:
        """µs of our process for a delivered message."""
        return figure([each.own for each in self.samples[batch]])

    def bus(self, batch: int) -> Figure:
        """µs of its nats-server for a delivered message."""
        return figure([each.cpu - each.own for each in self.samples[batch]])

    def whole(self, batch: int) -> Figure:
        """Both."""
        return figure([each.cpu for each in self.samples[batch]])


@dataclass(slots=True)
class Growth:
    """Everything, axis by axis."""

    machine: Machine
    axes: dict[str, list[Point]] = field(default_factory=dict)
    seconds: float = 0.0


def grow(axes: tuple[Axis, ...], here: Machine, seconds: float, say: Say) -> Growth:
    """Measure these axes. Raises Invalid and Failed."""
    found = Growth(here)
    for axis in axes:
        points = found.axes[axis.title] = []
        with _platform(axis.tenants, here.server_core) as running:
            for step in axis.steps:
                points.append(_point(running, axis, step, here.generator_core, seconds))
                say(f"{axis.title}: {step.label}")
    return found


@contextmanager
def _platform(tenants: int, core: int | None) -> Iterator[Running]:
    with (
        tempfile.TemporaryDirectory(prefix="artcafe-growth-") as folder,
        started([ArtCafe(tenants)], Path(folder), core) as (running,),
    ):
        yield running


def _point(running: Running, axis: Axis, step: Step, core: int | None, seconds: float) -> Point:
    place = {**running.place, "tenants": step.tenants, "patterns": step.patterns}
    load = Load("artcafe", place, core)
    try:
        load.ask("join", lanes=step.lanes, receivers=step.receivers)
        samples = {batch: _windows(running, load, step, batch, seconds) for batch in axis.batches}
        server, bus = running.meter.memories().values()
        load.ask("leave")
    finally:
        load.end()
    return Point(step, samples, server, bus)


def _windows(running: Running, load: Load, step: Step, batch: int, seconds: float) -> list[Sample]:
    load.ask("closed", seconds=_WARM_UP_SECONDS, size=step.size, batch=batch)
    found = []
    for _ in range(ROUNDS):
        before = running.meter.cpu()
        told = load.ask("closed", seconds=seconds, size=step.size, batch=batch)
        found.append(sample(before, running.meter.cpu(), told["delivered"], told))
    return found


def text(found: Growth) -> str:
    """A table an axis, in Markdown."""
    loads = {axis.title: axis.load for axis in AXES}
    parts = []
    for title, points in found.axes.items():
        kinds = [_kind(batch) for batch in points[0].samples]
        head = [title, *(f"{who} µs, {kind}" for kind in kinds for who in ("artcafe", BUS))]
        rows = [_row(point) for point in points]
        parts += [f"By {title} ({loads[title]}):\n", page.table([*head, "artcafe MiB", f"{BUS} MiB"], rows)]
    here = found.machine
    parts.append(
        f"{here.model}, {here.cores} cores, Linux {here.kernel}; medians of {ROUNDS} runs; µs of processor "
        f"time a delivered message, each checked; memory with everybody connected. {found.seconds:.0f} s.\n"
    )
    return "\n".join(parts)


def _kind(batch: int) -> str:
    return "paced" if batch == PACED else f"bursts of {batch}"


def _row(point: Point) -> list[str]:
    spent = [each.median for batch in point.samples for each in (point.own(batch), point.bus(batch))]
    sizes = [f"{size / (1 << 20):.1f}" for size in (point.server_bytes, point.bus_bytes)]
    return [point.step.label, *(f"{each:.2f}" for each in spent), *sizes]


def svg(found: Growth) -> str:
    """A panel an axis."""
    panels = [
        curves.Panel(
            title,
            [point.step.label for point in points],
            {_kind(batch): [point.whole(batch).median for point in points] for batch in points[0].samples},
        )
        for title, points in found.axes.items()
    ]
    return curves.svg("Server CPU per delivered message, µs, both processes", panels)


def main() -> None:
    """Write reports/growth.json and growth.svg, and print the tables."""
    given = _arguments()
    # So that a run that is ended takes its servers along, through every `finally`.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    began = time.monotonic()

    def say(words: str) -> None:
        sys.stderr.write(f"{time.monotonic() - began:6.1f} s  {words}\n")

    try:
        found = grow(AXES, machine(), given.seconds, say)
    except (Invalid, Failed, OSError) as error:
        sys.exit(f"The run is invalid: {error}")
    found.seconds = time.monotonic() - began
    sys.stdout.write(text(found))
    reports, docs = ROOT / "reports", ROOT / "docs"
    reports.mkdir(exist_ok=True)
    (reports / "growth.json").write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    (reports / "growth.svg").write_text(svg(found))
    if given.publish:
        page.publish(docs / "performance.md", "growth", text(found))
        (docs / "growth.svg").write_text(svg(found))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each window (%(default)s)")
    parser.add_argument("--publish", action="store_true", help="put tables and plot into docs/")
    return parser.parse_args()


if __name__ == "__main__":
    main()
