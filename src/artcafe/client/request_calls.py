"""The calls of a client that make requests: request, stream, gather, map."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from typing import Any, TypeVar, overload

import msgspec

from artcafe.client.errors import NoRespondersError, OutcomeUnknownError, RemoteError, RequestTimeoutError
from artcafe.client.requester import Requester, decoded
from artcafe.wire import frames
from artcafe.wire.errors import ArtcafeError

T = TypeVar("T")

_AT_ONCE = 64
"""Requests of one `map` that are open at a time, unless it says so."""

_RETRY_SECONDS = 0.1


class RequestCalls:
    """Requests of one client. Data of replies is decoded as `reply`, a type as for Message.decode."""

    _requester: Requester
    _timeout: float

    @overload
    async def request(
        self,
        subject: str,
        data: Any,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
        headers: Mapping[str, str] | None = None,
    ) -> Any: ...

    @overload
    async def request(
        self,
        subject: str,
        data: Any,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
        headers: Mapping[str, str] | None = None,
        reply: type[T],
    ) -> T: ...

    async def request(
        self,
        subject: str,
        data: Any,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - the server is told of it, and so is who is asked
        headers: Mapping[str, str] | None = None,
        reply: Any = Any,
    ) -> Any:
        """Ask who subscribes to `subject`, and return the data of the reply: the first part of a stream, of
        which the rest is cancelled; None for an end without data. Cancelling the call cancels the request.

        `timeout` is in seconds (of the client, unless given), 600 at most. Raises NoRespondersError where
        nobody could answer, RequestTimeoutError, RemoteError where it was refused, RequestCancelledError,
        msgspec.ValidationError for a reply that does not fit, OutcomeUnknownError when the connection was
        lost meanwhile, unavailable when nothing was sent, and what `publish` raises.
        """
        async with aclosing(self._replies(subject, data, timeout, headers)) as replies:
            async for each in replies:
                return decoded(each, reply)
        raise AssertionError("replies end with a reply or an error")

    async def stream(
        self,
        subject: str,
        data: Any,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
        headers: Mapping[str, str] | None = None,
        reply: Any = Any,
    ) -> AsyncGenerator[Any]:
        """Ask, and yield the data of each part of the reply as it comes, in order. `timeout` is for all.

        A loop that is left early cancels the request once the generator is closed: at once within
        `contextlib.aclosing`. Raises as `request`.
        """
        async with aclosing(self._replies(subject, data, timeout, headers)) as replies:
            async for each in replies:
                if each.data is not msgspec.UNSET or each.error is not None:
                    yield decoded(each, reply)

    async def gather(
        self,
        subject: str,
        data: Any,
        *,
        max_replies: int,
        window: float,
        headers: Mapping[str, str] | None = None,
        reply: Any = Any,
    ) -> list[Any]:
        """Ask everybody, and return one reply each of up to `max_replies` responders, in the order in which
        they came within `window` seconds; a RemoteError in place of one who refused.

        Raises as `request`; RequestTimeoutError where none came at all.
        """
        found: list[Any] = []
        async with aclosing(self._replies(subject, data, window, headers, max_replies)) as replies:
            async for each in replies:
                if each.sender is None:
                    continue  # The end alone.
                try:
                    found.append(decoded(each, reply))
                except RemoteError as error:
                    found.append(error)
        return found

    async def map(
        self,
        subject: str,
        items: Iterable[Any],
        *,
        timeout: float | None = None,  # noqa: ASYNC109
        retries: int = 0,
        concurrency: int = _AT_ONCE,
        reply: Any = Any,
    ) -> list[Any]:
        """Make a request of each item, `concurrency` at a time; the replies in the order of the items, and
        the ArtcafeError in place of one that failed.

        What passes (no responders, a timeout, an unknown outcome, unavailable, rate_limited) is tried
        again up to `retries` times: whoever is asked may see an item more than once.
        """
        turn = asyncio.Semaphore(concurrency)

        async def one(item: Any) -> Any:
            async with turn:
                for left in range(retries, -1, -1):
                    try:
                        return await self.request(subject, item, timeout=timeout, reply=reply)
                    except ArtcafeError as error:
                        passing = isinstance(
                            error, NoRespondersError | RequestTimeoutError | OutcomeUnknownError
                        )
                        if not left or not (passing or error.code.retry):
                            return error
                        await asyncio.sleep(error.retry_after or _RETRY_SECONDS)
            raise AssertionError("the last attempt returns")

        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(one(item)) for item in items]
        return [each.result() for each in running]

    def _replies(
        self,
        subject: str,
        data: Any,
        timeout: float | None,
        headers: Mapping[str, str] | None,
        most: int | None = None,
    ) -> AsyncGenerator[frames.RequestReply]:
        seconds = self._timeout if timeout is None else timeout
        return self._requester.replies(subject, data, seconds=seconds, headers=headers, most=most)
