"""The standard streams as a program may find them, in processes of their own."""

import subprocess
import sys

import pytest

CODE = """
import sys
from artcafe.cli.streams import finish, prepare
prepare()
{0}
finish()
"""


def ran(code: str, shell: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run Python code between `prepare` and `finish`, with streams as the shell gives them."""
    command = ["bash", "-c", f'exec "$0" -c "$1" {shell}', sys.executable, CODE.format(code)]
    return subprocess.run(command, capture_output=True, check=False, env={"PATH": "/bin", **environment})


@pytest.mark.parametrize("shell", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-", ">&- 2>&-", "<&- 2>&-"])
def test_a_closed_stream_is_nobodys_and_stays_what_it_is(shell: str) -> None:
    """Whatever is opened next would get its number, and be written into."""
    done = ran(
        "import socket, os; end = socket.socket(); sys.exit(10 * (end.fileno() < 3)"
        " + (sys.stdin.read() != '') + (print('x') or 0) + (print('x', file=sys.stderr) or 0))",
        shell + ("" if "<" in shell else " </dev/null"),
    )

    assert done.returncode == 0, done


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_what_cannot_be_written_at_the_end_does_not_change_the_exit_code(stream: str) -> None:
    shell = ">/dev/full" if stream == "stdout" else "2>/dev/full"

    assert ran(f"sys.{stream}.write('x')", shell).returncode == 0


@pytest.mark.parametrize(
    ("environment", "shown"),
    [
        ({"PYTHONIOENCODING": "cp1252"}, b"Z\xfcrich \\u540d \\udcff"),
        ({"PYTHONIOENCODING": "ascii"}, b"Z\\xfcrich \\u540d \\udcff"),
        ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, b"Z\\xfcrich \\u540d \\udcff"),
        ({"LC_ALL": "C"}, "Zürich 名 \\udcff".encode()),
        ({"PYTHONIOENCODING": "utf-8"}, "Zürich 名 \\udcff".encode()),
    ],
)
def test_letters_that_an_encoding_does_not_have_are_written_as_escapes(
    environment: dict[str, str], shown: bytes
) -> None:
    done = ran(r"print('Z\u00fcrich \u540d \udcff')", **environment)

    assert (done.returncode, done.stdout.strip()) == (0, shown), done
