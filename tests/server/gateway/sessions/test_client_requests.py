"""Requests and replies as frames of one connection."""

import json
from typing import Any

import pytest

from artcafe.server.domain.access import Rights
from artcafe.server.domain.channel_rules import ChannelRules
from artcafe.server.domain.policy import Grant, Policy
from artcafe.server.domain.rate import PATIENCE
from artcafe.server.gateway.sessions import client_requests
from artcafe.wire.codes import Code
from tests.kit.sessions import LARGEST, PLANNER, RATE, Table, a_table, errors


@pytest.fixture
async def table() -> Table:
    """An agent that hears its own requests, and so can answer them."""
    table = await a_table()
    assert [frame["type"] for frame in await table.say(type="subscribe", subject="tasks.*")] == ["subscribed"]
    return table


async def asked(table: Table, call: str = "r1", **more: Any) -> str:
    """The reply address of a request."""
    got = await table.say(type="request", subject="tasks.new", data=1, id=call, **more)
    [message] = [frame for frame in got if frame["type"] == "message"]
    return str(message["reply_to"])


async def test_a_request_is_a_message_with_a_reply_address_and_is_counted(table: Table) -> None:
    address = await asked(table, headers={"a": "b"})
    assert address.startswith("inbox._")
    [(subject, payload)] = [each for each in table.bus if each[0].startswith("m.")]
    assert (subject, payload["data"], payload["headers"]) == ("m.planner.tasks.new", 1, {"a": "b"})
    assert table.counted == [("planner", (), 1)]


async def test_a_reply_comes_with_the_id_of_the_request_and_is_counted(table: Table) -> None:
    address = await asked(table)
    got = await table.say(type="reply", to=address, data={"n": 1}, id="a1")
    reply, ack = sorted(got, key=lambda frame: str(frame["type"]), reverse=True)
    assert (reply["type"], reply["id"], reply["from"], reply["data"], reply["end"]) == (
        "reply",
        "r1",
        "planner",
        {"n": 1},
        True,
    )
    assert (ack["type"], ack["id"]) == ("ack", "a1")
    assert table.counted[-1] == ("planner", (), len(b'{"n":1}'))


@pytest.mark.parametrize("form", ["", "tenant.acme.channel.", "channels.acme."])
async def test_a_publish_to_the_address_is_the_last_reply(table: Table, form: str) -> None:
    address = await asked(table)
    [reply] = await table.say(type="publish", subject=form + address, data=2)
    assert (reply["type"], reply["data"], reply["end"]) == ("reply", 2, True)
    assert errors(Code.not_found)(await table.say(type="publish", subject=form + address, data=2))
    assert errors(Code.not_found)(await table.say(type="publish", subject=form + address, data=2))


async def test_no_policy_keeps_from_answering(table: Table) -> None:
    address = await asked(table)
    nothing = Policy(publish=Grant(allow=[]))
    table.session.rights_changed(PLANNER, Rights(PLANNER, nothing, ChannelRules([])))
    [reply] = await table.say(type="reply", to=address, data=1)
    assert reply["type"] == "reply"
    assert errors(Code.forbidden, id="r2")(
        await table.say(type="request", subject="tasks.x", data=1, id="r2")
    )


async def test_cancelling_answers_the_request_and_its_id_is_free(table: Table) -> None:
    await asked(table)
    assert errors(Code.cancelled, id="r1")(await table.say(type="cancel", request="r1"))
    assert errors(Code.not_found, id="c1")(await table.say(type="cancel", request="r1", id="c1"))
    await asked(table)


async def test_an_id_is_of_one_open_request(table: Table) -> None:
    await asked(table)
    again = await table.say(type="request", subject="tasks.new", data=1, id="r1")
    assert errors(Code.conflict, id="r1")(again)


async def test_open_requests_of_a_connection_are_bounded(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_requests, "MAX_OPEN", 1)
    await asked(table)
    more = await table.say(type="request", subject="tasks.new", data=1, id="r2")
    assert errors(Code.rate_limited, id="r2")(more)


async def test_requests_and_replies_take_from_the_rate(table: Table) -> None:
    address = await asked(table)
    for _ in range(2 * RATE - 1):
        await table.say(type="reply", to=address, data=1, end=False)
    assert errors(Code.rate_limited)(await table.say(type="reply", to=address, data=1, end=False))
    more = await table.say(type="request", subject="tasks.new", data=1, id="r2")
    assert errors(Code.rate_limited, id="r2")(more)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ({"data": "x" * LARGEST}, Code.too_large),
        ({"end": False}, Code.bad_frame),
        ({"data": 1, "error": {"code": "c"}}, Code.bad_frame),
        ({"error": {"code": "c"}, "end": False}, Code.bad_frame),
        ({"error": {"code": ""}}, Code.bad_frame),
        ({"data": 1, "to": "inbox.planner.1"}, Code.invalid_subject),
        ({"data": 1, "to": "inbox._x.1"}, Code.invalid_subject),
        ({"data": 1, "to": "tenant.other.channel.x"}, Code.forbidden),
    ],
)
async def test_a_reply_that_cannot_be_changes_nothing(
    table: Table, reply: dict[str, Any], code: Code
) -> None:
    address = await asked(table)
    got = await table.say(**{"type": "reply", "to": address, "id": "a1", **reply})
    assert errors(code, id="a1")(got)
    [reply] = await table.say(type="reply", to=address, data=1)
    assert reply["type"] == "reply"


@pytest.mark.parametrize(
    "more", [{"timeout_ms": 0}, {"timeout_ms": 600_001}, {"max_replies": 0}, {"max_replies": 1025}]
)
async def test_bounds_of_a_request(table: Table, more: dict[str, Any]) -> None:
    got = await table.say(type="request", subject="tasks.new", data=1, id="r1", **more)
    assert errors(Code.bad_frame, id="r1")(got)


async def test_a_field_that_stands_twice_is_refused(table: Table) -> None:
    for text in (
        b'{"type":"request","subject":"tasks.new","data":1,"id":"r1","subject":"tasks.x"}',
        b'{"type":"reply","to":"a","data":1,"data":2}',
        b'{"type":"cancel","request":"a","request":"b"}',
    ):
        got = await table.send(text)
        assert errors(Code.bad_frame)(got), json.loads(text)


async def test_who_leaves_has_no_open_requests(table: Table) -> None:
    await asked(table)
    await table.session.leave()
    assert table.session.hub.requests.open == 0
    assert table.client.got == []


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "reply", "to": "tasks.new", "data": 1},
        {"type": "reply", "to": f"inbox._{'p' * 16}.{'t' * 24}"},
        {"type": "publish", "subject": "inbox._x", "data": 1},
        {"type": "request", "subject": "tasks.new", "data": 1, "id": "r1"},
    ],
    ids=["a reply to no address", "a reply without data", "no reply address", "a request twice"],
)
async def test_sending_on_what_is_refused_is_flooding(table: Table, frame: dict[str, Any]) -> None:
    await asked(table)
    sent = 0
    while not table.client.ended:
        await table.say(**frame)
        sent += 1
        assert sent <= 2 * RATE + PATIENCE * RATE + 1, "never closed"
    assert set(table.client.ended) == {Code.flooding}
