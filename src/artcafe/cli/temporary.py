"""A platform with the lifetime of one command."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import click

from artcafe.cli.connection import running
from artcafe.cli.text import plain

_LOOK_SECONDS = 0.05


@contextmanager
def temporary_platform(
    data_dir: Path, *, start_seconds: float = 30.0, stop_seconds: float = 15.0
) -> Iterator[str]:
    """Run `artcafe up` on a free port with this data directory, give its URL, and stop it at the end.

    It runs in a session of its own, so Ctrl-C reaches this command first, which then still has a
    platform to clean up on. What it prints goes to `up.log` beside its data. Raises ClickException
    with the last line of that when it does not start in time; one that does not stop in time is killed.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = data_dir / "up.log"
    command = [sys.executable, "-m", "artcafe.cli.main", "up", "--port", "0", "--data-dir", str(data_dir)]
    with log.open("wb") as output:
        platform = subprocess.Popen(  # noqa: S603 - our own program, by its full path
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    before = {number: signal.signal(number, _leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield _url(platform, data_dir, log, start_seconds)
    finally:
        _stop(platform, stop_seconds)
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, _: object) -> NoReturn:
    """Leave as Ctrl-C does, through every `finally`: else the platform would outlive its command."""
    sys.exit(128 + number)


def _url(platform: subprocess.Popen[bytes], data_dir: Path, log: Path, seconds: float) -> str:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        url = running(data_dir)
        if url is not None:
            return url
        if platform.poll() is not None:
            raise click.ClickException(f"the platform did not start: {_last_line(log)}")
        time.sleep(_LOOK_SECONDS)
    raise click.ClickException(f"the platform did not start within {seconds:g} seconds; see {log}")


def _stop(platform: subprocess.Popen[bytes], seconds: float) -> None:
    if platform.poll() is None:
        platform.send_signal(signal.SIGTERM)
    try:
        platform.wait(seconds)
    except subprocess.TimeoutExpired:
        platform.kill()
        platform.wait()


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n")
    return plain(next((line for line in reversed(lines) if line.strip()), "it said nothing"))
