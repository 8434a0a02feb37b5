"""`artcafe demo`, on the stand-in: the real thing is shown end to end elsewhere."""

import json
import re
from pathlib import Path

import pytest

from artcafe.wire.codes import Code
from tests.kit.command_line import CommandLine
from tests.kit.rest_stub import RestStub, problem, unused_url


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the demo puts what it makes."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_two_agents_talk_and_nothing_is_left(artcafe: CommandLine, stub: RestStub, folders: Path) -> None:
    result = artcafe("demo", "--rounds", 2)

    assert result.exit_code == 0, result.stderr
    assert (
        re.findall(r"^(\w+) +([→←]) ", result.stdout, re.M)
        == [
            ("planner", "→"),
            ("researcher", "←"),
            ("researcher", "→"),
            ("planner", "←"),
        ]
        * 2
    )
    assert len(re.findall(r"\d\.\d ms$", result.stdout, re.M)) == 4
    assert "2 questions, 2 right answers" in result.stdout
    assert "Try next:" in result.stdout

    assert {agent for _, agent, _ in stub.broker.logins} == {"planner", "researcher"}
    assert [subject for _, subject, _ in stub.broker.published[:2]] == [
        "questions.sums",
        "agents.planner.answers",
    ]
    assert stub.tenants == {}
    assert list(folders.iterdir()) == []


def test_every_answer_is_computed(artcafe: CommandLine, stub: RestStub) -> None:
    artcafe("demo", "--rounds", 3)

    said = [json.loads(data) for _, _, data in stub.broker.published]
    for question, answer in zip(said[::2], said[1::2], strict=True):
        left, right = question["multiply"]
        assert answer == {"product": left * right}


def test_what_is_kept_can_be_gone_on_with(artcafe: CommandLine, stub: RestStub, folders: Path) -> None:
    result = artcafe("demo", "--keep")

    [tenant] = stub.tenants
    [folder] = folders.iterdir()
    command = re.search(r"artcafe (pub .*)", result.stdout)
    assert command is not None
    assert f"-t {tenant} -a planner -k {folder}/planner --url {stub.url}" in command[0]
    words = [word.strip("'") for word in re.findall(r"'[^']*'|\S+", command[1])]
    assert artcafe(*words).exit_code == 0
    assert stub.broker.published[-1][2] == b'{"multiply":[6,7]}'


def test_a_platform_that_was_named_must_be_there(artcafe: CommandLine, folders: Path) -> None:
    url = unused_url()

    result = artcafe("demo", "--url", url)

    assert result.exit_code == 1
    assert result.stderr == f"Error: nothing answers at {url}; start the platform with `artcafe up`\n"
    assert list(folders.iterdir()) == []


def test_the_platform_of_the_data_directory_is_used(artcafe: CommandLine, stub: RestStub) -> None:
    (artcafe.data_dir / "run.json").write_text(json.dumps({"url": stub.url, "pid": 1}))

    result = artcafe("demo", ARTCAFE_URL=None, ARTCAFE_TENANT="another")

    assert result.exit_code == 0, result.stderr
    assert stub.url in result.stdout


@pytest.mark.parametrize("fault", ["forge", "refuse"])
def test_an_exchange_that_does_not_happen_is_a_failure(
    artcafe: CommandLine, stub: RestStub, folders: Path, fault: str
) -> None:
    stub.broker.forge = "mallory" if fault == "forge" else None
    stub.broker.refuse = Code.unauthorized if fault == "refuse" else None

    result = artcafe("demo")

    assert result.exit_code == 1
    assert ("from mallory" if fault == "forge" else "refused") in result.stderr
    assert stub.tenants == {}
    assert list(folders.iterdir()) == []


def test_silence_is_a_failure(artcafe: CommandLine, stub: RestStub) -> None:
    stub.broker.silent = True

    result = artcafe("demo", "--timeout", 0.05)

    assert (result.exit_code, result.stderr) == (1, "Error: no message came within 0.05 seconds\n")
    assert stub.tenants == {}


def test_a_tenant_that_cannot_be_deleted_is_told(artcafe: CommandLine, stub: RestStub) -> None:
    stub.keep_tenants = problem(503, "unavailable", "The bus is away.")

    result = artcafe("demo")

    assert result.exit_code == 0
    assert re.fullmatch(r"The tenant demo-\w+ is still there: The bus is away\.\n", result.stderr)
