"""`artcafe operator log`."""

import json
from typing import Any

from starlette.responses import JSONResponse

from tests.kit.command_line import CommandLine
from tests.kit.rest_stub import RestStub

LOG = "/api/v1/operator/log"

DELETED: dict[str, Any] = {
    "at": "2025-11-24T16:00:00.000Z",
    "actor": "olivia",
    "action": "tenant.delete",
    "tenant_id": "acme",
    "fields": [],
    "remote": "203.0.113.7",
    "request_id": "r1",
}


def test_what_was_done_is_listed_as_it_is_asked_for(artcafe: CommandLine, stub: RestStub) -> None:
    stub.answers["GET", LOG] = JSONResponse({"entries": [DELETED], "next_token": None})

    result = artcafe("operator", "log", "--of", "acme", "--action", "tenant.delete", "--actor", "olivia")

    for told in ("olivia", "tenant.delete", "acme", "203.0.113.7"):
        assert told in result.stdout
    query = stub.last().query
    assert {name: query[name] for name in ("tenant", "action", "actor")} == {
        "tenant": "acme",
        "action": "tenant.delete",
        "actor": "olivia",
    }
    assert json.loads(artcafe("operator", "log", "--json").stdout) == [DELETED]


def test_an_empty_log_says_so(artcafe: CommandLine, stub: RestStub) -> None:
    stub.answers["GET", LOG] = JSONResponse({"entries": [], "next_token": None})

    assert "Nothing was done with tenants." in artcafe("operator", "log").stdout
