"""The rules shared by all backends: keys, data, limits, conditions, expiry, pages and cursors."""

import base64
import binascii
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from artcafe.server.store.item import (
    ANY,
    MAX_DATA_BYTES,
    MAX_DELTA,
    MAX_DEPTH,
    MAX_GETS,
    MAX_KEY_BYTES,
    MAX_OPS,
    MAX_PAGE_BYTES,
    MAX_PAGE_ITEMS,
    MAX_TRANSACTION_BYTES,
    Cond,
    Delta,
    Existence,
    InvalidCursor,
    InvalidKey,
    InvalidWrite,
    Item,
    ItemPage,
    Json,
    Op,
    Put,
    Rev,
    TooLarge,
)

_REFUSED_IN_KEYS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_CURSOR_VERSION = b"1"


@dataclass(frozen=True, slots=True)
class Step:
    """An operation that passed every check; `text` (the data as JSON) and `rev` (the new revision) are
    empty unless it is a Put."""

    op: Op
    text: str = ""
    rev: str = ""

    @property
    def cond(self) -> Cond:
        """The operation's condition; a Delta has none."""
        return ANY if isinstance(self.op, Delta) else self.op.cond


def prepare(ops: Sequence[Op], new_rev: Callable[[], str]) -> list[Step]:
    """Check the operations of one transaction and encode their data.

    Raises InvalidKey, InvalidWrite or TooLarge; then nothing was done.
    """
    if len(ops) > MAX_OPS:
        raise InvalidWrite(f"A transaction takes at most {MAX_OPS} operations.")
    steps = []
    total = 0
    for op in ops:
        check_keys(op.pk, op.sk)
        if isinstance(op, Put):
            body = _encode(op.data)
            total += len(body)
            check_expiry(op.expires)
            steps.append(Step(op, body.decode(), new_rev()))
        else:
            if isinstance(op, Delta):
                check_expiry(op.expires)
                if not 0 < abs(op.by) <= MAX_DELTA:
                    raise InvalidWrite("A counter moves by 1 to 2^53 in a transaction.")
            steps.append(Step(op))
    if len({(isinstance(op, Delta), op.pk, op.sk) for op in ops}) < len(ops):
        raise InvalidWrite("A transaction names each key once.")
    if total > MAX_TRANSACTION_BYTES:
        raise TooLarge(total, MAX_TRANSACTION_BYTES)
    return steps


def merge(deltas: Sequence[Delta]) -> list[Delta]:
    """One delta per counter, without those that change nothing; of several ends the last one that is given.

    Raises InvalidKey, or InvalidWrite for a delta too far and an end that is none.
    """
    merged: dict[tuple[str, str], Delta] = {}
    for delta in deltas:
        check_keys(delta.pk, delta.sk)
        check_expiry(delta.expires)
        if abs(delta.by) > MAX_DELTA:
            raise InvalidWrite("A counter moves by at most 2^53 at a time.")
        key = (delta.pk, delta.sk)
        before = merged.get(key, Delta(*key, 0))
        expires = before.expires if delta.expires is None else delta.expires
        merged[key] = Delta(*key, before.by + delta.by, expires)
    return [delta for delta in merged.values() if delta.by or delta.expires is not None]


def check_expiry(expires: int | None) -> None:
    """Raises InvalidWrite unless it is None or whole seconds since 1970 that a double holds."""
    if expires is not None and not 0 <= expires <= MAX_DELTA:
        raise InvalidWrite("An item expires at a whole number of seconds since 1970.")


def between(sk: str, first: str, last: str | None) -> bool:
    """Whether a counter is one of those that `ItemStore.counters` is asked for. Python orders text by code
    point, which is the order of its UTF-8 bytes."""
    if last is None:
        return sk.startswith(first)
    return first <= sk and (sk <= last or sk.startswith(last))


def check_keys(*keys: str) -> None:
    """Raises InvalidKey unless each is 1 to MAX_KEY_BYTES of UTF-8 without control characters."""
    for key in keys:
        if _REFUSED_IN_KEYS.search(key):
            raise InvalidKey("A key holds neither control characters nor lone surrogates.")
        if not 1 <= len(key.encode()) <= MAX_KEY_BYTES:
            raise InvalidKey(f"A key takes 1 to {MAX_KEY_BYTES} bytes.")


def check_gets(keys: Sequence[tuple[str, str]]) -> None:
    """Check what is read in one call. Raises InvalidKey, and ValueError for more than MAX_GETS."""
    if len(keys) > MAX_GETS:
        raise ValueError(f"one call reads up to {MAX_GETS} items")
    for pk, sk in keys:
        check_keys(pk, sk)


