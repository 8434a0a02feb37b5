"""The time of a turn."""

from artcafe.server.gateway.sessions.turn_clock import TurnClock
from artcafe.server.gateway.websocket.turn_scheduler import TurnScheduler
from artcafe.wire.envelopes import stamp
from artcafe.wire.times import rfc3339
from tests.kit.issuers import NOON, StoppedClock
from tests.kit.turns import turns


async def test_it_is_the_same_for_a_turn_and_another_in_the_next() -> None:
    clock = StoppedClock()
    turn_clock = TurnClock(clock, TurnScheduler())
    turn_clock.read()
    assert (turn_clock.now, turn_clock.monotonic) == (NOON, clock.monotonic())
    clock.advance(1.5)
    turn_clock.read()
    assert turn_clock.now == NOON
    await turns()
    turn_clock.read()
    assert (turn_clock.now, turn_clock.monotonic) == (NOON + 1.5, clock.monotonic())
    assert turn_clock.text == rfc3339(NOON + 1.5)
    assert turn_clock.stamp == stamp(turn_clock.text)
