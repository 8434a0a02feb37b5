"""The tether: what it runs ends with the parent, and it says plainly what went wrong."""

import os
import subprocess
import sys
from pathlib import Path

from artcafe.server.embedded import tether


def run(parent: int, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command by the tether and wait for it."""
    start = [sys.executable, "-I", "-S", tether.__file__, str(parent), *command]
    return subprocess.run(start, capture_output=True, text=True, timeout=20, check=False)


def test_it_becomes_the_command() -> None:
    done = run(os.getpid(), "/bin/sh", "-c", "echo $0 $1; exit 7", "a", "b c")
    assert (done.stdout, done.returncode) == ("a b c\n", 7)


def test_a_hangup_of_the_whole_group_ends_nothing() -> None:
    done = run(os.getpid(), "/bin/sh", "-c", "kill -HUP $$; echo lives")
    assert (done.stdout, done.returncode) == ("lives\n", 0)


def test_a_parent_that_has_gone_already_is_noticed() -> None:
    done = run(1, "/bin/echo", "never")
    assert (done.stdout, done.stderr, done.returncode) == ("", "the parent has gone\n", 1)


def test_a_file_that_is_no_program_is_named(tmp_path: Path) -> None:
    file = tmp_path / "program"
    file.write_bytes(b"\x00\x01\x02\x03")
    file.chmod(0o755)
    done = run(os.getpid(), str(file))
    assert done.returncode == 1
    assert done.stderr == f"{file}: Exec format error\n"
