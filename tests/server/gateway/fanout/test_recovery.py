"""What is stored comes first, then what is live: in order, each message once, whatever happens in between."""

import asyncio
from functools import partial
from typing import Any

import pytest

from artcafe.server.core.durable.history import WINDOW
from artcafe.server.domain.access import Rights
from artcafe.server.domain.channel_rules import ChannelRules
from artcafe.server.domain.policy import Grant, Policy
from artcafe.server.gateway.fanout import recovery
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.deadlines import eventually
from tests.kit.durable import House, a_durable_channel, messages, publish
from tests.kit.issuers import NOON
from tests.kit.sessions import Table, a_channel, errors
from tests.kit.turns import turns


@pytest.fixture
def house() -> House:
    return House(a_durable_channel(), a_channel("chat"))


@pytest.fixture
async def planner(house: House) -> Table:
    return await house.agent("planner")


async def subscribed(reader: Table, **frame: Any) -> tuple[dict[str, Any], list[tuple[int, Any]]]:
    """The answer to a subscription, and the messages that followed it, until all are delivered."""
    got = await reader.say(**{"type": "subscribe", "subject": "tasks.>", "id": "s", **frame})
    answers = [each for each in got if each["type"] != "message"]
    assert len(answers) == 1
    assert got[0] == answers[0], "the answer comes first"
    return answers[0], messages(got) + messages(await rest(reader))


async def rest(reader: Table) -> list[dict[str, Any]]:
    await eventually(lambda: not reader.session.subscriber.recoveries)
    await turns()
    return reader.read()


async def follow(rules: ChannelRules, *agents: Table) -> None:
    """Let the sessions go by other rules of channels."""
    for each in agents:
        principal = each.session.principal
        work = each.session.rights_changed(principal, Rights(principal, Policy(), rules))
        if work is not None:
            await work


def place(house: House, answer: dict[str, Any]) -> tuple[Any, ...]:
    assert answer["epoch"] == house.stream().epoch
    return answer["seq"], answer["last"], answer.get("recovered"), answer.get("reason")


