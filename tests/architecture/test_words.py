"""The first line of each module's docstring says what the module is or does."""

import ast
import re

import pytest

from tests.kit.tree import modules, syntax

# A noun phrase or a verb: "The token bucket.", "Verifies a signature."
QUESTION = re.compile(r"(What|Who|Whom|Whose|Whoever|Whatever|How|Where|When|Which|Those)\b")

# First lines that are still to be rewritten. A module leaves this list with its next edit; none enters it.
NOT_YET = {
    "server/gateway/login/pending.py",
    "server/gateway/dialects/dashboard.py",
    "server/gateway/sessions/authentication.py",
    "server/gateway/websocket/upgrade_protocol.py",
    "server/gateway/fanout/hub.py",
    "server/gateway/registry.py",
    "server/gateway/websocket/input_limits.py",
    "server/gateway/sessions/journal.py",
    "server/gateway/sessions/agent_session.py",
    "server/gateway/reauthorization.py",
    "server/gateway/sessions/publish_template.py",
    "server/gateway/websocket/parser_transport.py",
    "server/gateway/sessions/dashboard_session.py",
}


def first_line(module: str) -> str:
    return (ast.get_docstring(syntax(module)) or "").split("\n", 1)[0]


def subject(line: str) -> str:
    """The line without the name of a command in front: `artcafe pub`: publishes one message."""
    return re.sub(r"^`?artcafe [^:]*: ", "", line)


def begins_with_a_question(line: str) -> bool:
    return QUESTION.match(line) is not None or QUESTION.match(subject(line).capitalize()) is not None


def test_the_first_line_of_a_module_is_no_question() -> None:
    found = {module for module in modules() if begins_with_a_question(first_line(module))}
    assert found - NOT_YET == set()
    assert NOT_YET - found == set(), "rewritten or moved: take it out of NOT_YET"


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ("What waits to be sent.", True),
        ("Those of all clients.", True),
        ("`artcafe audit`: who changed what.", True),
        ("artcafe serve: one server.", False),
        ("Whole stores, copied.", False),
        ("The writer.", False),
    ],
)
def test_a_question_is_recognised(line: str, is_one: bool) -> None:
    assert begins_with_a_question(line) is is_one
