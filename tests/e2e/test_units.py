"""The shipped units: systemd understands every line, finds them tight, and hears what it waits for."""

import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from artcafe.server.settings import Settings, variables
from tests.kit.platform import running_platform

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
PROGRAMS = Path(sys.executable).parent

NGINX = """[Unit]
Description=nginx as the distribution starts it
[Service]
Type=forking
PIDFile=/run/nginx.pid
ExecStart=/bin/true
"""


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *words], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture(params=["artcafe@.service", "artcafe-nats.service", "nginx.service"])
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A unit with the programs of this machine in the place of those of an installation."""
    path = tmp_path / str(request.param)
    if path.name == "nginx.service":
        path.write_text(NGINX)
        shutil.copytree(UNITS / "nginx.service.d", tmp_path / "nginx.service.d")
    else:
        path.write_text((UNITS / path.name).read_text().replace("/opt/artcafe/bin", str(PROGRAMS)))
    return path


def test_systemd_has_nothing_to_say_about_it(unit: Path) -> None:
    """A key that it does not know is a line on standard error, and no failure."""
    done = analyze("verify", "--man=no", str(unit))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_slip_would_be_noticed(unit: Path) -> None:
    with unit.open("a") as file:
        file.write("\n[Service]\nNoNewPriviliges=yes\n")
    assert "NoNewPriviliges" in analyze("verify", "--man=no", str(unit)).stderr


def test_it_is_sandboxed(unit: Path) -> None:
    """2.0 and less, nginx too."""
    done = analyze("security", "--offline=true", "--threshold=20", str(unit))
    assert done.returncode == 0, done.stdout


def test_every_variable_of_the_environment_file_is_a_setting() -> None:
    lines = (UNITS / "artcafe.env").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert given.keys() <= {name for names in variables().values() for name in names}
    assert Settings.model_validate(given).public_url == given["ARTCAFE_PUBLIC_URL"]


def test_systemd_hears_ready_alive_and_stopping(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as there:
        there.bind(f"{tmp_path / 'notify'}")
        there.settimeout(10)
        settings = {"NOTIFY_SOCKET": f"{tmp_path / 'notify'}", "WATCHDOG_USEC": "100000"}
        with running_platform(tmp_path / "data", settings=settings) as platform:
            while (first := there.recv(100)) != b"READY=1":
                assert first == b"WATCHDOG=1"
            assert [there.recv(100) for _ in range(3)] == 3 * [b"WATCHDOG=1"]
            assert platform.stop(signal.SIGTERM) == 0
            while (last := there.recv(100)) != b"STOPPING=1":
                assert last == b"WATCHDOG=1"
