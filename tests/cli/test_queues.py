"""`artcafe queue`."""

import json

import pytest
from fastapi.responses import JSONResponse, Response

from tests.kit.command_line import CommandLine
from tests.kit.rest_stub import RestStub

AT = "/api/v1/channels/jobs"
WORKERS = {
    "name": "workers",
    "subject": "jobs.>",
    "lease_ms": 30000,
    "max_deliveries": 5,
    "pending": 3,
    "in_flight": 2,
    "redelivered": 1,
    "created_at": "2026-01-01T00:00:00Z",
}
LETTER = {
    "seq": 17,
    "subscription": "workers",
    "reason": "torn",
    "deliveries": 5,
    "message_seq": 9,
    "subject": "jobs.new",
    "from": "planner",
    "data": {"n": 1},
}


@pytest.fixture(autouse=True)
def jobs(stub: RestStub) -> None:
    stub.answers |= {
        ("GET", f"{AT}/subscriptions"): JSONResponse({"subscriptions": [WORKERS]}),
        ("DELETE", f"{AT}/subscriptions/workers"): Response(status_code=204),
        ("GET", f"{AT}/dead-letters"): JSONResponse({"dead_letters": [LETTER], "after": None}),
        ("DELETE", f"{AT}/dead-letters"): JSONResponse({"removed": 4}),
        ("DELETE", f"{AT}/dead-letters/17"): Response(status_code=204),
        ("POST", f"{AT}/dead-letters/17/retry"): JSONResponse({"seq": 20, "epoch": "e"}),
    }


def test_what_waits_in_a_queue(artcafe: CommandLine) -> None:
    assert "workers" in artcafe("queue", "ls", "jobs").stdout
    assert json.loads(artcafe("queue", "ls", "jobs", "--json").stdout) == [WORKERS]
    assert artcafe("queue", "lag", "jobs", "workers").stdout == "5\n"
    missing = artcafe("queue", "lag", "jobs", "nobody")
    assert missing.exit_code == 1
    assert "no durable subscription nobody" in missing.stderr


def test_deleting_a_queue_asks(artcafe: CommandLine, stub: RestStub) -> None:
    assert artcafe("queue", "delete", "jobs", "workers").exit_code == 2
    assert stub.asked == []
    result = artcafe("queue", "delete", "jobs", "workers", "--yes")
    assert result.stdout == "The durable subscription workers is gone.\n"
    assert stub.last().method == "DELETE"


def test_dead_letters_are_listed(artcafe: CommandLine, stub: RestStub) -> None:
    result = artcafe("queue", "dlq", "ls", "jobs", "--queue", "workers", "--after", "3", "-n", "9")
    assert "torn" in result.stdout
    assert stub.last().query == {"subscription": "workers", "after": "3", "limit": "9"}


def test_a_dead_letter_is_retried(artcafe: CommandLine) -> None:
    assert artcafe("queue", "dlq", "retry", "jobs", "17").stdout == "Stored again, at 20.\n"


def test_dead_letters_are_removed(artcafe: CommandLine, stub: RestStub) -> None:
    assert artcafe("queue", "dlq", "purge", "jobs").exit_code == 2
    assert artcafe("queue", "dlq", "purge", "jobs", "17", "--queue", "workers", "--yes").exit_code == 2
    assert stub.asked == []
    assert artcafe("queue", "dlq", "purge", "jobs", "17", "--yes").stdout == "1 removed.\n"
    result = artcafe("queue", "dlq", "purge", "jobs", "--queue", "workers", "--yes", "--json")
    assert json.loads(result.stdout) == {"channel": "jobs", "removed": 4}
    assert stub.last().query == {"subscription": "workers"}
