"""What the composition root decides itself; that it composes is told by every end-to-end test."""

from artcafe.server.app import FRAME_OVERHEAD, _secret, _socket_limits
from artcafe.server.settings import load


def test_each_purpose_has_a_secret_of_its_own_from_the_key_that_is_set_or_the_seed() -> None:
    settings = load(secret_key="k" * 32)
    made = [_secret(settings, b"seed", purpose) for purpose in ("page tokens", "sealed answers")]
    assert len({*made, *(_secret(load(), b"seed", purpose) for purpose in ("page tokens", "x"))}) == 4
    assert _secret(settings, b"another seed", "page tokens") == made[0]
    assert _secret(load(), b"another seed", "page tokens") != _secret(load(), b"seed", "page tokens")


def test_a_frame_has_room_for_what_stands_around_the_largest_payload() -> None:
    limits = _socket_limits(load(max_payload_bytes=2048))
    assert limits.message_bytes == 2048 + FRAME_OVERHEAD
