"""What each frame does, and what it cannot do."""

import json

import pytest

from artcafe.server.core.publishing.publisher import MAX_REMEMBERED
from artcafe.server.domain.access import Rights
from artcafe.server.domain.channel_rules import ChannelRules
from artcafe.server.domain.policy import Grant, Policy
from artcafe.wire.codes import Code
from tests.kit.sessions import LARGEST, NOW, PLANNER, Table, a_table, errors
from tests.kit.turns import turns
from tests.kit.unreliable_bus import AWAY


@pytest.fixture
async def table() -> Table:
    return await a_table()


# Publishing.


async def test_a_message_on_the_bus_has_the_proven_sender_and_our_time(table: Table) -> None:
    assert await table.say(type="publish", subject="tasks.new", data={"from": "liar", "n": 1}) == []
    assert table.bus == [
        ("m.planner.tasks.new", {"id": "m000001", "timestamp": NOW, "data": {"from": "liar", "n": 1}})
    ]
    assert table.counted == [("planner", (), len(b'{"from":"liar","n":1}'))]


async def test_a_field_that_stands_twice_is_an_error_without_effect(table: Table) -> None:
    got = await table.send(b'{"type":"publish","subject":"tasks","subject":"jobs","data":1,"id":"p1"}')
    assert errors(Code.bad_frame, id="p1")(got)
    assert (table.bus, table.counted) == ([], [])


async def test_the_third_message_of_a_kind_is_like_the_first(table: Table) -> None:
    """It is read by the template that the second one left."""
    texts = [b'"0"', b'"1"', b'"2"', b'{"a" : [1.50, null]}', b'"\xc3\xbc"', b"[" * 60 + b"]" * 60]
    for data in texts:
        assert await table.send(b'{"type":"publish","subject":"tasks.new","data":%b}' % data) == []
    assert [payload["data"] for _, payload in table.bus] == [json.loads(data) for data in texts]
    assert {subject for subject, _ in table.bus} == {"m.planner.tasks.new"}
    assert [size for *_, size in table.counted] == [len(data) for data in texts]


async def test_a_message_that_only_begins_like_others_is_read_whole(table: Table) -> None:
    for n in range(3):
        await table.send(b'{"type":"publish","subject":"a.b","data":%d}' % n)
    begins = b'{"type":"publish","subject":"a.b","data":'
    assert errors(Code.bad_frame)(await table.send(begins + b"1,2}"))
    assert errors(Code.bad_frame)(await table.send(begins + b'1,"data":2}'))
    assert errors(Code.bad_frame)(await table.send(begins + b"}"))
    [ack] = await table.send(begins + b'"x","id":"p1"}')
    assert (ack["type"], ack["id"]) == ("ack", "p1")
    assert errors(Code.too_large)(await table.send(begins + b'"%b"}' % (b"x" * (LARGEST - 1))))
    assert errors(Code.forbidden)(await table.send(begins.replace(b"a.b", b"presence.other") + b"1}"))
    assert [payload["data"] for _, payload in table.bus] == [0, 1, 2, "x"]


async def test_rights_that_change_hold_for_the_next_message_of_a_kind(table: Table) -> None:
    for n in range(3):
        await table.send(b'{"type":"publish","subject":"a.b","data":%d}' % n)
    nothing = Policy(publish=Grant(allow=[]))
    table.session.rights_changed(PLANNER, Rights(PLANNER, nothing, ChannelRules([])))
    assert errors(Code.forbidden)(await table.send(b'{"type":"publish","subject":"a.b","data":3}'))
    assert len(table.bus) == 3


async def test_rights_that_are_read_again_and_equal_leave_everything_as_it_is(table: Table) -> None:
    """Every minute each connection's rights are read again."""
    await table.send(b'{"type":"publish","subject":"a.b","data":1}')
    before = dict(table.session._publisher._destinations)
    rights = Rights(PLANNER, Policy(), table.rules)
    assert table.session.rights_changed(PLANNER, rights) is None
    assert table.session._publisher._destinations == before
    denied = Policy(publish=Grant(deny=["a.c"]))
    table.session.rights_changed(PLANNER, Rights(PLANNER, denied, table.rules))
    assert table.session._publisher._destinations == {}


