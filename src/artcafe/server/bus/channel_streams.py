"""The streams of tenants' accounts in NATS, made, changed and deleted as the durable channels in the store
say: ports.channel_streams.

A stream takes what is published on `p.{sender}.{subject}`, and republishes it, once it is stored, on
`m.{sender}.{subject}` (JetStream, ADR-28 of nats-architecture-and-design). Who stores and reads is another
user of the account, with no right to do any of this.
"""

import random
import ssl
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Final

from artcafe.server.bus.accounts.operator import MAX_PAYLOAD_BYTES, Operator
from artcafe.server.bus.nats.requests import Requests
from artcafe.server.bus.nats.streams.api import ask
from artcafe.server.bus.nats.streams.faults import NAME_IN_USE, STREAM_NOT_FOUND
from artcafe.server.bus.nats.streams.inboxes import STREAM as INBOXES
from artcafe.server.bus.streams_account import ANSWER_SECONDS, StreamsAccount
from artcafe.server.bus.unavailable import bus_unavailable
from artcafe.server.domain.channel import ChannelRule
from artcafe.server.domain.durability import LEAST_AGE_SECONDS, WhenFull
from artcafe.server.domain.durable_channels import DurableChannels
from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.tenant import TenantRules
from artcafe.server.events import StreamRefused, note
from artcafe.server.ports.channel_streams import KeptStreams, ReadDurable
from artcafe.wire.subjects import DEAD, pattern_to_bus, to_queued, to_stored

MOST_CONSUMERS: Final = 256
"""Consumers of one stream."""

_NAMES = "CH_"
"""What the names of channels' streams begin with (ChannelRule.stream); others are left alone."""

_SECOND = 1_000_000_000
_MESSAGE_OVERHEAD = 1024
"""What a stored message takes besides its payload, at most: the subject, and the store's own."""

_Config = dict[str, Any]


