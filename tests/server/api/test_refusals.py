"""What an operation takes decides what can be wrong with it."""

from typing import Any

import pytest

from artcafe.server.api.refusals import refusals
from artcafe.wire.codes import Code

ANY = {Code.internal, Code.unavailable, Code.unreadable_record}
READ = {Code.bad_request, Code.validation_failed}
SIGNED_IN = {Code.unauthorized, Code.token_expired, Code.rate_limited}
INSIDE = {Code.forbidden, Code.suspended, Code.deleting}


def operation(*parameters: str, name: str = "x", **more: Any) -> dict[str, Any]:
    return {"operationId": name, "parameters": [{"name": each} for each in parameters], **more}


TOKEN: dict[str, Any] = {"security": [{}]}
BODY: dict[str, Any] = {"requestBody": {}}


@pytest.mark.parametrize(
    ("described", "path", "method", "codes"),
    [
        (operation(), "/livez", "get", set()),
        (operation(), "/local/x", "get", {Code.internal}),
        (operation(), "/api/v1/x", "get", ANY),
        (operation("q"), "/api/v1/x", "get", ANY | READ),
        (operation(**BODY), "/api/v1/x", "post", ANY | READ | {Code.too_large, Code.unsupported_media_type}),
        (operation(**TOKEN), "/api/v1/x", "get", ANY | SIGNED_IN),
        (operation(**TOKEN), "/api/v1/x", "delete", ANY | SIGNED_IN | {Code.conflict}),
        (operation("x-tenant-id", **TOKEN), "/api/v1/x", "get", ANY | READ | SIGNED_IN | INSIDE),
        (
            operation("tenant_id", **TOKEN),
            "/api/v1/tenants/{tenant_id}",
            "get",
            ANY | READ | SIGNED_IN | INSIDE | {Code.not_found},
        ),
        (
            operation("If-Match", **TOKEN),
            "/api/v1/x",
            "put",
            ANY | READ | SIGNED_IN | {Code.conflict, Code.precondition_failed},
        ),
        (
            operation("Idempotency-Key", **TOKEN),
            "/api/v1/x",
            "post",
            ANY | READ | SIGNED_IN | {Code.conflict, Code.idempotency_mismatch},
        ),
        (
            operation(name="create_agent"),
            "/api/v1/x",
            "post",
            ANY | {Code.quota_exceeded, Code.invalid_subject},
        ),
        (operation(name="jwks"), "/local/x", "get", {Code.internal, Code.not_found}),
    ],
)
def test_the_codes_of_an_operation(
    described: dict[str, Any], path: str, method: str, codes: set[Code]
) -> None:
    assert refusals(described, path, method) == codes
