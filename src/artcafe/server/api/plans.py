"""A plan's limits as the API shows them."""

from pydantic import BaseModel

from artcafe.server.domain.plan import Plan


class PlanLimits(BaseModel):
    """The limits of the plan; null is unlimited. Messages per day are a thirtieth of those per month, and API
    calls per day 1,440 times those per minute: the month and the minute are enforced."""

    max_agents: int | None
    max_channels: int | None
    max_messages_per_day: int | None
    max_api_calls_per_day: int | None
    max_storage_bytes: int | None
    max_durable_bytes: int | None
    max_inbox_messages: int | None
    max_inbox_bytes: int | None
    concurrent_connections: int | None

    @classmethod
    def of(cls, plan: Plan) -> "PlanLimits":
        """A plan's limits in the shape that clients read."""
        monthly, per_minute = plan.messages_per_month, plan.api_calls_per_minute
        return cls(
            max_agents=plan.agents,
            max_channels=plan.channels,
            max_messages_per_day=None if monthly is None else monthly // 30,
            max_api_calls_per_day=None if per_minute is None else per_minute * 60 * 24,
            max_storage_bytes=plan.storage_bytes,
            max_durable_bytes=plan.durable_bytes,
            max_inbox_messages=plan.inbox_messages,
            max_inbox_bytes=plan.inbox_bytes,
            concurrent_connections=plan.connections,
        )
