"""`artcafe members`."""

import json

import pytest
from fastapi.responses import JSONResponse, Response

from tests.kit.command_line import CommandLine
from tests.kit.rest_stub import RestStub

PATH = "/api/v1/tenants/acme/members"
ADA = {"user_id": "ada", "email": "ada@acme.example", "role": "admin", "joined_date": "2026", "active": True}


def test_members_are_listed(artcafe: CommandLine, stub: RestStub) -> None:
    stub.answers["GET", PATH] = JSONResponse([ADA])

    table = artcafe("members", "list", "-t", "acme").stdout
    rows = json.loads(artcafe("members", "list", "-t", "acme", "--json").stdout)

    assert table.splitlines()[-1].split() == ["ada", "ada@acme.example", "admin", "2026", "yes"]
    assert rows == [ADA]


def test_who_has_one_tenant_need_not_name_it(artcafe: CommandLine, stub: RestStub) -> None:
    stub.answers["GET", PATH] = JSONResponse([ADA])
    artcafe("tenants", "create", "Acme")

    assert "ada@acme.example" in artcafe("members", "list").stdout
    artcafe("tenants", "create", "Beta")
    result = artcafe("members", "list")

    assert result.exit_code == 2
    assert "you belong to 2 tenants: name one with --tenant" in result.stderr


@pytest.mark.parametrize(
    ("words", "method", "path", "body"),
    [
        (["add", "ada"], "POST", PATH, {"user_id": "ada", "role": "member"}),
        (
            ["add", "ada", "--role", "admin", "--email", "a@b"],
            "POST",
            PATH,
            {"user_id": "ada", "role": "admin", "email": "a@b"},
        ),
        (["update", "ada", "--role", "viewer"], "PUT", f"{PATH}/ada", {"role": "viewer"}),
    ],
)
def test_a_member_gets_a_role(
    artcafe: CommandLine, stub: RestStub, words: list[str], method: str, path: str, body: object
) -> None:
    stub.answers[method, path] = JSONResponse(ADA, headers={"etag": '"1"'})

    result = artcafe("members", *words, "-t", "acme")

    assert result.exit_code == 0, result.stderr
    assert (stub.last().method, stub.last().path, stub.last().body) == (method, path, body)
    assert "email        ada@acme.example" in result.stdout
    assert "etag" not in result.stdout


def test_one_is_removed(artcafe: CommandLine, stub: RestStub) -> None:
    stub.answers["DELETE", f"{PATH}/ada"] = Response(status_code=204)

    assert artcafe("members", "remove", "ada", "-t", "acme", "--yes").stdout == "ada is no member any more.\n"
    shown = artcafe("members", "remove", "ada", "-t", "acme", "--json", "--yes").stdout
    assert json.loads(shown) == {"user_id": "ada", "deleted": True}


def test_a_role_that_is_none_is_wrong_usage(artcafe: CommandLine, stub: RestStub) -> None:
    assert artcafe("members", "update", "ada", "--role", "king", "-t", "acme").exit_code == 2
    assert artcafe("members", "update", "ada", "-t", "acme").exit_code == 2
    assert stub.asked == []
