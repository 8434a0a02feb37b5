"""Takes the messages of one subscription to a handler: so many at once, and replies."""

import asyncio
import logging
from collections.abc import Awaitable
from contextlib import aclosing, suppress
from typing import Any

from msgspec import UNSET

from artcafe.client.errors import Refusal, SlowSubscriptionError
from artcafe.client.handler import Handler
from artcafe.client.message import UNREADABLE, Message
from artcafe.client.subscription import Subscription
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

_log = logging.getLogger("artcafe.client")

_RENEWALS = 3
"""Renewals of a delivery within its lease, while it is handled."""

_RETRY_SECONDS = 0.5
_LONGEST_RETRY_SECONDS = 60.0
"""After a failure a delivery comes again later and later: twice the time at each."""

_REASON_CHARACTERS = 1024

_GIVE_BACK_SECONDS = 2.0
"""How long the refusal of what is cut off may take."""


class Worker:
    """The messages of one subscription, handled."""

    def __init__(self, subscription: Subscription, handler: Handler, concurrency: int) -> None:
        self.subscription = subscription
        self._handler = handler
        self._slots = asyncio.Semaphore(concurrency)

    async def run(self) -> ArtcafeError | None:
        """Handle messages until the subscription ends, and return when the last one is done, with the error
        that ended the subscription.

        A message stays in the subscription's buffer until a slot is free. Cancelled, it refuses what is there
        and what is being handled.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                try:
                    await self._take_all(tasks)
                except ArtcafeError as error:
                    return error
                except asyncio.CancelledError:
                    await self._give_all_back()
                    raise
            return None
        finally:
            self._handler.close()

    async def _take_all(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            await self._slots.acquire()
            message = await self._next()
            if message is None:
                return
            handling = tasks.create_task(self._handle(message, tasks))
            handling.add_done_callback(lambda _: self._slots.release())

    async def _give_all_back(self) -> None:
        await self.subscription.close()
        with suppress(ArtcafeError):
            while (message := await self._next()) is not None:
                await self._give_back(message)

    async def _next(self) -> Message | None:
        while True:
            try:
                return await anext(self.subscription, None)
            except SlowSubscriptionError as slow:
                _log.warning("%s: %s (%d)", self._handler.name, slow, slow.dropped)

    async def _handle(self, message: Message, tasks: asyncio.TaskGroup) -> None:
        """One message. Nothing but a cancellation comes out of it."""
        watching = None
        handling = asyncio.current_task()
        assert handling is not None
        if message.is_request:
            watching = tasks.create_task(_cancel_with(message, handling))
        elif message.delivery is not None and self.subscription.lease is not None:
            watching = tasks.create_task(_renew(message, self.subscription.lease / _RENEWALS))
        try:
            await self._answer(message)
        except asyncio.CancelledError:
            if not message.cancelled:
                await self._give_back(message)
                raise
        except ArtcafeError as error:
            level = logging.INFO if error.code is Code.not_found else logging.WARNING
            _log.log(level, "%s: the answer to %r: %s", self._handler.name, message, error)
        except Exception:  # noqa: BLE001 - a generator's end failed: it is logged, and the agent goes on.
            _log.exception("%s failed after %r", self._handler.name, message)
        finally:
            if watching is not None:
                watching.cancel()

    async def _answer(self, message: Message) -> None:
        """Raises what a reply raises."""
        try:
            arguments = self._handler.arguments(message)
        except UNREADABLE as error:
            _log.warning("%s: the data of %r does not fit: %s", self._handler.name, message, error)
            await self._refuse(message, Refusal(Code.validation_failed.name, f"{error}"))
            return
        if self._handler.streams:
            refusal = await self._stream(message, arguments)
        else:
            result = await self._outcome(message, self._handler.call(arguments))
            refusal = result if isinstance(result, Refusal) else await self._reply(message, result)
        if refusal is not None:
            await self._refuse(message, refusal)
        elif message.delivery is not None:
            await message.ack()

    async def _stream(self, message: Message, arguments: tuple[Any, ...]) -> Refusal | None:
        """Reply with each part and the end; or the refusal that is to end it."""
        async with aclosing(self._handler.parts(arguments)) as parts:
            while (part := await self._outcome(message, anext(parts, UNSET))) is not UNSET:
                if isinstance(part, Refusal):
                    return part
                if message.is_request and (refusal := await self._reply(message, part, end=False)):
                    return refusal
        if message.is_request:
            await message.finish()
        return None

    async def _outcome(self, message: Message, made: Awaitable[Any]) -> Any:
        """What the function gives, or the refusal that it raised or means by failing."""
        try:
            return await made
        except Refusal as refusal:
            return refusal
        except Exception:  # noqa: BLE001 - whatever a function raises refuses one message, and is logged.
            _log.exception("%s failed on %r", self._handler.name, message)
            return _Failure()

    async def _reply(self, message: Message, data: Any, *, end: bool = True) -> Refusal | None:
        """Reply, where a reply is wanted; a refusal instead where JSON cannot write that."""
        if data is None and not message.is_request:
            return None
        try:
            await message.respond(data, end=end)
        except TypeError:
            _log.exception("%s gave what JSON cannot write, on %r", self._handler.name, message)
            return _Failure()
        return None

    async def _refuse(self, message: Message, refusal: Refusal) -> None:
        """A refusal ends a delivery for good, a failure lets it be tried again after a while."""
        if message.is_request:
            await message.refuse(refusal.code, refusal.text)
        elif message.delivery is not None and isinstance(refusal, _Failure):
            await message.nak(min(_LONGEST_RETRY_SECONDS, _RETRY_SECONDS * 2**message.redelivered))
        elif message.delivery is not None:
            await message.term(f"{refusal.code}: {refusal.text}"[:_REASON_CHARACTERS])

    async def _give_back(self, message: Message) -> None:
        """It is cut off: whoever waits for it is told."""
        with suppress(ArtcafeError, TimeoutError):
            async with asyncio.timeout(_GIVE_BACK_SECONDS):
                if message.delivery is not None:
                    await message.nak()
                else:
                    await self._refuse(message, Refusal(Code.going_away.name, "The agent stops."))


class _Failure(Refusal):
    """A refusal that the function did not mean: it failed."""

    def __init__(self) -> None:
        super().__init__(Code.request_refused.name, "The handler failed.")


async def _cancel_with(message: Message, handling: asyncio.Task[Any]) -> None:
    await message.cancellation()
    handling.cancel()


async def _renew(message: Message, seconds: float) -> None:
    """Keep a delivery, until this is cancelled or there is nothing to keep."""
    with suppress(ArtcafeError):
        while True:
            await asyncio.sleep(seconds)
            await message.progress()
