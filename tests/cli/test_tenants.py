"""`artcafe tenants`."""

import json

import pytest

from tests.kit.command_line import CommandLine
from tests.kit.rest_stub import RestStub


def test_a_tenant_is_made_with_what_was_given(artcafe: CommandLine, stub: RestStub) -> None:
    options = [
        "--id",
        "acme",
        "--tier",
        "growth",
        "--admin-email",
        "ops@acme.example",
        "--metadata",
        '{"n": 1}',
    ]

    result = artcafe("tenants", "create", "Acme Ltd", *options, "--no-allow-client-challenge")

    assert result.exit_code == 0, result.stderr
    assert stub.last().body == {
        "id": "acme",
        "name": "Acme Ltd",
        "subscription_tier": "growth",
        "admin_email": "ops@acme.example",
        "metadata": {"n": 1},
        "allow_client_challenge": False,
    }
    assert result.stdout.split() == ["tenant", "id", "acme"]


def test_as_json_the_whole_answer_comes(artcafe: CommandLine) -> None:
    made = json.loads(artcafe("tenants", "create", "Acme", "--json").stdout)

    assert made == {"tenant_id": "acme", "api_key": None, "admin_token": "your.own.token", "success": True}


def test_a_taken_id_is_the_servers_word(artcafe: CommandLine) -> None:
    artcafe("tenants", "create", "Acme")

    result = artcafe("tenants", "create", "Acme")

    assert (result.exit_code, result.stderr) == (1, "Error: A tenant has this id already.\n")


def test_tenants_are_listed(artcafe: CommandLine) -> None:
    artcafe("tenants", "create", "Acme", "--tier", "growth")
    artcafe("tenants", "create", "Beta")

    table = artcafe("tenants", "list").stdout
    rows = json.loads(artcafe("tenants", "list", "--json").stdout)

    assert [line.split()[:3] for line in table.splitlines()[2:]] == [
        ["acme", "Acme", "active"],
        ["beta", "Beta", "active"],
    ]
    assert [row["id"] for row in rows] == ["acme", "beta"]


def test_without_any_it_says_how_to_make_one(artcafe: CommandLine) -> None:
    assert "artcafe tenants create" in artcafe("tenants", "list").stdout


def test_one_is_shown_as_its_member(artcafe: CommandLine, stub: RestStub) -> None:
    artcafe("tenants", "create", "Acme")

    result = artcafe("tenants", "show", "acme", "--tenant", "beta")

    assert "name    Acme" in result.stdout
    assert "tenant id" not in result.stdout
    assert stub.last().headers["x-tenant-id"] == "acme"


@pytest.mark.parametrize(
    ("options", "body"),
    [
        (["--allow-client-challenge"], {"allow_client_challenge": True}),
        (["--no-allow-client-challenge"], {"allow_client_challenge": False}),
        (["--name", "A", "--website", ""], {"name": "A", "website": ""}),
    ],
)
def test_only_what_is_named_is_changed(
    artcafe: CommandLine, stub: RestStub, options: list[str], body: dict[str, object]
) -> None:
    artcafe("tenants", "create", "Acme")

    result = artcafe("tenants", "update", "acme", *options)

    assert result.exit_code == 0, result.stderr
    assert (stub.last().method, stub.last().path, stub.last().body) == ("PUT", "/api/v1/tenants/acme", body)


def test_nothing_to_change_is_wrong_usage(artcafe: CommandLine, stub: RestStub) -> None:
    result = artcafe("tenants", "update", "acme")

    assert result.exit_code == 2
    assert stub.asked == []


@pytest.mark.parametrize("answer", ["n\n", "y\n", ""])
def test_deleting_asks_first_and_takes_no_answer_from_a_program(
    artcafe: CommandLine, stub: RestStub, answer: str
) -> None:
    artcafe("tenants", "create", "Acme")

    result = artcafe("tenants", "delete", "acme", text=answer)

    assert "acme" in stub.tenants
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--yes" in result.stderr


def test_deleting_without_a_question_for_programs(artcafe: CommandLine, stub: RestStub) -> None:
    artcafe("tenants", "create", "Acme")

    result = artcafe("tenants", "delete", "acme", "--yes", "--json")

    assert json.loads(result.stdout) == {"id": "acme", "deleted": True}
    assert stub.tenants == {}


def test_the_operators_documents_are_accepted_when_it_is_made(artcafe: CommandLine, stub: RestStub) -> None:
    artcafe(
        "tenants",
        "create",
        "Acme",
        "--terms-version",
        "1",
        "--privacy-version",
        "2",
        "--logo-url",
        "http://h",
    )

    assert stub.last().body == {
        "name": "Acme",
        "terms_version": "1",
        "privacy_version": "2",
        "logo_url": "http://h",
    }


def test_fields_are_cleared(artcafe: CommandLine, stub: RestStub) -> None:
    artcafe("tenants", "create", "Acme")

    artcafe("tenants", "update", "acme", "--primary-color", "#1a2b3c", "--clear", "website")

    assert stub.last().body == {"primary_color": "#1a2b3c", "website": None}
    assert artcafe("tenants", "update", "acme", "--clear", "website", "--website", "x").exit_code == 2
    assert artcafe("tenants", "update", "acme", "--clear", "name").exit_code == 2


def test_the_limits_of_its_plan_are_shown(artcafe: CommandLine, stub: RestStub) -> None:
    artcafe("tenants", "create", "Acme")
    stub.tenants["acme"]["limits"] = {"max_agents": 3, "max_storage_bytes": None}

    lines = [line.split() for line in artcafe("tenants", "show", "acme").stdout.splitlines()]

    assert ["max", "agents", "3"] in lines
    assert ["max", "storage", "bytes", "unlimited"] in lines
    told = json.loads(artcafe("tenants", "show", "acme", "--json").stdout)
    assert told["limits"] == {"max_agents": 3, "max_storage_bytes": None}
