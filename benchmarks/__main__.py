"""`python -m benchmarks`: measure, print the table, write JSON, SVG and Markdown."""

import argparse
import dataclasses
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import report
from benchmarks.cases import FULL, QUICK
from benchmarks.measure import machine
from benchmarks.peers import PEERS
from benchmarks.peers.peer import ROOT, Failed
from benchmarks.results import OURS, Results
from benchmarks.session import Invalid, Session, started

_OTHER_FILES = 500
"""What a server has open besides its idle connections, and more."""


def main() -> None:
    """Exit code 0 when everything was measured; a goal that is missed is told, and no failure."""
    given = _arguments()
    # So that a run that is ended takes its servers along, through every `finally`.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    plan = QUICK if given.quick else FULL
    plan = dataclasses.replace(plan, idle=min(plan.idle, _open_files() - _OTHER_FILES))
    here = machine()
    began = time.monotonic()

    def say(text: str) -> None:
        sys.stderr.write(f"{time.monotonic() - began:6.1f} s  {text}\n")

    results = Results(here, given.quick, {peer.name: peer.title for peer in PEERS})
    chosen = []
    for peer in PEERS:
        why = "not in a quick run" if peer.name in plan.without else peer.missing()
        if given.only and peer.name not in {OURS, *given.only}:
            why = "not asked for"
        if why is None:
            chosen.append(peer)
        else:
            results.left_out[peer.name] = why
    with tempfile.TemporaryDirectory(prefix="artcafe-bench-") as folder:
        try:
            with started(chosen, Path(folder), here.server_core) as running:
                say(f"{len(running)} servers are up")
                Session(running, here, plan, say).measure(results)
        except (Invalid, Failed, OSError) as error:
            sys.exit(f"The run is invalid: {error}")
    results.seconds = time.monotonic() - began
    sys.stdout.write(report.table(results))
    report.write(results, ROOT / "reports")
    if given.publish:
        report.publish(results, ROOT / "docs")


def _open_files() -> int:
    """Let every process of the run have as many files open as it may; gives how many that are."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the goals alone, in under a minute")
    names = [peer.name for peer in PEERS]
    parser.add_argument("--only", nargs="+", choices=names, metavar="PEER", help=f"of {', '.join(names)}")
    parser.add_argument("--publish", action="store_true", help="put the table and the plot into docs/")
    return parser.parse_args()


if __name__ == "__main__":
    main()