async def test_fields_that_are_not_of_the_frame_never_reach_the_bus(table: Table) -> None:
    await table.say(
        type="publish",
        subject="agents.b.x",
        data=1,
        headers={"a": "b"},
        reply_to="inbox.planner.1",
        timestamp="1970",
        message_id="mine",
        sender="liar",
        **{"from": "liar"},
    )
    [(subject, envelope)] = table.bus
    assert subject == "d.b.planner.x"
    assert envelope == {
        "id": "m000001",
        "timestamp": NOW,
        "data": 1,
        "headers": {"a": "b"},
        "reply_to": "inbox.planner.1",
    }


async def test_an_ack_comes_after_the_bus_has_it_and_names_the_message(table: Table) -> None:
    table.link.flushing.shut()
    assert await table.say(type="publish", subject="a", data=1, id="one") == []
    assert await table.say(type="publish", subject="a", data=2, id="two") == []
    table.link.flushing.open()
    await turns()
    assert table.read() == [
        {"type": "ack", "id": "one", "message_id": "m000001"},
        {"type": "ack", "id": "two", "message_id": "m000002"},
    ]


async def test_a_flush_that_fails_is_an_error_with_the_id_of_each(table: Table) -> None:
    table.link.flushing.shut()
    table.link.flushing.failure = AWAY
    for name in ("one", "two"):
        await table.say(type="publish", subject="a", data=1, id=name)
    table.link.flushing.open()
    await turns()
    got = table.read()
    assert errors(Code.outcome_unknown, Code.outcome_unknown, retry_after_ms=None)(got)
    assert [frame["id"] for frame in got] == ["one", "two"]


async def test_what_the_bus_does_not_take_is_refused_and_not_counted(table: Table) -> None:
    table.link.refusal = AWAY
    assert errors(Code.unavailable, id="p")(await table.say(type="publish", subject="a", data=1, id="p"))
    assert errors(Code.unavailable, id=None)(await table.say(type="publish", subject="a", data=1))
    assert errors(Code.unavailable)(await table.say(type="presence", status="online"))
    assert (table.bus, table.counted, table.link.flushing.calls) == ([], [], 0)


@pytest.mark.parametrize(
    ("subject", "on_bus"),
    [
        ("tenant.acme.channel.tasks", "m.planner.tasks"),
        ("tenant.acme.tasks", "m.planner.tasks"),
        ("channels.acme.tasks", "m.planner.tasks"),
        ("agents.acme.tasks", "m.planner.tasks"),
        ("agents.worker.ask", "d.worker.planner.ask"),
        ("inbox.worker.1", "i.worker.planner.1"),
        ("agents.presence.x", "m.planner.agents.presence.x"),
    ],
)
async def test_every_form_of_a_subject_is_one_on_the_bus(table: Table, subject: str, on_bus: str) -> None:
    assert await table.say(type="publish", subject=subject, data=1) == []
    assert [name for name, _ in table.bus] == [on_bus]


@pytest.mark.parametrize(
    "subject", ["sys.x", "presence.planner", "dlq.x", "tenant.other.x", "channels.other.x"]
)
async def test_what_is_forbidden_stays_forbidden_and_reaches_nobody(table: Table, subject: str) -> None:
    for _ in range(2):
        got = await table.say(type="publish", subject=subject, data=1, id="p")
        assert errors(Code.forbidden, id="p")(got)
    assert (table.bus, table.counted) == ([], [])


async def test_reply_to_is_written_in_the_short_form(table: Table) -> None:
    for text in ("tenant.acme.inbox.planner.1", "channels.acme.inbox.planner.1", "inbox.planner.1"):
        await table.say(type="publish", subject="a", data=1, reply_to=text)
    assert [envelope["reply_to"] for _, envelope in table.bus] == ["inbox.planner.1"] * 3


@pytest.mark.parametrize(
    ("reply_to", "code"),
    [
        ("tenant.other.channel.x", Code.forbidden),
        ("channels.other.x", Code.forbidden),
        ("inbox.>", Code.invalid_subject),
        ("a b", Code.invalid_subject),
        ("", Code.invalid_subject),
        ('x"}', Code.invalid_subject),
    ],
)
async def test_a_reply_to_that_cannot_be_answered_is_refused(table: Table, reply_to: str, code: Code) -> None:
    got = await table.say(type="publish", subject="a", data=1, reply_to=reply_to, id="p")
    assert errors(code, id="p")(got)
    assert (table.bus, table.counted) == ([], [])


