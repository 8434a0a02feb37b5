"""Processes of this machine, by what /proc tells of them (proc(5))."""

from pathlib import Path

PROC = Path("/proc")


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and waits for its parent does not."""
    try:
        state = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def descendants(pid: int, words: str) -> set[int]:
    """Those below a process whose command line holds these words."""
    found, waiting = set[int](), [pid]
    while waiting:
        for children in (PROC / str(waiting.pop()) / "task").glob("*/children"):
            for child in map(int, children.read_text().split()):
                waiting.append(child)
                if words in _command(child):
                    found.add(child)
    return found


def _command(pid: int) -> str:
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except FileNotFoundError:
        return ""
