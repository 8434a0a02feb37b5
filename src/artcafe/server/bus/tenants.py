"""The links of the tenants that this process serves, one each: ports.Bus on NATS."""

import asyncio
import random
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any

from artcafe.server.bus.accounts.operator import Operator
from artcafe.server.bus.nats.credentials import NatsCredentials
from artcafe.server.bus.nats.link import BUFFER_BYTES, PATIENCE_SECONDS, NatsLink
from artcafe.server.bus.nats.requests import Requests
from artcafe.server.bus.nats.streams.inboxes import inbox_config
from artcafe.server.bus.restoration import AccountRestoration, Restore, no_restoration
from artcafe.server.bus.streams_account import StreamsAccount
from artcafe.server.bus.tasks import leave
from artcafe.server.bus.tenant_link import TenantLink
from artcafe.server.bus.unavailable import bus_unavailable
from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.plan import plan_of
from artcafe.server.domain.tenant import TenantRules
from artcafe.wire.errors import ArtcafeError

_FAREWELL_SECONDS = 1.0

_Key = tuple[TenantId, str]
_PROBE: _Key = (TenantId(""), "")
"""The link that only asks whether NATS answers; no tenant has an empty id."""


@dataclass(eq=False, slots=True)
class _Active:
    link: TenantLink
    task: asyncio.Task[None]
    closing: bool = False
    refused: bool = False
    """Whether NATS did not let it in at some time."""
    groups: list[asyncio.Task[None]] = field(default_factory=list)
    """Those of the link for queue groups: one at most that goes on."""

    def cancel(self) -> None:
        """End its tasks, which a closed link alone may keep waiting."""
        for task in (self.task, *self.groups):
            task.cancel()


