"""Commands that are imported when they are run."""

import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from artcafe.cli.lazy import LazyCommand, LazyGroup, load

COMMAND = """
import click
{line}

@click.command()
def {name}():
    click.echo("{name} ran")
"""


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LazyGroup:
    for name, line in (("first", ""), ("second", "import no_such_package.inner")):
        (tmp_path / f"lazy_{name}.py").write_text(COMMAND.format(name=name, line=line))
    monkeypatch.syspath_prepend(str(tmp_path))
    sections = {
        "One": {"first": LazyCommand("lazy_first:first", "The first.")},
        "Two": {"second": LazyCommand("lazy_second:second", "The second.")},
    }
    return LazyGroup("group", sections=sections)


def test_names_are_completed_from_the_table(group: LazyGroup) -> None:
    items = group.shell_complete(click.Context(group), "s")

    assert [(item.value, item.help) for item in items] == [("second", "The second.")]
    assert "lazy_second" not in sys.modules


def test_help_is_written_from_the_table(group: LazyGroup) -> None:
    result = CliRunner().invoke(group, ["--help"])

    assert "One:\n  first   The first.\n\nTwo:\n  second  The second.\n" in result.stdout
    assert "lazy_first" not in sys.modules


def test_a_command_is_imported_when_it_runs(group: LazyGroup) -> None:
    assert CliRunner().invoke(group, ["first"]).stdout == "first ran\n"


def test_a_missing_package_is_told_with_the_way_to_get_it(group: LazyGroup) -> None:
    result = CliRunner().invoke(group, ["second"])

    assert result.exit_code == 1
    assert result.stderr == (
        "Error: this needs the Python package no_such_package: pip install 'artcafe-pubsub[server]'\n"
    )


def test_a_module_of_our_own_that_is_missing_is_a_fault() -> None:
    with pytest.raises(ModuleNotFoundError):
        load("artcafe.cli.no_such_command:command")


def test_a_name_that_is_not_in_the_table_is_no_command(group: LazyGroup) -> None:
    assert group.get_command(click.Context(group), "third") is None
