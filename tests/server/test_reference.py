"""The pages made from the code: they say what the code says, and those of the repository are current."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from artcafe.server import reference
from artcafe.server.domain.login_refusal import LoginRefusal
from artcafe.server.events import Event
from artcafe.server.settings import Settings, variables
from artcafe.wire.codes import Code, may_reconnect

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def rows(page: str) -> dict[str, list[str]]:
    """The rows of all tables of a page by what stands in their first cell, without its backticks."""
    lines = (line for line in page.splitlines() if line.startswith("| `"))
    tables = ([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines)
    return {cells[0].strip("`"): cells[1:] for cells in tables}


def server_settings() -> dict[str, list[str]]:
    return rows(reference.settings().partition("## The command line")[0])


@pytest.mark.parametrize("name", ["errors.md", "settings.md", "log-events.md", "metrics.md"])
def test_the_page_in_the_repository_is_current(name: str) -> None:
    assert (DOCS / name).read_text() == reference.pages()[name], "run `make docs`"


class TestErrors:
    def test_every_error_has_a_row_that_says_all_of_it(self) -> None:
        found = rows(reference.errors())

        assert set(found) == {code.name for code in Code}
        for code in Code:
            row = code.value
            assert found[code.name] == [
                f"{row.number}",
                f"{row.http or '-'}",
                f"{row.close or '-'}",
                "yes" if row.retry else "no",
                row.when,
            ]

    def test_rows_stand_in_order_of_their_numbers(self) -> None:
        numbers = [int(cells[0]) for cells in rows(reference.errors()).values()]

        assert numbers == sorted(numbers)

    def test_the_close_codes_to_come_back_after_are_those_of_the_code(self) -> None:
        after = re.search(r"After ([0-9, -]+), or when the connection is just lost", reference.errors())
        assert after is not None
        told = set()
        for span in after[1].split(", "):
            first, _, last = span.partition("-")
            told |= set(range(int(first), int(last or first) + 1))

        assert told == {code for code in range(1000, 5000) if may_reconnect(code)} - {1005, 1006}


class TestSettings:
    def test_every_setting_has_a_row_with_its_names_and_its_description(self) -> None:
        found = server_settings()

        assert list(found) == [names[0] for names in variables().values()]
        for name, names in variables().items():
            cells = found[names[0]]
            assert re.findall(r"`(\w+)`", cells[0]) == names[1:]
            assert cells[-1] == Settings.model_fields[name].description
            assert cells[-1]

    @pytest.mark.parametrize(
        ("name", "cells"),
        [
            ("ARTCAFE_PORT", ["-", "`8000`", "whole number from 0 to 65535", "no"]),
            ("ARTCAFE_FLUSH_SECONDS", ["-", "`2.0`", "number more than 0 to 60", "no"]),
            ("ARTCAFE_LOG_FORMAT", ["-", "`text`", "`text`, `json`", "no"]),
            ("ARTCAFE_DATA_DIR", ["-", "`~/.artcafe`", "path", "no"]),
            ("ARTCAFE_NATS_SERVER", ["-", "-", "path", "no"]),
            ("ARTCAFE_NATS_URL", ["`NATS_URL`", "-", "text", "no"]),
            ("ARTCAFE_SECRET_KEY", ["`JWT_SECRET_KEY`", "-", "text", "yes"]),
            ("ARTCAFE_OPERATOR_SEED", ["-", "-", "text", "yes"]),
        ],
    )
    def test_a_row_tells_defaults_values_and_secrets(self, name: str, cells: list[str]) -> None:
        assert server_settings()[name][:4] == cells

    def test_nothing_of_this_machine_is_in_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = reference.pages()
        monkeypatch.setenv("ARTCAFE_PORT", "9999")
        monkeypatch.setenv("HOME", "/home/nina")

        assert reference.pages() == before

    def test_the_variables_of_the_command_line_are_those_it_reads(self) -> None:
        told = set(rows(reference.settings().partition("## The command line")[2]))
        source = "".join(path.read_text() for path in sorted((ROOT / "src/artcafe/cli").glob("*.py")))

        assert told == set(re.findall(r'envvar="(ARTCAFE_\w+)"', source))


class TestLogEvents:
    def test_every_event_has_a_row_with_its_fields(self) -> None:
        told = rows(reference.log_events())

        for event in Event.__subclasses__():
            [cells] = [cells for name, cells in told.items() if name == event.__struct_config__.tag]
            assert all(f"`{field}`" in " ".join(cells) for field in event.__struct_fields__)

    def test_every_reason_of_a_refused_login_has_a_row(self) -> None:
        told = rows(reference.log_events().partition("## Reasons")[2])

        assert {name: cells[-1] for name, cells in told.items()} == {
            str(reason): reason.meaning for reason in LoginRefusal
        }


class TestCommand:
    def test_it_writes_what_is_missing_or_stale_and_nothing_else(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        directory = tmp_path / "docs"
        assert reference.main([str(directory)]) == 0
        assert {path.name: path.read_text() for path in directory.iterdir()} == reference.pages()
        assert capsys.readouterr().out.count("written") == 4

        (directory / "errors.md").write_text("stale")
        before = (directory / "settings.md").stat().st_mtime_ns
        assert reference.main([str(directory)]) == 0
        assert (directory / "errors.md").read_text() == reference.errors()
        assert (directory / "settings.md").stat().st_mtime_ns == before
        assert capsys.readouterr().out.count("written") == 1

    def test_check_says_whether_they_are_current_and_writes_nothing(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert reference.main([str(tmp_path), "--check"]) == 1
        assert list(tmp_path.iterdir()) == []

        reference.main([str(tmp_path)])
        assert reference.main([str(tmp_path), "--check"]) == 0

        (tmp_path / "errors.md").write_text("stale")
        capsys.readouterr()
        assert reference.main([str(tmp_path), "--check"]) == 1
        assert (tmp_path / "errors.md").read_text() == "stale"
        told = capsys.readouterr().out
        assert "errors.md" in told
        assert "settings.md" not in told

    def test_make_docs_runs_it(self) -> None:
        command = [sys.executable, "-m", "artcafe.server.reference", str(DOCS), "--check"]

        done = subprocess.run(command, capture_output=True, text=True, check=False)

        assert (done.returncode, done.stdout) == (0, ""), done.stderr
