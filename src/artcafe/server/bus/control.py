"""Messages between the server processes of one installation: ports.Control on NATS."""

import asyncio
import itertools
import logging
import random
import secrets
import ssl
from collections.abc import Callable
from types import TracebackType

from artcafe.server.bus.accounts.operator import Operator
from artcafe.server.bus.answer_collector import ANSWER_SECONDS, AnswerCollector
from artcafe.server.bus.nats.link import BUFFER_BYTES, PATIENCE_SECONDS, NatsLink
from artcafe.server.bus.nats.subscription import NatsSubscription
from artcafe.server.bus.tasks import leave
from artcafe.server.ports.bus import Deliver
from artcafe.wire.errors import ArtcafeError

_PREFIX = "control."
_ASKED, _ANSWERED = "control.ask.", "control.answer."

_log = logging.getLogger(__name__)


class ControlLink:
    """The link on the account that no tenant sees. Enter it before use.

    While NATS is away, `hear` misses what other processes tell: who must not miss a word asks `missed`, and
    the store again where it is true. In a cluster, what is told at another node in the moment after the link
    is back may be missed as well, until that node knows what is heard here.
    """

    def __init__(
        self,
        url: str,
        operator: Operator,
        *,
        patience: float = PATIENCE_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`url` may be several, with commas between them; `patience` is how many seconds a call waits for
        the bus, `answer_seconds` how long `ask` waits for the other processes; `tls` as for NatsLink."""
        self._servers = [part.strip() for part in url.split(",")]
        self._operator = operator
        self._patience = patience
        self._answer_seconds = answer_seconds
        self._tls = tls
        self._name = secrets.token_hex(8)
        self._numbers = itertools.count(1)
        self._collectors: dict[str, AnswerCollector] = {}
        self._gaps = 0  # Those of the link that `missed` told of.

    async def __aenter__(self) -> "ControlLink":
        """Connect. Raises unavailable."""
        self._link = NatsLink(
            self._servers,
            self._operator.control_credentials(),
            "artcafe control",
            buffer_bytes=BUFFER_BYTES,
            patience=self._patience,
            jitter=random.random,
            tls=self._tls,
        )
        self._tasks = asyncio.TaskGroup()
        await self._tasks.__aenter__()
        self._running = self._tasks.create_task(self._link.run())
        try:
            await self._link.ready()
            await self._link.subscribe(f"{_ANSWERED}{self._name}.*", self._answered)
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

    async def missed(self) -> bool:
        """See ports.Control."""
        gaps = self._link.gaps
        if gaps == self._gaps or not self._link.up:
            return False
        try:
            await self._link.settle()  # NATS has the subscriptions of the new connection.
        except ArtcafeError:
            return False  # Away again: the gap is told of later.
        self._gaps = gaps
        return True

    async def ask(self, topic: str, payload: bytes, answers: int) -> list[bytes]:
        """What processes answer, as soon as there are so many answers; after a while those that came.

        Raises unavailable when the question cannot be handed over.
        """
        number = f"{next(self._numbers)}"
        collector = self._collectors[number] = AnswerCollector(topic, answers)
        try:
            self._link.publish(f"{_ASKED}{topic}.{self._name}.{number}", payload)
            return await collector.answered(self._answer_seconds)
        finally:
            del self._collectors[number]

    async def answer(self, topic: str, reply: Callable[[bytes], bytes | None]) -> NatsSubscription:
        """Answer what is asked on a topic, a single token, unless `reply` gives None. Raises unavailable."""

        def deliver(subject: str, payload: bytes) -> None:
            said = reply(payload)
            if said is not None:
                asker = subject.removeprefix(f"{_ASKED}{topic}.")
                try:
                    self._link.publish(_ANSWERED + asker, said)
                except ArtcafeError as error:
                    _log.warning("a question about %s is not answered: %s", topic, error)

        return await self._link.subscribe(f"{_ASKED}{topic}.*.*", deliver)

    def _answered(self, subject: str, payload: bytes) -> None:
        collector = self._collectors.get(subject.rpartition(".")[2])
        if collector is not None:  # Else it comes too late.
            collector.take(payload)
