"""The consumers of one tenant's streams on JetStream: ports.Consumers.

They are made, listed and deleted by the user of the control plane, who is connected for that; the link itself
pulls and acknowledges.
"""

from collections.abc import Callable
from itertools import count

import msgspec

from artcafe.server.bus.nats.requests import Requests
from artcafe.server.bus.nats.streams.api import Connected, ask
from artcafe.server.bus.nats.streams.commit import Spawn
from artcafe.server.bus.nats.streams.consumer import NatsConsumer
from artcafe.server.bus.nats.streams.faults import (
    CONSUMER_NOT_FOUND,
    NO_MORE_CONSUMERS,
    NO_SUCH_MESSAGE,
    Fault,
    meaning,
)
from artcafe.server.bus.nats.streams.replies import StreamLink
from artcafe.server.bus.nats.streams.streams import NatsStreams
from artcafe.server.bus.unavailable import bus_unavailable
from artcafe.server.ports.consumers import ConsumerRules, ConsumerState, DeadLetters, HandedOut
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import DEAD, from_stored, to_stored

MAX_IN_FLIGHT = 8_192
"""Messages of one consumer that are handed out and not settled."""

_SECOND = 1e9
_MAX_DELIVERIES = "artcafe-max-deliveries"
_EXISTS = (10148, 10013)  # Another process was faster, with other rules.


class _Config(msgspec.Struct):
    filter_subject: str = ""
    opt_start_seq: int = 0
    ack_wait: int = 0
    metadata: dict[str, str] = {}


class _Info(msgspec.Struct):
    """What JetStream tells of a consumer."""

    error: Fault | None = None
    name: str = ""
    created: str = ""
    config: _Config | None = None
    num_pending: int = 0
    num_ack_pending: int = 0
    num_redelivered: int = 0


class _List(msgspec.Struct):
    error: Fault | None = None
    total: int = 0
    consumers: list[_Info] | None = None


class _Done(msgspec.Struct):
    error: Fault | None = None
    success: bool = False
    purged: int = 0


class NatsConsumers:
    """One NatsConsumer for each `consume`."""

    def __init__(self, link: StreamLink, streams: NatsStreams, connected: Connected, spawn: Spawn) -> None:
        self._link = link
        self._streams = streams
        self._connected = connected
        self._spawn = spawn
        self._numbers = count(1)

    async def consume(
        self,
        stream: str,
        name: str,
        rules: ConsumerRules,
        take: Callable[[HandedOut], None],
        over: Callable[[], None],
    ) -> NatsConsumer:
        """See ports.Consumers."""
        async with self._connected() as requests:
            info = await self._info(requests, stream, name)
            if info is None:
                info = await self._make(requests, stream, name, rules)
        known = _state(info).rules

        async def exists() -> bool:
            async with self._connected() as again:
                return await self._info(again, stream, name) is not None

        inbox = f"{self._link.inbox}.c.{next(self._numbers)}"
        consumer = NatsConsumer(self._link, inbox, stream, name, known, take, over, exists)
        await consumer.open(self._spawn)
        return consumer

    async def states(self, stream: str) -> list[ConsumerState]:
        """See ports.Consumers."""
        found: list[ConsumerState] = []
        async with self._connected() as requests:
            while True:
                page = await ask(requests, f"CONSUMER.LIST.{stream}", {"offset": len(found)}, _List)
                if page.error is not None:
                    raise meaning(page.error)
                found += [_state(info) for info in page.consumers or ()]
                if len(found) >= page.total or not page.consumers:
                    return sorted(found, key=lambda each: each.name)

    async def delete(self, stream: str, name: str) -> bool:
        """See ports.Consumers."""
        async with self._connected() as requests:
            done = await ask(requests, f"CONSUMER.DELETE.{stream}.{name}", {}, _Done)
        if done.error is not None and done.error.err_code != CONSUMER_NOT_FOUND:
            raise meaning(done.error)
        return done.error is None

    async def bury(self, stream: str, name: str, letter: bytes, dedup_id: str) -> int:
        """See ports.Consumers."""
        return (await self._streams.store_as(stream, _dead(stream, name), letter, dedup_id)).seq

    async def dead_letters(self, stream: str, name: str | None, first: int, most_bytes: int) -> DeadLetters:
        """See ports.Consumers."""
        last = (await self._streams.state(stream)).last
        read, following = await self._streams.reader.read_stored(
            stream, first, last, _dead(stream, name or "*"), most_bytes
        )
        letters = [(each.seq, each.subject.rpartition(".")[2], each.payload) for each in read]
        return DeadLetters(letters, None if following > last else following)

    async def remove(self, stream: str, seq: int) -> bool:
        """See ports.Consumers."""
        asked = {"seq": seq, "no_erase": True}
        async with self._connected() as requests:
            done = await ask(requests, f"STREAM.MSG.DELETE.{stream}", asked, _Done)
        if done.error is not None and done.error.err_code not in NO_SUCH_MESSAGE:
            raise meaning(done.error)
        return done.error is None

    async def purge(self, stream: str, name: str | None) -> int:
        """See ports.Consumers."""
        async with self._connected() as requests:
            asked = {"filter": _dead(stream, name or "*")}
            done = await ask(requests, f"STREAM.PURGE.{stream}", asked, _Done)
        if done.error is not None:
            raise meaning(done.error)
        return done.purged

    async def _make(self, requests: Requests, stream: str, name: str, rules: ConsumerRules) -> _Info:
        config = {
            "name": name,
            "durable_name": name,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": rules.first,
            "ack_policy": "explicit",
            "ack_wait": int(rules.lease * _SECOND),
            "max_deliver": -1,
            "filter_subject": to_stored(rules.pattern),
            "max_ack_pending": MAX_IN_FLIGHT,
            "max_waiting": 512,
            "replay_policy": "instant",
            "metadata": {_MAX_DELIVERIES: str(rules.max_deliveries)},
        }
        asked = {"stream_name": stream, "config": config, "action": "create"}
        info = await ask(requests, f"CONSUMER.CREATE.{stream}.{name}", asked, _Info)
        if info.error is None:
            return info
        if info.error.err_code in _EXISTS:
            known = await self._info(requests, stream, name)
            if known is not None:
                return known
        if info.error.err_code == NO_MORE_CONSUMERS:
            raise ArtcafeError(Code.quota_exceeded, "The channel takes no more durable subscriptions.")
        raise meaning(info.error)

    async def _info(self, requests: Requests, stream: str, name: str) -> _Info | None:
        info = await ask(requests, f"CONSUMER.INFO.{stream}.{name}", None, _Info)
        if info.error is None:
            return info
        if info.error.err_code == CONSUMER_NOT_FOUND:
            return None
        raise meaning(info.error)


def _state(info: _Info) -> ConsumerState:
    config = info.config
    if config is None:
        raise bus_unavailable()
    rules = ConsumerRules(
        pattern=from_stored(config.filter_subject),
        first=config.opt_start_seq,
        lease=config.ack_wait / _SECOND,
        max_deliveries=int(config.metadata.get(_MAX_DELIVERIES, "0")),
    )
    return ConsumerState(
        info.name, rules, info.num_pending, info.num_ack_pending, info.num_redelivered, info.created
    )


def _dead(stream: str, name: str) -> str:
    return f"{DEAD}.{stream}.{name}"
