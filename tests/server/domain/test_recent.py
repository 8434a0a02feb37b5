"""What is remembered of what was used lately."""

from hypothesis import given
from hypothesis import strategies as st

from artcafe.server.domain.recent import Recent


def test_what_is_held_is_bounded() -> None:
    recent = Recent(10)
    for number in range(1000):
        recent.put(number, f"{number}")
        assert len(recent) <= 10
    assert recent.get(999) == "999"
    assert recent.get(0) is None


def test_a_flood_takes_nothing_from_what_is_used() -> None:
    recent = Recent(10)
    recent.put("hot", "value")
    for number in range(1000):
        recent.put(number, number)
        assert recent.get("hot") == "value"


def test_what_is_cleared_is_gone() -> None:
    recent = Recent(2)
    for number in range(3):
        recent.put(number, number)
    recent.clear()
    assert (len(recent), [recent.get(number) for number in range(3)]) == (0, [None] * 3)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9))), st.integers(1, 8))
def test_what_it_gives_is_what_was_put_last_or_nothing(steps: list[tuple[bool, int]], most: int) -> None:
    recent, model = Recent(most), dict[int, object]()
    for put, key in steps:
        if put:
            model[key] = object()
            recent.put(key, model[key])
            assert recent.get(key) is model[key]
        else:
            assert recent.get(key) in {None, model.get(key)}
        assert len(recent) <= max(most, 2)
