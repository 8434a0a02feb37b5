"""A delivered message."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from artcafe import Code, UndecodableError
from artcafe.client.message import Message
from tests.kit.scripted_server import message


@dataclass
class Task:
    city: str
    days: int = 1


class Post:
    def __init__(self) -> None:
        self.sent: list[tuple[str, Any, Mapping[str, str] | None]] = []

    async def publish(self, subject: str, data: Any, *, headers: Mapping[str, str] | None = None) -> str:
        self.sent.append((subject, data, headers))
        return "m2"


def made(data: Any = None, **more: Any) -> Message:
    return Message(message("tasks.new", data, **more), "tasks.new", Post().publish)


def test_what_it_tells() -> None:
    got = made({"city": "Rome"}, sender="u-7", headers={"a": "b"}, reply_to="replies.1")
    assert (got.subject, got.sender, got.id, got.reply_to) == ("tasks.new", "u-7", "m1", "replies.1")
    assert got.timestamp == datetime(2026, 11, 23, 3, 40, 0, 123000, tzinfo=UTC)
    assert (got.headers, made().headers) == ({"a": "b"}, {})
    assert (got.raw, got.data) == (b'{"city":"Rome"}', {"city": "Rome"})
    assert repr(got) == "<Message m1 on tasks.new from u-7, 15 bytes>"


def test_the_payload_is_decoded_once_and_only_when_asked_for() -> None:
    got = made([1])
    assert got.data is got.data
    assert made(None).data is None


@pytest.mark.parametrize(
    "raw",
    [b"{broken", b"1e999", b"1" * 5000, b"[" * 5000 + b"]" * 5000, b'"\xff"'],
    ids=lambda raw: raw[:9].decode("latin-1"),
)
def test_a_payload_that_cannot_be_read_is_handed_over_as_such(raw: bytes) -> None:
    """It is the caller's to read or to pass over; it ends nothing else."""
    frame = msgspec.structs.replace(message("n"), data=msgspec.Raw(raw), timestamp="yesterday")
    broken = Message(frame, "n", Post().publish)
    assert broken.undecodable
    assert (broken.raw, broken.sender, broken.id) == (raw, "writer", "m1")
    for _ in range(2):
        with pytest.raises(UndecodableError, match="payload") as caught:
            _ = broken.data
        assert caught.value.code is Code.bad_frame
    with pytest.raises(UndecodableError, match="timestamp"):
        _ = broken.timestamp
    assert not made(None).undecodable


def test_the_payload_as_a_type() -> None:
    assert made({"city": "Rome", "extra": 1}).decode(Task) == Task("Rome", 1)
    with pytest.raises(msgspec.ValidationError, match="city"):
        made({}).decode(Task)


async def test_a_reply_goes_to_reply_to_and_nowhere_without_it() -> None:
    post = Post()
    wanted = Message(message("n", reply_to="replies.1"), "n", post.publish)
    assert await wanted.respond({"ok": True}, headers={"a": "b"}) == "m2"
    assert await Message(message("n"), "n", post.publish).respond(1) is None
    assert post.sent == [("replies.1", {"ok": True}, {"a": "b"})]
