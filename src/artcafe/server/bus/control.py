"""What the server processes of one installation tell each other: ports.Control on NATS."""

import asyncio
import random
from types import TracebackType

from artcafe.server.bus.link import BUFFER_BYTES, PATIENCE_SECONDS, NatsLink, NatsSubscription, leave
from artcafe.server.bus.operator import Operator
from artcafe.server.ports import Deliver

_PREFIX = "control."


class ControlLink:
    """The link on the account that no tenant sees. Enter it before use.

    While NATS is away, `hear` misses what other processes tell: who must not miss a word asks the
    store again after a while.
    """

    def __init__(self, url: str, operator: Operator, *, patience: float = PATIENCE_SECONDS) -> None:
        """`url` may be several, with commas between them; `patience` is how many seconds a call waits."""
        self._servers = [part.strip() for part in url.split(",")]
        self._operator = operator
        self._patience = patience

    async def __aenter__(self) -> "ControlLink":
        """Connect. Raises unavailable."""
        self._link = NatsLink(
            self._servers,
            self._operator.control_credentials(),
            "artcafe control",
            buffer_bytes=BUFFER_BYTES,
            patience=self._patience,
            jitter=random.random,
        )
        self._tasks = asyncio.TaskGroup()
        await self._tasks.__aenter__()
        self._running = self._tasks.create_task(self._link.run())
        try:
            await self._link.ready()
        except BaseException:
            self._link.close()
            self._running.cancel()
            await leave(self._tasks, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._link.close()
        self._running.cancel()
        await leave(self._tasks, error)

    async def tell(self, topic: str, payload: bytes) -> None:
        """To every process that hears the topic, this one included. At most once.

        When it returns, NATS has it. Raises unavailable, and then it may still be told.
        """
        self._link.publish(_PREFIX + topic, payload)
        await self._link.flush()

    async def hear(self, topic: str, deliver: Deliver) -> NatsSubscription:
        """`deliver` gets (topic, payload). `topic` may be a pattern. Raises unavailable."""
        return await self._link.subscribe(
            _PREFIX + topic, lambda subject, payload: deliver(subject.removeprefix(_PREFIX), payload)
        )
