"""Agents come and go, on several processes at once, and the last word about each is right."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping

import pytest

from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.holders import Holder
from tests.kit.installation import ACME, Installation, Process
from tests.kit.outcomes import refused

A1, A2 = AgentId("a1"), AgentId("a2")
HERE = Holder()


pytestmark = pytest.mark.usefixtures("two_agents")


News = list[tuple[AgentId, bool]]


class Listener:
    """Hears what is told, in order. `before` is called in the middle of each telling."""

    def __init__(self) -> None:
        self.news: News = []
        self.before: Callable[[], Awaitable[None]] | None = None
        self.failure: ArtcafeError | None = None

    async def tell(self, tenant: TenantId, news: Mapping[AgentId, bool]) -> None:
        """presence.Tell."""
        assert tenant == ACME
        before, self.before = self.before, None
        if before is not None:
            await before()
        self.news += news.items()
        if self.failure is not None:
            raise self.failure

    def heard(self) -> News:
        """What was told since this was last asked."""
        news, self.news = self.news, []
        return news


@pytest.fixture
def listener() -> Listener:
    return Listener()


class TestComingAndGoing:
    """Told of an agent's first connection over all processes, and of its last."""

    async def test_the_first_and_the_last_connection_are_told(
        self, first: Process, second: Process, listener: Listener
    ) -> None:
        first.presence.arrived(ACME, A1, HERE)
        first.presence.arrived(ACME, A1, HERE)
        await first.presence.announce(listener.tell)
        assert listener.heard() == [(A1, True)]

        second.presence.arrived(ACME, A1, HERE)
        second.presence.arrived(ACME, A2, HERE)
        await second.presence.announce(listener.tell)
        assert listener.heard() == [(A2, True)]

        first.presence.left(ACME, A1, HERE)
        await first.presence.announce(listener.tell)
        first.presence.left(ACME, A1, HERE)
        await first.presence.announce(listener.tell)
        assert listener.heard() == []

        second.presence.left(ACME, A1, HERE)
        await second.presence.announce(listener.tell)
        assert listener.heard() == [(A1, False)]

    async def test_what_is_over_before_it_was_told_is_not_told(
        self, first: Process, listener: Listener
    ) -> None:
        first.presence.arrived(ACME, A1, HERE)
        first.presence.left(ACME, A1, HERE)
        await first.presence.announce(listener.tell)
        assert listener.heard() == []

        first.presence.arrived(ACME, A1, HERE)
        await first.presence.announce(listener.tell)
        first.presence.left(ACME, A1, HERE)
        first.presence.arrived(ACME, A1, HERE)
        await first.presence.announce(listener.tell)
        assert listener.heard() == [(A1, True)]

    async def test_to_announce_again_tells_nothing_again(
        self, installation: Installation, first: Process, listener: Listener
    ) -> None:
        first.presence.arrived(ACME, A1, HERE)
        for _ in range(3):
            await first.presence.announce(listener.tell)
            installation.clock.advance(60)
        assert listener.heard() == [(A1, True)]

    async def test_two_processes_to_which_it_comes_at_once_do_not_leave_it_to_each_other(
        self, first: Process, second: Process, listener: Listener
    ) -> None:
        for process in (first, second):
            process.presence.arrived(ACME, A1, HERE)
        await asyncio.gather(*(one.presence.announce(listener.tell) for one in (first, second)))
        assert set(listener.heard()) == {(A1, True)}

    async def test_two_processes_that_it_leaves_at_once_do_not_leave_it_to_each_other(
        self, first: Process, second: Process, listener: Listener
    ) -> None:
        for process in (first, second):
            process.presence.arrived(ACME, A1, HERE)
            await process.presence.announce()
        for process in (first, second):
            process.presence.left(ACME, A1, HERE)
        await asyncio.gather(*(one.presence.announce(listener.tell) for one in (first, second)))
        assert set(listener.heard()) == {(A1, False)}

    async def test_who_comes_elsewhere_while_its_going_is_told_is_online_in_the_end(
        self, first: Process, second: Process, listener: Listener
    ) -> None:
        """The other process saw the row of the first one before, and an empty place after."""
        first.presence.arrived(ACME, A1, HERE)
        await first.presence.announce()
        first.presence.left(ACME, A1, HERE)

        async def meanwhile() -> None:
            second.presence.arrived(ACME, A1, HERE)
            await second.presence.announce()

        listener.before = meanwhile
        await first.presence.announce(listener.tell)
        assert listener.heard() == [(A1, False), (A1, True)]

    @pytest.mark.parametrize("seed", range(40))
    async def test_the_last_word_is_right_whatever_happens_at_once(
        self, installation: Installation, first: Process, second: Process, listener: Listener, seed: int
    ) -> None:
        dice = random.Random(seed)
        processes, here = (first, second), [0, 0]
        announcing: list[asyncio.Task[None] | None] = [None, None]
        for _ in range(12):
            which = dice.randrange(2)
            presence = processes[which].presence
            if here[which] and dice.random() < 0.6:
                presence.left(ACME, A1, HERE)
                here[which] -= 1
            else:
                presence.arrived(ACME, A1, HERE)
                here[which] += 1
            before = announcing[which]
            if before is None or before.done():
                announcing[which] = asyncio.create_task(presence.announce(listener.tell))
            for _ in range(dice.randrange(8)):
                await asyncio.sleep(0)
        await asyncio.gather(*(task for task in announcing if task is not None))
        await asyncio.gather(*(process.presence.announce(listener.tell) for process in processes))
        news = listener.heard()
        assert (news[-1] if news else (A1, False)) == (A1, any(here)), news

    @pytest.mark.parametrize("back", [True, False])
    async def test_what_may_not_have_been_told_is_told_again(
        self, first: Process, listener: Listener, *, back: bool
    ) -> None:
        """A telling that failed may have been heard: who came back meanwhile is told to be online."""
        first.presence.arrived(ACME, A1, HERE)
        await first.presence.announce()
        first.presence.left(ACME, A1, HERE)
        listener.failure = ArtcafeError(Code.unavailable)
        with refused(Code.unavailable):
            await first.presence.announce(listener.tell)
        assert listener.heard() == [(A1, False)]
        listener.failure = None
        if back:
            first.presence.arrived(ACME, A1, HERE)
        await first.presence.announce(listener.tell)
        assert listener.heard() == [(A1, back)]
