"""The nats-server as a child: it starts, is watched, ends with its parent and guards its data."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from artcafe.server.embedded.nats_server import NatsServer, NatsServerError
from tests.kit.deadlines import PATIENCE
from tests.kit.processes import alive, files_of

CONFIG = 'listen: "127.0.0.1:-1"\nhttp: "127.0.0.1:-1"\n'


@asynccontextmanager
async def started(data: Path, config: str = CONFIG) -> AsyncIterator[NatsServer]:
    """A nats-server that runs."""
    server = NatsServer(config, data)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def failure(server: NatsServer) -> str:
    """The one line with which a start fails; nothing is left running, and the directory is free."""
    with pytest.raises(NatsServerError) as raised:
        await server.start()
    message = str(raised.value)
    assert "\n" not in message
    return message


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that is about to happen, for ten seconds at most."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)


async def greeting(url: str) -> str:
    """The first line a nats-server says."""
    host, _, port = url.removeprefix("nats://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return line.decode()


async def test_it_takes_clients_when_start_returns_and_none_after_stop(tmp_path: Path) -> None:
    async with started(tmp_path / "nats") as server:
        assert (await greeting(server.url)).startswith("INFO ")
        assert server.monitor_url is not None
        answer = await asyncio.to_thread(urllib.request.urlopen, f"{server.monitor_url}/healthz")
        with answer:
            assert json.load(answer) == {"status": "ok"}
        assert alive(server.pid)
    assert not alive(server.pid)
    with pytest.raises(OSError, match="Connect call failed"):
        await greeting(server.url)


async def test_without_monitoring_there_is_no_monitor(tmp_path: Path) -> None:
    async with started(tmp_path, 'listen: "127.0.0.1:-1"') as server:
        assert server.monitor_url is None


async def test_its_files_are_its_owners(tmp_path: Path) -> None:
    async with started(tmp_path / "nats") as server:
        assert (tmp_path / "nats" / "nats.conf").read_text() == CONFIG
        assert (tmp_path / "nats" / "nats.conf").stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "nats").stat().st_mode & 0o777 == 0o700
        assert "Server is ready" in server.log.read_text()


async def test_a_terminal_does_not_reach_it(tmp_path: Path) -> None:
    """Ctrl-C goes to a whole group; the parent still needs its bus while it says goodbye to clients."""
    async with started(tmp_path) as server:
        assert os.getpgid(server.pid) != os.getpgid(0)


async def test_it_starts_again_in_the_same_directory(tmp_path: Path) -> None:
    for _ in range(2):
        async with started(tmp_path) as server:
            await greeting(server.url)
    assert server.log.read_text().count("Server is ready") == 2


async def test_a_second_one_in_the_same_directory_is_refused_before_it_touches_anything(
    tmp_path: Path,
) -> None:
    async with started(tmp_path) as server:
        async with asyncio.timeout(PATIENCE):
            # At once: the process that holds it lives.
            message = await failure(NatsServer("another configuration", tmp_path, lock_seconds=60))
        assert str(tmp_path) in message
        assert f"process {os.getpid()}" in message
        assert (tmp_path / "nats.conf").read_text() == CONFIG
        await greeting(server.url)
    async with started(tmp_path):
        pass


async def test_an_end_that_nobody_asked_for_is_noticed(tmp_path: Path) -> None:
    async with started(tmp_path) as server:
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(NatsServerError, match=r"ended by signal 9.*nats-server\.log"):
            await server.wait()


async def test_also_a_kind_end(tmp_path: Path) -> None:
    async with started(tmp_path) as server:
        os.kill(server.pid, signal.SIGTERM)
        with pytest.raises(NatsServerError, match=r"ended with code 0.*nats-server\.log: Server Exiting"):
            await server.wait()


async def test_waiting_ends_quietly_when_it_is_stopped(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as tasks:
        async with started(tmp_path) as server:
            waiting = tasks.create_task(server.wait())
            await asyncio.sleep(0)
        await waiting


async def test_one_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    server = NatsServer(CONFIG, tmp_path, stop_seconds=0.1)
    await server.start()
    os.kill(server.pid, signal.SIGSTOP)
    await server.stop()
    assert not alive(server.pid)


async def test_stopping_what_never_started_is_allowed(tmp_path: Path) -> None:
    await NatsServer(CONFIG, tmp_path).stop()


PARENT = """
import asyncio, sys
from pathlib import Path
from artcafe.server.embedded.nats_server import NatsServer