class TestBeginning:
    async def test_a_subscription_within_a_durable_channel_says_where_it_begins(
        self, house: House, planner: Table
    ) -> None:
        reader = await house.agent("reader")
        answer, _ = await subscribed(reader)
        assert place(house, answer) == (0, 0, None, None), "of an empty channel too"
        await publish(planner, 1, 2)
        assert messages(reader.read()) == [(1, 1), (2, 2)]
        answer, got = await subscribed(await house.agent("late"), subject="tasks.new")
        assert (place(house, answer), got) == ((2, 2, None, None), [])

    async def test_a_wider_one_does_not(self, house: House) -> None:
        reader = await house.agent("reader")
        [answer] = await reader.say(type="subscribe", subject=">")
        assert set(answer) == {"type", "subject"}

    @pytest.mark.parametrize(
        ("since", "seq", "expected"),
        [
            ("all", 2, [3, 4, 5, 6]),
            ("last", 5, [6]),
            (5, 4, [5, 6]),
            ("5", 4, [5, 6]),
            (7, 6, []),
            ("2025-11-24T16:00:04Z", 3, [4, 5, 6]),
            ("2020-01-01T00:00:00Z", 2, [3, 4, 5, 6]),
            ("2025-11-24T16:00:07Z", 6, []),
            ("1d", 2, [3, 4, 5, 6]),
        ],
    )
    async def test_since_begins_with_what_is_stored(
        self, house: House, planner: Table, since: int | str, seq: int, expected: list[int]
    ) -> None:
        for n in range(1, 7):
            house.streams.now = partial(float, NOON + n)
            await publish(planner, n)
        house.stream().age(3)
        answer, got = await subscribed(await house.agent("reader"), since=since)
        assert place(house, answer) == (seq, 6, True, None)
        assert got == [(n, n) for n in expected]

    async def test_last_is_the_last_that_matches(self, house: House, planner: Table) -> None:
        await publish(planner, "first", subject="tasks.old")
        await publish(planner, "last", subject="tasks.old")
        for n in range(2 * WINDOW):
            await planner.say(type="publish", subject="tasks.new", data=n)
        answer, got = await subscribed(await house.agent("reader"), subject="tasks.old", since="last")
        assert (answer["seq"], got) == (1, [(2, "last")])

    @pytest.mark.parametrize(
        ("position", "seq", "reason", "expected"),
        [
            ({"seq": 4}, 4, None, [5, 6]),
            ({"seq": 6}, 6, None, []),
            ({"seq": 2}, 2, None, [3, 4, 5, 6]),
            ({"seq": 1}, 2, "gone", [3, 4, 5, 6]),
            ({"seq": 0}, 2, "gone", [3, 4, 5, 6]),
            ({"seq": 7}, 6, "ahead", []),
            ({"seq": 4, "epoch": "another"}, 2, "epoch", [3, 4, 5, 6]),
        ],
    )
    async def test_recover_goes_on_or_says_why_not(
        self,
        house: House,
        planner: Table,
        position: dict[str, Any],
        seq: int,
        reason: str | None,
        expected: list[int],
    ) -> None:
        await publish(planner, *range(1, 7))
        house.stream().age(3)
        position = {"epoch": house.stream().epoch, **position}
        answer, got = await subscribed(await house.agent("reader"), recover=position)
        assert place(house, answer) == (seq, 6, reason is None, reason)
        assert got == [(n, n) for n in expected]

    @pytest.mark.parametrize(("since", "reason"), [(1, "gone"), (9, "ahead")])
    async def test_a_sequence_that_is_not_there_is_told(
        self, house: House, planner: Table, since: int, reason: str
    ) -> None:
        await publish(planner, *range(1, 7))
        house.stream().age(3)
        answer, _ = await subscribed(await house.agent("reader"), since=since)
        assert (answer["recovered"], answer["reason"]) == (False, reason)

    @pytest.mark.parametrize(
        ("frame", "code"),
        [
            ({"subject": ">", "since": "all"}, Code.not_durable),
            ({"subject": "chat", "since": "all"}, Code.not_durable),
            ({"subject": "*.new", "recover": {"epoch": "e", "seq": 1}}, Code.not_durable),
            ({"since": "all", "queue": "w"}, Code.bad_frame),
            ({"since": "all", "recover": {"epoch": "e", "seq": 1}}, Code.bad_frame),
            ({"since": "yesterday"}, Code.validation_failed),
            ({"since": -1}, Code.bad_frame),
            ({"recover": {"seq": 1}}, Code.bad_frame),
        ],
    )
    async def test_what_makes_no_sense_is_refused(
        self, house: House, frame: dict[str, Any], code: Code
    ) -> None:
        reader = await house.agent("reader")
        got = await reader.say(**{"type": "subscribe", "subject": "tasks.>", "id": "s", **frame})
        assert errors(code, id="s")(got)
        assert reader.session.subscriber.subscriptions == {}

    async def test_a_store_that_does_not_answer_refuses_and_leaves_nothing(
        self, house: House, planner: Table
    ) -> None:
        reader = await house.agent("reader")
        await reader.say(type="subscribe", subject="tasks.new")
        await publish(planner, 1)
        reader.read()
        house.streams.away = True
        got = await reader.say(type="subscribe", subject="tasks.>", since="all", id="s")
        assert errors(Code.unavailable, id="s")(got)
        house.streams.away = False
        await publish(planner, 2)
        assert messages(await rest(reader)) == [(2, 2)], "the other subscription missed nothing"


