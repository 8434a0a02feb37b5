"""Log events: what is logged of clients and of the process's life, one structured line for each.

An event is a class here; its name in the log is the class's in snake case, its fields are the line's. No
field holds a secret, a token, a signature, a challenge or a payload. docs/log-events.md is made from this
module. `note` hands an event to logging; server/logs.py formats it, and folds events that are alike.
"""

import logging
import re
from typing import ClassVar

from msgspec import Struct, structs

from artcafe.server.domain.addresses import network_of

LOG = logging.getLogger("artcafe.events")


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class Event(Struct, frozen=True, kw_only=True, tag_field="event", tag=_snake):
    """One thing that happened. Fields that are None are left out of its line."""

    level: ClassVar[int] = logging.INFO
    """At which level it is logged."""

    alike: ClassVar[tuple[str, ...] | None] = None
    """The fields in which two events of this class agree when they are folded; None for what is never
    folded, because no client causes it."""

    proven: ClassVar[bool] = False
    """Whether only clients that proved who they are cause it: these are counted apart from strangers."""

    @property
    def name(self) -> str:
        """The name of the event in the log."""
        return f"{self.__struct_config__.tag}"

    @property
    def severity(self) -> int:
        """The level of this one."""
        return self.level

    def fields(self) -> dict[str, object]:
        """The event's fields, without those that are None."""
        return {name: value for name, value in structs.asdict(self).items() if value is not None}

    def common(self) -> dict[str, object]:
        """The fields that folded events have in common."""
        return {name: value for name in self.alike or () if (value := _common(self, name)) is not None}

    def fold_key(self) -> tuple[object, ...]:
        """Equal for events that are folded together."""
        return (type(self), *(_common(self, name) for name in self.alike or ()))


def _common(event: Event, name: str) -> object:
    """A field; of an IPv6 address the /64, for whoever has one address of it has all."""
    value: object = getattr(event, name)
    return network_of(value) if name == "address" and isinstance(value, str) else value


class LoginAccepted(Event, frozen=True, kw_only=True):
    """Somebody proved who they are and was admitted. `way` is how: `websocket` (in band), `url`, `rest`
    (a verified signature), `dashboard`. `key` is the fingerprint of the agent's public key. `ms` is since the
    client of a WebSocket sent its proof."""

    alike = ("way", "tenant", "agent", "human", "address")
    proven = True

    way: str
    tenant: str
    agent: str | None = None
    human: str | None = None
    key: str | None = None
    ms: float | None = None
    address: str
    connection: str | None = None
    request: str | None = None


class LoginRefused(Event, frozen=True, kw_only=True):
    """Somebody did not get in. `code` is what the client was told, `reason` the truth (table below).
    `way` is as above, or `token` for a REST request with a token, `sign_in` for the embedded sign-in.
    Tenant, agent and human are those that were claimed. `ms` is as above."""

    level = logging.WARNING
    alike = ("way", "code", "reason", "tenant", "address")

    way: str
    code: str
    reason: str | None = None
    tenant: str | None = None
    agent: str | None = None
    human: str | None = None
    ms: float | None = None
    address: str
    connection: str | None = None
    request: str | None = None


class HandshakeRefused(Event, frozen=True, kw_only=True):
    """A request to upgrade was no sound handshake, or came to a path where there is no WebSocket."""

    alike = ("status", "code", "address")

    status: int
    code: str | None = None
    address: str


class Connected(Event, frozen=True, kw_only=True):
    """A WebSocket opened; who it is may not be proven yet."""

    alike = ("way", "tenant", "agent", "address")

    way: str
    tenant: str | None = None
    agent: str | None = None
    address: str
    connection: str


class Disconnected(Event, frozen=True, kw_only=True):
    """A WebSocket is gone. `code` is the close code, 1006 when the connection just broke. `error` is the
    error that this server closed it for. `seconds` is how long it lived; `frames_in` and `frames_out`
    count messages, not control frames."""

    alike = ("code", "error", "tenant", "agent", "human", "address")

    code: int
    error: str | None = None
    seconds: float
    frames_in: int
    frames_out: int
    tenant: str | None = None
    agent: str | None = None
    human: str | None = None
    address: str
    connection: str


class SlowConsumer(Event, frozen=True, kw_only=True):
    """A client did not read what it subscribed to, and is closed with 4002. `queued` is in bytes."""

    level = logging.WARNING
    alike = ("tenant", "agent", "human")
    proven = True

    queued: int
    tenant: str | None = None
    agent: str | None = None
    human: str | None = None
    address: str
    connection: str


class Throttled(Event, frozen=True, kw_only=True):
    """A frame was refused because of the rate of its client (`rate_limited`), or a client was closed
    because it went on (`flooding`)."""

    level = logging.WARNING
    alike = ("code", "tenant", "agent", "human")
    proven = True

    code: str
    tenant: str | None = None
    agent: str | None = None
    human: str | None = None
    address: str
    connection: str


