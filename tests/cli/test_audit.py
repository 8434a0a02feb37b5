"""`artcafe audit`."""

import json

from fastapi.responses import JSONResponse

from tests.kit.command_line import CommandLine
from tests.kit.rest_stub import RestStub

ENTRY = {
    "id": "e1",
    "at": "2026-11-24T12:00:00.000Z",
    "actor": "ada",
    "action": "agent.update",
    "target": "planner",
    "fields": ["name", "type"],
    "remote": "127.0.0.1",
    "request_id": "r1",
}


def test_who_changed_what(artcafe: CommandLine, stub: RestStub) -> None:
    stub.answers["GET", "/api/v1/audit"] = JSONResponse({"entries": [ENTRY, ENTRY], "next_token": "more"})

    options = ["--actor", "ada", "--action", "agent.update", "--target", "planner", "--count", "1"]
    result = artcafe("audit", *options)
    told = json.loads(artcafe("audit", "--json", "-n", "2").stdout)

    assert [asked.query for asked in stub.asked if asked.path == "/api/v1/audit"] == [
        {"actor": "ada", "action": "agent.update", "target": "planner"},
        {},
    ]
    assert len(result.stdout.splitlines()) == 3
    assert "agent.update planner name, type 127.0.0.1 r1" in " ".join(result.stdout.split())
    assert told == [ENTRY, ENTRY]


def test_when_there_is_nothing_it_says_so(artcafe: CommandLine, stub: RestStub) -> None:
    stub.answers["GET", "/api/v1/audit"] = JSONResponse({"entries": [], "next_token": None})

    assert artcafe("audit").stdout == "Nothing was changed.\n"
