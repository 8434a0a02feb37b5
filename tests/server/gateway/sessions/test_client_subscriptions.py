"""Subscribing and unsubscribing, and what is refused."""

import pytest

from artcafe.wire.codes import Code
from tests.kit.sessions import Table, a_table, errors
from tests.kit.unreliable_bus import AWAY


@pytest.fixture
async def table() -> Table:
    return await a_table()


async def test_subscribed_comes_before_what_is_published_next(table: Table) -> None:
    assert await table.say(type="subscribe", subject="a.*", id="s") == [
        {"type": "subscribed", "subject": "a.*", "id": "s"}
    ]
    [message] = await table.say(type="publish", subject="a.b", data=1)
    assert (message["type"], message["from"], message["subject"]) == ("message", "planner", "a.b")
    assert await table.say(type="unsubscribe", subject="a.*") == [{"type": "unsubscribed", "subject": "a.*"}]
    assert await table.say(type="publish", subject="a.b", data=1) == []


async def test_unsubscribing_names_the_queue_too(table: Table) -> None:
    await table.say(type="subscribe", subject="a", queue="q")
    got = await table.say(type="unsubscribe", subject="a", id="u")
    assert errors(Code.not_found, id="u")(got)
    got = await table.say(type="unsubscribe", subject="a", queue="q", id="u")
    assert got == [{"type": "unsubscribed", "subject": "a", "id": "u"}]


@pytest.mark.parametrize(
    ("subject", "code"),
    [
        ("agents.worker.>", Code.forbidden),
        ("inbox.*.x", Code.forbidden),
        ("agents.*.x", Code.forbidden),
        ("tenant.other.>", Code.forbidden),
        ("tenant.>", Code.forbidden),
        ("agents.>", Code.invalid_subject),
        ("a.>.b", Code.invalid_subject),
        ("", Code.invalid_subject),
    ],
)
async def test_patterns_that_are_refused_reach_no_bus(table: Table, subject: str, code: Code) -> None:
    assert errors(code, id="s")(await table.say(type="subscribe", subject=subject, id="s"))
    assert errors(code, id=None)(await table.say(type="subscribe", subject=subject))
    assert table.link.subscribing.calls == 0


async def test_subscriptions_are_limited_and_a_second_time_is_none(table: Table) -> None:
    for subject in ("a", "b", "c", "a"):
        [answer] = await table.say(type="subscribe", subject=subject)
        assert answer["type"] == "subscribed"
    for frame in ({"subject": "d"}, {"subject": "a", "queue": "q"}):
        got = await table.say(type="subscribe", id="s", **frame)
        assert errors(Code.too_many_subscriptions, id="s")(got)
    await table.say(type="unsubscribe", subject="b")
    [answer] = await table.say(type="subscribe", subject="d")
    assert answer["type"] == "subscribed"


async def test_a_bus_that_is_away_is_an_error_and_takes_no_place(table: Table) -> None:
    table.link.subscribing.failure = AWAY
    for number in range(5):
        got = await table.say(type="subscribe", subject=f"s.{number}", id="s")
        assert errors(Code.unavailable, id="s")(got)
    table.link.subscribing.failure = None
    [answer] = await table.say(type="subscribe", subject="s.1")
    assert answer["type"] == "subscribed"
