"""The operator seed by `artcafe operator`; what a rotation does is in tests/e2e/test_rotation.py."""

import stat
from pathlib import Path

import pytest

from tests.kit.command_line import CommandLine


def test_a_rotation_step_by_step(tmp_path: Path) -> None:
    run, folder = CommandLine(tmp_path), tmp_path / "data"
    where = ["--data-dir", folder]
    first = run("nats-config", *where).stdout
    refused = run("nats-config", "--next", *where)
    assert (refused.exit_code, "next cannot be read" in refused.stderr) == (1, True)

    said = run("operator", "rotate", *where).stdout
    assert f"{folder}/operator.seed.next" in said
    assert (folder / "operator.seed.next").read_text().strip() not in said
    shown = dict(line.split() for line in run("operator", "show", *where).stdout.splitlines())
    assert list(shown) == ["operator.seed", "operator.seed.next"]
    upcoming = run("nats-config", "--next", *where).stdout
    assert system_account(run("nats-config", *where).stdout) == system_account(first)
    assert system_account(upcoming) != system_account(first)

    assert "in force" in run("operator", "switch", *where).stdout
    assert system_account(run("nats-config", *where).stdout) == system_account(upcoming)
    assert run("operator", "switch", "--back", *where).exit_code == 0
    assert system_account(run("nats-config", *where).stdout) == system_account(first)
    run("operator", "switch", *where)
    assert run("operator", "forget", *where, "--yes").stdout == f"{folder}/operator.seed.old is removed.\n"
    assert run("operator", "forget", *where, "--yes").stdout == "There is no other seed.\n"


def system_account(config: str) -> str:
    [line] = [line for line in config.splitlines() if line.startswith("system_account")]
    return line


def test_the_configurations_of_a_cluster_for_the_next_seed(tmp_path: Path) -> None:
    """Beside those in force, whose secret is another."""
    run, where = CommandLine(tmp_path), ["--data-dir", tmp_path / "data"]
    nodes = [word for n in range(3) for word in ("--node", f"n{n}=127.0.0.{n + 1}")]
    assert run("nats-config", *where, "--cluster", tmp_path / "now", *nodes).exit_code == 0
    run("operator", "rotate", *where)
    assert run("nats-config", *where, "--next", "--cluster", tmp_path / "next", *nodes).exit_code == 0
    secrets = []
    for folder in ("now", "next"):
        config = tmp_path / folder / "n1.conf"
        assert stat.S_IMODE(config.stat().st_mode) == 0o600
        [line] = [line for line in config.read_text().splitlines() if "password:" in line]
        secrets.append(line)
    assert secrets[0] != secrets[1]


@pytest.mark.parametrize("command", ["show", "rotate", "switch", "forget"])
def test_what_cannot_be_done_is_said_in_a_line(tmp_path: Path, command: str) -> None:
    yes = ["--yes"] if command == "forget" else []
    done = CommandLine(tmp_path)("operator", command, *yes, ARTCAFE_OPERATOR_SEED="ab" * 32)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: The operator seed comes from ARTCAFE_OPERATOR_SEED")
