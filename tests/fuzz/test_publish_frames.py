"""A template reads out of a message what reading all of it tells, in every dialect, or nothing."""

import random

import msgspec
import pytest

from artcafe.server.gateway.dialects.dashboard import DashboardDialect
from artcafe.server.gateway.dialects.dialect import Dialect
from artcafe.server.gateway.dialects.legacy import LegacyDialect, WrappedDialect
from artcafe.server.gateway.dialects.native import NativeDialect
from artcafe.server.gateway.sessions.publish_template import template_of
from artcafe.wire.frames import Publish
from tests.fuzz.cases import SECONDS, cases
from tests.fuzz.publish_frames import following, frame

pytestmark = pytest.mark.timeout(SECONDS + 120)

DIALECTS: tuple[Dialect, ...] = (NativeDialect(), LegacyDialect(), WrappedDialect(), DashboardDialect())
UNREAD = (msgspec.MsgspecError, RecursionError)
FOLLOWING = 60


def read(dialect: Dialect, message: bytes) -> Publish | None:
    """The one publication that a message is; None for all else."""
    try:
        asked = dialect.read(message)
    except UNREAD:
        return None
    return asked[0] if len(asked) == 1 and isinstance(asked[0], Publish) else None


def is_text(message: bytes) -> bool:
    """Whether the mount lets it through."""
    try:
        message.decode()
    except UnicodeDecodeError:
        return False
    return True


def taken(name: str, dialect: Dialect, choose: random.Random) -> int:
    """Compare what follows one message; how often the template told something."""
    plain, count = isinstance(dialect, NativeDialect), 0
    message = frame(choose, plain=plain)
    first = read(dialect, message)
    known = None if first is None else template_of(message, first)
    if first is None or known is None:
        return 0
    for _ in range(FOLLOWING):
        text = following(choose, message, len(first.data), plain=plain)
        told = known.data(text) if is_text(text) else None
        if told is not None:
            count += 1
            whole = read(dialect, text)
            assert whole is not None, (name, message, text)
            found = whole.subject, bytes(whole.data), whole.id, whole.headers, whole.reply_to
            assert found == (known.subject, told, None, None, None), (name, message, text)
    return count


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: type(dialect).__name__)
def test_a_template_tells_what_reading_the_whole_frame_tells(dialect: Dialect) -> None:
    assert sum(taken(name, dialect, choose) for name, choose in cases(1_000)) > 1_000
