"""How often a tenant may call the API."""

from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.plan import plan_of
from artcafe.server.domain.rate import TokenBucket
from artcafe.server.ports.clock import Clock
from artcafe.server.ports.records import Directory
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

_MINUTE = 60.0


class Throttle:
    """The plan's API calls a minute, for each tenant on this process. A whole minute's may come at once."""

    def __init__(self, directory: Directory, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._buckets: dict[TenantId, TokenBucket] = {}

    async def api_call(self, tenant: TenantId) -> None:
        """One more call. Raises rate_limited with the seconds to wait."""
        record = await self._directory.tenant(tenant)
        most = None if record is None else plan_of(record).api_calls_per_minute
        if most is None:
            self._buckets.pop(tenant, None)
            return
        now = self._clock.monotonic()
        bucket = self._buckets.get(tenant)
        if bucket is None or bucket.burst != most:
            bucket = self._buckets[tenant] = TokenBucket(most / _MINUTE, most, now)
        wait = bucket.spend(now)
        if wait > 0.0:
            raise ArtcafeError(
                Code.rate_limited, f"The plan has {most} API calls a minute.", retry_after=wait
            )
