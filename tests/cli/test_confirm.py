"""What cannot be undone asks: somebody at a terminal, and nobody else."""

import os
import pty
import subprocess
from pathlib import Path

import click
import pytest

from artcafe.cli.main import artcafe
from tests.kit.command_line import CommandLine
from tests.kit.platform import artcafe as command
from tests.kit.platform import environment

NOT_UNDONE = {
    "agents delete",
    "channels delete",
    "invitations revoke",
    "keys remove",
    "keys revoke",
    "members remove",
    "operator forget",
    "queue delete",
    "queue dlq purge",
    "operator tenants set",
    "operator tenants suspend",
    "store copy",
    "tenants delete",
}
"""Every command that takes something away for good, or closes a tenant."""

VERBS = {"delete", "drop", "forget", "purge", "remove", "revoke", "suspend", "withdraw"}
"""What such a command is called."""

UNASKED = [
    ("agents", "delete", "a"),
    ("channels", "delete", "c"),
    ("invitations", "revoke", "i"),
    ("keys", "remove", "a", "SHA256:k"),
    ("keys", "revoke", "a", "SHA256:k"),
    ("members", "remove", "m"),
    ("operator", "forget"),
    ("queue", "delete", "c", "w"),
    ("queue", "dlq", "purge", "c"),
    ("operator", "tenants", "set", "acme", "--status", "suspended"),
    ("operator", "tenants", "suspend", "acme"),
    ("store", "copy", "--from", "sqlite", "--to", "sqlite:other", "--over"),
    ("tenants", "delete", "acme"),
]


def commands(group: click.Group, name: str = "") -> dict[str, click.Command]:
    """Every command by its words."""
    found: dict[str, click.Command] = {}
    context = click.Context(group)
    for word in group.list_commands(context):
        each = group.get_command(context, word)
        assert each is not None
        if isinstance(each, click.Group):
            found |= commands(each, f"{name}{word} ")
        else:
            found[f"{name}{word}"] = each
    return found


def test_every_command_that_cannot_be_undone_takes_yes() -> None:
    every = commands(artcafe)

    asking = {name for name, each in every.items() if any("--yes" in option.opts for option in each.params)}

    assert asking == NOT_UNDONE
    assert {name for name in every if name.rpartition(" ")[2] in VERBS} <= NOT_UNDONE


@pytest.mark.parametrize("words", UNASKED, ids=" ".join)
def test_without_a_terminal_and_without_yes_it_is_refused_and_nothing_is_asked_of_the_platform(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    run = CommandLine(tmp_path, "http://127.0.0.1:9")  # Nothing answers there.
    for said in ("", "y\n", "yes\n"):
        result = run(*words, text=said)

        assert (result.exit_code, result.stdout) == (2, "")
        assert "add --yes" in result.stderr


def test_every_one_of_them_was_tried() -> None:
    nested = {"tenants", "dlq"}
    tried = {" ".join(words[: 3 if words[1] in nested else 2]) for words in UNASKED}
    assert tried == NOT_UNDONE


@pytest.mark.parametrize(("answer", "gone"), [(b"n\n", False), (b"\n", False), (b"y\n", True)])
def test_at_a_terminal_the_answer_decides(tmp_path: Path, answer: bytes, *, gone: bool) -> None:
    folder = tmp_path / "data"
    run = CommandLine(tmp_path)
    run("operator", "show", "--data-dir", folder)
    run("nats-config", "--data-dir", folder)
    run("operator", "rotate", "--data-dir", folder)
    assert (folder / "operator.seed.next").exists()
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            command("operator", "forget", "--data-dir", str(folder)),
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(HOME=str(tmp_path)),
        )
        os.write(ours, answer)
        out, err = process.communicate(timeout=60)
    finally:
        os.close(ours)
        os.close(theirs)

    assert b"for ever?" in err
    assert b"for ever?" not in out
    assert (process.returncode == 0) is gone
    assert (folder / "operator.seed.next").exists() is not gone
