"""`artcafe operator tenants`."""

import json
from typing import Any

import pytest
from starlette.responses import JSONResponse

from tests.kit.command_line import CommandLine
from tests.kit.rest_stub import RestStub, problem

ACME: dict[str, Any] = {
    "id": "acme",
    "name": "Acme",
    "status": "active",
    "plan": "growth",
    "limits": {"agents": 200, "channels": 100, "connections": None},
    "overrides": {"agents": 200, "connections": "unlimited"},
    "usage": {"agents": 3, "messages": 1200},
}

TENANTS = "/api/v1/operator/tenants"


@pytest.fixture
def stub_with_acme(stub: RestStub) -> RestStub:
    stub.answers["GET", TENANTS] = JSONResponse({"tenants": [ACME], "next_token": None})
    for method in ("GET", "PATCH"):
        stub.answers[method, f"{TENANTS}/acme"] = JSONResponse(ACME)
    return stub


def test_all_are_listed_as_they_are_asked_for(artcafe: CommandLine, stub_with_acme: RestStub) -> None:
    result = artcafe("operator", "tenants", "list", "--status", "active", "--plan", "growth", "--name", "ac")

    assert ["acme", "Acme", "active", "growth"] in [line.split()[:4] for line in result.stdout.splitlines()]
    assert stub_with_acme.last().query == {"status": "active", "plan": "growth", "q": "ac"}
    [listed] = json.loads(artcafe("operator", "tenants", "list", "--json").stdout)
    assert listed == ACME


def test_one_is_shown_with_its_limits_and_its_use(artcafe: CommandLine, stub_with_acme: RestStub) -> None:
    lines = [
        " ".join(line.split()) for line in artcafe("operator", "tenants", "show", "acme").stdout.splitlines()
    ]

    assert "plan growth" in lines
    assert "limit of agents 200, set by an operator" in lines
    assert "limit of channels 100" in lines
    assert "limit of connections unlimited, set by an operator" in lines
    assert "agents now 3" in lines
    assert "messages 1200" in lines
    assert json.loads(artcafe("operator", "tenants", "show", "acme", "--json").stdout) == ACME


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (["suspend", "acme", "--yes"], {"status": "suspended"}),
        (["resume", "acme"], {"status": "active"}),
        (["set", "acme", "--plan", "growth"], {"plan": "growth"}),
        (["set", "acme", "--status", "suspended", "-y"], {"status": "suspended"}),
        (["set", "acme", "--status", "active"], {"status": "active"}),
        (
            [
                *("set", "acme", "--limit", "agents=200"),
                *("--limit", "channels=unlimited", "--limit", "connections=plan", "--limit", "x=0"),
            ],
            {"limits": {"agents": 200, "channels": "unlimited", "connections": None, "x": 0}},
        ),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_what_is_set_is_sent(
    artcafe: CommandLine, stub_with_acme: RestStub, words: list[str], body: dict[str, Any]
) -> None:
    result = artcafe("operator", "tenants", *words, "--json")

    assert (result.exit_code, json.loads(result.stdout)) == (0, ACME)
    asked = stub_with_acme.last()
    assert (asked.method, asked.path, asked.body) == ("PATCH", f"{TENANTS}/acme", body)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--limit", "agents"],
        ["--limit", "=3"],
        ["--limit", "agents="],
        ["--limit", "agents=-1"],
        ["--limit", "agents=1.5"],
        ["--limit", "agents=\u0663"],
        ["--limit", "agents=" + "9" * 5000],
        ["--status", "gone"],
    ],
    ids=lambda words: " ".join(words)[:30],
)
def test_what_cannot_be_set_is_wrong_usage(artcafe: CommandLine, stub: RestStub, words: list[str]) -> None:
    assert artcafe("operator", "tenants", "set", "acme", *words).exit_code == 2
    assert stub.asked == []


def test_who_is_no_operator_is_told_so_in_a_line(artcafe: CommandLine, stub: RestStub) -> None:
    stub.answers["GET", TENANTS] = problem(403, "forbidden", "Only an operator of the platform may do this.")

    result = artcafe("operator", "tenants", "list")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: Only an operator of the platform may do this.\n"
