"""What agents subscribed to, wherever they are connected."""

import msgspec
import pytest

from artcafe.server.core.presence.questions import TOPIC, AgentDetails, PresenceQuestion
from artcafe.server.domain.ids import AgentId, ChannelId
from artcafe.wire.discovery import MAX_METADATA
from tests.kit.holders import Holder
from tests.kit.installation import ACME, OTHER, Installation, Process

A1, A2 = AgentId("a1"), AgentId("a2")
TASKS = ChannelId("tasks")


pytestmark = pytest.mark.usefixtures("two_agents")


class TestSubscriptions:
    @pytest.fixture(autouse=True)
    async def answering(self, installation: Installation, first: Process, second: Process) -> None:
        """Both processes answer."""
        for process in (first, second):
            await answers(installation, process)

    async def test_are_those_of_every_connection_on_every_process(
        self, first: Process, second: Process
    ) -> None:
        first.presence.arrived(ACME, A1, Holder("b", "a"))
        first.presence.arrived(ACME, A1, Holder("b", "c"))
        first.presence.arrived(ACME, A2, Holder())
        second.presence.arrived(ACME, A1, Holder("a", "d.>"))
        second.presence.arrived(ACME, A2, Holder("secret"))
        await second.presence.announce()

        assert await first.presence.subscriptions(ACME, [A1]) == {A1: ["a", "b", "c", "d.>"]}
        assert await first.presence.subscriptions(ACME, [A2]) == {A2: ["secret"]}
        assert await first.presence.subscriptions(ACME, []) == {}
        assert await first.presence.subscriptions(OTHER, [A1]) == {}

    async def test_follow_what_is_held_now(self, first: Process) -> None:
        holder = Holder("a")
        first.presence.arrived(ACME, A1, holder)
        holder.held.append("b")
        assert await first.presence.subscriptions(ACME, [A1]) == {A1: ["a", "b"]}
        first.presence.left(ACME, A1, holder)
        assert await first.presence.subscriptions(ACME, [A1]) == {}

    async def test_of_who_is_only_here_are_known_without_asking(
        self, installation: Installation, first: Process, second: Process
    ) -> None:
        asked: list[bytes] = []

        def note(question: bytes) -> None:
            asked.append(question)

        await installation.bus.answer(TOPIC, note)
        first.presence.arrived(ACME, A1, Holder("a"))
        second.presence.arrived(ACME, A2, Holder("b"))
        await second.presence.announce()
        assert await first.presence.subscriptions(ACME, [A1]) == {A1: ["a"]}
        assert asked == []
        await first.presence.subscriptions(ACME, [A2])
        assert len(asked) == 1

    async def test_the_audience_of_a_channel_is_who_overlaps_its_pattern(self, first: Process) -> None:
        first.presence.arrived(ACME, A1, Holder("tasks.new", "tasks.*", ">"))
        first.presence.arrived(ACME, A1, Holder("tasks.new"))
        first.presence.arrived(ACME, A2, Holder("tasks.>", "*.old", "agents.a2.>"))

        patterns = {"new": "tasks.new", "all": "tasks.>", "none": "none.at.all", "any": "*.*", "one": "tasks"}
        assert await first.presence.audience(ACME, {ChannelId(k): v for k, v in patterns.items()}) == {
            "new": (5, 2),
            "all": (6, 2),
            "none": (1, 1),
            "any": (6, 2),
            "one": (1, 1),
        }

    async def test_an_agent_on_several_processes_counts_once(self, first: Process, second: Process) -> None:
        for process in (first, second):
            process.presence.arrived(ACME, A1, Holder("tasks"))
        second.presence.arrived(ACME, A2, Holder("tasks", "*"))
        await second.presence.announce()

        assert await first.presence.audience(ACME, {TASKS: "tasks"}) == {TASKS: (4, 2)}
        assert await first.presence.audience(OTHER, {TASKS: "tasks"}) == {TASKS: (0, 0)}
        assert await first.presence.audience(ACME, {}) == {}


async def answers(installation: Installation, process: Process) -> None:
    await installation.bus.answer(
        TOPIC, lambda payload: process.presence.answer(msgspec.json.decode(payload, type=PresenceQuestion))
    )


async def test_a_process_that_does_not_answer_is_left_out_and_the_log_says_so(
    installation: Installation, first: Process, second: Process, caplog: pytest.LogCaptureFixture
) -> None:
    installation.bus._answer_seconds = 0.05
    third = installation.start("p3")
    await answers(installation, third)
    first.presence.arrived(ACME, A1, Holder("a"))
    for process, pattern in ((second, "b"), (third, "c")):
        process.presence.arrived(ACME, A1, Holder(pattern))
        await process.presence.announce()

    assert await first.presence.subscriptions(ACME, [A1]) == {A1: ["a", "c"]}
    [record] = caplog.records
    assert record.message == "of 2 processes asked about presence, 1 answered within 0.05 s"


class TestDetails:
    @pytest.fixture(autouse=True)
    async def answering(self, installation: Installation, first: Process, second: Process) -> None:
        """Both processes answer."""
        for process in (first, second):
            await answers(installation, process)

    async def test_are_the_earliest_connection_and_the_latest_word_over_all_processes(
        self, installation: Installation, first: Process, second: Process
    ) -> None:
        first.presence.arrived(ACME, A1, Holder())
        first.presence.said(ACME, A1, "idle", {})
        installation.clock.advance(60)
        second.presence.arrived(ACME, A1, Holder())
        second.presence.said(ACME, A1, "busy", {"n": 1})
        second.presence.arrived(ACME, A2, Holder())
        await second.presence.announce()

        details = await first.presence.details(ACME, [A1, A2, AgentId("a3")])

        assert {agent: (each.since, each.status, each.metadata) for agent, each in details.items()} == {
            A1: ("2025-11-24T16:00:00.000Z", "busy", {"n": 1}),
            A2: ("2025-11-24T16:01:00.000Z", None, None),
        }

    async def test_go_with_the_last_connection_once_that_is_announced(
        self, installation: Installation, first: Process
    ) -> None:
        holder = Holder()
        first.presence.arrived(ACME, A1, holder)
        first.presence.said(ACME, A1, "busy", {})
        first.presence.left(ACME, A1, holder)
        assert await first.presence.details(ACME, [A1]) == {}
        installation.clock.advance(0.01)
        first.presence.arrived(ACME, A1, holder)
        assert (await first.presence.details(ACME, [A1]))[A1].status == "busy"
        first.presence.left(ACME, A1, holder)
        await first.presence.announce()

        first.presence.said(ACME, A1, "late", {})
        first.presence.arrived(ACME, A1, holder)
        assert (await first.presence.details(ACME, [A1]))[A1].status is None

    async def test_metadata_that_are_too_large_are_not_kept(self, first: Process) -> None:
        first.presence.arrived(ACME, A1, Holder())
        for size, kept in ((MAX_METADATA - len('{"x":""}'), True), (MAX_METADATA, False)):
            first.presence.said(ACME, A1, "busy", {"x": "y" * size})
            details = (await first.presence.details(ACME, [A1]))[A1]
            assert (details.status, details.metadata is not None) == ("busy", kept)

    async def test_of_a_process_that_does_not_answer_it_is_known_that_the_agent_is_online(
        self, installation: Installation, first: Process
    ) -> None:
        silent = installation.start("silent")
        silent.presence.arrived(ACME, A1, Holder())
        await silent.presence.announce()
        assert await first.presence.details(ACME, [A1]) == {A1: AgentDetails()}
