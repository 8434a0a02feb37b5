"""A lane: commands begin with the subject and the size of what follows, whatever came before."""

from artcafe.server.bus.lane import Lane


def test_a_command_begins_with_its_subject_and_its_own_size() -> None:
    lane = Lane("m.a.b", [])
    sizes = [5, 5, 0, 1_048_576, 5]
    assert [lane.sized(size) for size in sizes] == [b"PUB m.a.b %d\r\n" % size for size in sizes]
