"""What the composition root decides itself; that it composes is told by every end-to-end test."""

from artcafe.server.app import FRAME_OVERHEAD, _socket_limits
from artcafe.server.settings import load


def test_a_frame_has_room_for_what_stands_around_the_largest_payload() -> None:
    limits = _socket_limits(load(max_payload_bytes=2048))
    assert limits.message_bytes == 2048 + FRAME_OVERHEAD
