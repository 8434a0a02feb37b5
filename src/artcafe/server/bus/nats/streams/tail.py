"""The tail of a stream: what is stored from now on, in order, each message once."""

import asyncio
import logging
from collections.abc import Callable

import msgspec

from artcafe.server.bus.nats.headers import value_of
from artcafe.server.bus.nats.message import FullMessage
from artcafe.server.bus.nats.requests import NoRespondersError, OutcomeUnknownError, Requests
from artcafe.server.bus.nats.streams.commit import Spawn
from artcafe.server.bus.nats.streams.faults import WRONG_STREAM, Fault
from artcafe.server.bus.nats.streams.reader import Reader
from artcafe.server.bus.nats.streams.replies import StreamLink
from artcafe.server.bus.nats.subscription import NatsSubscription
from artcafe.server.bus.unavailable import bus_unavailable
from artcafe.server.ports.streams import StoredMessage, StreamState
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import to_stored

HELD_MESSAGES = 2_000
HELD_BYTES = 4 * 1024 * 1024
"""What is held of the messages that come while earlier ones are read. The rest is read as well."""

PROBE_SECONDS = 1.0
_PROBES = 5

_REGRESSIONS = 3
"""So often the end of a stream has to be told that is before what was delivered: a leader that was replaced,
and does not know it yet, may tell an old one."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0

LOG = logging.getLogger(__name__)


class _Probed(msgspec.Struct):
    error: Fault | None = None


class NatsTail:
    """ports.Tail on the copies that the stream publishes again (ADR 33), whose sequences have no gap where
    none was missed.

    It is behind from the start, from the end of a connection, and from a gap, until it caught up: what comes
    is held then, and what is stored before that is read. One task does this, so nothing is read for two
    connections at once.
    """

    def __init__(
        self,
        link: StreamLink,
        requests: Requests,
        reader: Reader,
        stream: str,
        pattern: str,
        deliver: Callable[[StoredMessage], None],
        restarted: Callable[[], None],
    ) -> None:
        self.following = 0
        self.epoch = ""
        self._link = link
        self._requests = requests
        self._reader = reader
        self._stream = stream
        self._name = stream.encode()
        self._pattern = pattern
        self._deliver = deliver
        self._restarted = restarted
        self._subscription: NatsSubscription | None = None
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._behind = True
        self._known = False  # Whether the leader's server knows the subscription of this connection.
        self._connection = 0
        self._held: dict[int, StoredMessage] = {}
        self._held_bytes = 0
        self._top = 0  # The highest sequence that was heard while behind.
        self._read = 0  # The highest that was read: its copy may still come.
        self._doubt = False  # Whether what was heard may be of another stream.
        self._regressions = 0

    async def open(self, spawn: Spawn) -> None:
        """Follow from now on. Raises unavailable and not_found, and is closed then."""
        try:
            self._subscription = await self._link.subscribe_full(self._pattern, self._take, self._missed)
            while self._behind:
                await self._catch_up()
        except BaseException:
            await self.close()
            raise
        self._task = spawn(self._run())

    async def close(self) -> None:
        """See ports.Tail."""
        if self._task is not None:
            self._task.cancel()
        if self._subscription is not None:
            await self._subscription.close()

    def _take(self, subject: str, message: FullMessage) -> None:
        """A message on the channel's subjects, which may also be one that is not stored."""
        number = value_of(message.headers, b"Nats-Sequence")
        if number is None or value_of(message.headers, b"Nats-Stream") != self._name:
            return
        sequence = int(number)
        if 1 < sequence <= self._read:
            return
        told = StoredMessage(sequence, subject, message.payload)
        # The first of a stream may be that of a new one.
        if sequence == self.following and not self._behind and sequence > 1:
            self._emit(told)
            return
        self._hold(told)
        if sequence < self.following or sequence == 1:
            self._doubt = True
        if not self._behind:
            self._behind = True
            self._wake.set()

    def _hold(self, message: StoredMessage) -> None:
        self._top = max(self._top, message.seq)
        size = self._held_bytes + len(message.payload)
        if message.seq not in self._held and len(self._held) < HELD_MESSAGES and size <= HELD_BYTES:
            self._held[message.seq] = message
            self._held_bytes = size

    def _missed(self) -> None:
        """The connection ended."""
        self._connection += 1
        self._known = False
        self._behind = True
        self._wake.set()

    def _emit(self, message: StoredMessage) -> None:
        self.following = message.seq + 1
        try:
            self._deliver(message)
        except Exception:
            LOG.exception("fault of who follows %s", self._stream)

    async def _run(self) -> None:
        """Catch up, whenever it is behind, until the link is closed."""
        pause = _FIRST_PAUSE
        while True:
            self._wake.clear()
            while self._behind:
                try:
                    await self._catch_up()
                    pause = _FIRST_PAUSE
                    continue
                except ArtcafeError as error:
                    LOG.debug("the tail of %s is behind: %s", self._stream, error)
                except Exception:
                    # Supervision: a fault here ends no other link.
                    LOG.exception("fault in the tail of %s", self._stream)
                if self._link.over:
                    return
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            await self._wake.wait()

    async def _catch_up(self) -> None:
        """One attempt; to be repeated while it is behind. Raises unavailable and not_found."""
        connection = self._connection
        self._doubt = False
        if not self._known:
            await self._probe()
        # Asked after the subscription is known: what is stored later is heard.
        state = await self._reader.state(self._stream)
        if connection != self._connection:
            return
        self._known = True
        if not self.epoch:
            self.epoch, self.following, self._read = state.epoch, state.last + 1, state.last
        elif state.epoch != self.epoch:
            self._restart(state.epoch, state.first)
            return
        elif state.last + 1 < self.following:
            self._regress(state)
            return
        self._regressions = 0
        await self._fill(state.last, connection)

    async def _fill(self, last: int, connection: int) -> None:
        """Deliver what is stored up to `last`, and what was heard meanwhile."""
        self._emit_held()
        while self.following <= (last := max(last, self._top)):
            found = await self._reader.read(self._stream, self.following, last)
            if connection != self._connection:
                return
            for message in found.messages:
                self._emit(message)
            self.following = found.following
            self._read = found.following - 1
            self._emit_held()
        self._behind = self._doubt

    def _emit_held(self) -> None:
        """Deliver what is held as far as there is no gap, and drop what was read."""
        while self.following in self._held:
            self._emit(self._held[self.following])
        self._held = {
            sequence: message for sequence, message in self._held.items() if sequence >= self.following
        }
        self._held_bytes = sum(len(message.payload) for message in self._held.values())

    def _regress(self, state: StreamState) -> None:
        """The stream ends before what was delivered. Raises unavailable until that is certain."""
        self._regressions += 1
        if self._regressions < _REGRESSIONS:
            raise bus_unavailable()
        self._regressions = 0
        self._restart(state.epoch, state.last + 1)

    def _restart(self, epoch: str, following: int) -> None:
        """Go on with another stream, or with what is left of this one; whoever follows is told. The end is
        asked anew: what is held may be of either."""
        LOG.warning("the stream %s does not have any more what was delivered", self._stream)
        self.epoch, self.following = epoch, following
        self._held.clear()
        self._held_bytes = self._top = self._read = 0
        try:
            self._restarted()
        except Exception:
            LOG.exception("fault of who follows %s", self._stream)

    async def _probe(self) -> None:
        """When this returns, the server of the stream's leader knows the subscription: it refused a message
        that was sent behind it, and expects another stream. Raises unavailable and not_found."""
        subject = to_stored(self._pattern).replace("*", "probe").replace(">", "probe")
        for _ in range(_PROBES):
            try:
                answer = await self._requests.request(
                    subject, headers={"Nats-Expected-Stream": "-"}, seconds=PROBE_SECONDS
                )
                told = msgspec.json.decode(answer.payload, type=_Probed)
            except OutcomeUnknownError:
                continue
            except (NoRespondersError, msgspec.MsgspecError):
                await self._reader.state(self._stream)  # Raises not_found where there is no such stream.
                break
            if told.error is not None and told.error.err_code == WRONG_STREAM:
                return
            break
        raise bus_unavailable()
