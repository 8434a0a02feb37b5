"""`python -m benchmarks.telemetry`: the platform with `/metrics` beside one without."""

import argparse
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from benchmarks import page
from benchmarks.cases import HEADLINES, Case
from benchmarks.figures import Figure, ratio
from benchmarks.measure import Machine, machine
from benchmarks.peers.artcafe import ArtCafe
from benchmarks.peers.peer import ROOT, free_port
from benchmarks.session import Load, Running, sample, started

SCRAPE_SECONDS = 1.0
"""Fifteen times as often as Prometheus usually comes."""

ROUNDS, WINDOW_SECONDS, WARM_UP_SECONDS = 20, 0.25, 0.1


@contextmanager
def scraped(port: int) -> Iterator[None]:
    """Ask for the metrics meanwhile, as Prometheus does. Raises httpx.HTTPError when they did not come."""
    stopping = threading.Event()
    faults: list[httpx.HTTPError] = []

    def scrape() -> None:
        while not stopping.wait(SCRAPE_SECONDS):
            try:
                httpx.get(f"http://127.0.0.1:{port}/metrics").raise_for_status()
            except httpx.HTTPError as fault:
                faults.append(fault)
                return

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
    if faults:
        raise faults[0]


def spent(each: Running, load: Load, case: Case) -> float:
    """Processor time of one window, the bus included, in µs per delivered message."""
    before = each.meter.cpu()
    told = load.ask("closed", seconds=WINDOW_SECONDS, size=case.size, batch=case.batch)
    return sum(sample(before, each.meter.cpu(), told["delivered"], told).parts.values())


def compared(running: list[Running], case: Case, core: int | None) -> tuple[Figure, list[list[float]]]:
    """With : without, round by round, and the figures of both."""
    found: list[list[float]] = [[] for _ in running]
    with ExitStack() as stack:
        loads = []
        for each in running:
            load = Load(ArtCafe.name, each.place, core)
            stack.callback(load.end)
            load.ask("join", lanes=case.shape.lanes, receivers=case.shape.receivers)
            load.ask("closed", seconds=WARM_UP_SECONDS, size=case.size, batch=case.batch)
            loads.append(load)
        for number in range(ROUNDS):
            # Each is first in every other round: whatever follows the other one meets both.
            for which in (0, 1) if number % 2 else (1, 0):
                found[which].append(spent(running[which], loads[which], case))
    return ratio(found[1], found[0]), found


def text(found: dict[str, tuple[Figure, list[list[float]]]], here: Machine) -> str:
    """What it costs, in Markdown."""
    rows = [
        [
            title,
            f"{sorted(both[0])[len(both[0]) // 2]:.2f}",
            f"{sorted(both[1])[len(both[1]) // 2]:.2f}",
            f"{figure.median:.3f} ({figure.low:.2f} to {figure.high:.2f})",
        ]
        for title, (figure, both) in found.items()
    ]
    head = ["CPU per delivered message", "without, µs", "with, µs", "with : without"]
    return f"{page.table(head, rows)}\n{here.model}, {ROUNDS} rounds of {WINDOW_SECONDS:g} s.\n"


def main() -> None:
    """Print what it costs; with `--publish` put it into docs/performance.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.telemetry", description=__doc__)
    parser.add_argument("--publish", action="store_true", help="put the table into docs/performance.md")
    given = parser.parse_args()
    here, port = machine(), free_port()
    measured = ArtCafe(name="measured", settings={"ARTCAFE_METRICS_PORT": f"{port}"})
    with (
        tempfile.TemporaryDirectory(prefix="artcafe-bench-") as folder,
        started([ArtCafe(), measured], Path(folder), here.server_core) as running,
        scraped(port),
    ):
        found = {case.title: compared(running, case, here.generator_core) for case in HEADLINES}
    told = text(found, here)
    sys.stdout.write(told)
    if given.publish:
        page.publish(ROOT / "docs" / "performance.md", "telemetry", told)


if __name__ == "__main__":
    main()
