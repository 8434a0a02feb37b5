"""Every setting of the server, in one frozen object: read once, checked before anything opens.

The names below are prefixed with `ARTCAFE_` in the environment; some have a second name that
earlier deployments used. docs/settings.md is generated from this file.
"""

import os
import re
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from artcafe.server.domain.installation import MARK_PATTERN, UNMARKED
from artcafe.server.domain.legal import VERSION_PATTERN, Document, Documents, Edition
from artcafe.server.domain.plan import TIERS
from artcafe.server.limit_settings import named
from artcafe.server.oidc_settings import OidcSettings, without_a_password, words
from artcafe.wire.environment import BUILD, CLIENT, is_service_link, unknown

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
"""This machine's own names, as they stand in a URL."""

MIN_SECRET = 32
"""Characters of a secret that signs."""

_ADDRESS = re.compile(r"wss?://([A-Za-z0-9._-]{1,200}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?/?")
_ORIGIN = re.compile(r"https?://([a-z0-9._-]{1,200}|\[[0-9a-f:.]{2,45}\])(:[0-9]{1,5})?")
"""As browsers write it (RFC 6454 section 6.2): lower case, and no path."""


class SettingsError(ValueError):
    """The settings cannot be used; the message has one line per fault."""


class Settings(OidcSettings):
    """The server's settings."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_ignore_empty=True, allow_inf_nan=False)

    host: str = Field("127.0.0.1", validation_alias=named("host"), description="Address to listen on.")
    port: int = Field(
        8000, ge=0, le=65535, validation_alias=named("port"), description="Port to listen on; 0 takes any."
    )
    workers: int = Field(
        1,
        ge=1,
        le=64,
        validation_alias=named("workers"),
        description="Processes that serve the port together, under a parent that starts and stops them.",
    )
    data_dir: Path = Field(
        Path("~/.artcafe"),
        validation_alias=named("data_dir"),
        description="The directory of an embedded installation's store, bus, keys and logs.",
    )
    store: str = Field(
        "sqlite",
        pattern=r"^(sqlite|dynamodb(:[A-Za-z0-9_.-]{3,255})?)$",
        validation_alias=named("store"),
        description="`sqlite` in the data directory, or `dynamodb:TABLE`, the table `artcafe` unless named.",
    )
    public_url: str | None = Field(
        None,
        validation_alias=named("public_url"),
        description=(
            "The ws:// or wss:// address agents dial, without a path; it is part of what they sign. "
            "On a loopback host any loopback name with the port is accepted when this is not set."
        ),
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", validation_alias=named("log_level"), description="The lowest level that is logged."
    )
    log_format: Literal["text", "json"] = Field(
        "text", validation_alias=named("log_format"), description="Lines for people, or JSON for programs."
    )
    trusted_proxies: str = Field(
        "",
        validation_alias=named("trusted_proxies"),
        description="Networks, comma-separated, whose X-Forwarded-For is believed; for a proxy in front.",
    )
    allowed_origins: str = Field(
        "",
        validation_alias=named("allowed_origins"),
        description="Origins, comma-separated, whose pages may open dashboards besides those of the host.",
    )

    nats_url: str | None = Field(
        None,
        validation_alias=named("nats_url", "NATS_URL"),
        description=(
            "The NATS that `artcafe serve` uses, `nats://` or `tls://`, several with commas between them. "
            "`artcafe up` starts its own and ignores it."
        ),
    )
    nats_ca: Path | None = Field(
        None,
        validation_alias=named("nats_ca"),
        description="A file with the certificate authorities of a tls:// NATS; the system's when not set.",
    )
    adopt_bus: str | None = Field(
        None,
        pattern=rf"^({UNMARKED}|{MARK_PATTERN.pattern})$",
        validation_alias=named("adopt_bus"),
        description=(
            "The mark of a bus that this store is to take over, as a server that refuses it tells; once. "
            "Accounts of tenants that the store does not know are deleted."
        ),
    )
    nats_server: Path | None = Field(
        None,
        validation_alias=named("nats_server"),
        description="The nats-server program `artcafe up` runs; the one of the installed wheel.",
    )
    nats_port: int = Field(
        0,
        ge=0,
        le=65535,
        validation_alias=named("nats_port"),
        description="The port of that nats-server; 0 takes any.",
    )
    operator_seed: SecretStr | None = Field(
        None,
        validation_alias=named("operator_seed"),
        description=(
            "64 hexadecimal digits from which all NATS keys of the installation come; "
            "kept in the data directory when not set."
        ),
    )
    secret_key: SecretStr | None = Field(
        None,
        validation_alias=named("secret_key", "JWT_SECRET_KEY"),
        description=(
            "Signs the challenges agents answer; 32 characters at least. "
            "Comes from the operator seed when not set."
        ),
    )

    default_tier: str | None = Field(
        None,
        validation_alias=named("default_tier"),
        description=(
            f"The subscription tier of a new tenant, unless an operator names another: {', '.join(TIERS)}. "
            "`starter` where an issuer is set, `enterprise` without."
        ),
    )
    terms_version: str | None = Field(
        None,
        validation_alias=named("terms_version"),
        description="The current version of your terms of service; who makes a tenant has to accept it.",
    )
    terms_url: str | None = Field(
        None, validation_alias=named("terms_url"), description="The address of the terms of service."
    )
    privacy_version: str | None = Field(
        None,
        validation_alias=named("privacy_version"),
        description="The current version of your privacy policy; who makes a tenant has to accept it.",
    )
    privacy_url: str | None = Field(
        None, validation_alias=named("privacy_url"), description="The address of the privacy policy."
    )

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        try:
            return path.expanduser().absolute()
        except RuntimeError:
            raise ValueError(f"there is no home directory for {path}; write the whole path") from None

    @field_validator("default_tier")
    @classmethod
    def _known_tier(cls, tier: str | None) -> str | None:
        if tier is not None and tier not in TIERS:
            raise ValueError(f"must be one of {', '.join(TIERS)}")
        return tier

    @field_validator("public_url")
    @classmethod
    def _address_only(cls, url: str | None) -> str | None:
        if url is None:
            return None
        # It becomes a line of what agents sign, so it holds what such a line may hold and nothing else.
        if _ADDRESS.fullmatch(url) is None:
            raise ValueError("must be ws://host[:port] or wss://host[:port]")
        return url.removesuffix("/")

    @field_validator("nats_url")
    @classmethod
    def _without_a_password(cls, url: str | None) -> str | None:
        return without_a_password(url)

    @field_validator("terms_version", "privacy_version")
    @classmethod
    def _version(cls, version: str | None) -> str | None:
        if version is not None and re.fullmatch(VERSION_PATTERN, version) is None:
            raise ValueError("must be 1 to 64 letters, digits, dots, _ and -, like 2026-01-31")
        return version

    @field_validator("terms_url", "privacy_url")
    @classmethod
    def _page(cls, url: str | None) -> str | None:
        if url is not None and re.fullmatch(r"https?://[^\s@]+", url) is None:
            raise ValueError("must be the http:// or https:// address of a page")
        return url

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, networks: str) -> str:
        try:
            for word in words(networks):
                ip_network(word)
        except ValueError:
            raise ValueError("must be networks like 10.0.0.0/8, separated by commas") from None
        return networks

    @field_validator("allowed_origins")
    @classmethod
    def _origins(cls, origins: str) -> str:
        if not all(_ORIGIN.fullmatch(word) for word in words(origins)):
            raise ValueError("must be origins like https://app.example.com, separated by commas")
        return origins

    @field_validator("secret_key")
    @classmethod
    def _long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value().strip()) < MIN_SECRET:
            raise ValueError(f"must have {MIN_SECRET} characters at least")
        return secret

    @field_validator("operator_seed")
    @classmethod
    def _seed(cls, seed: SecretStr | None) -> SecretStr | None:
        if seed is not None:
            try:
                raw = bytes.fromhex(seed.get_secret_value())
            except ValueError:
                raw = b""
            if len(raw) != 32:
                raise ValueError("must be 64 hexadecimal digits")
        return seed

    @model_validator(mode="after")
    def _nothing_in_the_clear(self) -> "Settings":
        servers = [part.strip() for part in (self.nats_url or "").split(",")]
        if self.nats_ca and self.nats_url and not all(each.startswith("tls://") for each in servers):
            raise ValueError("ARTCAFE_NATS_CA: needs every address of NATS_URL to be tls://")
        return self

    @model_validator(mode="after")
    def _versions_of_what_is_published(self) -> "Settings":
        for document in Document:
            if getattr(self, f"{document}_url") and not getattr(self, f"{document}_version"):
                name = f"ARTCAFE_{document.upper()}"
                raise ValueError(f"{name}_URL: needs {name}_VERSION")
        return self

    @property
    def documents(self) -> Documents:
        """The documents that the operator publishes for acceptance."""
        return {
            document: Edition(version, getattr(self, f"{document}_url"))
            for document in Document
            if (version := getattr(self, f"{document}_version")) is not None
        }

    @property
    def tier_of_new_tenants(self) -> str:
        """The subscription tier of a tenant for which no operator names one."""
        return self.default_tier or ("starter" if self.issuer else "enterprise")

    @property
    def origins(self) -> frozenset[str]:
        """The origins whose pages may open dashboards."""
        return words(self.allowed_origins)

    def given(self) -> dict[str, Any]:
        """Every setting in force, for another process that is to `load` them: secrets are in it."""
        values = self.model_dump()
        return {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value
            for name, value in values.items()
            if value is not None
        }

    def redacted(self) -> dict[str, Any]:
        """Every setting in force, for people; secrets are stars."""
        return self.model_dump(mode="json")


def load(**given: Any) -> Settings:
    """Read the environment; what is given here (and is not None) wins. Raises SettingsError, also for a
    variable that begins with ARTCAFE_ and that nobody knows.

    A secret may stand in a file that `{its variable}_FILE` names, or in systemd's credentials under
    the name of its variable (systemd.exec(5), LoadCredential).
    """
    environment = os.environ  # noqa: TID251 - settings are read here
    values: dict[str, Any] = dict(_kept_secrets(environment))
    defaults = {name: Settings.model_fields[field].default for field, name in _linked(environment)}
    values |= defaults
    values |= {f"ARTCAFE_{name.upper()}": value for name, value in given.items() if value is not None}
    faults = unknown(environment, known_variables())
    try:
        settings = Settings(**values)
    except ValidationError as error:
        faults += [_line(fault["loc"], fault["msg"]) for fault in error.errors(include_input=False)]
    if faults:
        raise SettingsError("\n".join(faults))
    return settings


def service_links() -> list[str]:
    """The variables with a setting's name that Kubernetes made, and that are ignored (wire.environment)."""
    return [name for _, name in _linked(os.environ)]  # noqa: TID251 - settings are read here


