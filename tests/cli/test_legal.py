"""`artcafe legal`."""

import json

from fastapi.responses import JSONResponse

from tests.kit.command_line import CommandLine
from tests.kit.rest_stub import RestStub

VERSIONS = {"terms": {"version": "2026-11-01", "url": "https://h/terms"}, "privacy": None}
ACCEPTED = {
    "document": "terms",
    "version": "2026-11-01",
    "user_id": "ada",
    "email": "",
    "accepted_at": "2026",
}
PATH = "/api/v1/tenants/acme/legal"


def test_what_is_published_is_shown(artcafe: CommandLine, stub: RestStub) -> None:
    stub.answers["GET", "/api/v1/legal/versions"] = JSONResponse(VERSIONS)

    table = artcafe("legal", "versions").stdout

    assert [line.split() for line in table.splitlines()[2:]] == [["terms", "2026-11-01", "https://h/terms"]]
    assert json.loads(artcafe("legal", "versions", "--json").stdout) == VERSIONS


def test_nothing_published_is_said(artcafe: CommandLine, stub: RestStub) -> None:
    stub.answers["GET", "/api/v1/legal/versions"] = JSONResponse({"terms": None, "privacy": None})

    assert "nothing to accept" in artcafe("legal", "versions").stdout


def test_versions_are_accepted_and_listed(artcafe: CommandLine, stub: RestStub) -> None:
    stub.answers["POST", PATH] = JSONResponse({"acceptances": [ACCEPTED], "next_token": None})
    stub.answers["GET", PATH] = JSONResponse({"acceptances": [ACCEPTED], "next_token": None})

    done = artcafe("legal", "accept", "--terms", "2026-11-01", "--privacy", "2", "-t", "acme")
    assert stub.last().body == {"terms_version": "2026-11-01", "privacy_version": "2"}
    listed = artcafe("legal", "accepted", "-t", "acme")

    assert done.stdout == listed.stdout
    assert listed.stdout.splitlines()[-1].split() == ["terms", "2026-11-01", "ada", "2026"]


def test_accepting_nothing_is_wrong_usage(artcafe: CommandLine, stub: RestStub) -> None:
    assert artcafe("legal", "accept", "-t", "acme").exit_code == 2
    assert stub.asked == []
