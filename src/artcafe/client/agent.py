"""An agent whose functions handle messages: subscribes, calls, replies, drains."""

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from artcafe.client.client import Client
from artcafe.client.handler import Handler
from artcafe.client.options import ClientOptions
from artcafe.client.signer import Signer
from artcafe.client.worker import Worker
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

_log = logging.getLogger("artcafe.client")

_DRAIN_SECONDS = 25.0

Function = TypeVar("Function", bound=Callable[..., Any])
Hook = TypeVar("Hook", bound=Callable[[], Awaitable[None]])


class Agent:
    """One agent, whose functions handle messages.

        app = Agent("wss://pubsub.example.com", tenant="acme", agent="w1", key=path)

        @app.on("tasks.new", queue="workers", concurrency=4)
        async def work(task: Task) -> Done:
            return Done(task.id)

        app.run()

    `url`, `tenant`, `agent`, `key` and `options` are those of `Client`, and `client` is the one that it uses:
    functions publish and ask by it.

    `run` serves until SIGTERM or SIGINT, `serve` until `stop`, and `async with app:` while the block runs.
    Then it drains: it takes nothing new, finishes within `drain_seconds` what it has, and closes. What is cut
    off after that, or by a second signal, is refused with `going_away`; a thread is not waited for, though
    the interpreter waits for it at its exit.

    A lost connection is made again, as by `Client`. An error that ends a subscription for good (a right that
    was taken, a revoked key) ends the agent, which drains what it can, and raises that error.

    An agent serves once, in one event loop.
    """

    def __init__(
        self,
        url: str,
        *,
        tenant: str,
        agent: str,
        key: str | os.PathLike[str] | Signer,
        drain_seconds: float = _DRAIN_SECONDS,
        **options: Unpack[ClientOptions],
    ) -> None:
        self.client = Client(url, tenant=tenant, agent=agent, key=key, **options)
        self._workers: list[Worker] = []
        self._hooks: list[Callable[[], Awaitable[None]]] = []
        self._drain_seconds = drain_seconds
        self._stopping = asyncio.Event()
        self._hurrying = asyncio.Event()
        self._error: ArtcafeError | None = None
        self._stack = AsyncExitStack()
        self._running: list[asyncio.Task[None]] = []

    def on(
        self,
        subject: str,
        *,
        queue: str | None = None,
        concurrency: int = 1,
        since: int | str | None = None,
        durable: str | None = None,
        lease: float | None = None,
        max_deliveries: int | None = None,
        buffer: int | None = None,
    ) -> Callable[[Function], Function]:
        """Have a function handle what matches `subject`, `concurrency` messages at a time.

        The first parameter gets the data, decoded as it is annotated: a msgspec.Struct, dataclass, TypedDict
        or builtin; or the whole Message, where that is the annotation. A second one gets the Message. An
        `async def` runs in the event loop, a plain function in a thread.

        Of a request the result is the reply; what an `async def` yields are the parts of a streamed one.
        The request is refused with what a `Refusal` says, with `validation_failed` where its data does not
        fit the annotation, and with `request_refused` alone for any other exception, which is logged.
        When a request is over, cancelled or out of time, its async function is cancelled. Of a message with a
        `reply_to` of the older kind the result is published there unless it is None, of any other dropped.

        With `durable` each message is acknowledged when the function returns; its lease is renewed meanwhile.
        When it raises, the message is given back, and comes again, after half a second first and later each
        time; a `Refusal`, or data that does not fit, makes it a dead letter.

        `queue`, `since`, `durable`, `lease`, `max_deliveries` and `buffer` are those of `Client.subscribe`:
        what comes while all are busy waits in the buffer, and the oldest is dropped, and logged, when that
        is full; not so of a durable subscription, which has `concurrency` messages at a time.

        Raises at once what `Client.subscribe` raises so, and validation_failed for no concurrency; TypeError
        for a function that cannot be called so or whose annotation no JSON fits.
        """
        if concurrency < 1:
            raise ArtcafeError(Code.validation_failed, "At least one message is handled at a time.")
        subscription = self.client.subscribe(
            subject,
            queue=queue,
            since=since,
            durable=durable,
            max_in_flight=None if durable is None else concurrency,
            lease=lease,
            max_deliveries=max_deliveries,
            buffer=buffer,
        )

        def register(function: Function) -> Function:
            self._workers.append(Worker(subscription, Handler(function, concurrency), concurrency))
            return function

        return register

    def started(self, hook: Hook) -> Hook:
        """Call this async function, without arguments, once everything is subscribed; what it raises ends the
        agent."""
        self._hooks.append(hook)
        return hook

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT, and drain; for the main thread of a program. Raises as `serve`."""
        asyncio.run(self._run())

    async def serve(self) -> None:
        """Serve until `stop`, and drain. Raises what `Client.connect` and `Client.subscribe` raise, and the
        error that ended a subscription."""
        async with self:
            await self._stopping.wait()

    def stop(self) -> None:
        """Begin to drain; called again, cut off what still runs. Only `run` and `serve` heed it."""
        if self._stopping.is_set():
            self._hurrying.set()
        self._stopping.set()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.client)
            for worker in self._workers:
                await worker.subscription
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            self._stack = stack.pop_all()
        self._running = [tasks.create_task(self._handle(worker)) for worker in self._workers]
        try:
            for hook in self._hooks:
                await hook()
        except BaseException as error:
            await self.__aexit__(type(error), error, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None or issubclass(kind, Exception):
                await self._drain()
        finally:
            for running in self._running:
                running.cancel()
            await self._stack.aclose()
        if kind is None and self._error is not None:
            raise self._error

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        await self.serve()

    async def _handle(self, worker: Worker) -> None:
        error = await worker.run()
        if error is not None:
            _log.error("%s ended: %s", worker.subscription.subject, error)
            self._error = error
            self._stopping.set()

    async def _drain(self) -> None:
        """Handle what is there, and no more; return when it is done, out of time, or hurried."""
        async with asyncio.TaskGroup() as tasks:
            hurrying = tasks.create_task(self._hurrying.wait())
            draining = tasks.create_task(self._finish())
            await asyncio.wait(
                [hurrying, draining], timeout=self._drain_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            hurrying.cancel()
            draining.cancel()

    async def _finish(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for worker in self._workers:
                tasks.create_task(worker.subscription.drain())
        if self._running:
            await asyncio.wait(self._running)
