"""The description of the API (OpenAPI 3.1): what FastAPI finds, and every error as a problem document."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from artcafe.server.api.errors import Problem
from artcafe.wire.codes import Code
from artcafe.wire.problem import MEDIA_TYPE

_ANYWHERE = (Code.bad_request, Code.too_large, Code.validation_failed, Code.internal, Code.unavailable)
_SIGNED_IN = (Code.unauthorized, Code.quota_exceeded, Code.forbidden, Code.not_found, Code.conflict)


def install(app: FastAPI) -> None:
    """Give the application its description; it is made once, when it is first asked for."""

    def description() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _describe(app)
        return app.openapi_schema

    app.openapi = description  # type: ignore[method-assign]  # FastAPI's documented way


def _describe(app: FastAPI) -> dict[str, Any]:
    schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas = schema.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = Problem.model_json_schema()
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for path, operations in schema["paths"].items():
        if path.startswith(("/api/", "/local/")):
            for operation in operations.values():
                codes = _ANYWHERE + (
                    _SIGNED_IN if "security" in operation else (Code.unauthorized, Code.not_found)
                )
                operation["responses"].update(
                    (str(status), _problem([code for code in codes if code.http == status]))
                    for status in sorted({code.http for code in codes})
                )
    return schema


def _problem(codes: list[Code]) -> dict[str, Any]:
    return {
        "description": " ".join(f"`{code.name}`: {code.value.when}" for code in codes),
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
