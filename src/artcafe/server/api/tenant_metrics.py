"""A tenant's own metrics over REST: JSON, or Prometheus' text format for whoever asks for that."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Header, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from artcafe.server.api.admission import AdmittingRoute
from artcafe.server.api.deps import Cases, NamedHuman, UseCases
from artcafe.server.api.usage import used_this_month
from artcafe.server.domain.plan import LIMITS, plan_of
from artcafe.server.domain.principal import Human
from artcafe.wire.times import rfc3339

router = APIRouter(route_class=AdmittingRoute, prefix="/api/v1/tenants", tags=["tenants"])

TEXT = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus' text format (prometheus.io, "Exposition formats")."""


@dataclass(frozen=True, slots=True)
class TenantMetric:
    """One metric of a tenant's: which field of TenantMetrics it is."""

    field: str
    name: str
    kind: str
    meaning: str


TENANT_METRICS = (
    TenantMetric("connections", "artcafe_tenant_connections", "gauge", "Connections of agents."),
    TenantMetric("connected_agents", "artcafe_tenant_connected_agents", "gauge", "Agents that are online."),
    TenantMetric("agents", "artcafe_tenant_agents", "gauge", "Agents that there are."),
    TenantMetric("channels", "artcafe_tenant_channels", "gauge", "Channels that there are."),
    TenantMetric(
        "messages",
        "artcafe_tenant_published_messages_total",
        "counter",
        "Messages of this calendar month (UTC), as usage counts them.",
    ),
    TenantMetric(
        "bytes",
        "artcafe_tenant_published_bytes_total",
        "counter",
        "Payload bytes of this calendar month (UTC), as usage counts them.",
    ),
    TenantMetric(
        "api_calls", "artcafe_tenant_api_calls_total", "counter", "API calls of this calendar month (UTC)."
    ),
    TenantMetric(
        "storage_bytes", "artcafe_tenant_storage_bytes", "gauge", "Bytes of agents and channels, as JSON."
    ),
    TenantMetric(
        "durable_bytes",
        "artcafe_tenant_durable_reserved_bytes",
        "gauge",
        "Bytes that durable channels reserve of the bus's disk.",
    ),
)
LIMIT_METRIC = TenantMetric(
    "limits", "artcafe_tenant_limit", "gauge", "A limit of the plan; one that is unlimited is missing."
)


class TenantMetrics(BaseModel):
    """What a tenant has and uses now, and in the calendar month (UTC) that `month` names. `limits` are those
    in force; null is unlimited."""

    tenant_id: str
    plan: str
    time: str
    month: str
    connections: int
    connected_agents: int
    agents: int
    channels: int
    messages: int
    bytes: int
    api_calls: int
    storage_bytes: int
    durable_bytes: int
    limits: dict[str, int | None]


@router.get(
    "/{tenant_id}/metrics",
    response_model=TenantMetrics,
    responses={200: {"content": {TEXT: {"schema": {"type": "string"}}}}},
)
async def tenant_metrics(
    cases: Cases,
    human: NamedHuman,
    accept: Annotated[str, Header(description="`text/plain` for Prometheus; JSON else.")] = "",
) -> Response:
    """The tenant's own metrics. Prometheus gets its text format, since it names `text/plain` in Accept."""
    found = await _found(cases, human)
    if "text/plain" in accept:
        return Response("".join(_lines(found)), media_type=TEXT)
    return JSONResponse(found.model_dump())


async def _found(cases: UseCases, human: Human) -> TenantMetrics:
    tenant = await cases.tenants.get(human)
    plan = plan_of(tenant)
    online = await cases.presence.online(human.tenant)
    now = cases.meter.clock.now()
    return TenantMetrics(
        tenant_id=human.tenant,
        plan=plan.name,
        time=rfc3339(now),
        month=f"{datetime.fromtimestamp(now, UTC):%Y-%m}",
        connections=sum(online.values()),
        connected_agents=len(online),
        **await used_this_month(cases, human),
        limits={name: getattr(plan, name) for name in LIMITS},
    )


def _lines(found: TenantMetrics) -> Iterator[str]:
    for metric in TENANT_METRICS:
        yield from _head(metric)
        yield f"{metric.name} {getattr(found, metric.field)}\n"
    yield from _head(LIMIT_METRIC)
    for name, most in found.limits.items():
        if most is not None:
            yield f'{LIMIT_METRIC.name}{{limit="{name}"}} {most}\n'


def _head(metric: TenantMetric) -> Iterator[str]:
    yield f"# HELP {metric.name} {metric.meaning}\n"
    yield f"# TYPE {metric.name} {metric.kind}\n"
