"""Announces stored changes on the bus until it accepts them, and hears those of others: ports.Events."""

import logging
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from functools import partial
from typing import Protocol, TypeAlias

import msgspec

from artcafe.server.domain.change import TOPIC as CHANGED
from artcafe.server.domain.change import Change
from artcafe.server.domain.durable_channels import DurableChannels
from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.revocation import TOPIC as REVOKED
from artcafe.server.domain.revocation import Revocation
from artcafe.server.domain.tenant import TenantRules
from artcafe.server.events import NotTold, note
from artcafe.server.ports.bus import Accounts, Control, Subscription
from artcafe.server.ports.channel_streams import ChannelStreams
from artcafe.server.ports.events import (
    AccountChanged,
    AccountUnowned,
    CountersEnded,
    Event,
    InboxEnded,
    StreamsChanged,
)
from artcafe.wire.errors import ArtcafeError

LOG = logging.getLogger("artcafe")

MOST = 10_000
"""How many things may wait to be told in one process."""

RETRY_SECONDS = 1.0
"""How often what waits is tried again."""

MISSED_SECONDS = 1.0
"""How often it is looked whether words of other processes may have been missed."""

_FAILURES = 3
"""How many fail before a round ends: each may take as long as a call waits for the bus."""

_Work = Callable[[], Awaitable[None]]

_Word: TypeAlias = Change | Revocation
"""An event that travels on the control account, where every process hears it."""

_read_change = msgspec.json.Decoder(Change).decode
_read_revocation = msgspec.json.Decoder(Revocation).decode


class EventListener(Protocol):
    """The live connections of this process. Neither method may block or raise."""

    def changed(self, change: Change) -> None:
        """A record is another one now, or gone; nothing older is read any more by this process."""

    def revoked(self, revocation: Revocation) -> None:
        """Whom it covers must go."""

    def words_missed(self) -> None:
        """Any of these may have been told unheard; what this process held in memory is forgotten."""


