"""Logging in as an agent: what has to be said, and which key signs."""

import socket
import time
from pathlib import Path

import pytest

from artcafe.wire.codes import Code
from tests.kit.command_line import CommandLine
from tests.kit.deadlines import PATIENCE
from tests.kit.rest_stub import RestStub, unused_url
from tests.kit.ssh_agent import add_key, running_ssh_agent
from tests.kit.ssh_keys import fingerprint, make_key, public_line, ssh_keygen_accepts


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return make_key(tmp_path)


def wait_for(path: Path) -> None:
    """Wait until an ssh-agent takes connections: its socket is there a moment before."""
    deadline = time.monotonic() + PATIENCE
    with socket.socket(socket.AF_UNIX) as probe:
        while probe.connect_ex(str(path)) != 0:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def signed_with(stub: RestStub, folder: Path, key: Path) -> bool:
    """Whether the last login is signed with this key, as ssh-keygen judges."""
    tenant, agent, auth = stub.broker.logins[-1]
    text = stub.broker.challenge(stub.url.replace("http:", "ws:"), tenant, agent)
    return ssh_keygen_accepts(folder, public_line(key), text, auth.signature)


def test_a_key_file_signs(artcafe: CommandLine, stub: RestStub, key: Path, tmp_path: Path) -> None:
    result = artcafe("pub", "tasks.new", "1", "-t", "acme", "-a", "planner", "-k", key)

    assert result.exit_code == 0, result.stderr
    assert stub.broker.logins[-1][:2] == ("acme", "planner")
    assert signed_with(stub, tmp_path, key)


def test_everything_may_come_from_the_environment(artcafe: CommandLine, stub: RestStub, key: Path) -> None:
    login = {"ARTCAFE_TENANT": "acme", "ARTCAFE_AGENT": "planner", "ARTCAFE_KEY": str(key)}

    assert artcafe("pub", "tasks.new", "1", **login).exit_code == 0
    assert stub.broker.logins[-1][:2] == ("acme", "planner")


def test_a_key_with_a_passphrase_asks_for_it(artcafe: CommandLine, stub: RestStub, tmp_path: Path) -> None:
    key = make_key(tmp_path, passphrase="open sesame")
    words = ["pub", "tasks.new", "1", "--json", "-t", "acme", "-a", "planner", "-k", key]

    result = artcafe(*words, text="open sesame\n")

    assert result.exit_code == 0, result.stderr
    assert "Passphrase of" in result.stderr
    assert result.stdout.startswith("{")
    assert signed_with(stub, tmp_path, key)

    result = artcafe(*words, text="open barley\n")

    assert result.exit_code == 1
    assert "The passphrase does not open" in result.stderr


@pytest.mark.parametrize("named", [False, True])
def test_an_ssh_agent_signs(
    artcafe: CommandLine, stub: RestStub, key: Path, tmp_path: Path, named: bool
) -> None:
    which = ["--key", fingerprint(key)] if named else []
    words = ["pub", "tasks.new", "1", "-t", "acme", "-a", "planner", "--ssh-agent", *which]
    with running_ssh_agent(tmp_path / "agent") as path:
        wait_for(path)
        add_key(path, make_key(tmp_path, "rsa-2048") if named else key)
        add_key(path, key)
        result = artcafe(*words, SSH_AUTH_SOCK=str(path))

    assert result.exit_code == 0, result.stderr
    assert signed_with(stub, tmp_path, key)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-a", "planner"], "give --key FILE, or --ssh-agent"),
        (["-k", "planner.key"], "give --agent"),
        (["--ssh-agent"], "SSH_AUTH_SOCK is not set"),
    ],
)
def test_what_is_not_said_is_wrong_usage(artcafe: CommandLine, words: list[str], said: str) -> None:
    for command in (["pub", "tasks.new", "1"], ["sub", "tasks.*"]):
        result = artcafe(*command, "-t", "acme", *words)

        assert result.exit_code == 2
        assert said in result.stderr


def test_an_agent_belongs_to_a_tenant(artcafe: CommandLine, key: Path) -> None:
    result = artcafe("sub", "tasks.*", "-a", "planner", "-k", key)

    assert result.exit_code == 2
    assert "give --tenant" in result.stderr


def test_with_an_ssh_agent_a_key_is_a_fingerprint(artcafe: CommandLine, key: Path) -> None:
    words = ["-t", "acme", "-a", "planner", "--ssh-agent", "-k", key]

    result = artcafe("sub", "tasks.*", *words, SSH_AUTH_SOCK="/nowhere")

    assert result.exit_code == 2
    assert "SHA256:" in result.stderr


def test_a_key_that_is_not_there_is_one_line(artcafe: CommandLine, tmp_path: Path) -> None:
    result = artcafe("sub", "tasks.*", "-t", "acme", "-a", "planner", "-k", tmp_path / "none")

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: There is no key file")
    assert result.stderr.count("\n") == 1


def test_nothing_running_is_told_at_once(artcafe: CommandLine, key: Path) -> None:
    url = unused_url()

    result = artcafe("sub", "tasks.*", "-t", "acme", "-a", "planner", "-k", key, "--url", url)

    assert (result.exit_code, result.stderr) == (
        1,
        f"Error: nothing answers at {url}; start the platform with `artcafe up`\n",
    )


def test_a_refused_login_is_told(artcafe: CommandLine, stub: RestStub, key: Path) -> None:
    stub.broker.refuse = Code.unauthorized

    result = artcafe("pub", "tasks.new", "1", "-t", "acme", "-a", "planner", "-k", key)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith(f"Error: {Code.unauthorized.value.when}\n")
