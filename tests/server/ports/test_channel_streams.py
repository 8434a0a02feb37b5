"""What was done with streams, added up."""

from artcafe.server.ports.channel_streams import NO_STREAMS, KeptStreams


def test_each_number_is_added_to_its_own() -> None:
    assert KeptStreams(1, 2, 3, 4) + KeptStreams(10, 20, 30, 40) == KeptStreams(11, 22, 33, 44)
    assert NO_STREAMS + KeptStreams(1, 2, 3, 4) == KeptStreams(1, 2, 3, 4)