class TestSeam:
    """The places at which messages could be lost, doubled or reordered."""

    async def test_what_is_published_meanwhile_comes_behind_what_is_stored(
        self, house: House, planner: Table, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(recovery, "READ_BYTES", 200)
        await publish(planner, *range(1, 21))
        more = iter(range(21, 61))

        def reading(first: int, last: int) -> None:
            for n in (next(more, None), next(more, None)):
                if n is not None:
                    planner.session.take(b'{"type":"publish","subject":"tasks.new","data":%d}' % n)

        house.streams.reading = reading
        reader = await house.agent("reader")
        _, got = await subscribed(reader, since="all")
        assert got == [(n, n) for n in range(1, house.stream().last + 1)]
        assert len(got) > 20

    async def test_what_is_held_is_bounded_and_read_from_the_store_beyond(
        self, house: House, planner: Table, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(recovery, "HELD_MESSAGES", 5)
        reader = await house.agent("reader")
        reader.client.taking.shut()
        await publish(planner, 1, 2, 3)
        await reader.say(type="subscribe", subject="tasks.>", since="all")
        await publish(planner, *range(4, 40))
        [held] = reader.session.subscriber.recoveries.values()
        assert isinstance(held, recovery.Recovery)
        assert len(held._held) <= 5
        reader.client.taking.open()
        assert messages(await rest(reader)) == [(n, n) for n in range(1, 40)]

    async def test_a_client_that_does_not_read_is_not_read_for(self, house: House, planner: Table) -> None:
        await publish(planner, *range(10))
        reader = await house.agent("reader")
        reader.client.taking.shut()
        got = await reader.say(type="subscribe", subject="tasks.>", since="all")
        await turns()
        assert ([frame["type"] for frame in got], house.streams.reads) == (["subscribed"], 0)
        reader.client.taking.open()
        assert len(await rest(reader)) == 10

    async def test_a_client_that_is_ahead_of_its_process_gets_nothing_twice(
        self, house: House, planner: Table
    ) -> None:
        hub = house.process()
        other = await house.agent("other", hub)
        await other.say(type="subscribe", subject="tasks.>")
        [tail] = house.stream().tails
        tail.hold()
        await publish(planner, *range(1, 6))
        reader = await house.agent("reader", hub)
        position = {"epoch": house.stream().epoch, "seq": 4}
        got = await reader.say(type="subscribe", subject="tasks.>", recover=position)
        assert (got[0]["recovered"], got[0]["seq"]) == (True, 4), "asked of the stream, not of the tail"
        tail.resume()
        assert messages(await rest(reader)) == [(5, 5)]
        await publish(planner, 6)
        assert messages(reader.read()) == [(6, 6)]
        assert messages(other.read()) == [(n, n) for n in range(1, 7)]

    async def test_a_reader_that_fails_keeps_nothing_from_the_others(
        self, house: House, planner: Table
    ) -> None:
        hub = house.process()
        broken, reader = await house.agent("broken", hub), await house.agent("reader", hub)
        for each in (broken, reader):
            await each.say(type="subscribe", subject="tasks.>")

        broken.client.failure = RuntimeError("as the test wants it")
        await publish(planner, 1, 2)
        assert messages(reader.read()) == [(1, 1), (2, 2)]
        assert broken.client.ended == [Code.internal]

    async def test_a_store_that_is_away_meanwhile_loses_nothing(
        self, house: House, planner: Table, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(recovery, "READ_BYTES", 200)
        monkeypatch.setattr(recovery, "RETRY_SECONDS", 0.0)
        await publish(planner, *range(1, 11))
        failures = iter([None, ArtcafeError(Code.unavailable), None, ArtcafeError(Code.unavailable)])

        def reading(first: int, last: int) -> None:
            failure = next(failures, None)
            if failure is not None:
                raise failure

        house.streams.reading = reading
        reader = await house.agent("reader")
        _, got = await subscribed(reader, since="all")
        assert got == [(n, n) for n in range(1, 11)]

    async def test_other_subscriptions_of_the_channel_keep_their_order(
        self, house: House, planner: Table, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What they have had is not delivered again, and the rest comes in the one order of the channel."""
        monkeypatch.setattr(recovery, "READ_BYTES", 200)
        reader = await house.agent("reader")
        await publish(planner, "a", "b", subject="tasks.old")
        await reader.say(type="subscribe", subject="tasks.new")
        await publish(planner, "c")
        assert messages(reader.read()) == [(3, "c")]
        reader.client.taking.shut()
        await reader.say(type="subscribe", subject="tasks.old", since="all")
        await publish(planner, "d")
        await publish(planner, "e", subject="tasks.old")
        await publish(planner, "f")
        reader.client.taking.open()
        assert messages(await rest(reader)) == [(1, "a"), (2, "b"), (4, "d"), (5, "e"), (6, "f")]

    async def test_two_that_recover_in_one_channel_both_get_everything(
        self, house: House, planner: Table
    ) -> None:
        await publish(planner, 1, 2)
        await publish(planner, 3, subject="tasks.old")
        await publish(planner, 4)
        reader = await house.agent("reader")
        reader.client.taking.shut()
        epoch = house.stream().epoch
        await reader.say(type="subscribe", subject="tasks.new", recover={"epoch": epoch, "seq": 1})
        await reader.say(type="subscribe", subject="tasks.old", recover={"epoch": epoch, "seq": 0})
        await publish(planner, 5)
        reader.client.taking.open()
        assert messages(await rest(reader)) == [(2, 2), (3, 3), (4, 4), (5, 5)]

    async def test_what_was_removed_within_is_skipped(self, house: House, planner: Table) -> None:
        await publish(planner, *range(1, 8))
        for seq in (3, 4, 7):
            house.stream().remove(seq)
        reader = await house.agent("reader")
        _, got = await subscribed(reader, since="all")
        assert got == [(n, n) for n in (1, 2, 5, 6)]
        await publish(planner, 8)
        assert messages(reader.read()) == [(8, 8)]

    async def test_who_leaves_while_it_recovers_leaves_nothing_behind(
        self, house: House, planner: Table
    ) -> None:
        await publish(planner, 1)
        reader = await house.agent("reader")
        reader.client.taking.shut()
        await reader.say(type="subscribe", subject="tasks.>", since="all")
        await reader.session.leave()
        reader.client.taking.open()
        assert await rest(reader) == []
        assert len(house.stream().tails) == 0
        await asyncio.gather(*reader.tasks)

    async def test_who_unsubscribes_while_it_recovers_gets_no_more(
        self, house: House, planner: Table
    ) -> None:
        await publish(planner, 1)
        reader = await house.agent("reader")
        reader.client.taking.shut()
        await reader.say(type="subscribe", subject="tasks.>", since="all")
        [answer] = await reader.say(type="unsubscribe", subject="tasks.>")
        reader.client.taking.open()
        assert (answer["type"], await rest(reader)) == ("unsubscribed", [])

    async def test_who_may_not_hear_a_subject_does_not_get_what_is_stored_there(self) -> None:
        house = House(a_durable_channel(), a_channel("secret", subject="tasks.secret", subscribers=["boss"]))
        planner, reader = await house.agent("planner"), await house.agent("reader")
        await publish(planner, 1)
        await publish(planner, 2, subject="tasks.secret")
        await publish(planner, 3)
        _, got = await subscribed(reader, since="all")
        assert got == [(1, 1), (3, 3)]


class TestChange:
    async def test_a_stream_that_is_another_one_closes_whoever_listens(
        self, house: House, planner: Table
    ) -> None:
        reader, other = await house.agent("reader"), await house.agent("other")
        await subscribed(reader)
        await other.say(type="subscribe", subject="chat")
        await publish(planner, 1)
        house.stream().restart()
        await turns()
        assert (reader.client.ended, other.client.ended) == ([Code.unavailable], [])

    async def test_the_bus_that_was_away_is_no_loss_within_a_durable_channel(self, house: House) -> None:
        reader = await house.agent("reader")
        hub, subscriber = reader.session.hub, reader.session.subscriber
        await subscribed(reader)
        assert not hub.may_miss(subscriber)
        await reader.say(type="subscribe", subject="chat")
        assert hub.may_miss(subscriber)

    async def test_a_channel_that_stops_being_durable_ends_what_has_a_place_in_it(
        self, house: House, planner: Table
    ) -> None:
        reader = await house.agent("reader")
        await subscribed(reader, since="all")
        await reader.say(type="subscribe", subject="tasks.new")
        rules = ChannelRules([a_channel("tasks", subject="tasks.>")])
        await follow(rules, reader, planner)
        await turns()
        assert errors(Code.not_durable, details={"subject": "tasks.>"})(reader.read())
        assert len(house.stream().tails) == 0
        assert set((await publish(planner, 1))[0]) == {"type", "id", "message_id"}
        house.link.publish("m.planner.tasks.new", b'{"id":"x","timestamp":"t","data":2}')
        await turns()
        assert [frame["data"] for frame in reader.read()] == [1, 2]

    async def test_a_channel_that_becomes_durable_is_stored_and_delivered_from_then_on(self) -> None:
        house = House(a_channel("tasks", subject="tasks.>"))
        planner, reader = await house.agent("planner"), await house.agent("reader")
        await reader.say(type="subscribe", subject="tasks.>")
        durable = a_durable_channel()
        house.streams.make(durable.stream, "m.*.tasks.>")
        rules = ChannelRules([durable])
        await follow(rules, reader, planner)
        await turns()
        [ack] = await publish(planner, 1)
        assert ack["seq"] == 1
        assert messages(reader.read()) == [(1, 1)]

    async def test_rights_that_end_while_it_recovers_end_it(self, house: House, planner: Table) -> None:
        await publish(planner, 1)
        reader = await house.agent("reader")
        reader.client.taking.shut()
        await reader.say(type="subscribe", subject="tasks.>", since="all")
        principal = reader.session.principal
        deny = Policy(subscribe=Grant(deny=["tasks.>"]))
        work = reader.session.rights_changed(principal, Rights(principal, deny, house.rules))
        assert work is not None
        await work
        reader.client.taking.open()
        assert errors(Code.forbidden, details={"subject": "tasks.>"})(await rest(reader))