async def test_the_limit_is_of_the_bytes_as_they_were_written(table: Table) -> None:
    """Spaces inside count, spaces around do not, and a character counts with all its bytes."""
    largest = b'{"x": "' + b"a" * (LARGEST - 9) + b'"}'
    assert len(largest) == LARGEST
    assert await table.send(b'{"type":"publish","subject":"a","data":   %b   }' % largest) == []
    assert table.counted == [("planner", (), LARGEST)]
    for data in (b'{"x":  "' + b"a" * (LARGEST - 9) + b'"}', '"{}"'.format("ü" * (LARGEST // 2)).encode()):
        got = await table.send(b'{"type":"publish","subject":"a","data":%b,"id":"p"}' % data)
        assert errors(Code.too_large, id="p")(got)
    assert len(table.bus) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {f"h{number}": "" for number in range(33)},
        {"": "x"},
        {"h" * 129: "x"},
        {"h": "x" * 1025},
        {"h": 1},
        {"h": None},
        [],
    ],
)
async def test_headers_have_limits(table: Table, headers: object) -> None:
    got = await table.say(type="publish", subject="a", data=1, headers=headers, id="p")
    assert errors(Code.bad_frame, id="p")(got)
    assert table.bus == []


async def test_headers_at_their_limits_pass(table: Table) -> None:
    headers = {"h" * 126 + f"{number:02}": "ü" * 1024 for number in range(32)}
    assert await table.say(type="publish", subject="a", data=1, headers=headers) == []
    assert table.bus[0][1]["headers"] == headers


async def test_what_is_remembered_of_subjects_is_bounded(table: Table) -> None:
    for number in range(MAX_REMEMBERED + 10):
        table.clock.advance(1)
        await table.say(type="publish", subject=f"s.{number}", data=number)
        await table.say(type="publish", subject=f"s {number}", data=number)
    assert [subject for subject, _ in table.bus] == [
        f"m.planner.s.{number}" for number in range(MAX_REMEMBERED + 10)
    ]
    assert len(table.session._publisher._destinations) <= MAX_REMEMBERED


# Presence and ping.


async def test_presence_is_told_on_the_agents_own_subject(table: Table) -> None:
    await table.say(type="subscribe", subject="presence.*")
    [message] = await table.say(
        type="presence", status="busy", metadata={"agent_id": "liar", "ü": [1.5]}, agent_id="liar", id="x"
    )
    assert message["subject"] == "presence.planner"
    assert message["from"] == "planner"
    assert message["data"] == {
        "agent_id": "planner",
        "status": "busy",
        "metadata": {"agent_id": "liar", "ü": [1.5]},
    }
    said = b'{"agent_id":"planner","status":"busy","metadata":{"agent_id":"liar","\xc3\xbc":[1.5]}}'
    assert table.counted == [("planner", (), len(said))]


async def test_presence_has_the_limits_of_a_message(table: Table) -> None:
    metadata = {"x": "a" * LARGEST}
    got = await table.say(type="presence", status="x", metadata=metadata, id="p")
    assert errors(Code.too_large, id="p")(got)
    got = await table.say(type="presence", status="x" * 65, id="p")
    assert errors(Code.bad_frame, id="p")(got)
    assert table.bus == []


@pytest.mark.parametrize("depth", [57, 58, 59, 950, 990, 5000])
async def test_presence_nested_to_the_limit_is_told_or_refused(table: Table, depth: int) -> None:
    """What is told is an object with the metadata, an object, in it: two levels."""
    table.session.limits.max_payload_bytes = 20_000
    nested = b"[" * depth + b"]" * depth
    got = await table.send(b'{"type":"presence","status":"x","id":"p","metadata":{"a":%b}}' % nested)
    assert len(table.bus) == (depth <= 58)
    assert got == [] if depth <= 58 else errors(Code.bad_frame)(got)


async def test_ping_is_answered_with_the_time(table: Table) -> None:
    assert await table.say(type="ping") == [{"type": "pong", "timestamp": NOW}]
    assert await table.say(type="ping", id="p") == [{"type": "pong", "timestamp": NOW, "id": "p"}]
