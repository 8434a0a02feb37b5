"""Generated streams of a nats-server, and what each of them says."""

import random

from artcafe.server.bus.nats.message import FullMessage
from artcafe.server.bus.nats.parser import Message, Parser, ProtocolError

Said = Message | bytes
"""A message, or a line that is none."""

NONSENSE = b"(nonsense)"
"""Stands in for the ProtocolError that ends a stream."""

_WORDS = ("a", "tasks", "x-1", "m", "ü")
_SIZES = (0, 1, 2, 3, 5, 17, 100, 1_000)
_LARGE = (65_535, 65_536, 300_000)
_LOOKS_LIKE_MORE = (b"\r\n", b"MSG a 1 5\r\n", b"\r", b"\n", b"PING\r\n", b"-ERR")
_REPLIES = ("", "_INBOX.x", "ü.1")
_HEADS = (b"NATS/1.0\r\n\r\n", b"NATS/1.0\r\nA: b\r\n\r\n", b"")
_LINES = (
    b"PING",
    b"PONG",
    b"PING ",
    b"+OK",
    b"",
    b"MSGX a",
    b"-ERR 'a\rb'",
    b"-ERR 'Permissions Violation for Subscription to \"a\"'",
    b"INFO {}",
    b'INFO {"x":"' + b"y" * 5_000 + b'"}',
)
_WRONG = b" \0\r\n09M\xff+_-"


def _payload(choose: random.Random) -> bytes:
    size = choose.choice(_SIZES if choose.random() < 0.97 else _LARGE)
    if choose.random() < 0.5:
        return choose.randbytes(size)
    return (choose.choice(_LOOKS_LIKE_MORE) * (size // 2 + 1))[:size]


def _item(choose: random.Random) -> tuple[bytes, Said, int]:
    """The text of a message or line, what it means, and its subscription where that gets full messages,
    else -1."""
    if choose.random() < 0.4:
        line = choose.choice(_LINES)
        return line + b"\r\n", line, -1
    subject = ".".join(choose.choice(_WORDS) for _ in range(choose.randint(1, 5)))
    number = choose.randrange(10 ** choose.randint(1, 12))
    full = number % 2 == 0
    reply = choose.choice(_REPLIES)
    words = f"{subject} {number} {reply}{' ' if reply else ''}".encode()
    payload = _payload(choose)
    if choose.random() < 0.7:
        head, text = b"", b"MSG %b%d\r\n%b\r\n" % (words, len(payload), payload)
    else:
        head = choose.choice(_HEADS)
        size = len(head) + len(payload)
        text = b"HMSG %b%d %d\r\n%b%b\r\n" % (words, len(head), size, head, payload)
    meant = number, subject, FullMessage(reply, head, payload) if full else payload
    return text, meant, number if full else -1


def stream(choose: random.Random) -> tuple[bytes, list[Said], set[int]]:
    """Up to a dozen messages and lines, what they mean, and the subscriptions that get full messages."""
    items = [_item(choose) for _ in range(choose.randint(1, 12))]
    full = {number for _, _, number in items if number >= 0}
    return b"".join(text for text, _, _ in items), [meant for _, meant, _ in items], full


def damaged(choose: random.Random, text: bytes) -> bytes:
    """The same with a few bytes that are others."""
    wrong = bytearray(text)
    for _ in range(choose.randint(1, 6)):
        wrong[choose.randrange(len(wrong))] = choose.choice(_WRONG)
    return bytes(wrong)


def cuts(choose: random.Random, text: bytes) -> list[list[int]]:
    """Where the reads of a stream end, in several ways: not at all, at some places, and where it is short at
    every place at once, and at each alone."""
    ways = [[], sorted(choose.sample(range(len(text)), min(len(text), choose.randint(1, 20))))]
    if len(text) < 3_000:
        ways.append(list(range(1, len(text))))
    if len(text) < 400:
        ways += [[place] for place in range(1, len(text))]
    return ways


def heard(text: bytes, places: list[int], full: set[int]) -> tuple[list[Said], bool]:
    """What a parser makes of a stream that is cut at these places, in order, and whether nothing is left."""
    got: list[Said] = []
    parser = Parser(lambda line: got.extend((*_taken(parser), line)))
    parser.full.update(full)
    try:
        for start, end in zip([0, *places], [*places, len(text)], strict=True):
            parser.feed(text[start:end])
    except ProtocolError:
        return [*got, *_taken(parser), NONSENSE], False
    return [*got, *_taken(parser)], parser.between


def _taken(parser: Parser) -> list[Message]:
    taken = list(parser.messages)
    parser.messages.clear()
    return taken
