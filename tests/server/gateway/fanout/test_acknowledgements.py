"""Who waits for the bus, and what they are told."""

import asyncio
from collections.abc import Callable

import pytest

from artcafe.server.gateway.fanout.hub import TenantHub
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.turns import turns
from tests.kit.unreliable_bus import AWAY, UnreliableLink


class Waiter:
    """Remembers what it was told, and does something `then`."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.told: list[ArtcafeError | None] = []
        self._then = then

    def __call__(self, failure: ArtcafeError | None) -> None:
        self.told.append(failure)
        self._then()


async def test_many_who_wait_share_one_flush_and_who_comes_meanwhile_has_the_next(
    hub: TenantHub, link: UnreliableLink
) -> None:
    link.flushing.shut()
    first = [Waiter() for _ in range(10)]
    works = [hub.acknowledgements.later(waiter) for waiter in first]
    assert [work is None for work in works] == [False] + [True] * 9
    assert works[0] is not None
    confirming = asyncio.create_task(works[0])
    await turns()
    later = [Waiter() for _ in range(10)]
    assert [hub.acknowledgements.later(waiter) for waiter in later] == [None] * 10
    assert link.flushing.calls == 1
    assert [waiter.told for waiter in first + later] == [[]] * 20
    link.flushing.open()
    await confirming
    assert link.flushing.calls == 2
    assert [waiter.told for waiter in first + later] == [[None]] * 20
    again = hub.acknowledgements.later(Waiter())
    assert again is not None, "the next one works for itself"
    await again


@pytest.mark.parametrize("failure", [AWAY, OSError()])
async def test_a_flush_that_fails_is_told_to_those_it_was_for_and_to_nobody_else(
    hub: TenantHub, link: UnreliableLink, failure: Exception
) -> None:
    """Whether the bus has it, or gets it later, is not known."""

    def recover() -> None:
        link.flushing.failure = None

    link.flushing.shut()
    unlucky, lucky = [Waiter(), Waiter(recover)], [Waiter(), Waiter()]
    works = [hub.acknowledgements.later(waiter) for waiter in unlucky]
    assert works[0] is not None
    confirming = asyncio.create_task(works[0])
    await turns()
    link.flushing.failure = failure
    for waiter in lucky:
        assert hub.acknowledgements.later(waiter) is None
    link.flushing.open()
    await confirming
    assert [[told.code for told in waiter.told if told] for waiter in unlucky] == [[Code.outcome_unknown]] * 2
    assert [waiter.told for waiter in lucky] == [[None]] * 2
