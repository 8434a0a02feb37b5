"""A delivered message."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

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
    frame = msgspec.structs.replace(message("n"), data=msgspec.Raw(b"{broken"))
    broken = Message(frame, "n", Post().publish)
    with pytest.raises(msgspec.DecodeError):
        _ = broken.data
    got = made([1])
    assert got.data is got.data
    assert made(None).data is None


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
