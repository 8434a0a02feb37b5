"""Where the platform is and who is asking."""

import json
import socket
from pathlib import Path

import click
import pytest

from artcafe.cli.connection import DEFAULT_URL, Target, is_local, resolve, running
from tests.kit.command_line import CommandLine
from tests.kit.rest_stub import RestStub, unused_url


def resolved(
    data_dir: Path, url: str | None = None, port: int | None = None, token: str | None = None
) -> Target:
    return resolve(url=url, port=port, data_dir=data_dir, tenant=None, token=token)


def write_run_file(data_dir: Path, text: str) -> None:
    data_dir.mkdir(exist_ok=True)
    (data_dir / "run.json").write_text(text)


def test_a_url_goes_before_everything(tmp_path: Path) -> None:
    write_run_file(tmp_path, '{"url": "http://127.0.0.1:4", "pid": 1}')

    connection = resolved(tmp_path, "https://pubsub.example.com/", 5)

    assert (connection.url, connection.chosen) == ("https://pubsub.example.com", True)


def test_a_port_goes_before_the_running_platform(tmp_path: Path) -> None:
    write_run_file(tmp_path, '{"url": "http://127.0.0.1:4", "pid": 1}')

    assert (resolved(tmp_path, port=5).url, resolved(tmp_path, port=5).chosen) == ("http://127.0.0.1:5", True)


@pytest.mark.parametrize("port", [None, 0])
def test_the_running_platform_is_found_by_what_it_wrote_down(tmp_path: Path, port: int | None) -> None:
    write_run_file(tmp_path, '{"url": "http://127.0.0.1:4", "pid": 1}')

    assert (resolved(tmp_path, port=port).url, resolved(tmp_path).chosen) == ("http://127.0.0.1:4", False)


def test_without_any_of_them_it_is_the_usual_address(tmp_path: Path) -> None:
    assert resolved(tmp_path).url == DEFAULT_URL


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"url": 1}', '{"url": ""}', '{"url"'])
def test_a_run_file_that_says_nothing_is_told(tmp_path: Path, text: str) -> None:
    write_run_file(tmp_path, text)

    with pytest.raises(click.ClickException, match="delete it"):
        running(tmp_path)


def test_the_options_come_from_the_environment_too(artcafe: CommandLine, stub: RestStub) -> None:
    port = stub.url.rpartition(":")[2]
    environment = {
        "ARTCAFE_URL": None,
        "ARTCAFE_PORT": port,
        "ARTCAFE_TOKEN": "t.o.k",
        "ARTCAFE_TENANT": "acme",
    }

    result = artcafe("agents", "list", **environment)

    assert result.exit_code == 0, result.stderr
    assert stub.last().headers["authorization"] == "Bearer t.o.k"
    assert stub.last().headers["x-tenant-id"] == "acme"


def test_an_option_goes_before_the_environment(artcafe: CommandLine, stub: RestStub) -> None:
    artcafe(
        "agents", "list", "--tenant", "beta", "--token", " other\n", ARTCAFE_TENANT="acme", ARTCAFE_TOKEN="t"
    )

    assert stub.last().headers["x-tenant-id"] == "beta"
    assert stub.last().headers["authorization"] == "Bearer other"


def test_the_data_directory_may_begin_with_a_tilde(artcafe: CommandLine, stub: RestStub) -> None:
    write_run_file(artcafe.data_dir, json.dumps({"url": stub.url, "pid": 1}))

    result = artcafe("agents", "list", ARTCAFE_URL=None, ARTCAFE_DATA_DIR="~/.artcafe")

    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://127.9.9.9", True),
        ("http://localhost:1", True),
        ("http://[::1]:8000", True),
        ("https://pubsub.example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("http://localhost.example.com", False),
        ("http://127.0.0.1@example.com", False),
        ("http://10.0.0.1", False),
        ("http://0.0.0.0:8000", False),
        ("http://[", False),
        ("http://127.0.0.1:x", False),
        ("", False),
    ],
)
def test_which_addresses_are_this_machine(url: str, local: bool) -> None:
    assert is_local(url) is local


def test_the_secret_is_for_this_machine_alone(artcafe: CommandLine) -> None:
    """It opens every tenant: a --url that somebody talked you into must not get it."""
    here = resolved(artcafe.data_dir, "http://127.0.0.1:8000")
    there = resolved(artcafe.data_dir, "http://pubsub.example.com")

    assert here.secret() == "the-local-secret"
    assert there.secret() is None


def test_without_a_secret_there_is_none(tmp_path: Path) -> None:
    assert resolved(tmp_path).secret() is None


def test_a_secret_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "issuer" / "secret").mkdir(parents=True)

    with pytest.raises(click.ClickException, match="directory"):
        resolved(tmp_path).secret()


def test_nothing_running_is_told_with_what_to_do(artcafe: CommandLine) -> None:
    url = unused_url()

    result = artcafe("tenants", "list", "--url", url)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: nothing answers at {url}; start the platform with `artcafe up`\n"


def test_a_knock_finds_who_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        resolved(Path(), f"http://127.0.0.1:{listener.getsockname()[1]}").knock()

    with pytest.raises(click.ClickException, match="nothing answers"):
        resolved(Path(), unused_url()).knock()
