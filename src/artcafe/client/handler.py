"""A function of a user's that handles messages: how its argument is decoded, and how it is called."""

import asyncio
import contextvars
import inspect
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import msgspec

from artcafe.client.message import Message

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Handler:
    """One function: async, an async generator, or a plain one, which runs in a thread of its own pool.

    Its first parameter gets the data of a message, decoded as its annotation says (a msgspec.Struct,
    dataclass, TypedDict or builtin; whatever JSON gives without one), or the Message itself where it is
    annotated so. A second one without a default gets the Message.
    """

    def __init__(self, function: Callable[..., Any], concurrency: int) -> None:
        """Raises TypeError for a function that cannot be called so, or whose annotation no JSON fits, and
        NameError for an annotation that names nothing."""
        inner = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004
        self.name = getattr(function, "__qualname__", type(function).__name__)
        self.streams = inspect.isasyncgenfunction(inner)
        self._function = function
        self._awaits = inspect.iscoroutinefunction(inner)
        if inspect.isgeneratorfunction(inner):
            raise TypeError(f"{self.name} is a generator: a streamed reply is an `async def` that yields.")
        parameters = [
            each
            for each in inspect.signature(function, eval_str=True).parameters.values()
            if each.kind in _POSITIONAL
        ]
        needed = [each for each in parameters if each.default is each.empty]
        if not parameters or len(needed) > 2:
            raise TypeError(f"{self.name} takes the data of a message, and the Message where it wants it.")
        annotation = parameters[0].annotation
        form = Any if annotation is inspect.Parameter.empty else annotation
        self._decoder = None if form is Message else msgspec.json.Decoder(form)
        self._takes_message = len(needed) == 2
        plain = not (self._awaits or self.streams)
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix=self.name) if plain else None

    def arguments(self, message: Message) -> tuple[Any, ...]:
        """What the function is called with. Raises one of message.UNREADABLE for data that does not fit."""
        first = message if self._decoder is None else self._decoder.decode(message.raw)
        return (first, message) if self._takes_message else (first,)

    async def call(self, arguments: tuple[Any, ...]) -> Any:
        """The result. Cancelled, a thread goes on, and what it gives is dropped."""
        if self._awaits:
            return await self._function(*arguments)
        inside = contextvars.copy_context()
        running = partial(inside.run, self._function, *arguments)
        return await asyncio.get_running_loop().run_in_executor(self._threads, running)

    def parts(self, arguments: tuple[Any, ...]) -> AsyncGenerator[Any]:
        """The parts of the result, where the function `streams`."""
        parts: AsyncGenerator[Any] = self._function(*arguments)
        return parts

    def close(self) -> None:
        """Start no thread any more; those that run are not waited for."""
        if self._threads is not None:
            self._threads.shutdown(wait=False)
