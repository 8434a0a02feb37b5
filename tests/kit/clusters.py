"""Several nats-servers as one, with TLS, configured by the command line; each may be killed and started."""

import socket
import ssl
import subprocess
import sysconfig
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.kit.certificates import certificate_files
from tests.kit.platform import artcafe, environment

NATS_SERVER = Path(sysconfig.get_path("scripts")) / "nats-server"
NODES = 3
SECONDS = 20.0
ROUTES = 4
"""Connections of a node to another: three in a pool, one for the system account (docs.nats.io, "Routes")."""


@dataclass
class Cluster:
    """`url` names all nodes, for NATS_URL; `ca` is whom to trust, for ARTCAFE_NATS_CA."""

    ports: list[int]
    monitors: list[int]
    """Ports where the nodes tell of themselves."""
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
        """Start a node, and wait until it takes clients and is one with all that run.

        What is subscribed at one node still takes a moment to be known at another.
        """
        config = f"{self.folder}/n{node}.conf"
        words = [f"{NATS_SERVER}", "-c", config, "-m", f"{self.monitors[node]}"]
        with (self.folder / f"n{node}.log").open("ab") as log:
            self.running[node] = subprocess.Popen(words, stderr=log)
        deadline = time.monotonic() + SECONDS
        while not (self._takes_clients(node) and self._whole()):
            assert self.running[node].poll() is None, (self.folder / f"n{node}.log").read_text()
            assert time.monotonic() < deadline, (self.folder / f"n{node}.log").read_text()
            time.sleep(0.02)

    def _takes_clients(self, node: int) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.ports[node]), 1):
            return True
        return False

    def _whole(self) -> bool:
        """Whether every node that runs has all its routes to every other one."""
        try:
            told = [self._told(node) for node in self.running]
        except httpx.TransportError:
            return False
        return all(
            Counter(route["remote_id"] for route in one["routes"])
            == {other["server_id"]: ROUTES for other in told if other is not one}
            for one in told
        )

    def _told(self, node: int) -> dict[str, Any]:
        answer: dict[str, Any] = httpx.get(f"http://127.0.0.1:{self.monitors[node]}/routez").json()
        return answer

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
    with _free_ports(3 * NODES) as ports:
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
    cluster = Cluster(ports[:NODES], ports[2 * NODES :], certificate, folder, configure)
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
