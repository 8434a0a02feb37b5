"""What the kernel says of a process is its own, to the fraction of a tick."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks.measure import Meter, cpu_seconds, machine, pinned

BUSY = """
import sys, time
held = bytearray(int(sys.argv[1]))
held[:] = b"x" * len(held)
while time.process_time() < float(sys.argv[2]): pass
print("done", flush=True)
sys.stdin.read()
"""

NESTED = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]], check=True)"


@pytest.fixture
def nested() -> Iterator[subprocess.Popen[str]]:
    """A process that does nothing, and its child that worked for 0.2 s and holds 32 MiB."""
    command = [sys.executable, "-c", NESTED, BUSY, str(32 << 20), "0.2"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        yield process
        process.communicate()


def test_a_meter_counts_a_process_and_its_children(nested: subprocess.Popen[str]) -> None:
    meter = Meter(nested.pid)
    own, child = meter.cpu().values()
    assert own == pytest.approx(cpu_seconds(nested.pid), abs=0.01)
    assert 0.2 <= child < 2.0
    assert 32 << 20 < meter.memory() < 128 << 20


def test_the_clock_of_a_process_counts_its_work_and_nobody_elses() -> None:
    before = cpu_seconds(os.getpid())
    while cpu_seconds(os.getpid()) - before < 0.002:
        pass
    assert cpu_seconds(os.getpid()) >= before + 0.002


def test_a_command_is_pinned_where_there_is_a_second_core() -> None:
    here = machine()
    assert here.cores == len(os.sched_getaffinity(0))
    assert (here.server_core is None) == (here.cores == 1)
    core = here.server_core if here.server_core is not None else min(os.sched_getaffinity(0))
    ask = "import os; print(sorted(os.sched_getaffinity(0)))"
    told = subprocess.run(
        pinned([sys.executable, "-c", ask], core), check=True, capture_output=True, text=True
    )
    assert told.stdout == f"[{core}]\n"
    assert pinned(["true"], None) == ["true"]
