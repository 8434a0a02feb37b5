"""Generated conversations of a client, and what an echo of its messages has to answer (RFC 6455).

The model is of a server that echoes texts and binaries, with the limits LIMITS.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from artcafe.server.gateway.websocket.peer import SocketLimits
from tests.kit.raw_websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, closing, masked

LIMITS = SocketLimits(message_bytes=100_000, fragments=8, close_seconds=30)

_SIZES = (0, 1, 2, 60, 124, 125, 126, 127, 300, 5_000, 65_533, 65_535, 65_536, 66_000, 90_000)
_CHARACTERS = 'aé€😀\0"\x7f'
_NOT_SHORT = b"\x81\xff" + (LIMITS.message_bytes + 1).to_bytes(8, "big") + b"mask" + b"d" * 50


@dataclass
class Conversation:
    """What is sent, what comes back before the CLOSE, and its code.

    `overtaken` where the server may close before it has answered all that was sent before: what comes back is
    then the beginning of it.
    """

    sent: bytearray = field(default_factory=bytearray)
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    code: int = 1000
    overtaken: bool = False


def _frame(choose: random.Random, payload: bytes, opcode: int, *, fin: bool = True, rsv: int = 0) -> bytes:
    return masked(payload, opcode, fin=fin, rsv=rsv, mask=choose.randbytes(4))


def _text(choose: random.Random) -> bytes:
    size = choose.choice(_SIZES)
    if choose.random() < 0.6:
        return b"x" * size
    return "".join(choose.choices(_CHARACTERS, k=size // 4)).encode()


def _pieces(choose: random.Random, whole: bytes) -> list[bytes]:
    places = sorted(choose.randint(0, len(whole)) for _ in range(choose.randint(1, LIMITS.fragments - 1)))
    return [whole[start:end] for start, end in zip([0, *places], [*places, len(whole)], strict=True)]


def _speak(choose: random.Random, talk: Conversation) -> bool:
    """Something that is answered, or needs no answer; False for nothing."""
    roll = choose.random()
    if roll < 0.45:
        _say(choose, talk, _text(choose), TEXT)
    elif roll < 0.52:
        _say(choose, talk, choose.randbytes(choose.choice((0, 5, 200))), BINARY)
    elif roll < 0.62:
        _ping(choose, talk, choose.choice((0, 4, 125)))
    elif roll < 0.67:
        talk.sent += _frame(choose, choose.randbytes(3), PONG)
    elif roll < 0.88:
        _say_in_pieces(choose, talk)
    else:
        return False
    return True


def _say(choose: random.Random, talk: Conversation, payload: bytes, opcode: int) -> None:
    talk.sent += _frame(choose, payload, opcode)
    talk.answers.append((opcode, payload))


def _ping(choose: random.Random, talk: Conversation, size: int) -> None:
    payload = choose.randbytes(size)
    talk.sent += _frame(choose, payload, PING)
    talk.answers.append((PONG, payload))


def _say_in_pieces(choose: random.Random, talk: Conversation) -> None:
    opcode, whole = choose.choice((TEXT, TEXT, BINARY)), _text(choose)
    pieces = _pieces(choose, whole)
    for number, piece in enumerate(pieces):
        last = number == len(pieces) - 1
        talk.sent += _frame(choose, piece, CONTINUATION if number else opcode, fin=last)
        if not last and choose.random() < 0.3:
            _ping(choose, talk, 2)
    talk.answers.append((opcode, whole))


def _ends(choose: random.Random) -> Iterator[tuple[bytes, int, bool]]:
    """Every way to end a conversation: its last bytes, the code, whether the CLOSE may overtake answers."""

    def frame(payload: bytes, opcode: int, *, fin: bool = True, rsv: int = 0) -> bytes:
        return _frame(choose, payload, opcode, fin=fin, rsv=rsv)

    yield frame(b"", CLOSE), 1000, False
    code = choose.choice((1000, 1001, 3000, 4999))
    yield closing(code, b"bye"), code, False
    yield frame((1005).to_bytes(2, "big"), CLOSE), 1002, True
    yield frame(b"ab\xff", TEXT), 1007, False
    yield frame(b"\xe2\x82", TEXT, fin=False) + frame(b"\x41", CONTINUATION), 1007, False
    yield frame(b"\xe2\x82", TEXT), 1007, False
    yield frame(b"\xe2\x82", TEXT, fin=False) + frame(b"", CONTINUATION), 1007, False
    yield frame(b"a", TEXT, fin=False) + frame(b"b", TEXT), 1002, False
    yield frame(b"a", CONTINUATION), 1002, False
    yield frame(b"a", TEXT, rsv=choose.choice((1, 2, 4))), 1002, False
    yield frame(b"", choose.choice((3, 7, 11, 15))), 1002, True
    yield b"\x81\x0a" + b"x" * 10, 1002, True  # Without a mask.
    yield _NOT_SHORT, 1009, True
    many = frame(b"", TEXT, fin=False) + frame(b"", CONTINUATION, fin=False) * (LIMITS.fragments + 1)
    yield many, 1009, False


def conversation(choose: random.Random) -> Conversation:
    """Up to nine messages and control frames, and an end."""
    talk = Conversation()
    for _ in range(choose.randint(1, 9)):
        if not _speak(choose, talk):
            break
    last, talk.code, talk.overtaken = choose.choice(list(_ends(choose)))
    talk.sent += last
    return talk


def writes(choose: random.Random, sent: bytes) -> list[bytes]:
    """The same in one piece, in a few, in many, or byte by byte where it is short."""
    count = choose.choice((0, 4, 40, len(sent)) if len(sent) < 3_000 else (0, 4))
    places = range(1, len(sent)) if count == len(sent) else sorted(choose.choices(range(len(sent)), k=count))
    return [sent[start:end] for start, end in zip([0, *places], [*places, len(sent)], strict=True)]
