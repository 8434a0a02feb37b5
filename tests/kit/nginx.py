"""The real nginx, as `artcafe nginx-config` sets it up, with a certificate that vouches for itself."""

import asyncio
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.kit.certificates import certificate_files
from tests.kit.platform import artcafe, environment

START_SECONDS = 10.0


@dataclass(frozen=True)
class Nginx:
    """An nginx that answers; who trusts `certificate` may use it."""

    https_port: int
    http_port: int
    certificate: Path
    log_dir: Path
    process: "subprocess.Popen[bytes]"

    @property
    def url(self) -> str:
        """The base of REST addresses."""
        return f"https://localhost:{self.https_port}"

    @property
    def ws(self) -> str:
        """The address agents dial."""
        return f"wss://localhost:{self.https_port}"

    def logged(self) -> list[dict[str, Any]]:
        """The access log."""
        return [json.loads(line) for line in (self.log_dir / "artcafe-access.log").read_text().splitlines()]


def free_port() -> int:
    """A port that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def program() -> str:
    """The nginx of the system."""
    found = shutil.which("nginx", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    assert found, "the tests need nginx: `make tools`"
    return found


@contextmanager
def running_nginx(
    folder: Path, *words: str, upstreams: list[str], https_port: int | None = None
) -> Iterator[Nginx]:
    """nginx before these upstreams; it is stopped at the end. `words` are further options of the command."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate, key = certificate_files(folder)
    https, http = https_port or free_port(), free_port()
    options = {
        "--server-name": "localhost",
        "--address": "127.0.0.1",
        "--https-port": f"{https}",
        "--http-port": f"{http}",
        "--certificate": f"{certificate}",
        "--certificate-key": f"{key}",
        "--log-dir": f"{folder}",
    }
    given = [word for pair in options.items() for word in pair]
    given += [word for upstream in upstreams for word in ("--upstream", upstream)]
    written = subprocess.run(
        artcafe("nginx-config", *given, *words), capture_output=True, text=True, check=True, env=environment()
    )
    config = folder / "nginx.conf"
    config.write_text(written.stdout)
    with (folder / "stderr").open("wb") as said:
        process = subprocess.Popen(
            [program(), "-c", str(config), "-g", f"daemon off; pid {folder / 'pid'};"], stderr=said
        )
    try:
        _wait(process, https, folder / "stderr")
        yield Nginx(https, http, certificate, folder, process)
    finally:
        process.terminate()
        process.wait(START_SECONDS)


@asynccontextmanager
async def without_tls(nginx: Nginx) -> AsyncIterator[str]:
    """A ws:// address at which nginx is met by who cannot speak TLS."""
    trust = ssl.create_default_context(cafile=nginx.certificate)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("localhost", nginx.https_port, ssl=trust)
        async with asyncio.TaskGroup() as group:
            group.create_task(_pour(reader, there[1]))
            group.create_task(_pour(there[0], writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"ws://localhost:{server.sockets[0].getsockname()[1]}"


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, ssl.SSLError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
    with suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()


def _wait(process: subprocess.Popen[bytes], port: int, said: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, said.read_text()
        assert time.monotonic() < deadline, f"nginx does not come up: {said.read_text()}"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
