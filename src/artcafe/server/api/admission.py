"""Authentication and authorization from the head of a request, before its body is read.

FastAPI reads a body before it solves any dependency. A route of this class asks first, so that whoever is
refused with 401, 403 or 415 is refused before a byte of the body is read. It asks again when the body came
late (deps.FRESH_SECONDS).
"""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.requests import ClientDisconnect

from artcafe.server.api.deps import (
    api_resources,
    current_human,
    current_operator,
    current_user,
    named_human,
    roaming_user,
    use_cases,
)
from artcafe.server.api.json_bodies import JsonRequest, require_json
from artcafe.server.api.paths import decoded
from artcafe.server.domain.access import Action, require
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

ACTIONS = {
    "create_agent": Action.manage_agents,
    "update_agent": Action.manage_agents,
    "add_key": Action.manage_agents,
    "revoke_key": Action.manage_agents,
    "create_channel": Action.manage_channels,
    "update_channel": Action.manage_channels,
    "publish_message": Action.publish,
    "publish_message?as=system": Action.publish_as_system,
    "update_tenant": Action.change_tenant,
    "accept_documents": Action.change_tenant,
    "add_member": Action.manage_members,
    "change_member": Action.manage_members,
    "create_invitation": Action.manage_members,
}
"""What a role needs for a route with a body in a tenant, by the name of the function, and where the query
asks for more, with that. The use case asks again, and decides; this only spares the body."""

_bearer = HTTPBearer(auto_error=False)


class AdmittingRoute(APIRoute):
    """A route that admits a request by its head, then reads its body and answers."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI: what answers a request that came to this route."""
        answer = super().get_route_handler()
        admit = _admission(self.dependant, self.name)
        takes_json = self.body_field is not None or "requestBody" in (self.openapi_extra or {})

        async def admitted(request: Request) -> Response:
            request.scope["path_params"] = decoded(request.path_params)
            if admit is not None:
                await admit(request)
            if takes_json:
                require_json(request.headers)
            asked = JsonRequest(request.scope, request.receive)
            try:
                if takes_json:
                    await asked.body()  # Who is asking is asked again when it is there, if that took long.
                return await answer(asked)
            except ClientDisconnect:
                raise ArtcafeError(Code.bad_request, "The body was cut off.") from None

        return admitted


def _admission(dependant: Dependant, name: str) -> Callable[[Request], Coroutine[Any, Any, None]] | None:
    """The check to run on a request before this dependant is solved; None for a public route."""
    needed = set(_calls(dependant))
    if current_user not in needed:
        return None

    async def admit(request: Request) -> None:
        cases, resources = await use_cases(request), await api_resources(request)
        user = await current_user(request, resources, await _bearer(request))
        if current_human in needed:
            human = await current_human(request, cases, resources, user, request.headers.get("x-tenant-id"))
        elif named_human in needed:
            human = await named_human(request, cases, resources, user, request.path_params["tenant_id"])
        elif current_operator in needed:
            await current_operator(request, cases, user)
            return
        else:
            if roaming_user in needed:
                await roaming_user(request, cases, user)
            return
        action = ACTIONS.get(f"{name}?as={request.query_params.get('as')}", ACTIONS.get(name))
        if action is not None:
            require(human, action)

    return admit


def _calls(dependant: Dependant) -> set[object]:
    found: set[object] = {dependant.call}
    return found.union(*map(_calls, dependant.dependencies))
