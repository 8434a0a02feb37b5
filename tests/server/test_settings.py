"""Settings: where they are read from, what is refused and in which words, and what is never shown."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from pydantic import ValidationError

from artcafe.cli.main import artcafe as group
from artcafe.server.domain.legal import Document, Edition
from artcafe.server.settings import (
    Settings,
    SettingsError,
    known_variables,
    load,
    service_links,
    variables,
)
from artcafe.wire.environment import CLIENT

SECRET = "a secret of thirty-two characters or more"
SEED = "5e" * 32


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in the environment but what a test puts there."""
    for name in list(os.environ):
        if name.upper().startswith(("ARTCAFE_", "NATS_", "AWS_", "COGNITO_", "JWT_", "HOST", "PORT")):
            monkeypatch.delenv(name)


SERVICE = {
    "ARTCAFE_PORT": "tcp://10.96.12.1:8000",
    "ARTCAFE_SERVICE_HOST": "10.96.12.1",
    "ARTCAFE_SERVICE_PORT": "8000",
    "ARTCAFE_PORT_8000_TCP": "tcp://10.96.12.1:8000",
    "ARTCAFE_PORT_8000_TCP_ADDR": "10.96.12.1",
    "ARTCAFE_NATS_PORT": "tcp://10.96.12.2:4222",
}
"""What Kubernetes gives to every container beside Services called artcafe and artcafe-nats."""


def commands(command: click.Command) -> Iterator[click.Command]:
    """A command and all below it."""
    yield command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(below)


def faults(**given: Any) -> list[str]:
    """The lines of what is wrong with the environment as it is."""
    with pytest.raises(SettingsError) as caught:
        load(**given)
    return str(caught.value).splitlines()


