"""Monthly quotas: what the messages of a tenant's plan leave to it, looked up while it publishes.

The meter's count of the calendar month (UTC) is the number that limits. Each process takes from what it
knows to be left and looks again while its tenants publish, so several processes together may exceed a quota
by what one takes between two looks, and what the others have not flushed.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from weakref import WeakValueDictionary

from msgspec import Struct

from artcafe.server.domain.change import Change, Kind
from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.plan import plan_of
from artcafe.server.domain.quota import UNLIMITED, Quota
from artcafe.server.domain.recent import Recent
from artcafe.server.ports.clock import Clock
from artcafe.server.ports.records import Directory

LOOK_SECONDS = 1.0
"""How often it is looked which tenants published."""

STALE_SECONDS = 30.0
"""How old what is known may be where a tenant publishes and has much left, or has nothing left."""

LOOKS = 10
"""It is looked again when a tenth of what was left is taken."""

WARN_PERCENTS = (80, 100)
"""A tenant is warned when so much of its quota is used."""

MAX_REMEMBERED = 10_000
"""Tenants without a connection whose quota is remembered: who has not published for longest is looked up
again."""


class QuotaWarning(Struct, frozen=True):
    """Told to a tenant on `sys.quota`: so much of a quota is used. `resets_on` is the first day of the next
    month (UTC)."""

    used: int
    limit: int
    percent: int
    resets_on: str
    quota: str = "messages_per_month"


NEVER = -(2**62)


@dataclass(slots=True)
class _Known:
    """A quota's month and limit, when it was set last, and of which percentage the tenant was told."""

    month: date
    allowed: int | None
    at: float = -STALE_SECONDS
    told: int = 0
    warn_at: int = NEVER
    """What is left when it is to be told again."""


Warn = Callable[[TenantId, QuotaWarning], Awaitable[None]]
"""Tells a tenant. Raises unavailable."""

Used = Callable[[TenantId, date, date], Awaitable[int]]
"""How many messages of a tenant were counted on these days, the first to the last. Raises unavailable."""


class Quotas:
    """The quotas of the tenants that publish in this process. Somebody calls `look` every LOOK_SECONDS.

    `grace_percent` is what may be taken beyond a plan's number, in hundredths of it.
    """

    def __init__(self, used: Used, directory: Directory, clock: Clock, grace_percent: int) -> None:
        self._used = used
        self._directory = directory
        self._clock = clock
        self._grace_percent = grace_percent
        self._live: WeakValueDictionary[TenantId, Quota] = WeakValueDictionary()
        self._recent = Recent(MAX_REMEMBERED)
        self._known: dict[TenantId, _Known] = {}

    def of(self, tenant: TenantId) -> Quota:
        """The quota of a tenant, one for all its publishers. Of a new one it is known at the next look what
        is left, and until then everything is taken."""
        quota = self._live.get(tenant)
        if quota is None:
            quota = self._live[tenant] = Quota()
            self._known.pop(tenant, None)
        self._recent.put(tenant, quota)
        return quota

    def forget(self, change: Change) -> None:
        """Look again at the next look when a tenant's record is another one: its plan may be."""
        if change.kind is Kind.tenant and change.tenant in self._known:
            self._known[change.tenant].at = -STALE_SECONDS

    async def look(self, warn: Warn) -> None:
        """Bring the quotas of those that publish up to date, and warn who is to be warned. Raises
        unavailable; what was not looked up is looked up the next time."""
        now, month = self._clock.monotonic(), self._month()
        for tenant in [tenant for tenant in self._known if tenant not in self._live]:
            del self._known[tenant]
        for tenant, quota in list(self._live.items()):
            known = self._known.get(tenant)
            if known is None or _is_due(known, quota, now, month):
                rules = await self._directory.tenant(tenant)
                allowed = None if rules is None else plan_of(rules).messages_per_month
                if known is None or (known.month, known.allowed) != (month, allowed):
                    known = self._known[tenant] = _Known(month, allowed)
                if allowed is None:
                    quota.set(UNLIMITED)
                else:
                    used = await self._used(tenant, month, self._today())
                    most = allowed * (100 + self._grace_percent) // 100
                    quota.set(most - used)
                    await _tell(tenant, known, used, allowed, warn)
                    known.warn_at = max(
                        (most - -(-allowed * each // 100) for each in WARN_PERCENTS if each > known.told),
                        default=NEVER,
                    )
                known.at = now

    def _today(self) -> date:
        return datetime.fromtimestamp(self._clock.now(), UTC).date()

    def _month(self) -> date:
        return self._today().replace(day=1)


def _is_due(known: _Known, quota: Quota, now: float, month: date) -> bool:
    """Whether what is known of a tenant that publishes, or may not any more, is too old. The less is left,
    the sooner it is: other processes may take as fast."""
    if quota.taken == 0 and quota.left > 0:
        return False
    much = quota.taken > 0 and quota.taken * LOOKS >= quota.left
    return much or quota.left <= known.warn_at or now - known.at >= STALE_SECONDS or known.month != month


async def _tell(tenant: TenantId, known: _Known, used: int, allowed: int, warn: Warn) -> None:
    percent = max((each for each in WARN_PERCENTS if used * 100 >= allowed * each), default=0)
    if percent > known.told:
        month = known.month
        following = month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)
        await warn(tenant, QuotaWarning(used, allowed, percent, f"{following}"))
        known.told = percent
