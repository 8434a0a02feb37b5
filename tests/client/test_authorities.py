"""Whom a client trusts."""

import ssl
from pathlib import Path

import pytest

from artcafe.client.authorities import system_tls
from artcafe.client.rest import Rest
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError


def test_the_authorities_of_the_machine_are_trusted_and_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))

    assert system_tls().verify_mode is ssl.CERT_REQUIRED


def test_a_log_of_keys_that_cannot_be_written_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", "/nowhere/keys")

    with pytest.raises(ArtcafeError, match="SSLKEYLOGFILE") as refused:
        Rest("https://a.example", "token")
    assert refused.value.code is Code.bad_request
