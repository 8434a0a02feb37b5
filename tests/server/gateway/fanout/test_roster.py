"""The agents of a tenant that are online: read once, followed from then on, and compared now and then."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from artcafe.server.bus.memory import MemoryBus
from artcafe.server.domain.change import Change, Kind
from artcafe.server.gateway.fanout import roster as rosters
from artcafe.server.gateway.fanout.roster import COMPARE_SECONDS, IDLE_SECONDS, Roster, Rosters
from artcafe.server.ports.bus import Link
from artcafe.wire import frames
from artcafe.wire.codes import Code
from artcafe.wire.discovery import MAX_METADATA, AgentChange, OnlineAgent, Who
from artcafe.wire.envelopes import envelope, stamp
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import to_bus
from tests.kit.deadlines import eventually
from tests.kit.issuers import StoppedClock
from tests.kit.outcomes import refused
from tests.kit.records import ACME, a_tenant
from tests.kit.rosters import OnlineAgents
from tests.kit.turns import turns

NOON = "2025-11-24T16:00:00.000Z"
EVERYBODY = Who(id="w")


@dataclass
class Room:
    """A roster over agents that the test names, and the bus on which is said who comes and goes."""

    agents: OnlineAgents
    clock: StoppedClock
    link: Link
    other: Link
    rosters: Rosters
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def roster(self) -> Roster:
        """The tenant's."""
        return self.rosters.of(ACME, self.link)

    async def complete(self) -> Roster:
        """The same, read."""
        roster = self.roster()
        await roster.complete()
        return roster

    async def say(self, agent: str, status: str, *, sender: str = "sys", **metadata: Any) -> None:
        """Tell the tenant, from another process."""
        data: dict[str, Any] = {"agent_id": agent, "status": status}
        if sender != "sys":
            data["metadata"] = metadata
        payload = envelope("m", stamp(NOON), frames.encode(data))
        self.other.publish(to_bus(sender, f"presence.{agent}"), payload)
        await self.other.flush()

    async def compared(self) -> None:
        """Let the roster be compared with what is stored."""
        before = self.agents.reads
        self.clock.advance(COMPARE_SECONDS)
        self.roster().reread([])
        await eventually(lambda: self.agents.reads > before)


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    bus, tenant = MemoryBus(), a_tenant()
    await bus.push(tenant)
    agents, clock = OnlineAgents(), StoppedClock()
    tasks: set[asyncio.Task[None]] = set()

    def start(work: Coroutine[Any, Any, None]) -> None:
        tasks.add(asyncio.create_task(work))

    link, other = await bus.link(tenant), await bus.link(tenant)
    room = Room(agents, clock, link, other, agents.rosters(clock.monotonic, start), tasks)
    yield room
    room.rosters.end()
    await asyncio.gather(*tasks)


class Follower:
    """What a follower is told."""

    def __init__(self, roster: Roster, **asked: Any) -> None:
        self.told: list[tuple[str, str]] = []
        self.last: OnlineAgent | None = None
        self.over = 0
        self.follower = roster.follow(Who(id="w", **asked), self._tell, self._ended)

    def _tell(self, change: AgentChange, agent: OnlineAgent) -> None:
        self.told.append((change, agent.id))
        self.last = agent

    def _ended(self) -> None:
        self.over += 1

    async def heard(self, *changes: tuple[str, str]) -> None:
        """Wait until these, and no others, were told."""
        await eventually(lambda: len(self.told) >= len(changes), f"{changes}, not {self.told}")
        assert self.told == list(changes)
        self.told.clear()


def names(roster: Roster, **asked: Any) -> list[str]:
    agents, last = roster.page(Who(id="w", **asked))
    assert last is None
    return [agent.id for agent in agents]


