"""`artcafe invitations`."""

import json

import pytest
from fastapi.responses import JSONResponse, Response

from tests.kit.command_line import CommandLine
from tests.kit.rest_stub import RestStub

PATH = "/api/v1/tenants/acme/invitations"
OPEN = {"id": "i1", "email": "ada@acme.example", "role": "admin", "created_by": "bob", "expires_at": "2026"}
MADE = {"invitation": OPEN, "token": "acme.i1.secret", "success": True}


def test_the_token_is_the_last_line(artcafe: CommandLine, stub: RestStub) -> None:
    stub.answers["POST", PATH] = JSONResponse(MADE, 201)

    result = artcafe(
        "invitations", "create", "--role", "admin", "--email", "a@b", "--days", "2", "-t", "acme"
    )

    assert result.exit_code == 0, result.stderr
    assert stub.last().body == {"role": "admin", "email": "a@b", "expires_in_days": 2}
    assert result.stdout.splitlines()[-1] == "acme.i1.secret"
    assert "shown this once" in result.stderr


def test_as_json_the_whole_answer_comes(artcafe: CommandLine, stub: RestStub) -> None:
    stub.answers["POST", PATH] = JSONResponse(MADE, 201)

    result = artcafe("invitations", "create", "-t", "acme", "--json")

    assert stub.last().body == {"role": "member"}
    assert json.loads(result.stdout) == MADE
    assert result.stderr == ""


def test_open_ones_are_listed_and_withdrawn(artcafe: CommandLine, stub: RestStub) -> None:
    stub.answers["GET", PATH] = JSONResponse({"invitations": [OPEN], "next_token": None})
    stub.answers["DELETE", f"{PATH}/i1"] = Response(status_code=204)

    table = artcafe("invitations", "list", "-t", "acme").stdout
    gone = artcafe("invitations", "revoke", "i1", "-t", "acme", "--yes").stdout
    told = artcafe("invitations", "revoke", "i1", "-t", "acme", "--json", "--yes").stdout

    assert table.splitlines()[-1].split() == ["i1", "ada@acme.example", "admin", "bob", "2026"]
    assert gone == "The invitation i1 is withdrawn.\n"
    assert json.loads(told) == {"id": "i1", "deleted": True}


@pytest.mark.parametrize(("word", "text"), [("acme.i1.secret", None), ("-", "acme.i1.secret\n")])
def test_one_is_accepted(artcafe: CommandLine, stub: RestStub, word: str, text: str | None) -> None:
    stub.answers["POST", "/api/v1/invitations/accept"] = JSONResponse({"tenant_id": "acme", "role": "admin"})

    result = artcafe("invitations", "accept", word, text=text)

    assert stub.last().body == {"token": "acme.i1.secret"}
    assert result.stdout.split() == ["tenant", "id", "acme", "role", "admin"]


def test_days_that_are_too_many_are_wrong_usage(artcafe: CommandLine, stub: RestStub) -> None:
    assert artcafe("invitations", "create", "--days", "31", "-t", "acme").exit_code == 2
    assert stub.asked == []
