"""Checks the settings before anything is opened or created.

`artcafe up`, `artcafe serve` and `artcafe check-config` ask here, so that none takes what another refuses.
"""

import contextlib
import os
import ssl
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from urllib.request import getproxies, proxy_bypass

from artcafe.server.bus.nats.servers import server_address
from artcafe.server.identity.jwks import check_url
from artcafe.server.installed import store_at
from artcafe.server.issuers import ENDPOINTS_SET, http_client, trusted
from artcafe.server.process import SystemClock
from artcafe.server.seed import SeedError, check_seed
from artcafe.server.settings import Settings
from artcafe.server.telemetry.telemetry import TRACING

NO_NATS = "`artcafe serve` needs a NATS: set NATS_URL, or run `artcafe up`."


def faults(settings: Settings, *, embedded: bool) -> list[str]:
    """A sentence for each; none when a server may start, as far as that can be told without a network.

    `embedded` is for `artcafe up`, which has its own NATS and issuer.
    """
    checks: list[Callable[[], object]] = [
        partial(_data_dir, settings.data_dir),
        partial(check_seed, settings),
        partial(_store, settings),
        partial(_humans, settings, embedded=embedded),
        partial(_traces, settings),
    ]
    checks += (
        [partial(_program, settings.nats_server)]
        if embedded
        else [partial(_nats, settings.nats_url), partial(_authorities, settings.nats_ca)]
    )
    found = []
    for check in checks:
        try:
            check()
        except (SeedError, ValueError) as error:
            found.append(f"{error}")
    return found


def _data_dir(path: Path) -> None:
    nearest = path
    with contextlib.suppress(PermissionError):  # Then nothing in it can be used, either.
        while not nearest.exists():
            nearest = nearest.parent
        if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
            return
    reason = "no right to write there" if nearest.is_dir() else "something else has its name"
    raise ValueError(f"The data directory {path} cannot be used: {reason} ({nearest}).")


def _store(settings: Settings) -> None:
    store_at(settings, settings.store, SystemClock())
    if settings.store.startswith("dynamodb") and not proxy_bypass(
        f"dynamodb.{settings.aws_region}.amazonaws.com"
    ):
        scheme, there, _ = getproxies().get("https", "").partition("://")
        if there and scheme not in {"http", "https"}:
            raise ValueError(
                "HTTPS_PROXY names a proxy by which DynamoDB cannot be asked: http:// and https:// ones can."
            )


def _humans(settings: Settings, *, embedded: bool) -> None:
    # What discovery would find is not known here; the issuer's own address has to keep the same rules.
    jwks_url = settings.oidc_jwks_url or settings.issuer
    http_client(settings)
    trusted(settings, "http://127.0.0.1", jwks_url, embedded=embedded)
    for name in ENDPOINTS_SET:
        url = getattr(settings, f"oidc_{name}")
        if settings.issuer is not None and url is not None:
            check_url(url, name, allow_insecure_loopback=settings.oidc_allow_loopback_http)


def _traces(settings: Settings) -> None:
    try:
        if settings.otlp_endpoint is not None:
            import_module(TRACING)
    except ImportError as error:
        raise ValueError(
            "ARTCAFE_OTLP_ENDPOINT: traces need the extra `otel`: pip install 'artcafe-pubsub[otel]'"
        ) from error


def _nats(urls: str | None) -> None:
    if urls is None:
        raise ValueError(NO_NATS)
    for url in urls.split(","):
        try:
            server_address(url.strip())
        except ValueError as error:
            raise ValueError(f"ARTCAFE_NATS_URL or NATS_URL: {error}") from error


def _authorities(path: Path | None) -> None:
    try:
        if path is not None:
            ssl.create_default_context(cafile=path)
    except OSError as error:  # ssl.SSLError is one.
        raise ValueError(f"ARTCAFE_NATS_CA: {path} cannot be used: {error.strerror or error}") from error


def _program(path: Path | None) -> None:
    if path is not None and not os.access(path, os.X_OK):
        raise ValueError(f"ARTCAFE_NATS_SERVER: {path} is no nats-server that can be run")
