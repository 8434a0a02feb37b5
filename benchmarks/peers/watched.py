"""The command line of the platform with a watch on its event loop: how late the loop's timers run.

The file named by `LOOP_WATCH` holds one double: the longest delay of a timer in seconds, since somebody wrote
0.0 there. A loop that is busy with one client for a second serves nobody else for a second, and shows it
here.
"""

import asyncio
import mmap
import os
import struct
import time
from pathlib import Path

import uvloop

from artcafe.cli.main import main

PERIOD = 0.005
"""Seconds between two looks."""

_DOUBLE = struct.Struct("d")


class StallFile:
    """The longest stall, shared between the server, which writes it, and the measurement, which resets it."""

    def __init__(self, path: Path) -> None:
        """The file is made when it is not there."""
        with path.open("a+b") as file:
            file.truncate(_DOUBLE.size)
            self._map = mmap.mmap(file.fileno(), _DOUBLE.size)

    @property
    def seconds(self) -> float:
        """The longest stall since the last reset."""
        (value,) = _DOUBLE.unpack_from(self._map)
        return float(value)

    def note(self, seconds: float) -> None:
        """Keep this stall when it is the longest."""
        if seconds > self.seconds:
            _DOUBLE.pack_into(self._map, 0, seconds)

    def reset(self) -> None:
        """Forget what was seen."""
        _DOUBLE.pack_into(self._map, 0, 0.0)


def watch(loop: asyncio.AbstractEventLoop, stalls: StallFile) -> None:
    """Note from now on how late a timer of `PERIOD` runs on this loop."""

    def look(due: float) -> None:
        now = time.monotonic()
        stalls.note(now - due)
        loop.call_later(PERIOD, look, now + PERIOD)

    loop.call_soon(look, time.monotonic())


if __name__ == "__main__":
    make_loop = uvloop.new_event_loop

    def watched_loop() -> asyncio.AbstractEventLoop:
        """A new loop with the watch on it."""
        loop = make_loop()
        watch(loop, StallFile(Path(os.environ["LOOP_WATCH"])))
        return loop

    uvloop.new_event_loop = watched_loop  # type: ignore[assignment]  # the same call, another loop
    main()
