"""A platform that lives as long as one command."""

import os
import signal
import sys
from pathlib import Path

import click
import pytest

from artcafe.cli.temporary import temporary_platform

PYTHON = sys.executable

FAKE = """#!{python}
import json, os, pathlib, signal, sys
folder = pathlib.Path(sys.argv[sys.argv.index("--data-dir") + 1])
(folder / "arguments").write_text(json.dumps(sys.argv[1:]))
signal.signal(signal.SIGTERM, lambda *_: ((folder / "stopped").write_text("yes"), sys.exit(0)))
written = folder / "run.json.new"
written.write_text(json.dumps({{"url": "http://127.0.0.1:4", "pid": os.getpid()}}))
{then}
written.rename(folder / "run.json")
signal.pause()
"""


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in Python's place, which runs a platform of a few lines; its last step is `then`."""
    path = tmp_path / "python"
    path.write_text(FAKE.format(python=PYTHON, then=""))
    path.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(path))
    return path


def test_it_runs_for_the_length_of_the_block(python: Path, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"

    with temporary_platform(data_dir) as url:
        assert url == "http://127.0.0.1:4"
        assert not (data_dir / "stopped").exists()

    assert (data_dir / "stopped").exists()
    assert '"up", "--port", "0"' in (data_dir / "arguments").read_text()
    assert data_dir.stat().st_mode & 0o77 == 0


def test_ctrl_c_on_the_terminal_does_not_reach_it(python: Path, tmp_path: Path) -> None:
    with temporary_platform(tmp_path / "data"):
        pid = int((tmp_path / "data" / "run.json").read_text().rpartition(":")[2].strip(" }"))
        assert os.getpgid(pid) != os.getpgid(0)


def test_it_is_stopped_when_the_block_fails(python: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyError), temporary_platform(tmp_path / "data"):
        raise KeyError

    assert (tmp_path / "data" / "stopped").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_it_does_not_outlive_a_command_that_is_ended(
    python: Path, tmp_path: Path, number: signal.Signals
) -> None:
    before = signal.getsignal(number)

    with pytest.raises(SystemExit) as left, temporary_platform(tmp_path / "data"):
        signal.raise_signal(number)

    assert left.value.code == 128 + number
    assert (tmp_path / "data" / "stopped").exists()
    assert signal.getsignal(number) is before


def test_one_that_does_not_start_says_why(python: Path, tmp_path: Path) -> None:
    python.write_text(FAKE.format(python=PYTHON, then='sys.exit("The port\\x1b is taken.")'))

    with (
        pytest.raises(click.ClickException, match=r"did not start: The port\\x1b is taken\."),
        temporary_platform(tmp_path / "data"),
    ):
        pass


def test_one_that_takes_too_long_is_given_up(python: Path, tmp_path: Path) -> None:
    python.write_text(FAKE.format(python=PYTHON, then="signal.pause()"))

    with (
        pytest.raises(click.ClickException, match=r"within 0\.1 seconds; see .*up\.log"),
        temporary_platform(tmp_path / "data", start_seconds=0.1),
    ):
        pass


def test_one_that_ignores_the_request_to_stop_is_killed(python: Path, tmp_path: Path) -> None:
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    python.write_text(FAKE.format(python=PYTHON, then=deaf))

    with temporary_platform(tmp_path / "data", stop_seconds=0.05):
        pid = int((tmp_path / "data" / "run.json").read_text().rpartition(":")[2].strip(" }"))

    with pytest.raises(ProcessLookupError):
        os.kill(pid, signal.SIG_DFL)
