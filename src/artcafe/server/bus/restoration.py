"""Restores accounts of existing tenants that NATS has lost, when it refuses a link's login."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.tenant import TenantRules
from artcafe.server.events import AccountRestored, note
from artcafe.wire.errors import ArtcafeError

REST_SECONDS = 5.0
"""The least time between two attempts for the same account."""

AT_ONCE = 8
"""The most accounts that are restored at the same time."""

Restore = Callable[[TenantRules], Awaitable[bool]]
"""Makes the account of a tenant anew; False when there is no such tenant. Raises unavailable."""


async def no_restoration(_: TenantRules) -> bool:
    """Restores nothing: a Restore for a process that may not change accounts."""
    return False


LOG = logging.getLogger(__name__)


class AccountRestoration:
    """Rate limits restorations: each account once in REST_SECONDS, AT_ONCE accounts at a time, however many
    links are refused."""

    def __init__(
        self, restore: Restore, clock: Callable[[], float], spawn: Callable[..., asyncio.Task[bool]]
    ) -> None:
        """`clock` returns monotonic seconds; `spawn` runs a coroutine as a task that its caller owns."""
        self._restore = restore
        self._spawn = spawn
        self._free = asyncio.Semaphore(AT_ONCE)
        self._running: dict[tuple[TenantId, str], asyncio.Task[bool]] = {}
        self._clock = clock
        # When each rest ends, the first one first.
        self._resting: dict[tuple[TenantId, str], float] = {}

    def begin(self, tenant: TenantRules) -> "asyncio.Task[bool] | None":
        """Returns the running attempt, or starts one; None within REST_SECONDS after the last one."""
        key = (tenant.id, tenant.account)
        if key not in self._running:
            self._rested()
            if key in self._resting:
                return None
            self._running[key] = self._spawn(self._attempt(key, tenant))
        return self._running[key]

    async def restore(self, tenant: TenantRules) -> bool:
        """Returns whether the account was made anew, by this call or a concurrent one."""
        attempt = self.begin(tenant)
        return attempt is not None and await asyncio.shield(attempt)

    async def _attempt(self, key: tuple[TenantId, str], tenant: TenantRules) -> bool:
        try:
            async with self._free:
                restored = await self._restore(tenant)
        except ArtcafeError as error:
            LOG.warning("the account of a tenant cannot be made anew: %s", error)
            return False
        except Exception:
            # Supervision: the fault of one tenant's account ends no other tenant's link.
            LOG.exception("fault while the account of a tenant is made anew")
            return False
        else:
            if restored:
                note(AccountRestored(tenant=tenant.id))
            return restored
        finally:
            del self._running[key]
            self._resting[key] = self._clock() + REST_SECONDS

    def _rested(self) -> None:
        now = self._clock()
        while self._resting and next(iter(self._resting.values())) <= now:
            del self._resting[next(iter(self._resting))]
