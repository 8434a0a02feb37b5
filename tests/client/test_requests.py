"""What came of requests, as the server's frames tell it."""

import asyncio

import pytest
from msgspec import Raw

from artcafe.client import requests
from artcafe.client.errors import OutcomeUnknownError
from artcafe.client.requests import OpenRequests
from artcafe.wire import frames
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError


def reply(call: str, number: int, *, end: bool = False) -> frames.RequestReply:
    """A reply with a number."""
    return frames.RequestReply(id=call, sender="b", data=Raw(b"%d" % number), end=end)


async def test_replies_come_in_order_to_their_own_request() -> None:
    made = OpenRequests()
    with made.expect("1") as one, made.expect("2") as two:
        made.reply(reply("1", 1))
        made.reply(reply("2", 2, end=True))
        made.reply(reply("1", 3, end=True))
        assert [(await one.next()).data for _ in range(2)] == [Raw(b"1"), Raw(b"3")]
        assert (await two.next()).end
        assert (one.over, two.over) == (True, True)


async def test_who_waits_is_woken() -> None:
    made = OpenRequests()
    with made.expect("1") as replies:
        waiting = asyncio.ensure_future(replies.next())
        await asyncio.sleep(0)
        made.reply(reply("1", 1))
        assert (await waiting).data == Raw(b"1")


async def test_an_error_ends_a_request_and_no_other() -> None:
    made = OpenRequests()
    with made.expect("1") as one, made.expect("2") as two:
        assert made.refuse("1", ArtcafeError(Code.timeout))
        assert not made.refuse("3", ArtcafeError(Code.timeout))
        with pytest.raises(ArtcafeError):
            await one.next()
        assert (one.over, two.over) == (True, False)


async def test_what_was_given_up_is_answered_to_nobody() -> None:
    made = OpenRequests()
    with made.expect("1"):
        pass
    assert frames.decode_client(made.give_up("1")) == frames.Cancel(request="1", id="1")
    made.reply(reply("1", 1))
    assert made.refuse("1", ArtcafeError(Code.cancelled))
    assert not made.refuse("1", ArtcafeError(Code.cancelled))


async def test_a_lost_connection_ends_what_is_open() -> None:
    made = OpenRequests()
    with made.expect("1") as one, made.expect("2") as two:
        made.reply(reply("2", 2, end=True))
        made.fail(lambda: OutcomeUnknownError("lost"))
        with pytest.raises(OutcomeUnknownError):
            await one.next()
        assert (await two.next()).end


async def test_a_reader_that_is_too_slow_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MOST_WAITING", 2)
    made = OpenRequests()
    with made.expect("1") as replies:
        for number in range(3):
            made.reply(reply("1", number))
        with pytest.raises(ArtcafeError) as slow:
            await replies.next()
        assert slow.value.code is Code.slow_consumer
