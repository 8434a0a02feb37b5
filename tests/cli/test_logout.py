"""`artcafe logout`."""

import time
from pathlib import Path

from artcafe.cli.sign_ins import SignIns
from artcafe.client.sign_in import IssuerEndpoints, Tokens
from tests.kit.command_line import CommandLine
from tests.kit.oauth_issuer import oauth_issuer
from tests.kit.rest_stub import RestStub


def test_the_tokens_are_gone_here_and_at_the_issuer(stub: RestStub, tmp_path: Path) -> None:
    artcafe = CommandLine(tmp_path, stub.url)
    with oauth_issuer() as server:
        server.answers = [(200, {})]
        SignIns(artcafe.data_dir, time.time).keep(
            stub.url, IssuerEndpoints.of(server.config()), Tokens("a", "r1", 3600)
        )
        assert artcafe("logout").stdout == f"Signed out of {stub.url}.\n"
        assert [(path, form["token"]) for path, form in server.forms] == [("/revoke", "r1")]

    assert artcafe("logout").stdout == f"Nobody is signed in at {stub.url}.\n"
    assert artcafe("tenants", "list").exit_code == 1


def test_an_issuer_that_is_away_keeps_nobody_signed_in(stub: RestStub, tmp_path: Path) -> None:
    artcafe = CommandLine(tmp_path, stub.url)
    with oauth_issuer() as server:
        issuer = IssuerEndpoints.of(server.config())
    SignIns(artcafe.data_dir, time.time).keep(stub.url, issuer, Tokens("a", "r1", 3600))

    result = artcafe("logout")

    assert result.exit_code == 0
    assert "The issuer was not told" in result.stderr
    assert artcafe("tenants", "list").exit_code == 1
