"""`artcafe completion`: the scripts, and what a shell that runs them is told."""

import json
import os
import subprocess
import sys

import pytest

from tests.kit.command_line import CommandLine


@pytest.mark.parametrize(
    ("shell", "has"), [("bash", "complete -o"), ("zsh", "#compdef artcafe"), ("fish", "complete --")]
)
def test_every_shell_gets_its_script(artcafe: CommandLine, shell: str, has: str) -> None:
    script = artcafe("completion", shell).stdout

    assert has in script
    assert f"_ARTCAFE_COMPLETE={shell}_complete" in script
    assert json.loads(artcafe("completion", shell, "--json").stdout)["script"] + "\n" == script


def test_another_shell_is_wrong_usage(artcafe: CommandLine) -> None:
    assert artcafe("completion", "tcsh").exit_code == 2


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("artcafe ag", "plain,agents\n"),
        ("artcafe inv", "plain,invitations\n"),
        ("artcafe agents up", "plain,update\n"),
        ("artcafe agents list --stat", "plain,--status\n"),
        ("artcafe agents list --status on", "plain,online\n"),
    ],
)
def test_what_is_typed_is_completed(typed: str, offered: str) -> None:
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", "from artcafe.cli.main import main; main()"],
        env={**os.environ, "_ARTCAFE_COMPLETE": "bash_complete", **words},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.stderr) == (offered, "")
