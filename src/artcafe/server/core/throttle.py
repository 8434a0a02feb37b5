"""Rate limits of the API: per tenant, and per user outside of any tenant."""

from typing import Final

from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.domain.plan import plan_of
from artcafe.server.domain.rate import TokenBucket
from artcafe.server.domain.recent import Recent
from artcafe.server.ports.clock import Clock
from artcafe.server.ports.records import Directory
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

_MINUTE = 60.0

MAX_BUCKETS: Final = 20_000
"""Tenants, and users, whose calls are remembered: whoever has not called for longest is forgotten, and has a
whole minute's calls again."""


class Throttle:
    """API calls a minute on this process: the plan's for each tenant, and `calls_per_user` for each user's
    that enter no tenant. A whole minute's may come at once."""

    def __init__(self, directory: Directory, clock: Clock, calls_per_user: int) -> None:
        self._directory = directory
        self._clock = clock
        self._calls_per_user = calls_per_user
        self._tenants, self._users = Recent(MAX_BUCKETS), Recent(MAX_BUCKETS)

    async def api_call(self, tenant: TenantId) -> None:
        """One more call in a tenant. Raises rate_limited with the seconds to wait."""
        record = await self._directory.tenant(tenant)
        most = None if record is None else plan_of(record).api_calls_per_minute
        if most is not None:
            self._spend(self._tenants, tenant, most, f"The plan has {most} API calls a minute.")

    def user_call(self, user: UserId) -> None:
        """One more call of a user outside of any tenant. Raises rate_limited with the seconds to wait."""
        most = self._calls_per_user
        self._spend(self._users, user, most, f"A user has {most} API calls a minute outside of tenants.")

    def _spend(self, buckets: Recent, whose: TenantId | UserId, most: int, refusal: str) -> None:
        now = self._clock.monotonic()
        bucket: TokenBucket | None = buckets.get(whose)
        if bucket is None or bucket.burst != most:
            bucket = TokenBucket(most / _MINUTE, most, now)
            buckets.put(whose, bucket)
        wait = bucket.spend(now)
        if wait > 0.0:
            raise ArtcafeError(Code.rate_limited, refusal, retry_after=wait)
