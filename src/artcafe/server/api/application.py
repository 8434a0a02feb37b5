"""The REST API as one application: its rooms, its errors, its description."""

from collections.abc import Callable

from fastapi import FastAPI

from artcafe.server.api import (
    agents,
    audit,
    channel_messages,
    channel_subscriptions,
    channels,
    console,
    docs,
    errors,
    health,
    home,
    invitations,
    legal,
    local,
    login,
    members,
    oauth2,
    openapi,
    operator_log,
    operator_tenants,
    sign_in,
    tenant_metrics,
    tenants,
    usage,
)
from artcafe.server.api.deps import ApiResources, UseCases
from artcafe.server.api.heads import Heads
from artcafe.server.api.journal import MatchedRoute, RequestLog
from artcafe.server.api.limits import BodyLimit
from artcafe.server.api.paths import Paths
from artcafe.server.api.request_ids import RequestIds


def create_app(
    cases: UseCases, resources: ApiResources, max_body_bytes: int, new_id: Callable[[], str]
) -> FastAPI:
    """The REST API over some use cases; `new_id` makes request ids."""
    app = FastAPI(
        title="ArtCafe PubSub",
        description="Humans manage tenants, agents and channels. Agents talk over WebSockets.",
        version=resources.version,
        openapi_url=None,  # openapi.install answers it.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        strict_content_type=False,  # AdmittingRoute is stricter, and takes JSON without a type.
        generate_unique_id_function=openapi.operation_id,
    )
    app.state.use_cases = cases
    app.state.resources = resources
    errors.install(app)
    # The last one stands in front.
    app.add_middleware(MatchedRoute)
    app.add_middleware(Paths)
    app.add_middleware(Heads)
    app.add_middleware(BodyLimit, limit=max_body_bytes)
    app.add_middleware(
        RequestLog,
        address=resources.client_address,
        monotonic=resources.clock.monotonic,
        observe=resources.observe_request,
    )
    app.add_middleware(RequestIds, new_id=new_id)
    # What is asked most comes first: a request is held against every route until one fits.
    rooms = (channels, channel_messages, channel_subscriptions)
    management = (*rooms, agents, usage, tenants, tenant_metrics, members, audit, invitations, legal)
    operation = (operator_tenants, operator_log)
    entrances = (login, sign_in, local, oauth2)
    for room in (*management, *operation, *entrances, health, docs, console, home):
        app.include_router(room.router)
    openapi.install(app)
    return app
