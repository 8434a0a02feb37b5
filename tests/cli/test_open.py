"""`artcafe open`."""

import json
import os
from pathlib import Path

import pytest

from tests.kit.command_line import CommandLine
from tests.kit.rest_stub import SECRET, SIGN_IN_CODE, RestStub


def test_the_address_and_on_the_platforms_machine_a_code_are_printed(
    artcafe: CommandLine, stub: RestStub
) -> None:
    page = f"{stub.url}/console/"
    assert artcafe("open").stdout == f"{page}\nsign-in code: {SIGN_IN_CODE}\n"
    assert json.loads(artcafe("open", "--json").stdout) == {"url": page, "code": SIGN_IN_CODE}
    assert artcafe("open", "--code", "--tenant", "acme").stdout == f"{SIGN_IN_CODE}\n"
    assert stub.asked[-1].body["tenant"] == "acme"
    assert SECRET not in f"{stub.asked}"


def test_elsewhere_there_is_only_an_address(stub: RestStub, tmp_path: Path) -> None:
    artcafe = CommandLine(tmp_path, stub.url)

    assert artcafe("open").stdout == f"{stub.url}/console/\n"
    assert artcafe("open", "--code").exit_code == 1


def test_the_api_has_its_page(artcafe: CommandLine, stub: RestStub) -> None:
    assert artcafe("open", "--docs").stdout == f"{stub.url}/docs\n"
    assert json.loads(artcafe("open", "--docs", "--json").stdout) == {"url": f"{stub.url}/docs"}
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
    assert SIGN_IN_CODE in result.stdout
    # Other users of the machine see what a browser is started with.
    assert (tmp_path / "opened").read_text() == f"{stub.url}/console/\n"
    assert (f"no browser could be started here: open {stub.url}/console/ in one" in result.stderr) is (
        code != 0
    )


def test_without_any_browser_the_address_is_printed(
    artcafe: CommandLine, stub: RestStub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    result = artcafe("open", "--browser")

    assert result.exit_code == 1
    assert result.stdout.startswith(f"{stub.url}/console/\n")
    assert result.stderr == f"Error: no browser could be started here: open {stub.url}/console/ in one\n"
