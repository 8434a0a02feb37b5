"""`artcafe token`."""

import json

from tests.kit.command_line import CommandLine
from tests.kit.rest_stub import TOKEN


def test_the_token_is_all_that_is_printed(artcafe: CommandLine) -> None:
    result = artcafe("token")

    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{TOKEN}\n", "")


def test_tenant_and_role_or_address_are_passed_on(artcafe: CommandLine) -> None:
    assert artcafe("token", "-t", "acme", "--role", "viewer").stdout == f"{TOKEN}-acme-viewer\n"
    assert artcafe("token", "-t", "acme", "--email", "v@h").stdout == f"{TOKEN}-acme-v@h\n"


def test_an_address_is_of_somebody_in_a_tenant(artcafe: CommandLine) -> None:
    for words in (["--email", "v@h"], ["-t", "acme", "--role", "viewer", "--email", "v@h"]):
        result = artcafe("token", *words)

        assert (result.exit_code, result.stdout) == (2, "")
        assert "give --tenant, and no --role" in result.stderr


def test_as_json_it_comes_with_its_lifetime(artcafe: CommandLine) -> None:
    answer = json.loads(artcafe("token", "-t", "acme", "--json").stdout)

    assert (answer["token_type"], answer["expires_in"], answer["tenant"]) == ("Bearer", 3600, "acme")


def test_a_role_needs_its_tenant(artcafe: CommandLine) -> None:
    result = artcafe("token", "--role", "viewer")

    assert result.exit_code == 2
    assert "give --tenant" in result.stderr
