"""Every body that is described: what is not is refused, at every level, and what was meant is said."""

import copy
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from artcafe.server.api.fields import OF_THE_ORIGINAL
from artcafe.wire.codes import Code
from tests.kit.api import Api, good, problem

Step = str | int

FREE_FORM = {("metadata",), ("capability_definitions",)}
"""What a client fills as it likes."""

RAW = {"publish_message"}
"""Bodies that are forwarded as they are: every one is a message."""


@pytest.fixture
def operator(api: Api) -> httpx.AsyncClient:
    """The owner of `acme`, who is an operator as well: every route is hers."""
    return api.signed_in("olivia", groups=["platform-operators"])


def bodies(application: FastAPI) -> Iterator[tuple[str, str, str, dict[str, Any], Any]]:
    """Of every operation with a body: its name, method, a path, the schema, and a whole body."""
    for path, methods in application.openapi()["paths"].items():
        for method, operation in methods.items():
            if "requestBody" in operation and operation["operationId"] not in RAW:
                content = operation["requestBody"]["content"]["application/json"]
                named = path.replace("{tenant_id}", "acme")
                for name in ("agent_id", "channel_id", "user_id", "key_id"):
                    named = named.replace(f"{{{name}}}", "x")
                example = copy.deepcopy(content["example"])
                yield operation["operationId"], method.upper(), named, content["schema"], example


def objects(
    application: FastAPI, schema: dict[str, Any], place: tuple[Step, ...] = ()
) -> Iterator[tuple[tuple[Step, ...], dict[str, Any]]]:
    """Every object that a body of this schema holds, with the way to it. 0 leads into a list."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        yield from objects(application, application.openapi()["components"]["schemas"][name], place)
    for inner in schema.get("anyOf", ()):
        yield from objects(application, inner, place)
    if "items" in schema:
        yield from objects(application, schema["items"], (*place, 0))
    if schema.get("type") == "object":
        yield place, schema
    for name, inner in schema.get("properties", {}).items():
        yield from objects(application, inner, (*place, name))


def put(body: Any, place: tuple[Step, ...], name: str, value: object) -> Any:
    """The body with this field besides; objects on the way are made where they are not."""
    whole = at = copy.deepcopy(body)
    for step in place:
        if isinstance(at, dict) and at.get(str(step)) is None:
            at[str(step)] = {}
        at = at[step]
    at[name] = value
    return whole


def test_every_object_of_every_body_is_closed_or_free_on_purpose(application: FastAPI) -> None:
    free = set()
    for _, _, _, schema, _ in bodies(application):
        for place, found in objects(application, schema):
            if found.get("additionalProperties") is not False:
                free.add(place)
    assert free == FREE_FORM


async def test_an_unknown_field_is_refused_in_every_body_at_every_level(
    application: FastAPI, operator: httpx.AsyncClient
) -> None:
    tried = []
    for name, method, path, schema, example in bodies(application):
        for place, found in objects(application, schema):
            if place in FREE_FORM:
                continue
            known = sorted(found["properties"])
            for stranger in (f"{known[0]}x", known[-1][:-1], "Zz"):
                body = put(example, place, stranger, "x")
                detail = problem(await operator.request(method, path, json=body), Code.validation_failed)[
                    "detail"
                ]
                assert ".".join(("body", *map(str, place))) + ": there is no field" in detail
                assert repr(stranger) in detail
            assert (
                f"{known[-1]!r} is the nearest"
                in problem(
                    await operator.request(method, path, json=put(example, place, f"{known[-1]}_", "x")),
                    Code.validation_failed,
                )["detail"]
            )
            tried.append((name, place))
    assert ("create_agent", ("policy", "publish")) in tried
    assert ("update_agent", ("policy", "subscribe")) in tried
    assert len(tried) > 15


WRONG: dict[str, list[object]] = {
    "string": [1, True, 1.5, ["x"], {"x": 1}],
    "integer": [True, "1", 1.5, [1], {"x": 1}],
    "boolean": [1, 0, "true", "false", "on", [True]],
    "array": ["x", {"0": "x"}, 1, True],
    "object": ["x", [["a", 1]], 1, True],
}
"""Values of other types that a lenient reader would take for one of this type."""


def types(application: FastAPI, schema: dict[str, Any]) -> set[str]:
    """The types of a schema."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return types(application, application.openapi()["components"]["schemas"][name])
    several = [types(application, inner) for inner in schema.get("anyOf", ())]
    named = {schema["type"]} if "type" in schema else set()
    return named.union(*several)


async def test_a_value_of_another_type_is_refused_in_every_body_at_every_level(
    application: FastAPI, operator: httpx.AsyncClient
) -> None:
    tried = 0
    for _, method, path, schema, example in bodies(application):
        for place, found in objects(application, schema):
            for field, inner in found.get("properties", {}).items():
                wanted = types(application, inner) - {"null"}
                several = len(wanted) > 1
                for kind in wanted:
                    for value in WRONG[kind]:
                        number = type(value) is int and "integer" in wanted
                        fits = several and (number or isinstance(value, (list, dict)))
                        if fits:
                            continue
                        body = put(example, place, field, value)
                        answer = await operator.request(method, path, json=body)
                        problem(answer, Code.validation_failed)
                        tried += 1
    assert tried > 200


async def test_a_whole_number_may_be_written_with_a_point(olivia: httpx.AsyncClient) -> None:
    body = {"name": "x", "max_message_bytes": 64.0}

    made = good(await olivia.post("/api/v1/channels", json=body), 201)

    assert repr(made["channel"]["max_message_bytes"]) == "64"


async def test_what_clients_of_the_original_service_send_is_taken(api: Api) -> None:
    assert set(OF_THE_ORIGINAL) == {"NewTenant"}
    body = {
        "name": "Old",
        "admin_email": "ada@example.com",
        "description": "x",
        "trial_days": 14,
        "terms_acceptance": {"terms_version": "1"},
    }

    made = good(await api.signed_in("olivia", None).post("/api/v1/tenants", json=body), 201)

    assert made["tenant_id"] == "old"


@pytest.mark.parametrize(
    ("path", "body", "meant"),
    [
        ("/api/v1/agents/x", {"policy": {"publish": {"alow": ["results.>"]}}}, "allow"),
        ("/api/v1/agents/x", {"policy": {"publsh": {"allow": []}}}, "publish"),
        ("/api/v1/agents/x", {"polcy": {"publish": {"allow": []}}}, "policy"),
        ("/api/v1/channels/x", {"publisher": ["planner"]}, "publishers"),
        ("/api/v1/channels/x", {"maxMessageBytes": 1}, "max_message_bytes"),
    ],
)
async def test_a_rule_with_a_typo_opens_nothing(
    olivia: httpx.AsyncClient, path: str, body: dict[str, Any], meant: str
) -> None:
    room = path.rpartition("/")[0]
    good(await olivia.post(room, json={"id": "x", "name": "x"}), 201)
    before = good(await olivia.get(path))

    detail = problem(await olivia.put(path, json=body), Code.validation_failed)["detail"]

    assert f"{meant!r} is the nearest" in detail
    assert good(await olivia.get(path)) == before
