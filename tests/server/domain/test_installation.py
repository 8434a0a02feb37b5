"""Marks of installations, and how many accounts of no tenant are too many."""

import pytest

from artcafe.server.domain.installation import MARK_PATTERN, Mark, too_many
from artcafe.server.process import new_id


def test_a_mark_is_written_so_that_it_can_be_given_back() -> None:
    assert f"{Mark('a1', 7)}" == "a1.7"
    assert MARK_PATTERN.fullmatch(f"{Mark(new_id(), 10**9)}")
    assert not MARK_PATTERN.fullmatch("unmarked")


@pytest.mark.parametrize(
    ("strangers", "accounts", "many"),
    [(0, 0, False), (1, 1, False), (10, 10, False), (11, 11, True), (11, 109, True), (11, 110, False),
     (2000, 20_000, False), (2001, 20_000, True)],
)  # fmt: skip
def test_few_are_left_over_and_a_tenth_of_many(strangers: int, accounts: int, many: bool) -> None:
    assert too_many(strangers, accounts) is many
