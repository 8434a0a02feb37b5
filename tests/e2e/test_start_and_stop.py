"""Starting, stopping, failing to start, and being killed."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kit.deadlines import PATIENCE
from tests.kit.platform import artcafe, environment, running_platform
from tests.kit.preloaded import Preloaded
from tests.kit.processes import alive


def start(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """`artcafe …`, which is expected to end by itself."""
    return subprocess.run(
        artcafe(*words), capture_output=True, text=True, timeout=30, check=False, env=environment(**more)
    )


def one_line(failed: subprocess.CompletedProcess[str]) -> str:
    """The one line an expected failure prints."""
    assert failed.returncode == 1, failed
    lines = failed.stderr.strip().splitlines()
    assert len(lines) == 1, failed.stderr
    return lines[0]


def nats_pid(data_dir: Path) -> int:
    """The nats-server of a platform, by the name of its ports file."""
    [ports] = (data_dir / "nats" / "ports").glob("nats-server_*.ports")
    return int(ports.stem.removeprefix("nats-server_"))


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_everything_within_seconds_and_nothing_stays(
    tmp_path: Path, kind: signal.Signals
) -> None:
    with running_platform(tmp_path / "data") as platform:
        server = nats_pid(platform.data_dir)
        assert alive(server)
        assert platform.stop(kind) == 0
        assert not alive(server)
        assert not (platform.data_dir / "run.json").exists()


def test_a_restart_finds_everything_again_exactly(tmp_path: Path) -> None:
    with running_platform(tmp_path / "data") as platform:
        platform.make_tenant("acme")
        with platform.rest("acme") as rest:
            made = rest.post("/agents", json={"name": "planner"}).json()["agent"]
            rest.post("/channels", json={"id": "tasks", "name": "tasks"})
            for _ in range(5):
                rest.post("/channels/tasks/messages", json={})
        assert platform.stop() == 0
    with running_platform(tmp_path / "data") as platform, platform.rest("acme") as rest:
        assert rest.get("/agents/planner").json()["agent"] == made
        day = rest.get("/usage-metrics").json()["metrics"][-1]
        assert day["messages_count"] == 5, "usage is exact after a clean stop"
        # And the first user's token of the next start opens the same tenants.
        assert [tenant["id"] for tenant in rest.get("/tenants").json()] == ["acme"]


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = one_line(start("up", "--port", str(port), "--data-dir", str(tmp_path / "data")))
    assert f"port {port}" in line
    assert "in use" in line


def test_a_data_directory_that_cannot_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    line = one_line(start("up", "--port", "0", "--data-dir", str(tmp_path / "file" / "data")))
    assert "cannot be used" in line


def test_a_second_instance_on_the_same_data(tmp_path: Path) -> None:
    with running_platform(tmp_path / "data") as platform:
        line = one_line(start("up", "--port", "0", "--data-dir", str(platform.data_dir)))
        assert f"{platform.process.pid}" in line
        with platform.rest() as rest:
            assert rest.get("/tenants").status_code == 200, "the first one is not disturbed"


@pytest.mark.parametrize("program", ["/bin/false", "/nowhere/nats-server"])
def test_a_nats_server_that_does_not_come_up(tmp_path: Path, program: str) -> None:
    line = one_line(
        start("up", "--port", "0", "--data-dir", str(tmp_path / "data"), ARTCAFE_NATS_SERVER=program)
    )
    assert "nats-server" in line


def test_settings_that_cannot_be_used_name_their_variable(tmp_path: Path) -> None:
    line = one_line(start("up", "--data-dir", str(tmp_path / "data"), ARTCAFE_PORT="many"))
    assert "ARTCAFE_PORT" in line


def test_kill_9_takes_nats_with_it_and_loses_no_acknowledged_write(tmp_path: Path) -> None:
    with running_platform(tmp_path / "data") as platform:
        platform.make_tenant("acme")
        acknowledged = []
        with platform.rest("acme") as rest:
            for number in range(30):
                made = rest.post("/channels", json={"id": f"c{number:02}", "name": "n"})
                assert made.status_code == 201
                acknowledged.append(made.json()["channel"]["id"])
        server = nats_pid(platform.data_dir)
        platform.process.kill()
        platform.process.wait()
        deadline = time.monotonic() + PATIENCE
        while alive(server):
            assert time.monotonic() < deadline, "the nats-server outlives its platform"
            time.sleep(0.01)
    with running_platform(tmp_path / "data") as platform, platform.rest("acme") as rest:
        found = rest.get("/channels", params={"limit": 200}).json()["channels"]
        assert [channel["id"] for channel in found] == acknowledged


def test_a_nats_server_that_dies_ends_the_platform_with_a_word(tmp_path: Path) -> None:
    with running_platform(tmp_path / "data") as platform:
        os.kill(nats_pid(platform.data_dir), signal.SIGKILL)
        assert platform.process.wait(15) == 1
        assert "nats-server" in platform.log.read_text().splitlines()[-1]


def test_check_config_shows_what_is_in_force_and_hides_secrets(tmp_path: Path) -> None:
    secret = "s" * 40
    done = start(
        "check-config", "--json", "--data-dir", str(tmp_path), ARTCAFE_PORT="9123", JWT_SECRET_KEY=secret
    )
    effective = json.loads(done.stdout)
    assert (effective["port"], effective["data_dir"]) == (9123, str(tmp_path))
    assert effective["secret_key"] == "**********"
    assert secret not in done.stdout + done.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_a_sighup_while_it_starts_ends_nothing(tmp_path: Path, workers: int) -> None:
    """A supervisor that reloads its units does not know which of them are up."""
    data = tmp_path / "data"
    data.mkdir()
    with running_platform(
        data, "--workers", f"{workers}", when=_hangup_at(data / "operator.seed")
    ) as platform:
        assert "SIGHUP at the start" in platform.log.read_text()
        platform.make_tenant("acme")
        assert platform.stop() == 0


def _hangup_at(made: Path) -> Callable[[Preloaded], None]:
    """Send SIGHUP as soon as this file is there."""

    def wait(process: Preloaded) -> None:
        deadline = time.monotonic() + PATIENCE
        while not made.exists():
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.002)
        process.send_signal(signal.SIGHUP)

    return wait


def test_one_process_alone_goes_on_at_sighup(tmp_path: Path) -> None:
    with running_platform(tmp_path / "data") as platform:
        platform.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE
        while "restart instead" not in platform.log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        platform.make_tenant("acme")
        assert platform.stop() == 0
