"""What keeps a server from starting: the same for the server itself and for `artcafe check-config`."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from artcafe.server.main import StartError, run
from artcafe.server.preflight import faults
from artcafe.server.settings import SettingsError, load
from artcafe.server.telemetry.telemetry import TRACING
from tests.kit.command_line import CommandLine

SERVE = {
    "ARTCAFE_NATS_URL": "nats://127.0.0.1:1",
    "ARTCAFE_OIDC_ISSUER": "https://issuer.example",
    "ARTCAFE_OIDC_AUDIENCES": "api",
}
"""What `artcafe serve` could start with, but for its NATS, which nobody asks here."""

LOOPBACK = {**SERVE, "ARTCAFE_OIDC_ISSUER": "http://127.0.0.1:9", "ARTCAFE_OIDC_ALLOW_LOOPBACK_HTTP": "true"}


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in the environment but what a test puts there."""
    for name in list(os.environ):
        if name.upper().startswith(("ARTCAFE_", "NATS_", "AWS_", "COGNITO_", "JWT_", "SSL", "HTTP", "ALL_")):
            monkeypatch.delenv(name)


def seed(text: str, mode: int = 0o600) -> Callable[[Path], None]:
    """A data directory with this operator seed."""

    def write(folder: Path) -> None:
        (folder / "operator.seed").write_text(text)
        (folder / "operator.seed").chmod(mode)

    return write


def nothing(_: Path) -> None:
    """An empty data directory."""


def in_the_way(folder: Path) -> None:
    """A file where the data directory should be."""
    folder.rmdir()
    folder.touch()


Refused = tuple[str, dict[str, str | None], Callable[[Path], None], str]

REFUSED: dict[str, Refused] = {
    "no NATS": ("serve", {"ARTCAFE_NATS_URL": None}, nothing, "NATS_URL"),
    "no issuer": ("serve", {"ARTCAFE_OIDC_ISSUER": None}, nothing, "ARTCAFE_OIDC_ISSUER"),
    "NATS elsewhere than at NATS": ("serve", {"ARTCAFE_NATS_URL": "http://nats:4222"}, nothing, "NATS_URL"),
    "one of several": ("serve", {"ARTCAFE_NATS_URL": "nats://a,nats://b:99999"}, nothing, "NATS_URL"),
    "an empty one": ("serve", {"ARTCAFE_NATS_URL": "nats://a,"}, nothing, "NATS_URL"),
    "authorities that are not there": (
        "serve",
        {"ARTCAFE_NATS_URL": "tls://a", "ARTCAFE_NATS_CA": "/nowhere/ca.pem"},
        nothing,
        "ARTCAFE_NATS_CA",
    ),
    "authorities that are none": (
        "serve",
        {"ARTCAFE_NATS_URL": "tls://a", "ARTCAFE_NATS_CA": __file__},
        nothing,
        "ARTCAFE_NATS_CA",
    ),
    "an issuer in the clear": ("serve", {"ARTCAFE_OIDC_ISSUER": "http://issuer.example"}, nothing, "https"),
    "an issuer that is no URL": ("serve", {"ARTCAFE_OIDC_ISSUER": "issuer"}, nothing, "issuer"),
    "keys in the clear": ("serve", {"ARTCAFE_OIDC_JWKS_URL": "http://issuer.example/keys"}, nothing, "JWKS"),
    "an endpoint in the clear": (
        "serve",
        {"ARTCAFE_OIDC_TOKEN_ENDPOINT": "http://issuer.example/token"},
        nothing,
        "token_endpoint",
    ),
    "a client that is an audience": ("serve", {"ARTCAFE_OIDC_CLIENT_IDS": "api"}, nothing, "audience"),
    "an issuer that also up cannot use": (
        "up",
        {"ARTCAFE_OIDC_ISSUER": "http://issuer.example"},
        nothing,
        "https",
    ),
    "a seed that others read": ("serve", {}, seed("5e" * 32, 0o644), "operator.seed"),
    "a seed that is none": ("up", {"ARTCAFE_OIDC_ISSUER": None}, seed("nonsense"), "operator.seed"),
    "a file as data directory": ("up", {}, in_the_way, "data directory"),
    "a nats-server that is none": ("up", {"ARTCAFE_NATS_SERVER": __file__}, nothing, "nats-server"),
    "a proxy that is none": ("serve", {"HTTPS_PROXY": "socks://127.0.0.1:1"}, nothing, "HTTPS_PROXY"),
    "a proxy before DynamoDB": (
        "up",
        {"ARTCAFE_OIDC_ISSUER": None, "HTTPS_PROXY": "socks5://x", "ARTCAFE_STORE": "dynamodb:ttt"},
        nothing,
        "DynamoDB",
    ),
    "a log of keys": ("serve", {"SSLKEYLOGFILE": "/nowhere/keys"}, nothing, "SSLKEYLOGFILE"),
    "a variable that nobody knows": (
        "serve",
        {"ARTCAFE_OIDC_AUDIENCE": "api"},
        nothing,
        "ARTCAFE_OIDC_AUDIENCES",
    ),
    "a number that is none": ("up", {"ARTCAFE_PORT": "many"}, nothing, "ARTCAFE_PORT"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_check_config_refuses_what_the_command_would_in_the_same_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    command, changes, prepare, word = REFUSED[name]
    folder = tmp_path / "data"
    folder.mkdir()
    prepare(folder)
    variables = {**SERVE, **changes, "ARTCAFE_DATA_DIR": str(folder), "ARTCAFE_WORKERS": "3"}
    line = CommandLine(tmp_path)

    checked = line("check-config", "--for", command, **variables)
    for variable, value in variables.items():
        if value is not None:
            monkeypatch.setenv(variable, value)
    with pytest.raises((StartError, SettingsError)) as refused:
        run(load(), embedded=command == "up", ready=lambda _: None)

    assert checked.exit_code == 1
    assert checked.stdout == ""
    assert checked.stderr == f"Error: {refused.value}\n"
    [said] = f"{refused.value}".splitlines()
    assert word in said


@pytest.mark.parametrize("environment", [SERVE, LOOPBACK])
def test_what_could_start_is_not_refused_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert faults(load(data_dir=tmp_path / "new" / "data"), embedded=False) == []
    assert list(tmp_path.iterdir()) == []


def test_up_needs_neither_a_nats_nor_an_issuer_nor_a_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Desktops set ALL_PROXY=socks://… for everything; `artcafe up` asks nobody outside."""
    monkeypatch.setenv("ALL_PROXY", "socks://127.0.0.1:1")

    assert faults(load(data_dir=tmp_path), embedded=True) == []


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    seed("nonsense")(tmp_path)

    assert len(faults(load(data_dir=tmp_path), embedded=False)) == 3


def test_check_config_is_for_the_command_that_the_settings_are_of(tmp_path: Path) -> None:
    line = CommandLine(tmp_path)

    assert line("check-config").exit_code == 0
    assert "ARTCAFE_OIDC_ISSUER" in line("check-config", NATS_URL="nats://nats:4222").stderr


def test_traces_need_their_libraries_and_it_is_said_before_anything_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load(data_dir=tmp_path, otlp_endpoint="http://127.0.0.1:4318")
    assert faults(settings, embedded=True) == []
    monkeypatch.delitem(sys.modules, TRACING)
    monkeypatch.setitem(sys.modules, "opentelemetry.context", None)  # As where the extra is not installed.
    (fault,) = faults(settings, embedded=True)
    assert fault.startswith("ARTCAFE_OTLP_ENDPOINT: traces need the extra `otel`")
