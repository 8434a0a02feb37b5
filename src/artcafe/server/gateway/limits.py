"""The limits of one gateway process."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayLimits:
    """What one process takes. `max_agent_connections` is for each agent, and for each human."""

    max_payload_bytes: int
    max_subscriptions: int
    max_agent_connections: int
    max_pending_logins: int
    max_pending_logins_per_address: int
    heartbeat_seconds: float
