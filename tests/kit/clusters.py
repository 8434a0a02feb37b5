"""Several nats-servers as one, with TLS, configured by the command line; each may be killed and started."""

import socket
import ssl
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.kit.certificates import certificate_files
from tests.kit.platform import artcafe, environment

NATS_SERVER = Path(sysconfig.get_path("scripts")) / "nats-server"
NODES = 3
SECONDS = 20.0


@dataclass
class Cluster:
    """`url` names all nodes, for NATS_URL; `ca` is whom to trust, for ARTCAFE_NATS_CA."""

    ports: list[int]
    ca: Path
    folder: Path
    configure: Callable[..., None]
    """Write the configuration of each node, with these further words for `artcafe nats-config`."""
    running: dict[int, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def urls(self) -> list[str]:
        """Of each node."""
        return [f"tls://127.0.0.1:{port}" for port in self.ports]

    @property
    def url(self) -> str:
        """Of all nodes."""
        return ",".join(self.urls)

    def start(self, node: int) -> None:
        """Start a node, and wait until it takes clients."""
        with (self.folder / f"n{node}.log").open("ab") as log:
            self.running[node] = subprocess.Popen(
                [NATS_SERVER, "-c", self.folder / f"n{node}.conf"], stderr=log
            )
        deadline = time.monotonic() + SECONDS
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.ports[node]), 1):
                return
            assert self.running[node].poll() is None, (self.folder / f"n{node}.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def kill(self, node: int) -> None:
        """End a node without a word."""
        process = self.running.pop(node)
        process.kill()
        process.wait()

    def client_tls(self) -> ssl.SSLContext:
        """Trusts the nodes."""
        return ssl.create_default_context(cafile=self.ca)


@contextmanager
def running_cluster(folder: Path, data_dir: Path) -> Iterator[Cluster]:
    """Three nodes of the installation whose seed is in `data_dir`, which is made when there is none."""
    certificate, key = certificate_files(folder)
    with _free_ports(2 * NODES) as ports:
        pass
    nodes = [
        word
        for number in range(NODES)
        for word in ("--node", f"n{number}=127.0.0.1:{ports[number]}:{ports[NODES + number]}")
    ]
    tls = ["--certificate", certificate, "--certificate-key", key, "--ca", certificate]
    words = ["nats-config", "--data-dir", data_dir, "--cluster", folder, *nodes, *tls]

    def configure(*more: str) -> None:
        subprocess.run(
            artcafe(*map(str, words), "--nats-data-dir", str(folder / "NODE"), *more),
            check=True,
            stdout=subprocess.DEVNULL,
            env=environment(),
        )
        for number in range(NODES):  # On one machine each has a folder of its own.
            config = folder / f"n{number}.conf"
            config.write_text(config.read_text().replace("/NODE/", f"/{number}/"))

    configure()
    cluster = Cluster(ports[:NODES], certificate, folder, configure)
    try:
        for number in range(NODES):
            cluster.start(number)
        yield cluster
    finally:
        for process in cluster.running.values():
            process.terminate()
        for process in cluster.running.values():
            process.wait()


@contextmanager
def _free_ports(count: int) -> Iterator[list[int]]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        yield [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
