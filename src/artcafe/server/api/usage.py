"""Usage over REST: a tenant's counters by day and month."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from artcafe.server.api.admission import AdmittingRoute
from artcafe.server.api.deps import Cases, CurrentHuman, UseCases
from artcafe.server.api.fields import Date
from artcafe.server.api.plans import PlanLimits
from artcafe.server.core.usage import (
    ACTIVE_AGENTS,
    ACTIVE_CHANNELS,
    API_CALLS,
    BYTES,
    LOGINS,
    MESSAGES,
)
from artcafe.server.domain.plan import plan_of
from artcafe.server.domain.principal import Human
from artcafe.wire.times import rfc3339

router = APIRouter(route_class=AdmittingRoute, prefix="/api/v1/usage-metrics", tags=["usage"])

DAYS = 7


class Day(BaseModel):
    """One UTC day. Active are agents that logged in, and channels that had a message. Nothing of a message is
    kept once it was delivered: storage is what agents and channels take, those that there are now."""

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
    limits: PlanLimits
    success: bool = True


class Billing(BaseModel):
    """The current month against the plan."""

    tenant_id: str
    plan: str
    billing_cycle: str = "monthly"
    status: str
    current_usage: dict[str, int]
    limits: PlanLimits
    success: bool = True


def _today(cases: UseCases) -> date:
    return datetime.fromtimestamp(cases.meter.clock.now(), UTC).date()


def _active_agents(counts: Mapping[str, int]) -> int:
    """How many agents logged in on a day. Older releases left the logins of each one."""
    return max(counts.get(ACTIVE_AGENTS, 0), sum(name.startswith(LOGINS) for name in counts))


@router.get("")
async def usage_metrics(
    cases: Cases,
    human: CurrentHuman,
    start_date: Annotated[Date | None, Query(description="First UTC day; a week ago.")] = None,
    end_date: Annotated[Date | None, Query(description="Last UTC day; today.")] = None,
) -> Usage:
    """The tenant's usage by day. Agents and channels are counted as of now."""
    last = end_date or _today(cases)
    first = start_date or last - min(timedelta(days=DAYS - 1), last - date.min)
    tenant = await cases.tenants.get(human)
    days = await cases.meter.days(human.tenant, first, last)
    agents = await cases.agents.count(human)
    channels = await cases.channels.count(human)
    stored = await cases.tenants.space(human)
    at = rfc3339(cases.meter.clock.now())
    metrics = [
        Day(
            tenant_id=human.tenant,
            date=day,
            agents_count=agents,
            active_agents_count=_active_agents(counts),
            channels_count=channels,
            active_channels_count=counts.get(ACTIVE_CHANNELS, 0),
            messages_count=counts.get(MESSAGES, 0),
            bytes_count=counts.get(BYTES, 0),
            api_calls_count=counts.get(API_CALLS, 0),
            storage_used_bytes=stored,
            created_at=at,
        )
        for day, counts in days.items()
    ]
    totals = Totals(
        messages_count=sum(day.messages_count for day in metrics),
        bytes_count=sum(day.bytes_count for day in metrics),
        api_calls_count=sum(day.api_calls_count for day in metrics),
    )
    return Usage(metrics=metrics, totals=totals, limits=PlanLimits.of(plan_of(tenant)))


async def used_this_month(cases: UseCases, human: Human) -> dict[str, int]:
    """The tenant's agents, channels, bytes and the bytes that its durable channels reserve as of now, and its
    usage in the current calendar month (UTC)."""
    today = _today(cases)
    days = await cases.meter.days(human.tenant, today.replace(day=1), today)
    return {
        "agents": await cases.agents.count(human),
        "channels": await cases.channels.count(human),
        "messages": sum(counts.get(MESSAGES, 0) for counts in days.values()),
        "bytes": sum(counts.get(BYTES, 0) for counts in days.values()),
        "api_calls": sum(counts.get(API_CALLS, 0) for counts in days.values()),
        "storage_bytes": await cases.tenants.space(human),
        "durable_bytes": await cases.channels.durable_bytes(human),
    }


@router.get("/billing")
async def billing(cases: Cases, human: CurrentHuman) -> Billing:
    """The current calendar month against the plan."""
    tenant = await cases.tenants.get(human)
    plan = plan_of(tenant)
    return Billing(
        tenant_id=human.tenant,
        plan=plan.name,
        status=tenant.status,
        current_usage=await used_this_month(cases, human),
        limits=PlanLimits.of(plan),
    )
