"""A deadline on a loop whose time a test moves."""

from collections.abc import Callable

from artcafe.server.edge.deadline import Deadline


class Timer:
    """asyncio.TimerHandle."""

    def __init__(self, at: float, call: Callable[[], None]) -> None:
        self.at, self.call, self.cancelled = at, call, False

    def when(self) -> float:
        return self.at

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """The part of a loop that keeps time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None], /) -> Timer:
        self.timers.append(Timer(when, callback))
        return self.timers[-1]

    def move(self, now: float) -> None:
        """Let time pass, and fire what is due."""
        self.now = now
        due = [timer for timer in self.timers if timer.at <= now]
        self.timers = [timer for timer in self.timers if timer.at > now]
        for timer in due:
            if not timer.cancelled:
                timer.call()


def test_it_fires_once_when_the_time_is_reached() -> None:
    loop, fired = Loop(), list[float]()
    deadline = Deadline(loop, lambda: fired.append(loop.now))
    deadline.set(10)
    loop.move(9.9)
    assert fired == []
    loop.move(10)
    loop.move(30)
    assert fired == [10]


def test_moving_it_later_costs_no_timer() -> None:
    loop, fired = Loop(), list[float]()
    deadline = Deadline(loop, lambda: fired.append(loop.now))
    for now in range(9):
        loop.now = now
        deadline.set(10)
    assert len(loop.timers) == 1
    loop.move(10)
    assert fired == []
    loop.move(18)
    assert fired == [18]


def test_moving_it_earlier_fires_earlier_and_once() -> None:
    loop, fired = Loop(), list[float]()
    deadline = Deadline(loop, lambda: fired.append(loop.now))
    deadline.set(75)
    deadline.set(10)
    loop.move(10)
    loop.move(100)
    assert fired == [10]


def test_off_and_end_fire_nothing() -> None:
    loop, fired = Loop(), list[float]()
    deadline = Deadline(loop, lambda: fired.append(loop.now))
    deadline.set(10)
    deadline.off()
    loop.move(20)
    deadline.set(10)
    deadline.end()
    loop.move(40)
    assert fired == []
