"""`artcafe open`."""

import json
import os
from pathlib import Path

import pytest

from tests.kit.command_line import CommandLine
from tests.kit.rest_stub import RestStub


def test_the_address_is_printed(artcafe: CommandLine, stub: RestStub) -> None:
    assert artcafe("open").stdout == f"{stub.url}/docs\n"
    assert json.loads(artcafe("open", "--json").stdout) == {"url": f"{stub.url}/docs"}
    assert stub.asked == []


@pytest.mark.parametrize(("code", "exit_code"), [(0, 0), (3, 1)])
def test_the_browser_gets_it(
    artcafe: CommandLine,
    stub: RestStub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    exit_code: int,
) -> None:
    # What click starts on Linux.
    opener = tmp_path / "xdg-open"
    opener.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\nexit {code}\n')
    opener.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    result = artcafe("open", "--browser")

    assert result.exit_code == exit_code, result.stderr
    assert result.stdout == f"{stub.url}/docs\n"
    assert (tmp_path / "opened").read_text() == f"{stub.url}/docs\n"
    assert ("no browser could be started here" in result.stderr) is (code != 0)
