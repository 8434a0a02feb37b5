"""A new file that only its owner can read."""

import os
import stat
from pathlib import Path

import click
import pytest

from artcafe.cli.private_file import private_file


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "key"
    before = os.umask(0)
    try:
        with private_file(path) as save:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            save("secret")
    finally:
        os.umask(before)

    assert path.read_text() == "secret"


def test_what_exists_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("mine")

    with pytest.raises(click.ClickException, match="exists already"), private_file(path) as save:
        save("other")

    assert path.read_text() == "mine"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "key").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(click.ClickException, match="exists already"), private_file(tmp_path / "key") as save:
        save("secret")

    assert not (tmp_path / "elsewhere").exists()


def test_a_file_that_was_not_filled_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "key"

    with pytest.raises(KeyError), private_file(path):
        raise KeyError

    assert not path.exists()


def test_a_place_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="No such file"), private_file(tmp_path / "no" / "key"):
        pass
