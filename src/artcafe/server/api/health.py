"""The liveness and readiness routes."""

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from artcafe.server.api.admission import AdmittingRoute
from artcafe.server.api.deps import Resources
from artcafe.server.api.readiness import OK

router = APIRouter(route_class=AdmittingRoute, tags=["health"])


class Live(BaseModel):
    """The process turns."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """The state of each dependency: `ok`, or its error."""

    status: Literal["ok", "unavailable"]
    checks: dict[str, str]


class Health(BaseModel):
    """How the platform is."""

    status: Literal["healthy", "degraded"]
    nats_connected: bool
    store_connected: bool
    version: str


@router.get("/livez", summary="The process turns")
async def livez() -> Live:
    """Needs nothing but the process itself."""
    return Live()


@router.get(
    "/readyz",
    summary="Every dependency answers",
    responses={503: {"model": Ready, "description": "Some dependency does not answer."}},
)
async def readyz(resources: Resources, response: Response) -> Ready:
    """503 while a dependency has not answered for some seconds, or the server is about to stop."""
    checks = await resources.readiness.answers()
    ready = all(said == OK for said in checks.values())
    response.status_code = 200 if ready else 503
    return Ready(status="ok" if ready else "unavailable", checks=checks)


@router.get(
    "/health",
    summary="What people look at",
    responses={503: {"model": Health, "description": "Some dependency does not answer."}},
)
@router.get("/api/v1/health", include_in_schema=False)
async def health(resources: Resources, response: Response) -> Health:
    """503 and `degraded` while a dependency is away. They are asked once a second at most, whoever asks."""
    checks = await resources.health.answers()
    healthy = all(said == OK for said in checks.values())
    response.status_code = 200 if healthy else 503
    return Health(
        status="healthy" if healthy else "degraded",
        nats_connected=checks.get("bus") == OK,
        store_connected=checks.get("store") == OK,
        version=resources.version,
    )