def _linked(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    return [
        (field, names[0])
        for field, names in variables().items()
        if is_service_link(names[0], environment.get(names[0], ""))
    ]


def known_variables() -> frozenset[str]:
    """Every variable that means something here or to the command line."""
    ours = {name for names in variables().values() for name in names}
    files = {f"{names[0]}_FILE" for field, names in variables().items() if _is_secret(field)}
    return CLIENT | BUILD | ours | files


def _is_secret(field: str) -> bool:
    return Settings.model_fields[field].annotation == SecretStr | None


def wanted_log_format(given: Mapping[str, Any]) -> str:
    """The format of log lines that is asked for, also where the settings as a whole cannot be used."""
    return given.get("log_format") or os.environ.get("ARTCAFE_LOG_FORMAT") or "text"  # noqa: TID251 - as above


def _kept_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    credentials = environment.get("CREDENTIALS_DIRECTORY")
    found = {}
    for field, names in variables().items():
        if not _is_secret(field):
            continue
        named = environment.get(f"{names[0]}_FILE")
        if named and any(environment.get(name) for name in names):
            raise SettingsError(f"{names[0]}_FILE: {names[0]} is set as well; which one counts?")
        if named:
            found[names[0]] = _secret_in(Path(named), f"{names[0]}_FILE", private=True)
        elif credentials and (path := Path(credentials) / names[0]).exists():
            found[names[0]] = _secret_in(path, names[0], private=False)
    return found


def _secret_in(path: Path, variable: str, *, private: bool) -> str:
    """The content of the file; systemd sets the modes of its own."""
    try:
        if private and path.stat().st_mode & 0o077:
            raise SettingsError(f"{variable}: {path} can be read by others; `chmod 600` it.")
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{variable}: {path} cannot be read: {error}") from None


def variables() -> dict[str, list[str]]:
    """The variables of the environment that each setting is read from, in order; the first is its name."""
    return {name: _choices(field.validation_alias) for name, field in Settings.model_fields.items()}


def _choices(alias: object) -> list[str]:
    assert isinstance(alias, AliasChoices)
    return [f"{choice}" for choice in alias.choices]


def _line(place: tuple[int | str, ...], message: str) -> str:
    message = message.removeprefix("Value error, ")
    if not place:  # A fault of several settings together: its message names them.
        return message
    for field, names in variables().items():
        if place[0] in (field, *names):  # A default that cannot be used is named by its field.
            return f"{' or '.join(names)}: {message}"
    return f"{place[0]}: {message}"
