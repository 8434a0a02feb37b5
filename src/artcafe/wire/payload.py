"""The limits on a message's `data`: JSON that any common reader can parse.

JSON itself (RFC 8259 section 9) leaves it to readers how deep they go and how large a number they take, so a
message could be valid and end those who read it. This is the one rule for all who publish: frames of every
dialect, REST and the SDK.

* Nested in MAX_DEPTH levels at most. A scalar has none, `[]` has one. Well-known readers stop by default at
  64 (System.Text.Json, Json.NET), 100 (Ruby), 128 (serde_json), 256 (jq), 512 (PHP) or some 1,000 (Python);
  60 leaves room for the frame around it, in every dialect.
* Each number has MAX_NUMBER characters at most, and is finite as an IEEE 754 double. Python reads no
  integer of more than 4,300 digits, and what exceeds a double is infinite for one reader and an error for
  the next.

That it is JSON at all, valid UTF-8 without lone surrogates, is what decoding the frame has shown.
"""

import math
import re

from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

MAX_DEPTH = 60
MAX_NUMBER = 128

_PLAIN = __file__[-3:] == ".py"
"""Whether this module is not compiled: byte by byte it is slow then."""

_OPENERS = re.compile(rb"[\[{]")
_DOUBT = re.compile(rb"[0-9][eE]|[0-9.eE+-]{128}")

_BLOCK = 128
"""Bytes whose brackets are counted in one byte."""

_STEP = 60
"""Between bytes at which it is looked for long numbers: two steps and four bytes are less than MAX_NUMBER."""

# Below, bytes stand as numbers, which is what a compiler makes the best of: 0x30 is `0`, 0x22 `"`, 0x5C a
# backslash. With 0x20 set, `[` is `{` (0x7B), `]` is `}` (0x7D), and `E` is `e` (0x65).


def doubtful(text: bytes) -> bool:
    """Whether valid JSON may break the rule, by a glance: True for all that does, and for a little that does
    not.

    One pass without a branch for each byte, for which the compiler uses the processor's vector instructions.
    """
    if _PLAIN:
        return len(_OPENERS.findall(text)) > MAX_DEPTH or _DOUBT.search(text) is not None
    view, size, most = text, len(text), MAX_DEPTH
    openers = 0
    doubts = 0
    at = 0
    while at < size:
        end = min(size, at + _BLOCK)
        few = 0
        for here in range(at, end):
            few += (view[here] | 0x20) == 0x7B
            # There is a 0 behind the last byte (PyBytes_AsString).
            doubts |= (view[here] >= 0x30) & (view[here] <= 0x39) & ((view[here + 1] | 0x20) == 0x65)
        openers += few
        at = end
    return openers > most or doubts != 0 or _has_long_run(text)


def _has_long_run(text: bytes) -> bool:
    """Whether something may be a number that is too long: that covers the first four bytes of two steps, one
    after the other."""
    view, size = text, len(text)
    numeric = False
    at = 0
    while at + 3 < size:
        now = (
            _in_number(view[at])
            and _in_number(view[at + 1])
            and _in_number(view[at + 2])
            and _in_number(view[at + 3])
        )
        if now and numeric:
            return True
        numeric = now
        at += _STEP
    return False


def _in_number(byte: int) -> bool:
    return 0x30 <= byte <= 0x39 or (byte | 0x20) == 0x65 or 0x2D <= byte <= 0x2E or byte == 0x2B


def fault(text: bytes) -> str | None:
    """The fault of JSON that is `doubtful`: a sentence, or None when it keeps to the rule. For invalid JSON
    the result is unspecified."""
    view, size, deepest, longest = text, len(text), MAX_DEPTH, MAX_NUMBER
    depth = 0
    at = 0
    while at < size:
        byte = view[at]
        if byte == 0x22:
            at += 1
            while at < size and view[at] != 0x22:
                if view[at] == 0x5C:
                    at += 2
                while at < size and view[at] != 0x22 and view[at] != 0x5C:
                    at += 1
        elif (byte | 0x20) == 0x7B:
            depth += 1
            if depth > deepest:
                return f"The data is nested in more than {MAX_DEPTH} levels."
        elif (byte | 0x20) == 0x7D:
            depth -= 1
        elif byte == 0x2D or 0x30 <= byte <= 0x39:
            start = at
            exponent = False
            while at < size and _in_number(view[at]):
                exponent |= (view[at] | 0x20) == 0x65
                at += 1
            if at - start > longest:
                return f"The data has a number of more than {MAX_NUMBER} characters."
            if exponent and _is_infinite(text[start:at]):
                return "The data has a number that is too large for a double."
            continue
        at += 1
    return None


def _is_infinite(number: bytes) -> bool:
    try:
        return math.isinf(float(number))
    except ValueError:
        return False  # It is no number, and the text no JSON.


def require_readable(text: bytes) -> None:
    """Raise bad_frame for JSON that breaks the rule. What is no JSON at all may pass."""
    if doubtful(text):
        found = fault(text)
        if found is not None:
            raise ArtcafeError(Code.bad_frame, found)