class TestNames:
    def test_every_setting_has_a_variable_of_the_same_name(self) -> None:
        assert {name: names[0] for name, names in variables().items()} == {
            name: f"ARTCAFE_{name.upper()}" for name in Settings.model_fields
        }

    def test_no_variable_means_two_settings(self) -> None:
        names = [name for choices in variables().values() for name in choices]

        assert len(set(names)) == len(names)

    @pytest.mark.parametrize(
        ("older", "setting", "value"),
        [
            ("NATS_URL", "nats_url", "nats://nats:4222"),
            ("AWS_REGION", "aws_region", "eu-west-1"),
            ("COGNITO_CLIENT_ID", "cognito_client_id", "client"),
        ],
    )
    def test_an_older_name_is_read_and_the_newer_one_wins(
        self, monkeypatch: pytest.MonkeyPatch, older: str, setting: str, value: str
    ) -> None:
        monkeypatch.setenv(older, value)
        assert getattr(load(), setting) == value

        monkeypatch.setenv(f"ARTCAFE_{setting.upper()}", "newer")
        assert getattr(load(), setting) == "newer"

    def test_the_older_name_of_the_secret_is_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("JWT_SECRET_KEY", SECRET)

        key = load().secret_key

        assert key is not None
        assert key.get_secret_value() == SECRET

    def test_the_pool_and_its_region_make_the_issuer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_REGION", "eu-west-1")
        monkeypatch.setenv("COGNITO_USER_POOL_ID", "eu-west-1_pool")
        monkeypatch.setenv("COGNITO_CLIENT_ID", "one, two")
        monkeypatch.setenv("ARTCAFE_OIDC_CLIENT_IDS", "three,,")

        settings = load()

        assert settings.issuer == "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_pool"
        assert settings.client_ids == {"one", "two", "three"}

    def test_names_that_belong_to_everybody_are_not_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """HOST and PORT are set by shells and platforms for reasons of their own."""
        before = load()
        for name in ("HOST", "PORT", "DATA_DIR", "LOG_LEVEL", "PUBLIC_URL", "SECRET_KEY", "OIDC_ISSUER"):
            monkeypatch.setenv(name, "9999")

        assert load() == before

    def test_what_is_set_to_nothing_is_not_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = load()
        for names in variables().values():
            for name in names:
                monkeypatch.setenv(name, "")

        assert load() == before

    def test_what_is_given_wins_over_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ARTCAFE_PORT", "9000")

        assert load(port=9001).port == 9001
        assert load(port=None).port == 9000
        assert load(port=0).port == 0

    def test_what_is_given_must_be_a_setting(self) -> None:
        [line] = faults(colour="blue")

        assert "ARTCAFE_COLOUR" in line

    def test_the_data_directory_is_absolute_and_the_users_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", "/home/nina")

        assert load().data_dir == Path("/home/nina/.artcafe")
        assert load(data_dir="here").data_dir == Path.cwd() / "here"

    @pytest.mark.parametrize("path", ["~nobody-there/x", "~nobody-there"])
    def test_a_home_that_is_not_there_is_named(self, path: str) -> None:
        [line] = faults(data_dir=path)

        assert line == f"ARTCAFE_DATA_DIR: there is no home directory for {path}; write the whole path"

    def test_every_variable_of_the_command_line_is_known(self) -> None:
        options = {
            name
            for command in commands(group)
            for parameter in command.params
            for name in ([parameter.envvar] if isinstance(parameter.envvar, str) else parameter.envvar or [])
        }
        assert {name for name in options if name.startswith("ARTCAFE_")} == CLIENT | {
            "ARTCAFE_PORT",
            "ARTCAFE_DATA_DIR",
        }

    def test_a_variable_that_nobody_knows_is_a_fault_beside_the_others(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in known_variables() - {"ARTCAFE_SECRET_KEY_FILE", "ARTCAFE_OPERATOR_SEED_FILE"}:
            monkeypatch.setenv(name, "")
        load()
        monkeypatch.setenv("ARTCAFE_MAX_PAYLOAD", "1")
        monkeypatch.setenv("ARTCAFE_LOG_LEVEL", "loud")

        assert [line.partition(":")[0] for line in faults()] == ["ARTCAFE_MAX_PAYLOAD", "ARTCAFE_LOG_LEVEL"]
        assert "ARTCAFE_MAX_PAYLOAD_BYTES" in faults()[0]

    def test_what_kubernetes_makes_of_a_service_is_no_setting(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in SERVICE.items():
            monkeypatch.setenv(name, value)

        assert (load().port, load().nats_port) == (8000, 0)
        assert load(port=9000).port == 9000
        assert service_links() == ["ARTCAFE_PORT", "ARTCAFE_NATS_PORT"]

    def test_settings_never_change(self) -> None:
        settings = load()

        with pytest.raises(ValidationError):
            settings.__setattr__("port", 1)


class TestFaults:
    def test_each_has_a_line_that_names_its_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        wrong = {
            "ARTCAFE_PORT": "http",
            "ARTCAFE_LOG_LEVEL": "loud",
            "ARTCAFE_MAX_PAYLOAD_BYTES": "1",
            "ARTCAFE_HEARTBEAT_SECONDS": "inf",
            "ARTCAFE_DEFAULT_TIER": "platinum",
        }
        for name, value in wrong.items():
            monkeypatch.setenv(name, value)

        assert sorted(line.partition(": ")[0] for line in faults()) == sorted(wrong)

    def test_one_with_an_older_name_names_both(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whoever set the older one looks for that."""
        monkeypatch.setenv("JWT_SECRET_KEY", "short")

        assert faults() == ["ARTCAFE_SECRET_KEY or JWT_SECRET_KEY: must have 32 characters at least"]

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("PORT", "-1"),
            ("PORT", "65536"),
            ("NATS_PORT", "65536"),
            ("MAX_PAYLOAD_BYTES", "8388609"),
            ("MAX_QUEUED_BYTES", "65535"),
            ("MAX_SUBSCRIPTIONS", "0"),
            ("MAX_AGENT_CONNECTIONS", "0"),
            ("MAX_PENDING_LOGINS", "0"),
            ("HEARTBEAT_SECONDS", "0"),
            ("HEARTBEAT_SECONDS", "nan"),
            ("IDLE_LINK_SECONDS", "inf"),
            ("IDLE_LINK_SECONDS", "-1"),
            ("FLUSH_SECONDS", "0"),
            ("DRAIN_SECONDS", "0"),
            ("LOG_FORMAT", "xml"),
            ("OPERATOR_SEED", "5e" * 31),
            ("OPERATOR_SEED", "zz" * 32),
            ("TRUSTED_PROXIES", "10.0.0.0/8, the proxy"),
            ("TRUSTED_PROXIES", "10.0.0.1/8"),
            ("ALLOWED_ORIGINS", "https://app.example.com, app"),
            ("ALLOWED_ORIGINS", "https://app.example.com/"),
            ("ALLOWED_ORIGINS", "https://APP.example.com"),
            ("ALLOWED_ORIGINS", "*"),
            ("TERMS_VERSION", "1 2"),
            ("TERMS_VERSION", "v" * 65),
            ("PRIVACY_VERSION", "-1"),
            ("TERMS_URL", "example.com/terms"),
            ("PRIVACY_URL", "ftp://example.com/privacy"),
            ("PRIVACY_URL", "https://user:password@example.com/privacy"),
            ("NATS_URL", "nats://user:password@nats:4222"),
            ("STORE", "postgres"),
            ("STORE", "dynamodb:a"),
            ("STORE", "dynamodb:two words"),
            ("OIDC_ISSUER", "https://user:password@issuer.example.com"),
            ("OIDC_JWKS_URL", "https://user@issuer.example.com/keys"),
        ],
    )
    def test_what_is_out_of_range_is_refused(
        self, monkeypatch: pytest.MonkeyPatch, name: str, value: str
    ) -> None:
        monkeypatch.setenv(f"ARTCAFE_{name}", value)
        monkeypatch.setenv("ARTCAFE_OIDC_AUDIENCES", "api")

        [line] = faults()

        assert line.startswith(f"ARTCAFE_{name}")
        assert "password@" not in line

    @pytest.mark.parametrize(
        "url",
        [
            "http://pubsub.example.com",
            "pubsub.example.com",
            "wss://",
            "wss://pubsub.example.com/path",
            "wss://pubsub.example.com?a=b",
            "wss://pubsub.example.com#a",
            "wss://user:password@pubsub.example.com",
            "wss://pubsub.example.com:port",
            "wss://pübsub.example.com",
            "wss://pub sub",
            "wss://a\ntenant=b",
            "wss://" + "a" * 300,
        ],
    )
    def test_what_agents_could_not_sign_is_no_address(self, url: str) -> None:
        assert len(faults(public_url=url)) == 1

    @pytest.mark.parametrize(
        ("url", "kept"),
        [
            ("wss://pubsub.example.com", "wss://pubsub.example.com"),
            ("wss://pubsub.example.com/", "wss://pubsub.example.com"),
            ("ws://127.0.0.1:8000", "ws://127.0.0.1:8000"),
            ("ws://[::1]:8000", "ws://[::1]:8000"),
        ],
    )
    def test_an_address_is_kept_as_agents_sign_it(self, url: str, kept: str) -> None:
        assert load(public_url=url).public_url == kept

    def test_origins_are_kept_as_browsers_write_them(self) -> None:
        origins = "https://app.example.com, http://localhost:5173,http://[::1]:80"

        assert load(allowed_origins=origins).origins == frozenset(origins.replace(", ", ",").split(","))
        assert load().origins == frozenset()

    @pytest.mark.parametrize("url", ["nats://one:4222", "tls://one:4222, nats://two:4222"])
    def test_who_is_trusted_says_that_nothing_is_told_in_the_clear(
        self, monkeypatch: pytest.MonkeyPatch, url: str
    ) -> None:
        monkeypatch.setenv("ARTCAFE_NATS_CA", "/etc/artcafe/nats-ca.pem")
        assert load(nats_url="tls://one:4222, tls://two:4222").nats_ca

        [line] = faults(nats_url=url)

        assert line.startswith("ARTCAFE_NATS_CA: ")
        assert "tls://" in line

    def test_a_pool_without_its_region_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COGNITO_USER_POOL_ID", "pool")
        monkeypatch.setenv("COGNITO_CLIENT_ID", "client")

        [line] = faults()

        assert line.startswith("ARTCAFE_COGNITO_USER_POOL_ID: ")
        assert "AWS_REGION" in line

    @pytest.mark.parametrize(
        "issuer",
        [
            {"ARTCAFE_OIDC_ISSUER": "https://issuer.example.com"},
            {"COGNITO_USER_POOL_ID": "pool", "AWS_REGION": "eu-west-1"},
        ],
        ids=" ".join,
    )
    def test_an_issuer_any_of_whose_tokens_would_count_is_refused(
        self, monkeypatch: pytest.MonkeyPatch, issuer: dict[str, str]
    ) -> None:
        for name, value in issuer.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("ARTCAFE_OIDC_CLIENT_IDS", " , ")

        [line] = faults()

        assert "ARTCAFE_OIDC_CLIENT_IDS" in line
        monkeypatch.setenv("ARTCAFE_OIDC_AUDIENCES", "api")
        assert load().audiences == {"api"}


class TestDocuments:
    def test_nothing_is_published_unless_it_is_set(self) -> None:
        assert load().documents == {}

    def test_a_document_has_a_version_and_may_have_an_address(self) -> None:
        settings = load(
            terms_version="2026-01-31", terms_url="https://example.com/terms", privacy_version="v1.2_b"
        )

        assert settings.documents == {
            Document.terms: Edition("2026-01-31", "https://example.com/terms"),
            Document.privacy: Edition("v1.2_b"),
        }

    @pytest.mark.parametrize("document", list(Document))
    def test_an_address_without_a_version_is_refused(self, document: Document) -> None:
        [line] = faults(**{f"{document}_url": "https://example.com"})

        name = document.upper()
        assert line.startswith(f"ARTCAFE_{name}_URL: ")
        assert f"ARTCAFE_{name}_VERSION" in line


class TestSecrets:
    @pytest.mark.parametrize("value", ["", " ", "short", "x" * 31, " " * 100, "x" * 31 + " \n"])
    @pytest.mark.parametrize("name", ["ARTCAFE_SECRET_KEY", "JWT_SECRET_KEY"])
    def test_a_short_or_empty_secret_never_becomes_a_key(
        self, monkeypatch: pytest.MonkeyPatch, name: str, value: str
    ) -> None:
        """Bug of the original: JWT_SECRET_KEY defaulted to the empty string, and anybody could sign."""
        monkeypatch.setenv(name, value)

        if value == "":
            assert load().secret_key is None  # then the key comes from the operator seed
        else:
            [line] = faults()
            assert line.startswith("ARTCAFE_SECRET_KEY or JWT_SECRET_KEY: ")

    def test_an_empty_newer_name_does_not_hide_the_older_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ARTCAFE_SECRET_KEY", "")
        monkeypatch.setenv("JWT_SECRET_KEY", SECRET)

        key = load().secret_key

        assert key is not None
        assert key.get_secret_value() == SECRET

    def test_no_secret_is_shown_anywhere(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("JWT_SECRET_KEY", SECRET)
        monkeypatch.setenv("ARTCAFE_OPERATOR_SEED", SEED)
        settings = load()

        shown = settings.redacted()

        for text in (repr(settings), str(settings), f"{shown}", settings.model_dump_json()):
            assert SECRET not in text
            assert SEED not in text
        assert set(shown) == set(Settings.model_fields)
        assert set(shown["secret_key"]) == set(shown["operator_seed"]) == {"*"}
        assert shown["port"] == 8000

    @pytest.mark.parametrize("name", ["ARTCAFE_SECRET_KEY", "ARTCAFE_OPERATOR_SEED"])
    def test_a_secret_that_is_refused_is_not_repeated(
        self, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.setenv(name, "hunter2")

        assert "hunter2" not in "\n".join(faults())

    def test_every_setting_that_is_a_secret_is_typed_as_one(self) -> None:
        secrets = {
            name
            for name, field in Settings.model_json_schema(by_alias=False)["properties"].items()
            if "password" in f"{field}"
        }

        assert secrets == {"secret_key", "operator_seed"}


# Secrets in files.

SEED = "ab" * 32


@pytest.fixture
def seed_file(tmp_path: Path) -> Path:
    path = tmp_path / "ARTCAFE_OPERATOR_SEED"
    path.touch(0o600)
    path.write_text(SEED + "\n")
    return path


def test_a_secret_in_a_file_of_its_own(monkeypatch: pytest.MonkeyPatch, seed_file: Path) -> None:
    monkeypatch.setenv("ARTCAFE_OPERATOR_SEED_FILE", f"{seed_file}")
    settings = load()
    assert settings.operator_seed is not None
    assert settings.operator_seed.get_secret_value() == SEED
    assert SEED not in f"{settings!r} {settings.redacted()}"


def test_a_secret_among_systemds_credentials(monkeypatch: pytest.MonkeyPatch, seed_file: Path) -> None:
    seed_file.chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", f"{seed_file.parent}")
    settings = load()
    assert settings.operator_seed is not None
    assert settings.operator_seed.get_secret_value() == SEED
    assert load(operator_seed="cd" * 32).operator_seed != settings.operator_seed, "what is given wins"


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_file_that_others_can_read_is_refused(
    monkeypatch: pytest.MonkeyPatch, seed_file: Path, mode: int
) -> None:
    seed_file.chmod(mode)
    monkeypatch.setenv("ARTCAFE_OPERATOR_SEED_FILE", f"{seed_file}")
    with pytest.raises(SettingsError, match=r"ARTCAFE_OPERATOR_SEED_FILE: .* read by others"):
        load()


def test_a_secret_that_is_not_there_or_there_twice(monkeypatch: pytest.MonkeyPatch, seed_file: Path) -> None:
    monkeypatch.setenv("ARTCAFE_SECRET_KEY_FILE", f"{seed_file.parent / 'nowhere'}")
    with pytest.raises(SettingsError, match=r"ARTCAFE_SECRET_KEY_FILE: .* cannot be read"):
        load()
    monkeypatch.setenv("ARTCAFE_SECRET_KEY_FILE", f"{seed_file}")
    monkeypatch.setenv("JWT_SECRET_KEY", "x" * 40)
    with pytest.raises(SettingsError, match="which one counts"):
        load()
