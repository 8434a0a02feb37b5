"""Signing in."""

from pathlib import Path

import pytest

from tests.kit.command_line import CommandLine
from tests.kit.rest_stub import SECRET, TOKEN, RestStub, problem, unused_url


def test_on_the_platforms_machine_no_token_is_needed(artcafe: CommandLine, stub: RestStub) -> None:
    result = artcafe("tenants", "list", "--tenant", "acme")

    assert result.exit_code == 0, result.stderr
    assert [asked.path for asked in stub.asked] == ["/local/challenge", "/local/token", "/api/v1/tenants"]
    assert SECRET not in f"{stub.asked}"
    assert stub.last().headers["authorization"] == f"Bearer {TOKEN}"


def test_a_token_of_ones_own_goes_before(artcafe: CommandLine, stub: RestStub) -> None:
    artcafe("tenants", "list", "--token", "t.o.k")

    assert [asked.path for asked in stub.asked] == ["/api/v1/tenants"]
    assert stub.last().headers["authorization"] == "Bearer t.o.k"


def test_without_secret_and_token_a_token_is_asked_for(stub: RestStub, tmp_path: Path) -> None:
    result = CommandLine(tmp_path, stub.url)("tenants", "list")

    assert result.exit_code == 1
    advice = "run `artcafe login`, give --token or set ARTCAFE_TOKEN"
    assert result.stderr == f"Error: {stub.url} needs to know who you are: {advice}\n"
    assert [asked.path for asked in stub.asked] == ["/api/v1/health"]


@pytest.mark.parametrize("words", [["tenants", "list"], ["token"], ["agents", "list", "--token", "t"]])
def test_where_nothing_runs_that_is_the_error(tmp_path: Path, words: list[str]) -> None:
    url = unused_url()

    result = CommandLine(tmp_path, url)(*words)

    assert (result.exit_code, result.stderr) == (
        1,
        f"Error: nothing answers at {url}; start the platform with `artcafe up`\n",
    )


def test_a_secret_of_another_platform_is_refused(artcafe: CommandLine, stub: RestStub) -> None:
    (artcafe.data_dir / "issuer" / "secret").write_text("another")

    result = artcafe("tenants", "list")

    assert result.exit_code == 1
    assert "does not know the secret of this data directory" in result.stderr
    assert [asked.path for asked in stub.asked] == ["/local/challenge"]


def test_a_hint_about_the_header_names_the_option(artcafe: CommandLine, stub: RestStub) -> None:
    words = "You belong to several tenants: name one in the x-tenant-id header."
    stub.answers["GET", "/api/v1/agents"] = problem(400, "bad_request", words)

    result = artcafe("agents", "list")

    assert (result.exit_code, result.stderr) == (1, f"Error: {words} Here that is --tenant.\n")