class BusEvents:
    """ports.Events over the bus. Somebody calls `again` every RETRY_SECONDS, `catch_up` every MISSED_SECONDS,
    and `finish` at the end."""

    def __init__(
        self,
        control: Control,
        accounts: Accounts,
        streams: ChannelStreams,
        stored: Callable[[TenantId], Awaitable[TenantRules | None]],
        durable: Callable[[TenantId], Awaitable[DurableChannels | None]],
        *,
        forget: Sequence[Callable[[Change], None]],
        forget_all: Callable[[], None],
        end_counters: Callable[[TenantId, Iterable[str]], None],
        listener: EventListener | None = None,
        most: int = MOST,
    ) -> None:
        """`stored` reads a tenant, `durable` its durable channels. `forget` and `forget_all` are of what this
        process holds in memory of the store, `end_counters` of what it counts; `listener` is told in this
        process what the bus does not bring."""
        self._control = control
        self._accounts = accounts
        self._streams = streams
        self._stored = stored
        self._durable = durable
        self._forget = forget
        self._forget_all = forget_all
        self._end_counters = end_counters
        self._listener = listener
        self._most = most
        self._waiting: dict[Hashable, tuple[str, _Work]] = {}
        self._away = False

    @property
    def waiting(self) -> int:
        """How many things wait to be told."""
        return len(self._waiting)

    async def hear(self, listener: EventListener) -> list[Subscription]:
        """Let the listener hear, from now on, what any process tells. Raises unavailable."""
        self._listener = listener
        return [
            await self._control.hear(REVOKED, self._revocation_heard),
            await self._control.hear(CHANGED, self._change_heard),
        ]

    async def catch_up(self) -> None:
        """Where words may have been told unheard, forget what is held, and let the listener ask anew."""
        if await self._control.missed():
            self._forget_all()
            if self._listener is not None:
                self._listener.words_missed()

    async def tell(self, *events: Event) -> None:
        """See ports.Events."""
        for event in events:
            self._know(event)
        left = [event for event in events if not isinstance(event, CountersEnded)]
        while left:
            event = left.pop(0)
            try:
                told = await self._now(*self._telling(event))
            except BaseException:
                for later in left:
                    self._wait(*self._telling(later))
                raise
            if not told and isinstance(event, Change | Revocation):
                self._heard(event)

    async def tell_now(self, revocation: Revocation) -> None:
        """See ports.Events."""
        await self._control.tell(REVOKED, msgspec.json.encode(revocation))

    def _know(self, event: Event) -> None:
        """Let what this process holds in memory agree with what is stored."""
        if isinstance(event, Change):
            for forget in self._forget:
                forget(event)
        elif isinstance(event, CountersEnded):
            self._end_counters(event.tenant, event.metrics)

    def _telling(
        self, event: _Word | AccountChanged | AccountUnowned | StreamsChanged | InboxEnded
    ) -> tuple[Hashable, str, _Work]:
        """By what it is known while it waits, what it is in the log, and what tells it."""
        if isinstance(event, AccountChanged):
            tenant = event.tenant.id
            return ("push", tenant), "account", lambda: self._push(tenant)
        if isinstance(event, InboxEnded):
            ended = event
            return ("inbox", ended.tenant, ended.owner), "inbox", lambda: self._end_inbox(ended)
        if isinstance(event, StreamsChanged):
            owner = event.tenant
            return ("streams", owner), "streams", lambda: self._keep_streams(owner)
        if isinstance(event, AccountUnowned):
            unowned = event.tenant
            return ("remove", unowned.account), "account", lambda: self._accounts.remove(unowned)
        topic, payload = CHANGED if isinstance(event, Change) else REVOKED, msgspec.json.encode(event)
        return (topic, payload), topic, lambda: self._control.tell(topic, payload)

    def _change_heard(self, _: str, payload: bytes) -> None:
        try:
            change = _read_change(payload)
        except (ValueError, RecursionError) as error:
            LOG.error("a change cannot be read, so it is felt when the cache expires: %s", error)
        else:
            self._heard(change)

    def _revocation_heard(self, _: str, payload: bytes) -> None:
        try:
            revocation = _read_revocation(payload)
        except (ValueError, RecursionError) as error:
            LOG.error("a revocation cannot be read, so nobody is closed by it: %s", error)
        else:
            self._heard(revocation)

    def _heard(self, word: _Word) -> None:
        self._know(word)
        if self._listener is None:
            return
        if isinstance(word, Change):
            self._listener.changed(word)
        else:
            self._listener.revoked(word)

    async def again(self, patience: int = _FAILURES) -> None:
        """Try what waits once more, until so much of it fails again; the next round begins with the rest."""
        failures = 0
        for key in list(self._waiting):
            if key not in self._waiting:  # Told meanwhile.
                continue
            what, work = self._waiting.pop(key)
            try:
                await work()
            except ArtcafeError:
                self._wait(key, what, work)
                failures += 1
                if failures == patience:
                    return
            except BaseException:
                self._wait(key, what, work)
                raise
            else:
                self._away = False

    async def finish(self) -> None:
        """Try once more, at the end of the process, and say what is lost."""
        await self.again(1)
        for what, _ in self._waiting.values():
            note(NotTold(what=what, lost=True, reason="the process ends"))
        self._waiting.clear()

    async def _push(self, tenant: TenantId) -> None:
        """Push what is stored now, and once more where it changed meanwhile: a push that was overtaken would
        stand. The streams of a tenant that is served again were not looked at while it was suspended."""
        record = await self._stored(tenant)
        while record is not None:
            await self._accounts.push(record)
            pushed, record = record, await self._stored(tenant)
            if record == pushed:
                await self._keep_streams(tenant)
                return

    async def _keep_streams(self, tenant: TenantId) -> None:
        record = await self._stored(tenant)
        if record is not None and not record.suspended:  # Nobody connects to a suspended tenant's account.
            await self._streams.keep(record, partial(self._durable, tenant))

    async def _end_inbox(self, ended: InboxEnded) -> None:
        record = await self._stored(ended.tenant)
        if record is not None and not record.suspended:
            await self._streams.empty_inbox(record, ended.owner)

    async def _now(self, key: Hashable, what: str, work: _Work) -> bool:
        """Do it now, or let it wait where the bus was away a moment ago; whether it is done."""
        if self._away:
            self._wait(key, what, work)
            return False
        try:
            await work()
        except ArtcafeError as error:
            self._away = True
            if self._wait(key, what, work):
                note(NotTold(what=what, lost=False, reason=f"{error}"))
            return False
        except BaseException:  # Whoever asked is gone; the change is stored.
            self._wait(key, what, work)
            raise
        return True

    def _wait(self, key: Hashable, what: str, work: _Work) -> bool:
        if key not in self._waiting and len(self._waiting) >= self._most:
            note(NotTold(what=what, lost=True, reason="too much waits to be told"))
            return False
        self._waiting.setdefault(key, (what, work))
        return True
