"""What a question for agents asks for."""

import pytest

from artcafe.wire.discovery import Who


@pytest.mark.parametrize(
    ("asked", "capabilities"),
    [(None, []), ("draw", ["draw"]), (["draw", "write"], ["draw", "write"]), ([], [])],
)
def test_one_capability_or_several_or_none_are_asked_for(
    asked: str | list[str] | None, capabilities: list[str]
) -> None:
    assert Who(id="w", capability=asked).capabilities == capabilities
