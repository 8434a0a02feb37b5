"""The standard streams in any state: closed, full, or of an encoding with few characters."""

import os
import sys
from io import TextIOWrapper

_MODES = ((0, "r"), (1, "w"), (2, "w"))


def prepare() -> None:
    """Open closed streams on /dev/null, and make every character writable. Call it first of all.

    A descriptor below 3 that is closed goes to whatever is opened next: an event loop, a socket, a database.
    Whoever closed an output does not want to read it, so what is written there is gone.
    """
    for descriptor, mode in _MODES:
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest one that is free is this one: those below are open by now.
            os.open(os.devnull, os.O_RDWR)
            _replace(descriptor, mode)
    for stream in (sys.stdout, sys.stderr):
        # Names and messages hold any letter; a console of Windows, or another locale, does not.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def finish() -> None:
    """Write what is still in the buffers. What cannot be written is given up: Python would fail with it again
    at the end of the process, and make 120 of the exit code."""
    for descriptor, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, descriptor)
            os.close(null)


def _replace(descriptor: int, mode: str) -> None:
    stream = open(descriptor, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 - a descriptor
    setattr(sys, ("stdin", "stdout", "stderr")[descriptor], stream)
