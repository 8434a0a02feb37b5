"""Processes of this machine, by what /proc tells of them (proc(5))."""

from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")

_GONE = (FileNotFoundError, ProcessLookupError)
"""What reading of a process that is no more raises: before its file was opened, and after."""


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and waits for its parent does not."""
    try:
        state = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except _GONE:
        return False
    return state != "Z"


def descendants(pid: int, words: str) -> set[int]:
    """Those below a process whose command line holds these words."""
    found, waiting = set[int](), [pid]
    while waiting:
        for children in (PROC / str(waiting.pop()) / "task").glob("*/children"):
            for child in map(int, _read(children).split()):
                waiting.append(child)
                if words in _read(PROC / str(child) / "cmdline").replace("\0", " "):
                    found.add(child)
    return found


def files_of(pid: int) -> set[Path]:
    """What a process has open; a file that it closes meanwhile is not among them."""
    files = set()
    for file in (PROC / str(pid) / "fd").iterdir():
        with suppress(*_GONE):
            files.add(file.readlink())
    return files


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except _GONE:
        return ""
