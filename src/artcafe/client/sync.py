"""A client that blocks, for scripts and notebooks."""

import os
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, overload

from msgspec import UNSET

from artcafe.client.client import Client
from artcafe.client.link import State
from artcafe.client.loop_thread import LoopThread
from artcafe.client.options import ClientOptions
from artcafe.client.signer import Signer
from artcafe.client.subscription import Subscription
from artcafe.client.sync_subscription import SyncSubscription
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

T = TypeVar("T")


class SyncClient:
    """`Client` for code that waits: the same calls, arguments and errors, without `await`.

        with SyncClient("wss://pubsub.example.com", tenant="acme", agent="planner", key=path) as client:
            print(client.request("tasks.new", {"city": "Rome"}, timeout=3))
            for message in client.subscribe("results", since="10m"):
                print(message.data)

    The client lives in a thread of its own with its own event loop, so it works in a notebook, whose loop
    runs already. Its calls may be made from any thread. Ctrl-C in a call cancels it: a request is taken back.

    It is connected from the beginning of the block, or from the first call on, until `close` or the end of
    the process. Callbacks in `options` are called in the client's thread.
    """

    def __init__(
        self,
        url: str,
        *,
        tenant: str,
        agent: str,
        key: str | os.PathLike[str] | Signer,
        **options: Unpack[ClientOptions],
    ) -> None:
        self._client = Client(url, tenant=tenant, agent=agent, key=key, **options)
        self._thread: LoopThread | None = None
        self._connecting = threading.RLock()
        self._closed = False

    @property
    def state(self) -> State:
        """The current state of the client."""
        return self._client.state

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def connect(self) -> None:
        """Connect and log in; nothing when that is done. Raises as Client.connect, which ends the client."""
        with self._connecting:
            if self._closed:
                raise ArtcafeError(Code.unavailable, "The client is closed.")
            if self._thread is not None:
                return
            self._thread = LoopThread("artcafe-client")
            try:
                self._thread.run(self._client.connect())
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Close for good, as Client.close. Closing twice is fine."""
        thread, self._thread, self._closed = self._thread, None, True
        if thread is not None:
            try:
                thread.run(self._client.close())
            finally:
                thread.close()

    def publish(
        self,
        subject: str,
        data: Any,
        *,
        headers: Mapping[str, str] | None = None,
        reply_to: str | None = None,
        dedup: str | None = None,
        timeout: float | None = None,
    ) -> str:
        """See Client.publish; gives the message's id when the server has it."""
        return self._run(
            lambda: self._client.publish(
                subject, data, headers=headers, reply_to=reply_to, dedup=dedup, timeout=timeout
            )
        )

    @overload
    def request(
        self,
        subject: str,
        data: Any,
        *,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any: ...

    @overload
    def request(
        self,
        subject: str,
        data: Any,
        *,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
        reply: type[T],
    ) -> T: ...

    def request(
        self,
        subject: str,
        data: Any,
        *,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
        reply: Any = Any,
    ) -> Any:
        """See Client.request."""
        return self._run(
            lambda: self._client.request(subject, data, timeout=timeout, headers=headers, reply=reply)
        )

    def stream(
        self,
        subject: str,
        data: Any,
        *,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
        reply: Any = Any,
    ) -> Iterator[Any]:
        """See Client.stream. A loop that is left early cancels the request once its iterator is gone."""
        parts = self._client.stream(subject, data, timeout=timeout, headers=headers, reply=reply)
        try:
            while (part := self._run(lambda: _next(parts))) is not UNSET:
                yield part
        finally:
            if not self._closed:
                self._run(lambda: _close(parts))

    def gather(
        self,
        subject: str,
        data: Any,
        *,
        max_replies: int,
        window: float,
        headers: Mapping[str, str] | None = None,
        reply: Any = Any,
    ) -> list[Any]:
        """See Client.gather."""
        return self._run(
            lambda: self._client.gather(
                subject, data, max_replies=max_replies, window=window, headers=headers, reply=reply
            )
        )

    def map(
        self,
        subject: str,
        items: Iterable[Any],
        *,
        timeout: float | None = None,
        retries: int = 0,
        concurrency: int = 64,
        reply: Any = Any,
    ) -> list[Any]:
        """See Client.map."""
        return self._run(
            lambda: self._client.map(
                subject, items, timeout=timeout, retries=retries, concurrency=concurrency, reply=reply
            )
        )

    def subscribe(
        self,
        subject: str,
        *,
        queue: str | None = None,
        since: int | str | None = None,
        durable: str | None = None,
        max_in_flight: int | None = None,
        lease: float | None = None,
        max_deliveries: int | None = None,
        buffer: int | None = None,
        timeout: float | None = None,
    ) -> SyncSubscription:
        """See Client.subscribe; subscribed when this returns, and raises what subscribing raises."""
        subscription = self._client.subscribe(
            subject,
            queue=queue,
            since=since,
            durable=durable,
            max_in_flight=max_in_flight,
            lease=lease,
            max_deliveries=max_deliveries,
            buffer=buffer,
            timeout=timeout,
        )
        self._run(lambda: _entered(subscription))
        return SyncSubscription(subscription, self._run)

    def _run(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        self.connect()
        assert self._thread is not None
        return self._thread.run(call())


async def _next(parts: AsyncGenerator[Any]) -> Any:
    return await anext(parts, UNSET)


async def _close(parts: AsyncGenerator[Any]) -> None:
    await parts.aclose()


async def _entered(subscription: Subscription) -> None:
    await subscription