def check_list(pk: str, *prefixes: str, limit: int = 1) -> None:
    """Check what a query or a listing of counters names; an empty prefix means everything."""
    check_keys(pk, *(prefix for prefix in prefixes if prefix))
    if not 1 <= limit <= MAX_PAGE_ITEMS:
        raise ValueError(f"a page holds 1 to {MAX_PAGE_ITEMS} items")


def holds(cond: Cond, rev: str | None) -> bool:
    """Whether a condition holds for the live item of this revision; None when there is none."""
    match cond:
        case Rev():
            return rev == cond.rev
        case Existence.ABSENT:
            return rev is None
        case Existence.EXISTS:
            return rev is not None
        case Existence.ANY:
            return True


def alive(expires: int | None, now: int) -> bool:
    """Whether an item with this expiry is still there at `now`, in whole Unix seconds."""
    return expires is None or expires > now


def item(pk: str, sk: str, rev: str, expires: int | None, text: str) -> Item:
    """An item from what `prepare` encoded."""
    return Item(pk, sk, rev, msgspec.json.decode(text, type=dict), expires)


def page(
    pk: str, prefix: str, limit: int, now: int, rows: Iterable[tuple[str, str, int | None, str]]
) -> ItemPage:
    """A page from rows (sk, rev, expires, text), expired ones included, in order from its beginning on.

    Looks at `limit` rows and one more, so that the work of a call is bounded however many expired.
    """
    items: list[Item] = []
    size = 0
    last = ""
    for seen, (sk, rev, expires, text) in enumerate(rows):
        if not sk.startswith(prefix):
            break
        if seen == limit or size >= MAX_PAGE_BYTES:
            return ItemPage(items, encode_cursor(last))
        last = sk
        size += len(text)
        if alive(expires, now):
            items.append(item(pk, sk, rev, expires, text))
    return ItemPage(items, None)


def encode_cursor(sk: str) -> str:
    """The cursor that continues after `sk`: the same text on every backend, base64url without padding."""
    return base64.urlsafe_b64encode(_CURSOR_VERSION + sk.encode()).decode().rstrip("=")


def encode_place(space: str, pk: str, sk: str) -> str:
    """A cursor of `Backend.rows`."""
    return base64.urlsafe_b64encode(msgspec.json.encode((space, pk, sk))).decode()


def decode_place(cursor: str) -> tuple[str, str, str]:
    """The input of `encode_place`. Raises InvalidCursor."""
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor.encode()), type=tuple[str, str, str])
    except ValueError:
        raise InvalidCursor from None


def decode_cursor(cursor: str | None, prefix: str) -> str:
    """The sk to continue after; "" at the beginning. Raises InvalidCursor unless it is under `prefix`.

    The partition is not in a cursor: it always comes from the caller, who knows the tenant.
    """
    if cursor is None:
        return ""
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), b"-_", validate=True)
        sk = raw.removeprefix(_CURSOR_VERSION).decode()
        check_keys(sk)
    except (binascii.Error, UnicodeError, InvalidKey):
        raise InvalidCursor from None
    if encode_cursor(sk) != cursor or not sk.startswith(prefix):
        raise InvalidCursor
    return sk


def _encode(data: Mapping[str, Json]) -> bytes:
    plain = dict(data)
    _check_json(plain, MAX_DEPTH)
    try:
        body = msgspec.json.encode(plain)
    except UnicodeEncodeError:
        raise InvalidWrite("The text in the data holds lone surrogates.") from None
    if len(body) > MAX_DATA_BYTES:
        raise TooLarge(len(body), MAX_DATA_BYTES)
    return body


def _check_json(value: object, depth: int) -> None:
    """Refuse what would not come back equal: msgspec writes NaN as null and a tuple as a list."""
    if depth == 0:
        raise InvalidWrite(f"The data nests deeper than {MAX_DEPTH} levels.")
    match value:
        case None | bool() | str():
            pass
        case int() if -(2**63) <= value < 2**63:
            pass
        case float() if math.isfinite(value):
            pass
        case list():
            for element in value:
                _check_json(element, depth - 1)
        case dict() if all(isinstance(key, str) for key in value):
            for element in value.values():
                _check_json(element, depth - 1)
        case _:
            raise InvalidWrite("The data holds something that is not JSON or not a finite 64-bit number.")
