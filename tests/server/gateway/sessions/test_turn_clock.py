"""The time of a turn."""

from artcafe.server.gateway.sessions.turn_clock import Moment
from artcafe.server.gateway.websocket.writer import Outboxes
from artcafe.wire.frames import stamp
from artcafe.wire.times import rfc3339
from tests.kit.issuers import NOON, StoppedClock
from tests.kit.turns import turns


async def test_it_is_the_same_for_a_turn_and_another_in_the_next() -> None:
    clock = StoppedClock()
    moment = Moment(clock, Outboxes())
    moment.read()
    assert (moment.now, moment.monotonic) == (NOON, clock.monotonic())
    clock.advance(1.5)
    moment.read()
    assert moment.now == NOON
    await turns()
    moment.read()
    assert (moment.now, moment.monotonic) == (NOON + 1.5, clock.monotonic())
    assert moment.text == rfc3339(NOON + 1.5)
    assert moment.stamp == stamp(moment.text)
