"""The command as a whole: its help, its exit codes, and what it does not import."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest

from artcafe.cli.main import SECTIONS
from artcafe.cli.main import artcafe as group
from tests.kit.agent_stub import message
from tests.kit.command_line import CommandLine
from tests.kit.rest_stub import RestStub, problem
from tests.kit.ssh_keys import make_key

COMMANDS = [name for commands in SECTIONS.values() for name in commands]

SLOW = ("httpx", "rich", "websockets", "cryptography", "fastapi", "pydantic", "artcafe.server")


def leaves(name: str) -> list[list[str]]:
    """A command and its subcommands, as words."""
    context = click.Context(group)
    command = group.get_command(context, name)
    if isinstance(command, click.Group):
        return [[name], *([name, leaf] for leaf in command.commands)]
    return [[name]]


def imported(code: str) -> set[str]:
    """What is imported, of the slow things, after this code ran in a process of its own."""
    code += "\nimport sys; print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(done.stderr.split())
    return {slow for slow in SLOW if slow in modules}


def ran(*args: str) -> str:
    """Code that runs one command."""
    return f"from artcafe.cli.main import artcafe; artcafe.main({list(args)!r}, standalone_mode=False)"


def test_help_lists_every_command_by_section(artcafe: CommandLine) -> None:
    result = artcafe("--help")

    assert result.exit_code == 0
    for title, commands in SECTIONS.items():
        assert f"{title}:" in result.stdout
        for name, entry in commands.items():
            assert f"  {name} " in result.stdout
            assert entry.help[:30] in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_examples(artcafe: CommandLine, name: str) -> None:
    for words in leaves(name):
        result = artcafe(*words, "--help")

        assert result.exit_code == 0, result.stderr
        assert "Example" in result.stdout, words
        assert f"artcafe {words[0]}" in result.stdout.split("Example", 1)[1], words


def test_the_list_of_commands_imports_nothing_slow() -> None:
    assert imported(ran("--help")) == imported("import artcafe")


@pytest.mark.parametrize("command", ["pub", "sub"])
def test_an_agents_commands_import_neither_rest_nor_server(command: str) -> None:
    assert imported(ran(command, "--help")) == {"websockets", "cryptography"}


def test_a_command_that_is_none_is_wrong_usage(artcafe: CommandLine) -> None:
    result = artcafe("brew")

    assert result.exit_code == 2
    assert "No such command 'brew'" in result.stderr
    assert result.stdout == ""


def test_an_error_of_the_platform_is_one_line_on_stderr(artcafe: CommandLine, stub: RestStub) -> None:
    stub.answers["GET", "/api/v1/agents"] = problem(403, "forbidden", "The role viewer\nmay\x1b[2J not.")

    result = artcafe("agents", "list", "--json")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: The role viewer\\nmay\\x1b[2J not.\n"


def test_version(artcafe: CommandLine) -> None:
    assert artcafe("--version").stdout.startswith("artcafe, version ")


# A shell's background job inherits an ignored SIGINT, and CI may be one: this begins like a foreground job.
MAIN = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from artcafe.cli.main import main
main()
"""


@contextmanager
def subscribed(stub: RestStub, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The command line in another process, subscribed to everything; killed if it does not end."""
    place = ["--url", stub.url, "-t", "acme", "-a", "worker", "-k", str(make_key(folder))]
    command = [sys.executable, "-c", MAIN, "sub", ">", "--json", *place]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stderr is not None
        assert process.stderr.readline() == b"Subscribed to >; Ctrl-C ends.\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_ctrl_c_ends_quietly(stub: RestStub, tmp_path: Path) -> None:
    with subscribed(stub, tmp_path) as process:
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)

    assert (process.returncode, stdout, stderr) == (130, b"", b"")


def test_a_reader_that_goes_away_ends_it_quietly(stub: RestStub, tmp_path: Path) -> None:
    """`artcafe sub … | head -1`: far more is sent than a pipe holds, so a write meets the closed end."""
    stub.broker.backlog = [message("tasks.new", json.dumps("x" * 10_000))] * 100

    with subscribed(stub, tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert b'"subject": "tasks.new"' in process.stdout.readline()
        process.stdout.close()
        process.wait(30)
        stderr = process.stderr.read()

    assert (process.returncode, stderr) == (1, b"")