class TenantLinks:
    """Links to tenants' accounts. Enter it before use; what it started ends when it is left.

    Everybody who asks for the same tenant gets the same link, and there is one connection however
    many ask at once. When the last one gave it back, it stays for `idle_seconds`, is flushed and
    closed. A tenant that was deleted and made again under its id has another account, and gets
    another link, also when nobody dropped the first one here.
    """

    def __init__(
        self,
        url: str,
        operator: Operator,
        *,
        idle_seconds: float = 60.0,
        buffer_bytes: int = BUFFER_BYTES,
        patience: float = PATIENCE_SECONDS,
        jitter: Callable[[], float] = random.random,
        tls: ssl.SSLContext | None = None,
        restore: Restore = no_restoration,
        replicas: int = 1,
    ) -> None:
        """`url` may be several, with commas between them; `buffer_bytes` is what one link holds while
        NATS is away, `patience` how many seconds a call waits for it, `jitter` draws from [0, 1); `tls` says
        whom to trust, as for NatsLink; `restore` is called when NATS does not let a tenant's user in; on
        `replicas` servers of a cluster what waits in inboxes is stored."""
        self._replicas = replicas
        self._servers = [part.strip() for part in url.split(",")]
        self._operator = operator
        self._idle_seconds = idle_seconds
        self._buffer_bytes = buffer_bytes
        self._patience = patience
        self._jitter = jitter
        self._tls = tls
        self._streams = StreamsAccount(url, operator, jitter=jitter, tls=tls)
        self._restore = restore
        self._tasks = asyncio.TaskGroup()
        self._open = False
        self._active: dict[_Key, _Active] = {}
        # Counted by tenant, not by link: a holder gives back what was dropped under it, too.
        self._holders: Counter[TenantId] = Counter()
        self._idle: dict[TenantId, asyncio.TimerHandle] = {}

    async def __aenter__(self) -> "TenantLinks":
        await self._tasks.__aenter__()
        self._open = True
        self._restoration = AccountRestoration(
            self._restore, asyncio.get_running_loop().time, self._tasks.create_task
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        for timer in self._idle.values():
            timer.cancel()
        try:
            async with asyncio.TaskGroup() as endings:
                for active in list(self._active.values()):
                    endings.create_task(self._end(active, flush=True))
        finally:
            await leave(self._tasks, error)

    async def link(self, tenant: TenantRules) -> TenantLink:
        """The tenant's link, connected. Each call that returns is matched by one `release`.

        Raises unavailable when NATS is away or does not know the tenant's account.
        """
        self._holders[tenant.id] += 1
        timer = self._idle.pop(tenant.id, None)
        if timer is not None:
            timer.cancel()
        key = (tenant.id, tenant.account)
        try:
            active = await self._connected(key, tenant)
        except BaseException:
            self.release(tenant.id)
            self._abandon(key)
            raise
        return active.link

    def release(self, tenant: TenantId) -> None:
        """Give back one `link`. Raises ValueError for one that was never taken."""
        if self._holders[tenant] <= 0:
            raise ValueError("A link was released more often than it was taken.")
        self._holders[tenant] -= 1
        if self._holders[tenant] == 0:
            del self._holders[tenant]
            if self._open:
                loop = asyncio.get_running_loop()
                self._idle[tenant] = loop.call_later(self._idle_seconds, self._retire, tenant)

    async def drop(self, tenant: TenantId) -> None:
        """Close the tenant's connection at once, whoever holds it: the tenant was deleted or suspended.

        Every call on the dropped link raises unavailable. Its holders still release it.
        """
        for active in self._of(tenant):
            await self._end(active, flush=False)

    async def ping(self) -> None:
        """Raises unavailable when NATS does not answer; at once when that is known."""
        active = await self._start(_PROBE, self._operator.control_credentials)
        if active.link.stood and not active.link.up:
            raise bus_unavailable()
        await active.link.ready()
        await active.link.flush()

    async def _connected(self, key: _Key, tenant: TenantRules) -> _Active:
        """The tenant's link, connected; its account is made anew, once, when NATS does not know it."""

        def start() -> Awaitable[_Active]:
            return self._start(key, lambda: self._operator.credentials(tenant), tenant)

        active = await start()
        try:
            await active.link.ready()
        except ArtcafeError:
            if not active.refused or not await self._restoration.restore(tenant):
                raise
            active = await start()
            await active.link.ready()
        return active

    async def _start(
        self, key: _Key, credentials: Callable[[], NatsCredentials], tenant: TenantRules | None = None
    ) -> _Active:
        """The running link; a new one when there is none. Never two at a time."""
        while (active := self._active.get(key)) is not None:
            if not active.closing and not active.link.over:
                return active
            await asyncio.wait([active.task])
        if not self._open:
            raise bus_unavailable()

        def make(*, echo: bool) -> NatsLink:
            return NatsLink(
                self._servers,
                credentials(),
                f"artcafe gateway {key[0]}".strip(),
                buffer_bytes=self._buffer_bytes,
                patience=self._patience,
                jitter=self._jitter,
                echo=echo,
                tls=self._tls,
                refused=refuse,
                # Those that were configured may all be gone, while other links have heard of more.
                others={server for other in self._active.values() for server in other.link.known},
            )

        def refuse() -> None:
            made.refused = True
            if made.link.stood and tenant is not None:
                self._restoration.begin(tenant)

        def make_groups() -> NatsLink:
            link = make(echo=True)
            made.groups.append(self._tasks.create_task(link.run()))
            return link

        own = make(echo=False)
        connected = self._nobody if tenant is None else partial(self._streams.connected, tenant)
        link = TenantLink(
            own, make_groups, connected, self._tasks.create_task, key[0], self._inboxes_of(tenant)
        )
        made = _Active(link, self._tasks.create_task(own.run()))
        self._active[key] = made
        made.task.add_done_callback(lambda _: self._active.pop(key))
        return made

    def _inboxes_of(self, tenant: TenantRules | None) -> Mapping[str, Any]:
        if tenant is None:
            return {}
        plan = plan_of(tenant)
        return inbox_config(plan.inbox_messages, plan.inbox_bytes, self._replicas)

    def _nobody(self) -> AbstractAsyncContextManager[Requests]:
        """The probe has no streams."""
        raise bus_unavailable()

    def _of(self, tenant: TenantId) -> list[_Active]:
        return [active for key, active in self._active.items() if key[0] == tenant]

    def _abandon(self, key: _Key) -> None:
        """End a first attempt that nobody waits for: who asks next is not to share its failure."""
        active = self._active.get(key)
        if active is not None and not active.link.stood and key[0] not in self._holders:
            active.link.close()
            active.cancel()

    def _retire(self, tenant: TenantId) -> None:
        del self._idle[tenant]
        for active in self._of(tenant):
            self._tasks.create_task(self._end(active, flush=True))

    async def _end(self, active: _Active, *, flush: bool) -> None:
        active.closing = True
        if flush and active.link.up:
            await active.link.farewell(_FAREWELL_SECONDS)
        active.link.close()
        active.cancel()
        await asyncio.wait([active.task, *active.groups])
