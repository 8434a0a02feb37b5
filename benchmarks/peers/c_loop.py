"""The floor: a loop in C that does the least any server must do for the same work, built where it runs."""

import shutil
import subprocess
from pathlib import Path

from benchmarks.dialect import Dialect
from benchmarks.peers.gateways import JsonDialect
from benchmarks.peers.nats_server import BINARY
from benchmarks.peers.peer import PROGRAMS, Failed, Place, Server, address, free_port, place


class CLoop:
    """Frames in, one splice, frames out: no login, no rights, no limits, no bus."""

    name = "c-loop"
    title = "C loop"

    def missing(self) -> str | None:
        """A compiler."""
        return None if self._compiler() else "there is no C compiler"

    def start(self, folder: Path, core: int | None) -> tuple[Server, Place]:
        """Build it and start it."""
        compiler = self._compiler()
        assert compiler is not None
        program = folder / "loop"
        command = [compiler, "-O2", "-o", str(program), str(PROGRAMS / "loop.c")]
        built = subprocess.run(command, capture_output=True, text=True, check=False)
        if built.returncode:
            raise Failed(f"the C loop cannot be built: {built.stderr}")
        port = free_port()
        server = Server([str(program), str(port), *self.bus()], folder, core)
        server.until_it_listens(port)
        return server, place(port)

    def dialect(self, place: Place) -> Dialect:
        """The plain gateway's frames."""
        return JsonDialect(address(place))

    def bus(self) -> list[str]:
        """What it is told of a bus: nothing."""
        return []

    def _compiler(self) -> str | None:
        return shutil.which("cc") or shutil.which("gcc")


class CLoopWithBus(CLoop):
    """The same, each message to a nats-server over TCP and back."""

    name = "c-loop-bus"
    title = "C loop with the bus"

    def bus(self) -> list[str]:
        """The nats-server that it starts as its child, and the port for it."""
        return [str(BINARY), str(free_port())]
