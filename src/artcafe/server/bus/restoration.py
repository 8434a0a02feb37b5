"""Accounts that NATS does not know, though their tenants exist: made anew when a link is refused."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.tenant import TenantRules
from artcafe.server.events import AccountRestored, note
from artcafe.wire.errors import ArtcafeError

REST_SECONDS = 5.0
"""So long after an attempt nobody makes another one for the same account."""

AT_ONCE = 8
"""Accounts that are made at the same time."""

Restore = Callable[[TenantRules], Awaitable[bool]]
"""Makes the account of a tenant anew; False where there is no such tenant. Raises unavailable."""


async def nobody(_: TenantRules) -> bool:
    """Where no account is made anew."""
    return False


LOG = logging.getLogger(__name__)


class Mending:
    """However many ask and are refused, each account is made once in REST_SECONDS, and few at a time."""

    def __init__(
        self, restore: Restore, clock: Callable[[], float], spawn: Callable[..., asyncio.Task[bool]]
    ) -> None:
        """`clock` gives seconds that never go back; `spawn` runs a coroutine as a task that somebody owns."""
        self._restore = restore
        self._spawn = spawn
        self._free = asyncio.Semaphore(AT_ONCE)
        self._running: dict[tuple[TenantId, str], asyncio.Task[bool]] = {}
        self._clock = clock
        # When each rest ends, the first one first.
        self._resting: dict[tuple[TenantId, str], float] = {}

    def begin(self, tenant: TenantRules) -> "asyncio.Task[bool] | None":
        """The attempt that is under way, one that begins now, or None after one that was just made."""
        key = (tenant.id, tenant.account)
        if key not in self._running:
            self._rested()
            if key in self._resting:
                return None
            self._running[key] = self._spawn(self._mend(key, tenant))
        return self._running[key]

    async def mend(self, tenant: TenantRules) -> bool:
        """Whether the account was made anew, by this call or by others at the same time."""
        attempt = self.begin(tenant)
        return attempt is not None and await asyncio.shield(attempt)

    async def _mend(self, key: tuple[TenantId, str], tenant: TenantRules) -> bool:
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