class NatsChannelStreams:
    """The streams on a real NATS. Each call has a connection of its own, in the tenant's account."""

    def __init__(
        self,
        url: str,
        operator: Operator,
        *,
        replicas: int = 1,
        answer_seconds: float = ANSWER_SECONDS,
        jitter: Callable[[], float] = random.random,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`replicas` is on how many servers of a cluster each message is stored; `url`, `jitter` and `tls`
        are as for TenantLinks."""
        self._account = StreamsAccount(url, operator, answer_seconds=answer_seconds, jitter=jitter, tls=tls)
        self._replicas = replicas

    async def keep(self, tenant: TenantRules, durable: ReadDurable) -> KeptStreams:
        """See ports.channel_streams."""
        done = KeptStreams()
        wanted = await durable()
        if wanted is None:
            return done
        async with self._account.connected(tenant) as requests:
            api = _Api(requests, self._account.answer_seconds)
            while True:
                # The streams first: each of them that is not wanted then has no channel any more.
                held = await api.held()
                wanted = await durable()
                if wanted is None:
                    return done
                done += await self._agree(tenant.id, api, held, wanted)
                if await durable() == wanted:
                    return done

    async def empty_inbox(self, tenant: TenantRules, owner: str) -> None:
        """See ports.channel_streams."""
        async with self._account.connected(tenant) as requests:
            await _Api(requests, self._account.answer_seconds).empty(INBOXES, to_queued(owner, None))

    async def _agree(
        self, tenant: TenantId, api: "_Api", held: Mapping[str, _Config], wanted: DurableChannels
    ) -> KeptStreams:
        """Make what is held what is wanted. What takes less room comes first."""
        done = KeptStreams()
        channels = {channel.stream: channel for channel in wanted.channels}
        for name in held.keys() - channels.keys() if wanted.whole else ():
            await api.delete(name)
            done += KeptStreams(deleted=1)
        steps = []
        for name, channel in channels.items():
            config, before = stream_config(channel, self._replicas), held.get(name)
            if before is None or not _says(before, config):
                grows = config["max_bytes"] - (before or {}).get("max_bytes", 0)
                steps.append((grows, name, channel, config, before is not None))
        for _, _, channel, config, there in sorted(steps, key=lambda step: step[:2]):
            refusal = await api.put(config, there=there)
            if refusal is not None:
                note(StreamRefused(tenant=tenant, channel=channel.id, stream=channel.stream, reason=refusal))
                done += KeptStreams(refused=1)
            else:
                done += KeptStreams(changed=1) if there else KeptStreams(made=1)
        return done


class _Api:
    """The JetStream API of one account. Everything raises unavailable where it does not answer."""

    def __init__(self, requests: Requests, seconds: float) -> None:
        self._requests = requests
        self._seconds = seconds

    async def held(self) -> dict[str, _Config]:
        """The configurations of all streams of channels, by name."""
        found: dict[str, _Config] = {}
        seen = 0
        while True:
            answer = await self._ask("LIST", {"offset": seen})
            if "error" in answer:
                raise bus_unavailable()
            streams = answer.get("streams") or []
            missing = answer.get("missing") or []
            # Of those without a leader a cluster knows the name alone.
            found |= {name: {} for name in missing}
            found |= {stream["config"]["name"]: stream["config"] for stream in streams}
            seen += len(streams) + len(missing)
            if seen >= answer["total"] or not streams:
                return {name: config for name, config in found.items() if name.startswith(_NAMES)}

    async def put(self, config: _Config, *, there: bool) -> str | None:
        """Make a stream, or change the one that is there; why not, where it is refused."""
        answer = await self._ask(f"{'UPDATE' if there else 'CREATE'}.{config['name']}", config)
        code = answer.get("error", {}).get("err_code")
        if code == (STREAM_NOT_FOUND if there else NAME_IN_USE):  # Somebody else was faster.
            answer = await self._ask(f"{'CREATE' if there else 'UPDATE'}.{config['name']}", config)
        return _refusal(answer)

    async def delete(self, name: str) -> None:
        """Delete a stream; nothing happens when it is gone."""
        answer = await self._ask(f"DELETE.{name}", {})
        if _refusal(answer) is not None and answer["error"].get("err_code") != STREAM_NOT_FOUND:
            raise bus_unavailable()

    async def empty(self, name: str, subject: str) -> None:
        """Remove what a stream holds of a subject; nothing happens when it is gone."""
        answer = await self._ask(f"PURGE.{name}", {"filter": subject})
        if _refusal(answer) is not None and answer["error"].get("err_code") != STREAM_NOT_FOUND:
            raise bus_unavailable()

    async def _ask(self, what: str, said: Mapping[str, Any]) -> dict[str, Any]:
        return await ask(self._requests, f"STREAM.{what}", said, dict[str, Any], seconds=self._seconds)


def stream_config(channel: ChannelRule, replicas: int) -> _Config:
    """The configuration of a durable channel's stream, as the JetStream API has it."""
    durability = channel.durability
    assert durability is not None
    told = pattern_to_bus(channel.pattern)
    stored = to_stored(told)
    numbers = count(1)
    target = ".".join(
        f"{{{{wildcard({next(numbers)})}}}}" if token == "*" else token for token in told.split(".")
    )
    age = durability.max_age_seconds or 0
    return {
        "name": channel.stream,
        "description": f"{channel.id}",
        "subjects": [stored, f"{DEAD}.{channel.stream}.*"],
        "retention": "limits",
        "storage": "file",
        "num_replicas": replicas,
        "discard": "new" if durability.when_full is WhenFull.refuse else "old",
        "max_age": age * _SECOND,
        "max_msgs": durability.max_messages or -1,
        "max_bytes": durability.max_bytes,
        "max_msg_size": min(MAX_PAYLOAD_BYTES, durability.max_bytes - _MESSAGE_OVERHEAD),
        "max_consumers": MOST_CONSUMERS,
        "duplicate_window": LEAST_AGE_SECONDS * _SECOND,
        "allow_direct": True,
        "allow_atomic": True,
        "republish": {"src": stored, "dest": target},
    }


def _says(held: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Whether a stream is as it should be; NATS adds what was not named."""
    return all(held.get(name) == value for name, value in config.items())


def _refusal(answer: Mapping[str, Any]) -> str | None:
    error = answer.get("error")
    return None if error is None else f"{error.get('description')} ({error.get('err_code')})"
