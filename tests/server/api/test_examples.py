"""Examples: what the author wrote, else what the name means, else the shape alone."""

from typing import Any

import pytest

from artcafe.server.api import examples

SCHEMAS: dict[str, Any] = {
    "Colour": {"enum": ["red", "green"]},
    "AgentView": {
        "title": "AgentView",
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "created_at": {"type": "string"},
            "size": {"type": "integer"},
        },
    },
}


@pytest.mark.parametrize(
    ("schema", "name", "example"),
    [
        ({"type": "string", "examples": ["written"]}, "email", "written"),
        ({"type": "string", "example": "written"}, "email", "written"),
        ({"const": "fixed"}, "email", "fixed"),
        ({"type": "string"}, "email", "ada@example.com"),
        ({"type": "string"}, "Whatever.email", "ada@example.com"),
        ({"type": "string"}, "ChannelView.id", "tasks"),
        ({"type": "string"}, "expires_at", "2026-11-24T12:00:00.000Z"),
        ({"$ref": "#/components/schemas/Colour"}, "", "red"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "", "text"),
        ({"anyOf": [{"$ref": "#/components/schemas/Colour"}, {"type": "null"}]}, "", "red"),
        ({"type": "integer", "default": 50}, "", 50),
        ({"type": "integer", "default": None}, "", 1),
        ({"type": "array", "items": {"type": "boolean"}}, "", [True]),
        ({"type": "object"}, "", {}),
        (
            {"$ref": "#/components/schemas/AgentView"},
            "",
            {"id": "planner", "created_at": "2026-11-24T12:00:00.000Z", "size": 1},
        ),
    ],
)
def test_an_example(schema: dict[str, Any], name: str, example: Any) -> None:
    assert examples.of(schema, SCHEMAS, name) == example