async def main():
    server = NatsServer(sys.argv[1], Path(sys.argv[2]))
    await server.start()
    print(server.pid, server.url, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_killing_the_parent_takes_it_along_and_frees_the_directory(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, CONFIG, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, url = (await asyncio.to_thread(parent.stdout.readline)).split()
        assert (await greeting(url)).startswith("INFO ")
        message = await failure(NatsServer(CONFIG, tmp_path))
        assert f"process {parent.pid}" in message
        parent.kill()
        parent.wait()
        # At once, though the orphan may not have ended yet: it is waited for.
        async with started(tmp_path) as server:
            assert not alive(int(pid))
            await greeting(server.url)


async def test_an_orphan_that_lives_on_keeps_the_directory(tmp_path: Path) -> None:
    """Two nats-servers in one directory destroy its streams."""
    command = [sys.executable, "-c", PARENT, CONFIG, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int((await asyncio.to_thread(parent.stdout.readline)).split()[0])
        os.kill(pid, signal.SIGSTOP)
        parent.kill()
    try:
        message = await failure(NatsServer(CONFIG, tmp_path, lock_seconds=0.1))
        assert "in use" in message
        assert alive(pid)
    finally:
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not alive(pid))


async def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere" / "nats-server"
    message = await failure(NatsServer(CONFIG, tmp_path / "data", binary=missing))
    assert message == f"There is no nats-server program at {missing}."
    assert not (tmp_path / "data").exists()


async def test_a_file_that_is_no_program_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "nats-server"
    broken.write_bytes(b"\x00\x01")
    broken.chmod(0o755)
    message = await failure(NatsServer(CONFIG, tmp_path / "data", binary=broken))
    assert f"{broken}: Exec format error" in message


async def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    data = tmp_path / "file" / "nats"
    message = await failure(NatsServer(CONFIG, data))
    assert message == f"The NATS data directory {data} cannot be used: Not a directory."


async def test_a_configuration_it_does_not_understand_is_told_in_its_own_words(tmp_path: Path) -> None:
    message = await failure(NatsServer("listen: {", tmp_path))
    assert "ended with code 1" in message
    assert "Parse error on line 1" in message
    async with started(tmp_path):
        pass


async def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        message = await failure(NatsServer(f'listen: "{place}"', tmp_path))
    assert "address already in use" in message
    assert place in message


async def test_what_an_earlier_run_said_is_not_told_again(tmp_path: Path) -> None:
    await failure(NatsServer("listen: {", tmp_path))
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\nexit 3\n")
    silent.chmod(0o755)
    message = await failure(NatsServer(CONFIG, tmp_path, binary=silent))
    assert "code 3" in message
    assert message.endswith(": none")


async def test_a_long_log_is_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "nats-server.log"
    log.write_bytes(b"x" * (11 * 1024 * 1024))
    async with started(tmp_path) as server:
        assert server.log.stat().st_size < 1024 * 1024
        assert (tmp_path / "nats-server.log.1").stat().st_size == 11 * 1024 * 1024


def test_it_runs_under_uvloop_as_the_server_does(tmp_path: Path) -> None:
    async def main() -> None:
        async with started(tmp_path) as server:
            await greeting(server.url)
            assert tmp_path / "lock" in files_of(server.pid)
            os.kill(server.pid, signal.SIGKILL)
            with pytest.raises(NatsServerError, match="signal 9"):
                await server.wait()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
