"""What the `data` of a message may be: JSON that every reader can read."""

import json
import math

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.payload import MAX_DEPTH, MAX_NUMBER, doubtful, fault, require_readable

READERS_DEPTH = 64
"""The least that a well-known reader goes by default, with the frame around the data."""

decode_raw = msgspec.json.Decoder(msgspec.Raw).decode


def nested(depth: int, inside: str = "") -> str:
    return "[" * depth + inside + "]" * depth


def refused(text: str | bytes) -> bool:
    """Whether the rule refuses it; the glance has to find it doubtful then."""
    data = text.encode() if isinstance(text, str) else text
    found = fault(data)
    if found is None:
        require_readable(data)
        return False
    assert doubtful(data), text
    with pytest.raises(ArtcafeError) as raised:
        require_readable(data)
    assert (raised.value.code, raised.value.message) == (Code.bad_frame, found)
    return True


@pytest.mark.parametrize(
    "text",
    [
        nested(MAX_DEPTH),
        nested(MAX_DEPTH - 1, '{"a":1}'),
        json.dumps(nested(5000)),
        json.dumps('\\"' + nested(500)),
        json.dumps({'["' * 100: '\\\\"{['}),
        "[" + ",".join(["[]"] * 5000) + "]",
        '{"a":' * MAX_DEPTH + "1" + "}" * MAX_DEPTH,
        "1" * MAX_NUMBER,
        "-" + "1" * (MAX_NUMBER - 1),
        "0." + "1" * (MAX_NUMBER - 2),
        "1e308",
        "-1.7976931348623157e308",
        "1e-999",
        "9" * 100 + "e200",
        "1E+0000000300",
        json.dumps("1e999"),
        json.dumps("1" * 5000),
        json.dumps("550e8400-e29b-41d4-a716-446655440000"),
        '"\\u0000"',
        "18446744073709551616",
        "null",
        "true",
        '""',
    ],
)
def test_what_everybody_reads_passes(text: str) -> None:
    assert not refused(text)


@pytest.mark.parametrize(
    "text",
    [
        nested(MAX_DEPTH + 1),
        nested(950),
        nested(900_000),
        '{"a":' * (MAX_DEPTH + 1) + "1" + "}" * (MAX_DEPTH + 1),
        f'{{"a":"]]]]","b":{nested(MAX_DEPTH)}}}',
        "1" * (MAX_NUMBER + 1),
        "1" * 5000,
        "-" + "1" * MAX_NUMBER,
        "0." + "0" * MAX_NUMBER,
        "1." + "1" * 5000,
        "1e" + "0" * MAX_NUMBER + "1",
        "1e999",
        "-1e999",
        "1E+309",
        "1.8e308",
        "9" * 100 + "e210",
        '{"a":[true,1e400]}',
        '["\\"",1e999]',
        '["\\\\",1e999]',
    ],
)
@pytest.mark.parametrize("where", ["{}", '{{"some":"text 12e3","n":{}}}', "[[],{}  ]"])
def test_what_ends_some_reader_is_refused(text: str, where: str) -> None:
    assert refused(where.format(text))


@pytest.mark.parametrize("at", range(0, 400, 7))
def test_a_long_number_is_found_wherever_it_stands(at: int) -> None:
    for number in ("1" * (MAX_NUMBER + 1), "-1." + "5" * (MAX_NUMBER - 6) + "e-10", "1." + "0" * MAX_NUMBER):
        assert refused(f'["{"x" * at}",{number}]') == (len(number) > MAX_NUMBER)


@pytest.mark.parametrize("at", range(100, 140))
def test_an_exponent_is_found_wherever_it_stands(at: int) -> None:
    assert refused(f'["{"x" * at}",1e999]')
    assert refused(f'["{"x" * at}",1e999')


@pytest.mark.parametrize(
    "text", [b"", b'"', b'"\\', b"[", b"-", b"1e", b'"\\\\', b"\x00", b"e", b"1" * 129 + b'"']
)
def test_what_is_no_json_ends_within_itself(text: bytes) -> None:
    doubtful(text)
    fault(text)


# Against readers.


numbers = st.builds(
    lambda sign, whole, fraction, exponent: f"{sign}{whole}{fraction}{exponent}",
    st.sampled_from(["", "-"]),
    st.one_of(st.just("0"), st.from_regex(r"\A[1-9][0-9]{0,9}\Z"), st.from_regex(r"\A[1-9][0-9]{100,160}\Z")),
    st.one_of(st.just(""), st.from_regex(r"\A\.[0-9]{1,5}\Z"), st.from_regex(r"\A\.[0-9]{100,130}\Z")),
    st.one_of(st.just(""), st.from_regex(r"\A[eE][+-]?[0-9]{1,4}\Z")),
)
strings = st.one_of(st.text(), st.text(alphabet='[]{}"\\e019.-')).map(json.dumps)
scalars = st.one_of(numbers, strings, st.sampled_from(["null", "true", "false"]))
texts = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda each: "[" + ", ".join(each) + "]"),
        st.lists(st.tuples(strings, inner), max_size=4).map(
            lambda each: "{" + ",".join(f"{key}:{value}" for key, value in each) + "}"
        ),
        st.tuples(st.integers(1, 70), inner).map(lambda each: nested(each[0], each[1])),
    ),
    max_leaves=20,
)


def depth(value: object) -> int:
    if isinstance(value, list | dict):
        inner = value if isinstance(value, list) else value.values()
        return 1 + max((depth(each) for each in inner), default=0)
    return 0


@settings(max_examples=500, deadline=None)
@given(texts)
@example("1e999")
@example(nested(61))
def test_the_rule_says_what_pythons_own_reader_finds(text: str) -> None:
    long, large = [], []

    def number(written: str) -> float:
        long.append(len(written) > MAX_NUMBER)
        large.append(math.isinf(float(written)))
        return 0.0

    # Of fields that stand twice, one would be left.
    value = json.loads(
        text,
        parse_int=number,
        parse_float=number,
        object_pairs_hook=lambda pairs: [value for _, value in pairs],
    )
    assert refused(text) == (any(long) or any(large) or depth(value) > MAX_DEPTH)


@settings(max_examples=500, deadline=None)
@given(texts)
def test_what_passes_is_read_by_every_reader(text: str) -> None:
    """Python's, msgspec's, and one like JavaScript's, to which all numbers are doubles."""
    if refused(text):
        return
    json.loads(text)
    decode_raw(text.encode())
    msgspec.json.decode(text)
    doubles = json.loads(text, parse_int=float)
    assert "Infinity" not in json.dumps(doubles, allow_nan=True) or "Infinity" in text
    assert depth(doubles) <= READERS_DEPTH - 3


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet='\\ud8D9bBcCdDfF0123"ex', max_size=30))
def test_lone_surrogates_do_not_get_so_far(inside: str) -> None:
    """They are refused with the frame: what msgspec takes as JSON, Python can write as UTF-8."""
    text = f'"{inside}"'.encode()
    try:
        decode_raw(text)
    except msgspec.DecodeError:
        return
    json.loads(text).encode()
