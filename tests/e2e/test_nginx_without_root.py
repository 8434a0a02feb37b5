"""nginx as the drop-in starts it: no process is root, and a renewed certificate needs no restart."""

import os
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.certificates import certificate_files
from tests.kit.nginx import free_port, program
from tests.kit.platform import artcafe, environment

DROP_IN = Path(__file__).parents[2] / "deploy" / "systemd" / "nginx.service.d" / "artcafe.conf"
ROOT = os.geteuid() == 0
WAIT_SECONDS = 10.0


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that www-data may enter and write, which pytest's own are not for root."""
    with tempfile.TemporaryDirectory() as name:
        if ROOT:
            shutil.chown(name, "www-data", "www-data")
        yield Path(name)


def command(folder: Path, *, line: str = "ExecStart") -> list[str]:
    """The last line of the drop-in of that name, with this folder in the place of the system's."""
    lines = [
        each.split("=", 1)[1] for each in DROP_IN.read_text().splitlines() if each.startswith(f"{line}=")
    ]
    words = shlex.split(lines[-1].replace("/run/nginx/", f"{folder}/"))
    held = ["setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups", "--no-new-privs"]
    held += ["--inh-caps=-all,+net_bind_service", "--ambient-caps=-all,+net_bind_service"]
    held += ["--bounding-set=-all,+net_bind_service"]
    return [*(held if ROOT else []), program(), *words[1:], "-c", f"{folder / 'nginx.conf'}"]


def renew(folder: Path) -> bytes:
    """What the deploy hook does: another certificate, its key for root and the group. Returns it, DER."""
    with tempfile.TemporaryDirectory() as name:
        for made, kept in zip(certificate_files(Path(name)), ("fullchain.pem", "privkey.pem"), strict=True):
            place = folder / kept
            place.unlink(missing_ok=True)
            shutil.copyfile(made, place)
            if ROOT:
                shutil.chown(place, "root", "www-data")
            place.chmod(0o640)
    return ssl.PEM_cert_to_DER_cert((folder / "fullchain.pem").read_text())


def dial(port: int) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = socket.create_connection(("127.0.0.1", port), WAIT_SECONDS)
    return context.wrap_socket(plain, server_hostname="localhost")


def shown(port: int) -> bytes | None:
    """The certificate that a new connection is shown, DER; none while nobody listens."""
    try:
        with dial(port) as connection:
            return connection.getpeercert(binary_form=True)
    except ConnectionError:
        return None


def wait_until_shown(port: int, certificate: bytes) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while shown(port) != certificate:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def status(connection: ssl.SSLSocket) -> bytes:
    connection.sendall(b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return connection.recv(12)


def test_it_reads_the_key_as_its_group_and_takes_a_renewed_one_on_reload(folder: Path) -> None:
    https = free_port()
    # An unprivileged account may open no port under 1024, a master with the capability may.
    http = next(port for port in range(700, 1024) if _free(port)) if ROOT else free_port()
    words = ["--server-name", "localhost", "--address", "127.0.0.1", "--log-dir", f"{folder}"]
    words += ["--https-port", f"{https}", "--http-port", f"{http}"]
    words += [
        "--certificate",
        f"{folder / 'fullchain.pem'}",
        "--certificate-key",
        f"{folder / 'privkey.pem'}",
    ]
    made = subprocess.run(artcafe("nginx-config", *words), capture_output=True, check=True, env=environment())
    (folder / "nginx.conf").write_bytes(made.stdout)
    first = renew(folder)

    process = subprocess.Popen(command(folder))
    try:
        wait_until_shown(https, first)
        owner = Path(f"/proc/{process.pid}").stat().st_uid
        assert owner != 0
        with dial(https) as before:
            assert status(before) == b"HTTP/1.1 404"
            second = renew(folder)
            assert second != first
            assert subprocess.run(command(folder, line="ExecStartPre"), check=False).returncode == 0
            process.send_signal(signal.SIGHUP)
            wait_until_shown(https, second)
        assert process.poll() is None
    finally:
        process.terminate()
        process.wait(WAIT_SECONDS)


def _free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
