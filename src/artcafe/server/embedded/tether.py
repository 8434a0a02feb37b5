"""Runs a program that ends with its parent: `python tether.py PARENT PROGRAM ARGUMENT…`.

The kernel sends the program SIGTERM when the thread that started it ends, however it ends
(prctl(2), PR_SET_PDEATHSIG; kept across execve). Asked for here, between two programs, rather than
in a `preexec_fn`: that would run Python between fork and exec of a process that has threads.

SIGHUP is the parent's to hear: sent to a whole group or unit, it would end a program that does not handle it,
so the program starts with it ignored (kept across execve, too).

Run as a file, with the standard library only, so that it starts in a few milliseconds.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    """Become the command, tethered to the parent. Ends at once when the parent has gone already."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        sys.exit(f"prctl failed: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:
        sys.exit("the parent has gone")
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        os.execv(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
