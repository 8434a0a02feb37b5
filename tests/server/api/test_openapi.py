"""The description: whole, true to OpenAPI 3.1, with words and an example for everything."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema_rs
import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from artcafe.server.api import health, openapi
from artcafe.wire.codes import Code

Described = dict[str, Any]
Operation = tuple[str, str, dict[str, Any]]


@pytest.fixture(scope="session")
def described(application: FastAPI) -> Described:
    whole: Described = application.openapi()
    return whole


@pytest.fixture(scope="session")
def operations(described: Described) -> list[Operation]:
    return [
        (method, path, operation)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]


def answers(described: Described, operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The statuses with their responses, references resolved."""
    for status, answer in operation["responses"].items():
        yield status, resolved(described, answer) if "$ref" in answer else answer


def resolved(described: Described, reference: dict[str, Any]) -> Any:
    found: Any = described
    for step in reference["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return found


def fits(described: Described, schema: dict[str, Any], value: Any) -> None:
    """Check a value against a schema whose references point into the description."""
    jsonschema_rs.validator_for({**schema, "components": described["components"]}).validate(value)


def test_it_is_valid_openapi_and_relative_to_where_it_was_read(described: Described) -> None:
    OPENAPI_31_VALIDATOR.validate(described)
    assert described["openapi"].startswith("3.1")
    assert [server["url"] for server in described["servers"]] == ["/"]


def test_every_reference_leads_somewhere_and_fastapis_own_error_is_gone(described: Described) -> None:
    def references(part: Any) -> Iterator[dict[str, Any]]:
        if isinstance(part, dict):
            if isinstance(part.get("$ref"), str):
                yield part
            for inner in part.values():
                yield from references(inner)
        elif isinstance(part, list):
            for inner in part:
                yield from references(inner)

    found = list(references(described))

    assert len(found) > 100
    assert all(resolved(described, reference) for reference in found)
    assert not [reference for reference in found if "ValidationError" in reference["$ref"]]
    assert not [name for name in described["components"]["schemas"] if "ValidationError" in name]


def test_every_operation_has_words_a_stable_name_and_a_tag_that_is_explained(
    described: Described, operations: list[Operation]
) -> None:
    tags = {tag["name"]: tag["description"] for tag in described["tags"]}
    for method, path, operation in operations:
        assert operation["summary"], (method, path)
        assert operation["description"], (method, path)
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", operation["operationId"]), (method, path)
        assert len(operation["tags"]) == 1, (method, path)
        assert tags[operation["tags"][0]], (method, path)
    names = [operation["operationId"] for _, _, operation in operations]
    assert len(set(names)) == len(names)
    assert set(tags) == {operation["tags"][0] for _, _, operation in operations}


def test_everything_that_is_sent_and_answered_has_an_example_that_fits(
    described: Described, operations: list[Operation]
) -> None:
    seen = 0
    for method, path, operation in operations:
        parts = [operation.get("requestBody", {}), *(answer for _, answer in answers(described, operation))]
        for content in (content for part in parts for content in part.get("content", {}).values()):
            values = [content["example"]] if "example" in content else []
            values += [each["value"] for each in content.get("examples", {}).values()]
            assert values, (method, path)
            for value in values:
                fits(described, content["schema"], value)
                seen += 1
        for parameter in operation.get("parameters", ()):
            assert parameter["example"] is not None or not parameter["required"], (path, parameter["name"])
            fits(described, parameter["schema"], parameter["example"])
    assert seen > 100


def test_every_refusal_is_a_problem_document_that_names_its_codes(
    described: Described, operations: list[Operation]
) -> None:
    seen = set()
    for method, path, operation in operations:
        if path in {"/livez", "/readyz", "/health"}:
            continue
        for status, answer in answers(described, operation):
            if status < "400":
                continue
            [(kind, content)] = answer["content"].items()
            assert kind == "application/problem+json", (method, path, status)
            assert content["schema"]["$ref"] == "#/components/schemas/Problem"
            codes = [Code[name] for name in content["schema"]["properties"]["code"]["enum"]]
            assert {code.http for code in codes} == {int(status)}
            assert list(content["examples"]) == [code.name for code in codes]
            assert all(code.value.when in answer["description"] for code in codes)
            seen.add(int(status))
    assert {400, 401, 402, 403, 404, 409, 412, 413, 422, 429, 500, 503} <= seen
    required = ["title", "status", "code", "detail", "request_id"]
    assert described["components"]["schemas"]["Problem"]["required"] == required


def test_every_answer_says_which_headers_it_has(described: Described, operations: list[Operation]) -> None:
    for method, path, operation in operations:
        for status, answer in answers(described, operation):
            headers = answer["headers"]
            assert "X-Request-Id" in headers, (method, path, status)
            refused = "application/problem+json" in answer.get("content", {})
            assert ("WWW-Authenticate" in headers) == (refused and status == "401")
            assert ("Retry-After" in headers) == (refused and status in {"429", "503"})
    tagged = {
        operation["operationId"]
        for _, _, operation in operations
        for _, answer in answers(described, operation)
        if "ETag" in answer["headers"]
    }
    assert {"create_agent", "get_agent", "update_agent", "get_channel", "get_tenant"} <= tagged
    assert not tagged & {"delete_agent", "list_agents", "livez", "publish_message"}


def test_what_needs_a_token_says_so_and_what_does_not_is_this_short_list(
    operations: list[Operation],
) -> None:
    public = {operation["operationId"] for _, _, operation in operations if "security" not in operation}

    assert public == {
        "livez",
        "readyz",
        "health",
        "request_challenge",
        "verify_challenge",
        "legal_versions",
        "configuration",
        "jwks",
        "local_challenge",
        "token",
        "sign_in_code",
        "sign_in_config",
    }


def test_the_description_is_made_once() -> None:
    app = FastAPI(title="test", version="1")
    app.include_router(health.router)
    openapi.install(app)
    assert app.openapi() is app.openapi()


@pytest.mark.asyncio
async def test_the_description_is_encoded_once() -> None:
    app = FastAPI(title="test", version="1", openapi_url=None)
    app.include_router(health.router)
    openapi.install(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        first = await client.get("/openapi.json")
        app.openapi()["info"]["title"] = "encoded again"
        assert (await client.get("/openapi.json")).content == first.content


def needed(dependant: Dependant) -> Iterator[Any]:
    """Whatever FastAPI calls for a request."""
    yield dependant.call
    for each in dependant.dependencies:
        yield from needed(each)


def test_no_request_waits_for_a_thread(application: FastAPI) -> None:
    """FastAPI takes a plain function there, which costs more than most of them do; a page of a list may."""
    called = {
        call
        for context in iter_route_contexts(application.routes)
        if (dependant := getattr(context, "dependant", None)) is not None
        for call in needed(dependant)
    }

    assert len(called) > 50
    assert {
        call.__name__
        for call in called
        if not inspect.iscoroutinefunction(call) and not inspect.iscoroutinefunction(call.__call__)
    } == {"AgentQuery", "ChannelQuery"}


def test_every_identifier_in_a_path_says_what_it_looks_like(operations: list[Operation]) -> None:
    for method, path, operation in operations:
        named = [each for each in operation.get("parameters", ()) if each["in"] == "path"]
        assert {each["name"] for each in named} == set(re.findall(r"{(\w+)}", path)), (method, path)
        told = [each["schema"] for each in named]
        assert all("pattern" in each or each["type"] == "integer" for each in told), (method, path)
