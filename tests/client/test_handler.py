"""What a function may look like, and what it is called with."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from artcafe import Message
from artcafe.client.handler import Handler
from tests.kit.scripted_server import message


@dataclass
class Task:
    n: int


class City(msgspec.Struct):
    name: str


async def no_reply(subject: str, data: Any, **_: Any) -> str:
    raise AssertionError(subject)


def holding(data: Any) -> Message:
    return Message(message("tasks.new", data), "tasks.new", no_reply)


async def by_dataclass(task: Task) -> Task:
    return task


async def by_struct(city: City) -> City:
    return city


async def by_builtin(numbers: list[int]) -> list[int]:
    return numbers


async def by_nothing(data):  # type: ignore[no-untyped-def]  # users need no types
    return data


async def by_text(task: "Task") -> "Task":
    return task


class Callable_:  # noqa: N801
    async def __call__(self, task: Task) -> Task:
        return task

    async def method(self, task: Task) -> Task:
        return task


@pytest.mark.parametrize(
    ("function", "data", "first"),
    [
        (by_dataclass, {"n": 1}, Task(1)),
        (by_struct, {"name": "Rome"}, City("Rome")),
        (by_builtin, [1, 2], [1, 2]),
        (by_nothing, {"any": None}, {"any": None}),
        (by_text, {"n": 1}, Task(1)),
        (Callable_(), {"n": 1}, Task(1)),
        (Callable_().method, {"n": 1}, Task(1)),
    ],
)
async def test_the_first_parameter_gets_the_data_as_it_is_annotated(
    function: Callable[..., Any], data: Any, first: Any
) -> None:
    handler = Handler(function, 1)
    arguments = handler.arguments(holding(data))
    assert arguments == (first,)
    assert await handler.call(arguments) == first


async def test_the_message_comes_where_it_is_wanted() -> None:
    async def alone(message: Message) -> None: ...
    async def beside(task: Task, message: Message) -> None: ...
    async def defaulted(task: Task, model: str = "m") -> None: ...

    got = holding({"n": 1})
    assert Handler(alone, 1).arguments(got) == (got,)
    assert Handler(beside, 1).arguments(got) == (Task(1), got)
    assert Handler(defaulted, 1).arguments(got) == (Task(1),)


async def test_data_that_does_not_fit_is_said_where() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"\$\.n"):
        Handler(by_dataclass, 1).arguments(holding({"n": "one"}))


async def test_a_plain_function_runs_in_a_thread_with_the_context_of_its_caller() -> None:
    trace: ContextVar[str] = ContextVar("trace")

    def plain(task: Task) -> tuple[str, str]:
        return threading.current_thread().name, trace.get()

    trace.set("t1")
    handler = Handler(plain, 1)
    name, seen = await handler.call((Task(1),))
    assert name != threading.current_thread().name
    assert seen == "t1"
    handler.close()


async def test_no_more_threads_run_than_messages_may() -> None:
    barrier, most, running = threading.Event(), 0, 0
    lock = threading.Lock()

    def plain(_: int) -> None:
        nonlocal most, running
        with lock:
            running += 1
            most = max(most, running)
            if running == 2:
                barrier.set()
        barrier.wait()
        with lock:
            running -= 1

    handler = Handler(plain, 2)
    await asyncio.gather(*(handler.call((each,)) for each in range(6)))
    handler.close()
    assert most == 2, "and not fewer, or the barrier would hold"


async def test_an_async_generator_streams() -> None:
    async def parts(count: int) -> AsyncIterator[int]:
        for each in range(count):
            yield each

    handler = Handler(parts, 1)
    assert handler.streams
    assert [each async for each in handler.parts((3,))] == [0, 1, 2]


def generator(count: int):  # type: ignore[no-untyped-def]
    yield count


async def unknown(task: "Nobody") -> None:  # type: ignore[name-defined]  # noqa: F821
    ...


async def nothing() -> None: ...


async def three(a: int, b: int, c: int) -> None: ...


async def both(task: Task | City) -> None: ...


@pytest.mark.parametrize(
    ("function", "error", "said"),
    [
        (generator, TypeError, "async def"),
        (nothing, TypeError, "nothing takes the data"),
        (three, TypeError, "three takes the data"),
        (both, TypeError, "not supported"),
        (unknown, NameError, "Nobody"),
    ],
)
def test_a_function_that_cannot_be_called_is_refused_when_it_is_registered(
    function: Callable[..., Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        Handler(function, 1)