class TestAPage:
    async def test_has_what_is_known_of_each_agent_by_id(self, room: Room) -> None:
        room.agents.add("b", "draw", since=NOON, status="busy", metadata={"n": 1})
        room.agents.add("a")

        roster = await room.complete()

        assert roster.page(EVERYBODY) == (
            [
                OnlineAgent(id="a"),
                OnlineAgent(id="b", capabilities=["draw"], since=NOON, status="busy", metadata={"n": 1}),
            ],
            None,
        )

    async def test_is_of_those_that_fit(self, room: Room) -> None:
        room.agents.add("a", "draw", "write", status="idle")
        room.agents.add("b", "draw", status="busy")
        room.agents.add("c")
        roster = await room.complete()

        assert names(roster, capability="draw") == ["a", "b"]
        assert names(roster, capability=["draw", "write"]) == ["a"]
        assert names(roster, capability="draw", status="busy") == ["b"]
        assert names(roster, capability="dr") == []

    async def test_ends_at_its_limit_and_the_next_one_goes_on(self, room: Room) -> None:
        for number in range(250):
            room.agents.add(f"a{number:03}")
        roster = await room.complete()

        found, after = [], None
        for _ in range(3):
            agents, after = roster.page(Who(id="w", after=after))
            assert len(agents) <= 100
            found += [agent.id for agent in agents]
        assert after is None
        assert found == sorted(room.agents.details_of)

    async def test_ends_at_its_bytes(self, room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rosters, "PAGE_BYTES", 1000)
        for name in "abc":
            room.agents.add(name, "x" * 600)
        roster = await room.complete()

        assert [agent.id for agent in roster.page(EVERYBODY)[0]] == ["a"]
        assert roster.page(EVERYBODY)[1] == "a"
        assert names(roster, after="b") == ["c"]

    async def test_ends_where_many_were_looked_at(self, room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rosters, "SCANNED_AT_ONCE", 2)
        for name in "abcd":
            room.agents.add(name, *(["draw"] if name == "d" else []))
        roster = await room.complete()

        assert roster.page(Who(id="w", capability="draw")) == ([], "b")
        assert names(roster, capability="draw", after="b") == ["d"]

    async def test_reads_nothing(self, room: Room) -> None:
        room.agents.add("a")
        roster = await room.complete()
        before = room.agents.reads
        for _ in range(100):
            assert await room.complete() is roster
            assert names(roster) == ["a"]
        assert room.agents.reads == before


