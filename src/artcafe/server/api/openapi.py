"""The OpenAPI 3.1 description: FastAPI's own, completed with what holds for every route."""

import asyncio
import json
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from artcafe.server.api import examples
from artcafe.server.api.agent_schemas import KEY_ID
from artcafe.server.api.errors import Problem
from artcafe.server.api.refusals import refusals
from artcafe.server.domain.ids import PATTERN, USER_PATTERN
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.problem import MEDIA_TYPE, document
from artcafe.wire.subjects import SUBJECT_SCHEMA

_TAGS = {
    "health": "Liveness and readiness. For probes and for people; without a token.",
    "sign-in": "How humans get a token; without one.",
    "tenants": "A tenant is a closed world: its members, agents, channels and messages meet nobody else's.",
    "members": "The humans of a tenant, and what each may do.",
    "invitations": "Membership for whoever holds a token that is shown once.",
    "legal": "The documents that the operator publishes, and who accepted which version.",
    "agents": "Who speaks: an agent proves one of its SSH keys and connects over a WebSocket.",
    "agent login": "The challenge, for agents that fetch it before they connect.",
    "channels": "Named subjects with rules, and publishing into them.",
    "usage": "What a tenant used, against its plan.",
    "audit": "Who changed what, and when.",
    "operator": "All tenants, for operators of the platform: their plans, limits and status.",
    "embedded sign-in": "The own issuer of `artcafe up`. Elsewhere your OIDC issuer signs humans in.",
}

_HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-Id": {
        "description": "The id of the request: yours if you sent one, of 1 to 64 letters, digits and `._-`.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
        "example": examples.VALUES["request_id"],
    },
    "ETag": {
        "description": "The version of the record, for If-Match.",
        "schema": {"type": "string"},
        "example": '"1-5d41402a"',
    },
    "Idempotency-Replayed": {
        "description": "There when this is the answer to an earlier request with the same Idempotency-Key.",
        "schema": {"const": "true"},
        "example": "true",
    },
    "X-Unreadable": {
        "description": "Ids of records that belong here and cannot be read, percent-encoded; `+N`: N more.",
        "schema": {"type": "string"},
        "example": "planner, +3",
    },
    "Retry-After": {
        "description": "Seconds to wait.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
        "example": "1",
    },
    "WWW-Authenticate": {
        "description": "What to bring.",
        "required": True,
        "schema": {"const": "Bearer"},
        "example": "Bearer",
    },
}

_IDS = {
    "tenant_id": PATTERN,
    "agent_id": PATTERN,
    "channel_id": SUBJECT_SCHEMA,
    "key_id": KEY_ID,
    "user_id": USER_PATTERN,
}
"""What can stand in a path. Anything else is simply not there, so the routes need not check it."""

_SAID = {"200": "Done; here it is.", "201": "Made; here it is.", "204": "Done; there is nothing to say."}

_OF_STATUS = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}


def install(app: FastAPI) -> None:
    """Give the application its description, at /openapi.json too.

    It is made and encoded once, when it is first asked for: it takes no token, and encoding it takes longer
    than anything else that a stranger may ask for.
    """
    encoded = b""
    once = asyncio.Lock()

    def description() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _describe(app)
        return app.openapi_schema

    async def answer(_: Request) -> Response:
        nonlocal encoded
        async with once:
            if not encoded:
                # It takes a quarter of a second: beside the event loop, which has others to serve.
                encoded = await asyncio.to_thread(lambda: json.dumps(description()).encode())
        return Response(encoded, media_type="application/json")

    app.openapi = description  # type: ignore[method-assign]  # FastAPI's documented way
    app.add_route("/openapi.json", answer, include_in_schema=False)


def operation_id(route: APIRoute) -> str:
    """The name of the function that answers: short, and the same as long as the operation is."""
    return route.name


def _describe(app: FastAPI) -> dict[str, Any]:
    schema = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        servers=[{"url": "/", "description": "This server."}],
    )
    components = schema.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for each in schemas.values():
        if "examples" in each:
            each["examples"] = [examples.whole(value, each, schemas) for value in each["examples"]]
    schemas["Problem"] = Problem.model_json_schema()
    components["headers"] = _HEADERS
    components["responses"] = {}
    versioned = {
        path
        for path, methods in schema["paths"].items()
        if any(_takes(operation, "if-match") for operation in methods.values())
    }
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            _finish(operation, schemas)
            _name_headers(operation, path, method, versioned)
            _add_refusals(operation, path, method, components["responses"])
    used = {tag for methods in schema["paths"].values() for each in methods.values() for tag in each["tags"]}
    schema["tags"] = [{"name": name, "description": text} for name, text in _TAGS.items() if name in used]
    return schema


def _takes(operation: dict[str, Any], name: str) -> bool:
    return any(parameter["name"].lower() == name for parameter in operation.get("parameters", ()))


def _finish(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Words as people write them, and an example of everything that is sent and answered."""
    operation["responses"].pop("422", None)  # FastAPI's own idea of a refused request.
    for status, answer in operation["responses"].items():
        answer["description"] = _SAID.get(status, answer["description"])
    if operation["summary"] == operation["operationId"].replace("_", " ").title():
        operation["summary"] = operation["summary"].capitalize()
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path" and parameter["name"] in _IDS:
            parameter["schema"]["pattern"] = _IDS[parameter["name"]]
        parameter.setdefault("example", examples.of(parameter["schema"], schemas, parameter["name"]))
    for part in (operation.get("requestBody", {}), *operation["responses"].values()):
        for content in part.get("content", {}).values():
            content.setdefault("example", examples.of(content["schema"], schemas))


def _name_headers(operation: dict[str, Any], path: str, method: str, versioned: set[str]) -> None:
    """The headers of the answers that are no refusals."""
    tagged = (path in versioned and method != "delete") or (
        method == "post" and any(other.rpartition("/")[0] == path for other in versioned)
    )
    names = [
        "X-Request-Id",
        *(["ETag"] if tagged else []),
        *(["Idempotency-Replayed"] if _takes(operation, "idempotency-key") else []),
        *(["X-Unreadable"] if _takes(operation, "next_token") or path == "/api/v1/tenants" else []),
    ]
    for answer in operation["responses"].values():
        answer.setdefault("headers", {}).update(_headers(names))


def _headers(names: list[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _add_refusals(operation: dict[str, Any], path: str, method: str, responses: dict[str, Any]) -> None:
    """Refer to one response for each status; those that say the same are said once."""
    codes = refusals(operation, path, method)
    for status in sorted({code.http for code in codes}):
        same = sorted((code for code in codes if code.http == status), key=lambda code: code.value.number)
        name = "-".join([str(status), *(code.name for code in same)])
        responses.setdefault(name, _problem(same, status))
        operation["responses"][str(status)] = {"$ref": f"#/components/responses/{name}"}


def _problem(codes: list[Code], status: int) -> dict[str, Any]:
    names = ["X-Request-Id", *([_OF_STATUS[status]] if status in _OF_STATUS else [])]
    return {
        "description": " ".join(f"`{code.name}`: {code.value.when}" for code in codes),
        "headers": _headers(names),
        "content": {
            MEDIA_TYPE: {
                "schema": {
                    "$ref": "#/components/schemas/Problem",
                    "properties": {
                        "status": {"const": status},
                        "code": {"enum": [code.name for code in codes]},
                    },
                },
                "examples": {
                    code.name: {"value": document(ArtcafeError(code), status, examples.VALUES["request_id"])}
                    for code in codes
                },
            }
        },
    }
