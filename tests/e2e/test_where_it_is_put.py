"""It starts where it is put, and its commands work there: closed streams, other locales, proxies, no home."""

import json
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kit.command_line import CommandLine
from tests.kit.platform import STOP_SECONDS, environment

SECONDS = 30.0
EVERYWHERE = {"ARTCAFE_PORT": "tcp://10.96.12.1:8000", "ARTCAFE_SERVICE_HOST": "10.96.12.1"}
"""What Kubernetes puts into every container beside a Service called artcafe."""


@dataclass
class Shell:
    """Runs `artcafe …` in bash, which closes and redirects streams."""

    data_dir: Path

    def __call__(self, words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            [
                "bash",
                "-c",
                f"artcafe() {{ '{sys.executable}' -m artcafe.cli.main \"$@\"; }}; artcafe {words}",
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
            env=environment(ARTCAFE_DATA_DIR=str(self.data_dir), **variables),
        )


def started(data_dir: Path, streams: str, **variables: str) -> subprocess.Popen[bytes]:
    """`artcafe up` with streams as bash gives them, once it says in its data directory that it runs."""
    line = f"exec '{sys.executable}' -m artcafe.cli.main up --data-dir '{data_dir}' {streams}"
    process = subprocess.Popen(["bash", "-c", line], env=environment(**variables))
    deadline = time.monotonic() + SECONDS
    while not (data_dir / "run.json").exists():
        assert process.poll() is None, f"it ended with {process.returncode}"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell on the machine of a platform without any stream, in Kubernetes and behind proxies."""
    data_dir = tmp_path_factory.mktemp("where") / "data"
    behind = {
        "HTTP_PROXY": "http://127.0.0.1:1",
        "HTTPS_PROXY": "http://127.0.0.1:1",
        "ALL_PROXY": "socks://x",
    }
    port = {"ARTCAFE_HOST": "127.0.0.1"}
    process = started(data_dir, "--port 0 <&- >&- 2>&-", LC_ALL="C", **behind, **port, **EVERYWHERE)
    try:
        shell = Shell(data_dir)
        made = shell("tenants create '名前 🤖' --id acme")
        assert made.returncode == 0, made
        yield shell
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(STOP_SECONDS) == 0
    finally:
        process.kill()
        process.wait()


WORKS: dict[str, tuple[str, dict[str, str], str]] = {
    "nobody at stdin": ("tenants list <&-", {}, "acme"),
    "nobody at stdout": ("tenants list >&-", {}, ""),
    "nobody anywhere": ("tenants list <&- >&- 2>&-", {}, ""),
    "a console of Windows": ("tenants list", {"PYTHONIOENCODING": "cp1252"}, "\\u540d"),
    "a proxy for everything": ("tenants list", {"ALL_PROXY": "socks://127.0.0.1:1"}, "acme"),
    "a proxy that is away": ("tenants list", {"HTTP_PROXY": "http://127.0.0.1:1"}, "acme"),
    "a Service of Kubernetes": ("tenants list", EVERYWHERE, "acme"),
}


@pytest.mark.parametrize("name", WORKS)
def test_a_command_works(shell: Shell, name: str) -> None:
    words, variables, word = WORKS[name]

    done = shell(words, **variables)

    assert done.returncode == 0, done
    assert word in done.stdout
    lines = ["ARTCAFE_PORT is ignored: Kubernetes made it, for a Service."] if variables == EVERYWHERE else []
    assert done.stderr.splitlines() == lines


FAILS: dict[str, tuple[str, dict[str, str], int, str]] = {
    "a full disk behind stdout": ("tenants list >/dev/full", {}, 1, "No space left"),
    "nothing at stdin": ("pub -t acme -a a -k k x - <&-", {}, 2, "this is not JSON"),
    "SOCKS": (
        "tenants list --url http://a.invalid --token x",
        {"ALL_PROXY": "socks://127.0.0.1:1"},
        1,
        "ALL_PROXY",
    ),
    "SOCKS 5": (
        "watch -t acme --url https://a.invalid --token x",
        {"ALL_PROXY": "socks5://127.0.0.1:1"},
        1,
        "ALL_PROXY",
    ),
    "no such user": ("token --data-dir '~nobody-there/x'", {}, 1, "no home directory for ~nobody-there/x"),
    "an argument that is not UTF-8": ("agents create $'\\xff' --id bb -t acme", {}, 1, "UTF-8"),
    "data that is not UTF-8": ("pub -t acme -a a -k k x $'\"\\xff\"'", {}, 2, "this is not JSON"),
    "a tenant that is not UTF-8": ("agents list -t $'\\xff'", {}, 1, "tenant"),
    "a log of keys": (
        "tenants list --url https://127.0.0.1:1 --token x",
        {"SSLKEYLOGFILE": "/nowhere/keys"},
        1,
        "SSLKEYLOGFILE",
    ),
    "a port by Kubernetes' name, typed": ("tenants list --port tcp://x", {}, 2, "--port"),
}


@pytest.mark.parametrize("name", FAILS)
def test_a_command_fails_with_a_sentence(shell: Shell, name: str) -> None:
    words, variables, code, word = FAILS[name]

    done = shell(words, **variables)

    assert done.returncode == code, done
    assert word in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "command", ["tenants list --token x", "up", "check-config", "sub x -t acme -a a -k ~/k"]
)
def test_somebody_without_a_home_is_told_to_name_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """A number without an entry in passwd(5), as containers get it."""

    def nobody(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", nobody)

    done = CommandLine(tmp_path)(*command.split(), HOME=None)

    assert (done.exit_code, done.stdout) == (1, "")
    assert "no home directory for ~/" in done.stderr


def test_a_disk_that_is_full_behind_the_banner_and_the_log_stops_nothing(tmp_path: Path) -> None:
    process = started(tmp_path / "data", "--port 0 >/dev/full 2>/dev/full")
    try:
        assert json.loads((tmp_path / "data" / "run.json").read_text())["pid"] == process.pid
        process.terminate()
        assert process.wait(STOP_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