class TestFollowing:
    async def test_who_comes_and_goes_is_told(self, room: Room) -> None:
        roster = await room.complete()
        everybody, drawing = Follower(roster), Follower(roster, capability="draw")
        room.agents.add("a", "draw", since=NOON)
        room.agents.add("b")

        await room.say("a", "online")
        await everybody.heard((AgentChange.joined, "a"))
        assert everybody.last == OnlineAgent(id="a", capabilities=["draw"], since=NOON)
        await room.say("b", "online")
        await everybody.heard((AgentChange.joined, "b"))
        await room.say("a", "offline")
        await everybody.heard((AgentChange.left, "a"))
        await drawing.heard((AgentChange.joined, "a"), (AgentChange.left, "a"))
        assert names(roster) == ["b"]

    async def test_what_is_told_twice_changes_nothing(self, room: Room) -> None:
        room.agents.add("a")
        roster = await room.complete()
        everybody = Follower(roster)
        for status in ("online", "online", "offline", "offline"):
            await room.say("a", status)
        await everybody.heard((AgentChange.left, "a"))

    async def test_what_an_agent_says_of_itself_is_told(self, room: Room) -> None:
        room.agents.add("a")
        roster = await room.complete()
        everybody, busy = Follower(roster), Follower(roster, status="busy")

        await room.say("a", "busy", sender="a", n=1)
        await everybody.heard((AgentChange.changed, "a"))
        assert everybody.last == OnlineAgent(id="a", status="busy", metadata={"n": 1})
        await busy.heard((AgentChange.joined, "a"))
        await room.say("a", "idle", sender="a")
        await everybody.heard((AgentChange.changed, "a"))
        await busy.heard((AgentChange.left, "a"))
        assert busy.last is not None
        assert busy.last.status == "busy"

    async def test_metadata_that_are_too_large_are_left_out(self, room: Room) -> None:
        room.agents.add("a")
        everybody = Follower(await room.complete())
        await room.say("a", "busy", sender="a", n="x" * MAX_METADATA)
        await everybody.heard((AgentChange.changed, "a"))
        assert everybody.last == OnlineAgent(id="a", status="busy")

    async def test_an_agent_that_says_offline_of_itself_is_online(self, room: Room) -> None:
        room.agents.add("a")
        everybody = Follower(await room.complete())
        await room.say("a", "offline", sender="a")
        await everybody.heard((AgentChange.changed, "a"))

    async def test_other_capabilities_are_told(self, room: Room) -> None:
        room.agents.add("a", "draw")
        roster = await room.complete()
        everybody, drawing = Follower(roster), Follower(roster, capability="draw")
        room.agents.capabilities["a"] = ["write"]

        room.rosters.changed(Change(ACME, Kind.agent, "a"))

        await everybody.heard((AgentChange.changed, "a"))
        await drawing.heard((AgentChange.left, "a"))
        room.rosters.changed(Change(ACME, Kind.channel, "a"))
        room.rosters.changed(Change(ACME, Kind.agent, "unknown"))
        assert names(roster, capability="write") == ["a"]

    async def test_what_was_missed_is_found_by_comparing(self, room: Room) -> None:
        room.agents.add("a")
        room.agents.add("b")
        everybody = Follower(await room.complete())
        del room.agents.details_of["a"]
        room.agents.add("c")

        await room.compared()

        await everybody.heard((AgentChange.left, "a"), (AgentChange.joined, "c"))

    async def test_who_goes_while_it_is_read_is_not_there(self, room: Room) -> None:
        everybody = Follower(await room.complete())
        room.agents.add("a")
        room.agents.add("b")

        async def goes() -> None:
            await room.say("a", "offline")
            await turns()

        room.agents.before = goes
        await room.say("a", "online")
        await room.say("b", "online")
        await everybody.heard((AgentChange.joined, "b"))

    async def test_nothing_is_told_any_more_in_the_end(self, room: Room) -> None:
        roster = await room.complete()
        one, two = Follower(roster), Follower(roster)
        roster.unfollow(one.follower)
        room.agents.add("a")
        await room.say("a", "online")
        await two.heard((AgentChange.joined, "a"))
        assert (one.told, one.over) == ([], 0)

        room.rosters.close(ACME, room.link)
        await eventually(lambda: two.over)
        assert (one.over, two.over) == (0, 1)

    async def test_nonsense_is_passed_over(self, room: Room) -> None:
        room.agents.add("a")
        everybody = Follower(await room.complete())
        for payload in (b"", b"{}", b"[" * 5000, envelope("m", stamp(NOON), b"1")):
            room.other.publish("r.sys.presence.a", payload)
        await room.say("a", "offline")
        await everybody.heard((AgentChange.left, "a"))


class TestItsLife:
    async def test_a_store_that_is_away_refuses_who_asks_first_and_nobody_later(self, room: Room) -> None:
        room.agents.failure = ArtcafeError(Code.unavailable)
        with refused(Code.unavailable):
            await room.complete()
        room.agents.failure = None
        room.agents.add("a")

        roster = room.roster()
        roster.reread()
        await roster.complete()
        assert names(roster) == ["a"]

        room.agents.failure = ArtcafeError(Code.unavailable)
        await room.compared()
        assert names(await room.complete()) == ["a"]

    async def test_it_ends_when_nobody_asks_for_a_while(self, room: Room) -> None:
        roster = await room.complete()
        follower = Follower(roster)
        room.clock.advance(IDLE_SECONDS)
        await room.compared()
        assert room.roster() is roster
        roster.unfollow(follower.follower)

        room.clock.advance(IDLE_SECONDS)
        roster.reread()

        await eventually(lambda: roster.over)
        assert room.roster() is not roster

    async def test_words_that_may_have_been_missed_are_made_up_for(self, room: Room) -> None:
        room.agents.add("a", status="idle")
        everybody = Follower(await room.complete())
        room.agents.add("a", "draw", status="busy")

        room.rosters.words_missed()

        await everybody.heard((AgentChange.changed, "a"))
        assert everybody.last == OnlineAgent(id="a", capabilities=["draw"], status="busy")
