"""Limits on failed logins: per agent and address, per address, and in all.

What is bounded is the work that somebody without a key can cause. An attempt that names one of the agent's
own keys, and one of an agent that was let in from the same address before, is charged to that agent at that
address alone: neither a neighbour behind the address nor a flood from many addresses locks it out.
"""

from dataclasses import dataclass

from artcafe.server.domain.addresses import network_of
from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.server.domain.rate import TokenBucket
from artcafe.server.domain.recent import Recent
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

MAX_REMEMBERED = 20_000
"""Addresses, and agents at addresses, that are remembered; those that were not seen for longest go first."""

_MINUTE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginLimits:
    """Failed logins a minute in one process; so many may come at once."""

    per_agent: int = 30
    per_address: int = 300
    in_all: int = 3_000


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """A login that was let through to the check of its signature, and the buckets that it was charged to."""

    place: tuple[TenantId, AgentId, str]
    charged: tuple[TokenBucket, ...]


class FailedLogins:
    """Token buckets. Every attempt pays when it begins, and one that succeeds is paid back."""

    def __init__(self, limits: LoginLimits) -> None:
        self._limits = limits
        self._agents = Recent(MAX_REMEMBERED)
        self._addresses = Recent(MAX_REMEMBERED)
        self._known = Recent(MAX_REMEMBERED)
        self._all: TokenBucket | None = None

    def begin(
        self, remote: str, tenant: TenantId, agent: AgentId, key: str | None, now: float
    ) -> LoginAttempt:
        """A login begins, at `now` in monotonic seconds. `key` is the fingerprint of the agent's own key that
        it names, None where it names none.

        Raises rate_limited with the seconds to wait.
        """
        network = network_of(remote)
        place = (tenant, agent, network)
        buckets = [self._bucket(self._agents, (*place, key), self._limits.per_agent, now)]
        if key is None and self._known.get(place) is None:
            buckets.append(self._bucket(self._addresses, network, self._limits.per_address, now))
            if self._all is None:
                self._all = _bucket(self._limits.in_all, now)
            buckets.append(self._all)
        charged: list[TokenBucket] = []
        for bucket in buckets:
            wait = bucket.spend(now)
            if wait > 0.0:
                for paid in charged:
                    paid.give_back()
                raise ArtcafeError(Code.rate_limited, "Too many logins failed.", retry_after=wait)
            charged.append(bucket)
        return LoginAttempt(place, tuple(charged))

    def succeeded(self, attempt: LoginAttempt) -> None:
        """It proved its key."""
        for bucket in attempt.charged:
            bucket.give_back()
        self._known.put(attempt.place, True)

    def _bucket(self, held: Recent, key: object, per_minute: int, now: float) -> TokenBucket:
        bucket: TokenBucket | None = held.get(key)
        if bucket is None:
            bucket = _bucket(per_minute, now)
            held.put(key, bucket)
        return bucket


def _bucket(per_minute: int, now: float) -> TokenBucket:
    return TokenBucket(per_minute / _MINUTE, per_minute, now)
