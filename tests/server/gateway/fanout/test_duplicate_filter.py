"""What came already is held as long as copies may come."""

from artcafe.server.gateway.fanout.duplicate_filter import DuplicateFilter


def test_an_id_is_held_for_so_many_others_and_no_longer() -> None:
    seen = DuplicateFilter(10)
    assert seen.is_first("m", True)
    for number in range(9):
        assert seen.is_first(f"{number}", False)
        assert not seen.is_first("m", True)
    assert len(seen.ids) == 1
    for number in range(100):
        assert seen.is_first(f"x{number}", number < 50)
        assert len(seen.ids) <= 10
    assert seen.ids == {}, "nobody who has no more copies to expect pays for it"
