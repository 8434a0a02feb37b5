"""What a server costs: the processor time and the memory of its processes, as the kernel counts them."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


def cpu_seconds(pid: int) -> float:
    """The processor time of a process, all its threads, the ended ones too, to the nanosecond.

    The clock's number is what clock_getcpuclockid(3) makes of a process id on Linux.
    """
    return time.clock_gettime((~pid << 3) | 2)


def memory_bytes(pid: int) -> int:
    """The memory of a process that is nobody else's: anonymous pages, in memory or swapped out.

    What is mapped from files is left out: how much of it counts depends on who else runs the program.
    """
    lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    sizes = dict(line.split()[:2] for line in lines[1:])
    return (int(sizes["Anonymous:"]) + int(sizes["Swap:"])) * 1024


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for each in found:
        for task in (_PROC / str(each) / "task").glob("*/children"):
            found.extend(int(child) for child in task.read_text().split())
    return found


def name_of(pid: int) -> str:
    """What a process calls itself."""
    return (_PROC / str(pid) / "comm").read_text().strip()


class Meter:
    """The processes of one server, found once: they all live as long as it does."""

    def __init__(self, pid: int) -> None:
        self._pids = {each: name_of(each) for each in family(pid)}

    @property
    def pids(self) -> list[int]:
        """The processes, the first one before those it started."""
        return list(self._pids)

    def cpu(self) -> dict[str, float]:
        """Processor seconds so far, by process."""
        return {f"{name} {pid}": cpu_seconds(pid) for pid, name in self._pids.items()}

    def memory(self) -> int:
        """Bytes now."""
        return sum(self.memories().values())

    def memories(self) -> dict[str, int]:
        """Bytes now, by process."""
        return {f"{name} {pid}": memory_bytes(pid) for pid, name in self._pids.items()}


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it was measured, and where its processes were put; None when they could not be pinned."""

    cores: int
    model: str
    kernel: str
    server_core: int | None
    generator_core: int | None


def machine() -> Machine:
    """This machine: the first core for servers, the last for the generator, when there are two."""
    cores = sorted(os.sched_getaffinity(0))
    words = [line for line in (_PROC / "cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = words[0].partition(":")[2].strip() if words else os.uname().machine
    two = len(cores) > 1
    return Machine(
        cores=len(cores),
        model=model,
        kernel=os.uname().release,
        server_core=cores[0] if two else None,
        generator_core=cores[-1] if two else None,
    )


def pinned(command: list[str], core: int | None) -> list[str]:
    """The command, on this core: `taskset` is everywhere where /proc is."""
    return command if core is None else ["taskset", "--cpu-list", str(core), *command]