class Request(Event, frozen=True, kw_only=True):
    """A REST request was answered: with 4xx at INFO, with 5xx at ERROR, else at DEBUG. `route` is the
    template of the route; for a path that has none, `path` is it without its query, and with `*` for each
    segment that might be a secret. `code` is of the table of errors; `ms` is until the answer began."""

    alike = ("method", "route", "status", "code", "tenant", "address")

    method: str
    route: str | None = None
    path: str | None = None
    status: int
    code: str | None = None
    ms: float
    tenant: str | None = None
    human: str | None = None
    address: str
    request: str | None = None

    @property
    def severity(self) -> int:
        """By the status."""
        if self.status >= 500:
            return logging.ERROR
        return logging.INFO if self.status >= 400 else logging.DEBUG


class ConnectionRefused(Event, frozen=True, kw_only=True):
    """A connection or a request was refused before REST and WebSockets see it: there were too many, or the
    HTTP of the client is broken, too large or too late. `address` is a proxy's where the client's is not
    known yet."""

    level = logging.WARNING
    alike = ("reason", "status", "address")

    reason: str
    status: int | None = None
    address: str


class NotTold(Event, frozen=True, kw_only=True):
    """A change that is stored could not be told to the bus. `what` is `changed` (what others hold of it in
    memory), `revoked` (connections that have to end), `account` (a tenant's account on the bus) or `streams`
    (those of its durable channels). With `lost` false it is tried again every second. With `lost` true it is
    not: others believe what they hold for five seconds at most, connections end when they are looked at
    again, within a minute, and accounts and streams are made right by the next reconciliation."""

    level = logging.WARNING
    alike = ("what", "lost", "reason")

    what: str
    lost: bool
    reason: str

    @property
    def severity(self) -> int:
        """By whether it is lost."""
        return logging.ERROR if self.lost else logging.WARNING


class NotWritten(Event, frozen=True, kw_only=True):
    """On AWS Lambda: what was counted and noted could not be written before the answer. It is kept, and
    written with the next request; it is lost when no other one comes to this container."""

    level = logging.WARNING
    alike = ("reason",)

    reason: str


class RecordUnreadable(Event, frozen=True, kw_only=True):
    """A stored record lacks a field, has a value that this release does not know, or a newer format: a newer
    release wrote it, or it is damaged. `record` is its partition and sort key (store/addresses.py). Requests
    for it are answered with `unreadable_record`; lists go without it and name it in `X-Unreadable`."""

    level = logging.ERROR
    alike = ("record", "reason")

    record: str
    reason: str


class AccountsReconciled(Event, frozen=True, kw_only=True):
    """The tenants' accounts on the bus were compared with the store: so many were made or mended, and so many
    removed that no tenant has. `kept` is how many of these were left, for being too many at once: another
    store may know them (docs/operating.md, "Restore"). Such a line is an error. `bus` is the bus's mark."""

    pushed: int
    removed: int
    kept: int
    bus: str

    @property
    def severity(self) -> int:
        """An error where accounts were kept."""
        return logging.ERROR if self.kept else logging.INFO


class StreamsReconciled(Event, frozen=True, kw_only=True):
    """The streams of durable channels were compared with the store, and so many were made, changed, or
    deleted because no channel has them. So many were `refused` by the bus (event `stream_refused`), and those
    of so many tenants could not be compared (`failed`): they are tried again."""

    made: int
    changed: int
    deleted: int
    refused: int
    failed: int

    @property
    def severity(self) -> int:
        """A warning where something is left to do."""
        return logging.WARNING if self.refused or self.failed else logging.INFO


class StreamRefused(Event, frozen=True, kw_only=True):
    """The bus refused to make or change the stream of a durable channel, and says why: its disk may be full,
    or be reserved by other streams. The channel is stored; publishing to it is refused with `unavailable`
    while it has no stream. It is tried again with the next change of the tenant's durable channels, and by
    the next reconciliation."""

    level = logging.ERROR
    alike = ("tenant", "channel", "reason")

    tenant: str
    channel: str
    stream: str
    reason: str


class StoringFailed(Event, frozen=True, kw_only=True):
    """The bus refused to store or read messages of a durable channel for a reason that no client can remedy:
    its disk may be full. Clients are told `unavailable`."""

    level = logging.ERROR
    alike = ("reason",)

    reason: str


class AccountRestored(Event, frozen=True, kw_only=True):
    """The bus did not let this server into the account of a tenant that exists: it was made anew, or was on
    its way. Many of them say that somebody removes accounts, or that the bus lost them."""

    level = logging.WARNING
    alike = ()

    tenant: str


class Started(Event, frozen=True, kw_only=True):
    """Everything answers. Written with `ARTCAFE_LOG_FORMAT=json`, in place of the lines for people."""

    url: str
    data_dir: str
    nats_url: str
    version: str


class StartFailed(Event, frozen=True, kw_only=True):
    """The process ends before everything answered. Written with `ARTCAFE_LOG_FORMAT=json`."""

    level = logging.ERROR

    reason: str


def note(event: Event) -> None:
    """Log an event. Costs a comparison where its level is not logged; call it from any thread."""
    level = event.severity
    if LOG.isEnabledFor(level):
        # Made here: `LOG.log` would walk the stack for the line of code that called it.
        record = LOG.makeRecord(LOG.name, level, "", 0, event.name, (), None, extra={"event": event})
        LOG.handle(record)
