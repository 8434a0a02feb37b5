"""A fresh key for an agent."""

import stat
from pathlib import Path

import click
import pytest

from artcafe.cli.key_pair import make_key_pair
from tests.kit.ssh_keys import fingerprint, public_line, ssh_keygen_accepts, ssh_keygen_sign


def test_the_key_signs(tmp_path: Path) -> None:
    path = tmp_path / "planner"

    line = make_key_pair(path)

    assert line.split()[:2] == public_line(path).split()
    assert line.endswith(" planner")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ssh_keygen_accepts(tmp_path, line, "text", ssh_keygen_sign(path, "text"))


def test_without_ssh_keygen_it_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "planner"

    with monkeypatch.context() as bare:
        bare.setenv("PATH", str(tmp_path))
        line = make_key_pair(path)

    (tmp_path / "planner.pub").write_text(line + "\n")
    assert line.endswith(" planner")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert fingerprint(path).startswith("SHA256:")
    assert ssh_keygen_accepts(tmp_path, line, "text", ssh_keygen_sign(path, "text"))


def test_a_key_that_is_there_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "planner"
    path.write_text("mine")

    with pytest.raises(click.ClickException, match="made no key"):
        make_key_pair(path)

    assert path.read_text() == "mine"
