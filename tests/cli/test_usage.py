"""`artcafe usage`."""

import json

import pytest
from fastapi.responses import JSONResponse

from tests.kit.command_line import CommandLine
from tests.kit.rest_stub import RestStub

PATH = "/api/v1/usage-metrics"
LIMITS = {"max_agents": 3, "max_storage_bytes": None}
USED = {
    "metrics": [
        {
            "date": "2026-11-24",
            "messages_count": 12,
            "bytes_count": 345,
            "api_calls_count": 6,
            "active_agents_count": 2,
            "active_channels_count": 1,
        }
    ],
    "totals": {"messages_count": 12, "bytes_count": 345},
    "limits": LIMITS,
}
MONTH = {
    "tenant_id": "acme",
    "plan": "starter",
    "billing_cycle": "monthly",
    "status": "active",
    "current_usage": {"agents": 2, "messages": 12},
    "limits": LIMITS,
    "success": True,
}


def test_days_totals_and_limits(artcafe: CommandLine, stub: RestStub) -> None:
    stub.answers["GET", PATH] = JSONResponse(USED)

    result = artcafe("usage", "--from", "2026-11-18", "--to", "2026-11-24")

    assert result.exit_code == 0, result.stderr
    assert stub.last().query == {"start_date": "2026-11-18", "end_date": "2026-11-24"}
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["2026-11-24", "12", "345", "6", "2", "1"] in lines
    assert ["total", "messages", "12"] in lines
    assert ["max", "agents", "3"] in lines
    assert ["max", "storage", "bytes", "unlimited"] in lines


def test_without_days_the_platform_chooses(artcafe: CommandLine, stub: RestStub) -> None:
    stub.answers["GET", PATH] = JSONResponse(USED)

    assert json.loads(artcafe("usage", "--json").stdout) == USED
    assert stub.last().query == {}


def test_the_month_against_the_plan(artcafe: CommandLine, stub: RestStub) -> None:
    stub.answers["GET", f"{PATH}/billing"] = JSONResponse(MONTH)

    lines = [line.split() for line in artcafe("usage", "--billing").stdout.splitlines()]

    assert ["plan", "starter"] in lines
    assert ["messages", "this", "month", "12"] in lines
    assert ["max", "agents", "3"] in lines
    assert json.loads(artcafe("usage", "--billing", "--json").stdout) == MONTH


@pytest.mark.parametrize("words", [["--from", "yesterday"], ["--billing", "--to", "2026-11-24"]])
def test_days_that_are_none_are_wrong_usage(artcafe: CommandLine, stub: RestStub, words: list[str]) -> None:
    assert artcafe("usage", *words).exit_code == 2
    assert stub.asked == []
