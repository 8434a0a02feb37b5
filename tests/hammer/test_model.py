"""The hammer's model: what is certain although calls overlap and outcomes are unknown."""

from typing import Any

import pytest

from artcafe.server.domain.tenant import Role
from tests.hammer.model import Call, History, Outcome, Path

RED: Path = ("red",)
ADA: Path = ("red", "member", "ada")


def history(*calls: tuple[int, int, dict[Path, Any], Outcome]) -> History:
    made = History()
    for number, (began, ended, effects, outcome) in enumerate(calls):
        made.begin(Call(f"r{number}", "", "eve", "red", "", began, effects, ended=ended, outcome=outcome))
    return made


def at(began: int, ended: int) -> Call:
    return Call("r", "", "ada", "red", "", began, ended=ended)


DONE, UNKNOWN, REFUSED = Outcome.done, Outcome.unknown, Outcome.refused
GRANT = {ADA: Role.admin}


@pytest.mark.parametrize(
    ("calls", "began", "ended", "entitled"),
    [
        pytest.param([(1, 2, GRANT, DONE)], 3, 4, True, id="granted"),
        pytest.param([(1, 2, GRANT, REFUSED)], 3, 4, False, id="refused"),
        pytest.param([(1, 2, GRANT, UNKNOWN)], 3, 4, True, id="perhaps granted"),
        pytest.param([(3, 9, GRANT, DONE)], 2, 4, True, id="granted meanwhile"),
        pytest.param([(5, 9, GRANT, DONE)], 2, 4, False, id="granted later"),
        pytest.param([(1, 2, {ADA: Role.viewer}, DONE)], 3, 4, False, id="granted less"),
        pytest.param([(1, 2, GRANT, DONE), (3, 4, {ADA: None}, DONE)], 5, 6, False, id="removed"),
        pytest.param([(1, 2, GRANT, DONE), (3, 4, {ADA: None}, UNKNOWN)], 5, 6, True, id="perhaps removed"),
        pytest.param([(1, 4, GRANT, DONE), (3, 5, {ADA: None}, DONE)], 6, 7, True, id="removed at once"),
        pytest.param([(1, 2, GRANT, DONE), (3, 6, {ADA: None}, DONE)], 5, 7, True, id="being removed"),
        pytest.param([(1, 2, GRANT, DONE), (3, 4, {ADA: Role.viewer}, DONE)], 5, 6, False, id="degraded"),
        pytest.param([(1, 2, GRANT, DONE), (3, 4, {RED: None}, DONE)], 5, 6, False, id="in another life"),
        pytest.param([(1, 2, GRANT, DONE), (3, 4, {RED: True}, DONE)], 5, 6, False, id="before a new life"),
    ],
)
def test_who_may_have_been_let_in(calls: list[Any], began: int, ended: int, entitled: bool) -> None:
    assert history(*calls).entitled("ada", "red", Role.member, at(began, ended)) is entitled


@pytest.mark.parametrize(
    ("calls", "number"),
    [
        ([(1, 2, GRANT, DONE)], 0),
        ([(1, 2, GRANT, DONE), (3, 4, {ADA: None}, DONE)], 1),
        ([(1, 2, GRANT, DONE), (3, 4, {RED: None}, DONE)], 1),
        ([(1, 2, GRANT, DONE), (3, 4, {ADA: None}, REFUSED)], 0),
        ([(1, 2, GRANT, UNKNOWN), (3, 4, {ADA: None}, DONE)], 1),
        ([(1, 2, GRANT, DONE), (3, 4, {ADA: None}, UNKNOWN)], None),
        ([(1, 4, GRANT, DONE), (3, 5, {ADA: None}, DONE)], None),
        ([(1, 2, {(*ADA, "n"): 1}, DONE)], None),
    ],
)
def test_which_call_was_the_last(calls: list[Any], number: int | None) -> None:
    made = history(*calls)
    assert made.last(ADA) is (None if number is None else made.calls[number])


def test_the_last_calls_about_a_thing_are_told() -> None:
    made = history((1, 2, GRANT, DONE), (3, 4, {("blue",): True}, DONE), (5, 6, {RED: None}, UNKNOWN))
    assert [line.partition("] ")[2][:2] for line in made.told(ADA).splitlines()] == ["r0", "r2"]
    assert len(made.told(RED, most=1).splitlines()) == 1
