"""What an id tells of its message."""

import pytest

from artcafe.server.domain.message_id import number_of, numbered_id
from artcafe.server.process import MessageIds

PROCESS = "00ff00ff00ff00ff"


@pytest.mark.parametrize("number", [1, 15, 16, 2**40])
def test_an_id_tells_its_process_and_its_number(number: int) -> None:
    assert number_of(numbered_id(PROCESS, number)) == (PROCESS, number)


def test_a_process_counts_its_messages() -> None:
    new_id = MessageIds()
    assert [number_of(new_id()) for _ in range(20)] == [(new_id.process, count) for count in range(1, 21)]


@pytest.mark.parametrize(
    "message_id",
    [
        *("", "m1", "-1", f"{PROCESS}-", f"{PROCESS}-g", f"{PROCESS}--1", f"{PROCESS}-1\n", f"x{PROCESS}-1"),
        *(f"{PROCESS}-1_0", f"{PROCESS[1:]}-1", f"{PROCESS.upper()}-1", f"{PROCESS}-{'1' * 16}"),
    ],
)
def test_an_id_of_somebody_else_has_no_number(message_id: str) -> None:
    assert number_of(message_id) is None
