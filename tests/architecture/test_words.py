"""The first line of each module's docstring says what the module is or does."""

import ast
import re

import pytest

from tests.kit.tree import modules, syntax

# A noun phrase or a verb: "The token bucket.", "Verifies a signature."
QUESTION = re.compile(r"(What|Who|Whom|Whose|Whoever|Whatever|How|Where|When|Which|Those)\b")


def first_line(module: str) -> str:
    return (ast.get_docstring(syntax(module)) or "").split("\n", 1)[0]


def subject(line: str) -> str:
    """The line without the name of a command in front: `artcafe pub`: publishes one message."""
    return re.sub(r"^`?artcafe [^:]*: ", "", line)


def begins_with_a_question(line: str) -> bool:
    return QUESTION.match(line) is not None or QUESTION.match(subject(line).capitalize()) is not None


def test_the_first_line_of_a_module_is_no_question() -> None:
    assert not [module for module in modules() if begins_with_a_question(first_line(module))]


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
