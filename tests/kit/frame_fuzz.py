"""Generated conversations of a hostile client: bytes for a WebSocket that is open already."""

import json
import random
from collections.abc import Callable

from tests.kit.raw_websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, masked

TYPES = [
    "publish",
    "subscribe",
    "unsubscribe",
    "presence",
    "ping",
    "request",
    "reply",
    "cancel",
    "who",
    "unfollow",
    "auth",
    "heartbeat",
    "message",
    "ack",
    "nak",
    "inbox",
    "close_inbox",
    "welcome",
    "subscribe_topic_preview",
]
FIELDS = [
    "type",
    "subject",
    "subjects",
    "data",
    "id",
    "headers",
    "reply_to",
    "queue",
    "store",
    "priority",
    "max_in_flight",
    "delivery",
    "to",
    "end",
    "error",
    "timeout_ms",
    "max_replies",
    "request",
    "status",
    "metadata",
    "signature",
    "format",
    "key",
    "client",
    "token",
    "tenant_id",
    "topic",
    "channel",
    "message",
    "payload",
    "agent_id",
    "capabilities",
    "who",
    "capability",
    "follow",
    "after",
    "limit",
]
SUBJECTS = [
    "a",
    "a.b",
    "a.*",
    "a.>",
    ">",
    "*",
    ".",
    "..",
    "a.",
    ".a",
    "a..b",
    "agents.x.y",
    "agents.presence.*",
    "inbox.x.1",
    "$SYS.>",
    "_INBOX.a",
    "inbox._x.y",
    "inbox._0123456789abcdef.0123456789abcdef01234567",
    "presence.x",
    "tenant.other.channel.x",
    "channels.other.a",
    "agents.other.b",
]

Choice = random.Random
"""The source of all choices: the same seed gives the same conversations."""


def _long_text(choose: Choice) -> str:
    return choose.choice(("x", "é", "\u0000", "\u202e", "🤖", "a.", "\\")) * choose.choice(
        (1, 64, 65, 3000, 70_000)
    )


def _nested(choose: Choice) -> str:
    depth = choose.choice((10, 63, 64, 65, 500, 982, 1_000, 20_000))
    opening, closing = choose.choice((("[", "]"), ('{"a":', "}")))
    return opening * depth + "1" + closing * choose.choice((depth, depth - 1))


def _number(choose: Choice) -> str:
    return choose.choice(
        (
            "0",
            "-0",
            "1e999",
            "-1e999",
            "1e-999",
            "9" * 5_000,
            "0." + "1" * 5_000,
            "1E400",
            "NaN",
            "Infinity",
            "01",
            "1.",
        )
    )


def _many(choose: Choice) -> str:
    count = choose.choice((0, 1, 255, 256, 257, 40_000))
    return json.dumps([choose.choice(SUBJECTS)] * count)


def _object(choose: Choice) -> str:
    fields = (f"{json.dumps(_long_text(choose)[:200])}:{value(choose)}" for _ in range(choose.randrange(4)))
    return "{" + ",".join(fields) + "}"


def _wrong_kind(choose: Choice) -> str:
    return choose.choice(("null", "true", "false", '""', "[]", "{}", '"\\ud800"', '"\\u0000"', "[null]"))


_VALUES: tuple[Callable[[Choice], str], ...] = (
    lambda choose: json.dumps(choose.choice(SUBJECTS)),
    lambda choose: json.dumps(_long_text(choose)),
    _nested,
    _number,
    _many,
    _object,
    _wrong_kind,
)


def value(choose: Choice) -> str:
    """The text of a JSON value, or of something close to one."""
    return choose.choice(_VALUES)(choose)


def frame_text(choose: Choice) -> bytes:
    """The text of a frame: most are objects of the protocol with some fields at their extremes."""
    kind = choose.choice(TYPES)
    if choose.random() < 0.4:
        fields = {"subject": json.dumps(choose.choice(SUBJECTS)), "data": "1", "id": '"1"'}
    else:
        fields = {}
    for _ in range(choose.randrange(4)):
        fields[choose.choice(FIELDS)] = value(choose)
    parts = [f'"type":{json.dumps(kind)}', *(f'"{name}":{text}' for name, text in fields.items())]
    if choose.random() < 0.1:
        parts.append(choose.choice(parts))  # A field twice.
    choose.shuffle(parts)
    text = ("{" + ",".join(parts) + "}").encode("utf-8", "surrogatepass")
    if choose.random() < 0.1:
        at = choose.randrange(len(text))
        text = (
            text[:at]
            + choose.choice((b"", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\x00", b'"'))
            + text[at + 1 :]
        )
    return text


def _control(choose: Choice) -> bytes:
    opcode = choose.choice((PING, PONG, PONG, PING, CLOSE))
    payload = bytes(choose.randrange(256) for _ in range(choose.choice((0, 1, 2, 125, 126))))
    return masked(payload, opcode, fin=choose.random() < 0.9)


def _fragmented(choose: Choice, text: bytes) -> bytes:
    cuts = sorted(choose.randrange(len(text) + 1) for _ in range(choose.randrange(5)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    parts = []
    for number, piece in enumerate(pieces):
        last = number == len(pieces) - 1
        parts.append(masked(piece, CONTINUATION if number else TEXT, fin=last))
        if not last and choose.random() < 0.5:
            parts.append(masked(b"x", PING))
    return b"".join(parts)


def _broken(choose: Choice) -> bytes:
    return choose.choice(
        (
            masked(b"{}", TEXT, rsv=choose.randrange(1, 8)),
            masked(b"{}", choose.choice((3, 7, 11, 15))),
            masked(b"{}", CONTINUATION),
            b"\x81\x02{}",  # Without a mask.
            b"\x81\xff" + bytes([0x7F]) + b"\xff" * 7 + bytes(4),  # Of 2^63 bytes.
            b"\x81\xfe\x00\x02" + bytes(4) + b"{}",  # Its length is not the shortest.
            choose.randbytes(choose.randrange(1, 200)),
        )
    )


def conversation(choose: Choice) -> bytes:
    """What a client sends on one connection: up to twenty frames, control frames in between."""
    parts = []
    for _ in range(choose.randrange(1, 20)):
        roll = choose.random()
        if roll < 0.62:
            parts.append(masked(frame_text(choose)))
        elif roll < 0.74:
            parts.append(_fragmented(choose, frame_text(choose)))
        elif roll < 0.90:
            parts.append(_control(choose) * choose.choice((1, 1, 1, 300)))
        elif roll < 0.95:
            parts.append(masked(choose.randbytes(50), BINARY))
        else:
            parts.append(_broken(choose))
    whole = b"".join(parts)
    return whole[: choose.randrange(1, len(whole) + 1)] if choose.random() < 0.1 else whole
