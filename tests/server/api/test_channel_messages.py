"""What a durable channel stores, over REST."""

from typing import Any

import httpx
import pytest

from artcafe.wire.codes import Code
from tests.kit.api import good, problem

MESSAGES = "/api/v1/channels/tasks/messages"


@pytest.fixture
async def tasks(olivia: httpx.AsyncClient) -> None:
    """The durable channel `tasks` of `acme`."""
    body = {"id": "tasks", "name": "Tasks", "subject": "tasks.>", "durability": {"max_bytes": 1_000_000}}
    good(await olivia.post("/api/v1/channels", json=body), 201)


async def publish(olivia: httpx.AsyncClient, n: int, **headers: str) -> dict[str, Any]:
    answer: dict[str, Any] = good(
        await olivia.post(MESSAGES, json={"n": n}, params={"subject": "tasks.new"}, headers=headers)
    )
    return answer


async def test_the_answer_says_where_a_message_is_stored_and_the_list_has_it(
    olivia: httpx.AsyncClient, tasks: None
) -> None:
    first, second = await publish(olivia, 1), await publish(olivia, 2)
    assert [(each["seq"], each["duplicate"]) for each in (first, second)] == [(1, False), (2, False)]
    page = good(await olivia.get(MESSAGES, params={"limit": 1}))
    assert (page["epoch"], page["first_seq"], page["last_seq"]) == (first["epoch"], 1, 2)
    assert (page["after"], page["before"]) == (None, 2)
    [message] = page["messages"]
    assert message == {
        "seq": 2,
        "subject": "tasks.new",
        "from": "u-olivia",
        "id": second["message_id"],
        "timestamp": second["timestamp"],
        "data": {"n": 2},
        "headers": None,
        "reply_to": None,
    }
    [before] = good(await olivia.get(MESSAGES, params={"before": 2}))["messages"]
    assert before["data"] == {"n": 1}


async def test_a_message_sent_again_with_its_key_is_stored_once(
    olivia: httpx.AsyncClient, tasks: None
) -> None:
    key = {"idempotency-key": "order!17"}
    first, again = await publish(olivia, 1, **key), await publish(olivia, 1, **key)
    assert (first["seq"], again["seq"], again["duplicate"]) == (1, 1, True)


async def test_a_channel_that_stores_nothing_says_so(olivia: httpx.AsyncClient) -> None:
    good(await olivia.post("/api/v1/channels", json={"id": "chat", "name": "Chat"}), 201)
    problem(await olivia.get("/api/v1/channels/chat/messages"), Code.not_durable)
    problem(await olivia.get(MESSAGES), Code.not_found)
