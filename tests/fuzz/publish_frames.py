"""Generated `publish` frames that differ in their data alone, or nearly."""

import json
import random

_SPACES = ("", "", "", " ", "\n")
_NUMBERS = ("1", "-0", "1e5", "null", "true", '""', "0.5", "12345678901234567890123")
_TEXTS = ("a", "é", '","data":', "}", '{"data":', "\\", '"', "\u2028", ',"data":1}')
_NAMES = ("data", "a", "id", "subject", "type")
_OTHERS = ("foo", "id", "headers", "reply_to", "data", "subject")
_BYTES = b'{}[]",:0aA\\ \n\xc3\xff'
_PARTS = (
    b"}",
    b"{",
    b'"',
    b',"data":1',
    b',"subject":"z"',
    b',"id":"q"',
    b" ",
    b"\\u0064",
    b',"d\\u0061ta":2',
    b",",
    b"1",
)
_ENDS = (b"}", b" ", b"\n", b"{}", b"\0")


def data(choose: random.Random, depth: int = 0) -> str:
    """The text of a JSON value."""
    roll = choose.random()
    if roll < 0.2:
        return choose.choice(_NUMBERS)
    if roll < 0.5:
        text = choose.choice((*_TEXTS, "x" * choose.choice((1, 10, 950, 990, 1_100))))
        return json.dumps(text, ensure_ascii=choose.random() < 0.5)
    if depth == 4:
        return "0"
    inner = [data(choose, depth + 1) for _ in range(choose.randint(0, 3))]
    if roll < 0.75:
        return f"[{','.join(inner)}]"
    return "{" + ",".join(f'"{choose.choice(_NAMES)}":{each}' for each in inner) + "}"


def frame(choose: random.Random, *, plain: bool) -> bytes:
    """A `publish` frame; where it need not be `plain`, with the names of fields that other dialects have."""
    subject = "subject" if plain else choose.choice(("subject", "topic", "channel"))
    content = "data" if plain else choose.choice(("data", "message", "payload"))
    fields = [
        ("type", '"publish"'),
        (subject, json.dumps(choose.choice(("x", "x.y", "tenant.acme.x")))),
        (content, data(choose)),
    ]
    if choose.random() < 0.2:
        fields.append((choose.choice(_OTHERS), choose.choice(('"a"', "{}", "null", data(choose)))))
    if choose.random() < 0.3:
        choose.shuffle(fields)
    space = choose.choice(_SPACES)
    return ("{" + f",{space}".join(f'"{name}":{space}{text}' for name, text in fields) + "}").encode()


def mutated(choose: random.Random, message: bytes) -> bytes:
    """The same with a few bytes changed, put in, taken out or added, most of them near its end."""
    text = bytearray(message)
    for _ in range(choose.randint(1, 3)):
        if not text:
            break
        near = max(0, len(text) - choose.randint(1, 30))
        place = choose.randrange(len(text)) if choose.random() < 0.4 else near
        roll = choose.random()
        if roll < 0.4:
            text[place] = choose.choice(_BYTES)
        elif roll < 0.6:
            text[place:place] = choose.choice(_PARTS)
        elif roll < 0.8:
            del text[place : place + choose.randint(1, 4)]
        else:
            text += choose.choice(_ENDS)
    return bytes(text)


def following(choose: random.Random, message: bytes, size: int, *, plain: bool) -> bytes:
    """What a client may say after a message whose data, of this size, stands last."""
    other = message[: len(message) - 1 - size] + data(choose).encode() + b"}"
    roll = choose.random()
    if roll < 0.4:
        return other
    if roll < 0.7:
        return mutated(choose, message)
    return mutated(choose, other if roll < 0.95 else frame(choose, plain=plain))
