"""The API's description: every operation says which errors it gives, as the one problem document."""

from typing import Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.security import HTTPBearer

from artcafe.server.api import agents, channels, errors, health, login, openapi, tenants, usage


@pytest.fixture
def described() -> dict[str, Any]:
    app = FastAPI(title="test", version="1")
    errors.install(app)
    for room in (health, tenants, login, agents, channels, usage):
        app.include_router(room.router)
    openapi.install(app)
    return app.openapi()


def test_every_error_answer_is_a_problem_document(described: dict[str, Any]) -> None:
    seen = 0
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            for status, answer in operation["responses"].items():
                if int(status) >= 400 and path.startswith("/api/"):
                    seen += 1
                    assert list(answer["content"]) == ["application/problem+json"], (method, path, status)
    assert seen > 100
    assert described["components"]["schemas"]["Problem"]["required"] == ["title", "status", "code", "detail"]
    assert "HTTPValidationError" not in described["components"]["schemas"]


def test_what_needs_a_token_says_so_and_what_does_not_is_this_short_list(described: dict[str, Any]) -> None:
    public = {
        (method, path)
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
        if "security" not in operation
    }
    assert public == {
        ("get", "/health"),
        ("get", "/livez"),
        ("get", "/readyz"),
        ("post", "/api/v1/agents/auth/challenge"),
        ("post", "/api/v1/agents/auth/verify"),
    }
    assert "401" in described["paths"]["/api/v1/agents"]["get"]["responses"]


def test_the_description_is_made_once() -> None:
    app = FastAPI(title="test", version="1")
    openapi.install(app)
    app.include_router(health.router, dependencies=[Depends(HTTPBearer())])
    assert app.openapi() is app.openapi()
