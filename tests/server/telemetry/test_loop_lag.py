"""The lateness of the event loop."""

import asyncio

from artcafe.server.telemetry.instruments import Instruments
from artcafe.server.telemetry.loop_lag import WINDOW_SECONDS, LoopLag
from tests.kit.metrics import values

LONGEST = "artcafe_event_loop_longest_stall_seconds"


def test_each_delay_is_observed_and_one_that_came_early_is_none() -> None:
    instruments = Instruments()
    lag = LoopLag(instruments, lambda: 0.0)
    for late in (0.0002, 0.03, -0.001):
        lag.observe(late, 1.0)
    found = values(instruments.collect())
    assert found["artcafe_event_loop_lag_seconds_count"] == 3
    assert found['artcafe_event_loop_lag_seconds_bucket{le="0.0005"}'] == 2
    assert found[LONGEST] == 0.03


def test_the_longest_is_told_for_a_window_or_two() -> None:
    instruments = Instruments()
    lag = LoopLag(instruments, lambda: 0.0)
    lag.observe(2.0, 1.0)
    for windows, longest in ((1, 2.0), (2, 0.1)):
        lag.observe(0.1, windows * WINDOW_SECONDS)
        assert values(instruments.collect())[LONGEST] == longest


async def test_it_measures_with_each_tick_until_it_is_cancelled() -> None:
    instruments = Instruments()
    clock = iter(range(1000))
    ticked = asyncio.Event()
    lag = LoopLag(instruments, lambda: float(next(clock)))
    running = asyncio.get_running_loop().create_task(lag.run(ticked.set))
    await ticked.wait()
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert values(instruments.collect())[LONGEST] == 0.9, (
        "a second between two looks, a tenth of it asked for"
    )
