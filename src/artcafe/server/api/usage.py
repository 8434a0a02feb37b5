"""Usage over REST: the numbers of the one counter."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from artcafe.server.api.deps import Cases, CurrentHuman, UseCases
from artcafe.server.core.usage import AGENT, API_CALLS, BYTES, MESSAGES, SUBJECT
from artcafe.server.domain.plan import Plan, plan_named
from artcafe.server.domain.principal import Human
from artcafe.wire.times import rfc3339

router = APIRouter(prefix="/api/v1/usage-metrics", tags=["usage"])

DAYS = 7


class Limits(BaseModel):
    """What the plan has; null is unlimited. Daily figures are a thirtieth of the month."""

    max_agents: int | None
    max_channels: int | None
    max_messages_per_day: int | None
    max_api_calls_per_day: int | None
    max_storage_bytes: int | None
    concurrent_connections: int | None

    @classmethod
    def of(cls, plan: Plan) -> "Limits":
        """A plan's limits in the shape that clients read."""
        monthly, per_minute = plan.messages_per_month, plan.api_calls_per_minute
        return cls(
            max_agents=plan.agents,
            max_channels=plan.channels,
            max_messages_per_day=None if monthly is None else monthly // 30,
            max_api_calls_per_day=None if per_minute is None else per_minute * 60 * 24,
            max_storage_bytes=None,
            concurrent_connections=plan.connections,
        )


class Day(BaseModel):
    """One UTC day."""

    tenant_id: str
    date: str
    agents_count: int
    active_agents_count: int
    channels_count: int
    active_channels_count: int
    messages_count: int
    bytes_count: int
    api_calls_count: int
    storage_used_bytes: int
    created_at: str
    metadata: dict[str, Any] = {}


class Totals(BaseModel):
    """Sums over the days asked for."""

    messages_count: int
    bytes_count: int
    api_calls_count: int


class Usage(BaseModel):
    """Usage per day."""

    metrics: list[Day]
    totals: Totals
    limits: Limits
    success: bool = True


class Billing(BaseModel):
    """The current month against the plan."""

    tenant_id: str
    plan: str
    billing_cycle: str = "monthly"
    status: str
    current_usage: dict[str, int]
    limits: Limits
    success: bool = True


def _today(cases: UseCases) -> date:
    return datetime.fromtimestamp(cases.clock.now(), UTC).date()


async def _named(cases: UseCases, human: Human) -> tuple[int, set[str]]:
    """How many agents there are, and the ids of all channels."""
    agents, cursor = 0, None
    while True:
        page = await cases.agents.list(human, 200, cursor)
        agents, cursor = agents + len(page.items), page.cursor
        if cursor is None:
            break
    channels: set[str] = set()
    while True:
        found = await cases.channels.list(human, 200, cursor)
        channels.update(channel.id for channel in found.items)
        cursor = found.cursor
        if cursor is None:
            return agents, channels


@router.get("")
async def usage_metrics(
    cases: Cases,
    human: CurrentHuman,
    start_date: Annotated[date | None, Query(description="First UTC day; a week ago.")] = None,
    end_date: Annotated[date | None, Query(description="Last UTC day; today.")] = None,
) -> Usage:
    """What the tenant used, day by day. Agents and channels are counted as there are now."""
    last = end_date or _today(cases)
    first = start_date or last - min(timedelta(days=DAYS - 1), last - date.min)
    tenant = await cases.tenants.get(human)
    days = await cases.meter.days(human.tenant, first, last)
    agents, channels = await _named(cases, human)
    at = rfc3339(cases.clock.now())
    metrics = [
        Day(
            tenant_id=human.tenant,
            date=day,
            agents_count=agents,
            active_agents_count=sum(name.startswith(AGENT) for name in counts),
            channels_count=len(channels),
            active_channels_count=sum(SUBJECT + channel in counts for channel in channels),
            messages_count=counts.get(MESSAGES, 0),
            bytes_count=counts.get(BYTES, 0),
            api_calls_count=counts.get(API_CALLS, 0),
            storage_used_bytes=0,
            created_at=at,
        )
        for day, counts in days.items()
    ]
    totals = Totals(
        messages_count=sum(day.messages_count for day in metrics),
        bytes_count=sum(day.bytes_count for day in metrics),
        api_calls_count=sum(day.api_calls_count for day in metrics),
    )
    return Usage(metrics=metrics, totals=totals, limits=Limits.of(plan_named(tenant.subscription_tier)))


@router.get("/billing")
async def billing(cases: Cases, human: CurrentHuman) -> Billing:
    """The current calendar month against the plan."""
    tenant = await cases.tenants.get(human)
    today = _today(cases)
    days = await cases.meter.days(human.tenant, today.replace(day=1), today)
    agents, channels = await _named(cases, human)
    plan = plan_named(tenant.subscription_tier)
    usage = {
        "agents": agents,
        "channels": len(channels),
        "messages": sum(counts.get(MESSAGES, 0) for counts in days.values()),
        "bytes": sum(counts.get(BYTES, 0) for counts in days.values()),
        "api_calls": sum(counts.get(API_CALLS, 0) for counts in days.values()),
    }
    return Billing(
        tenant_id=human.tenant,
        plan=plan.name,
        status=tenant.status,
        current_usage=usage,
        limits=Limits.of(plan),
    )
