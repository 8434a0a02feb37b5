"""The contract of every store: items by (pk, sk) with revisions, conditions, transactions and counters.

One table, two key spaces. Items hold JSON and change under conditions; counters hold integers and
only ever add up. A backend is correct when it passes tests/contract/test_item_store.py; what all of
them must judge alike is written once, in rules.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, Protocol, TypeAlias

from artcafe.server.store.walk import pages

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

MAX_KEY_BYTES: Final = 512
MAX_DATA_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 64
MAX_OPS: Final = 25
MAX_GETS: Final = 100
"""Items that are read in one call: what DynamoDB takes in a BatchGetItem."""
MAX_TRANSACTION_BYTES: Final = 3 * 1024 * 1024
"""Data of one transaction, together. DynamoDB takes 4 MB with everything around it."""
MAX_PAGE_ITEMS: Final = 1000
MAX_PAGE_BYTES: Final = 1024 * 1024
"""A page ends after about this much data, as a page of DynamoDB does."""
MAX_DELTA: Final = 2**53


class StoreError(Exception):
    """Whatever a store refuses or fails at. Messages are for people and do not repeat keys or data."""


class Conflict(StoreError):
    """A condition does not hold. `index` is the first such operation; -1 when the backend cannot tell."""

    def __init__(self, index: int) -> None:
        self.index = index
        super().__init__("The item is not in the state that the write requires.")


class InvalidKey(StoreError):
    """A key that is empty, over MAX_KEY_BYTES of UTF-8, or holds control characters or lone surrogates."""


class InvalidWrite(StoreError):
    """Operations that no store would take: data that is not JSON, a key twice, more than MAX_OPS."""


class InvalidCursor(StoreError):
    """A cursor that no page of this prefix gave."""

    def __init__(self) -> None:
        super().__init__("The cursor does not belong to this list.")


class TooLarge(StoreError):
    """Data over its limit; both in bytes of encoded JSON."""

    def __init__(self, size: int, limit: int) -> None:
        self.size = size
        self.limit = limit
        super().__init__(f"The data takes {size} bytes; the limit is {limit}.")


class StoreUnavailable(StoreError):
    """The store cannot answer now; trying again may help. The outcome of a write is unknown."""


class StoreContended(StoreUnavailable):
    """Others wrote the same items at the same moment, every time: nothing was written."""


class StoreUnwritable(StoreUnavailable):
    """Reads go on and no write works, for want of room most of all. The message says why."""


class StoreUnusable(StoreError):
    """Raised on opening: as things are, trying again will not help, and an operator must look."""


class Existence(Enum):
    """The condition of a write on the item's existence, besides its revision. An expired item is absent."""

    ANY = "any"
    ABSENT = "absent"
    EXISTS = "exists"


ANY: Final = Existence.ANY
ABSENT: Final = Existence.ABSENT
EXISTS: Final = Existence.EXISTS


@dataclass(frozen=True, slots=True)
class Rev:
    """Requires that the item exists in exactly this revision."""

    rev: str


Cond: TypeAlias = Existence | Rev


@dataclass(frozen=True, slots=True)
class Item:
    """One item as it was read.

    `rev` is opaque, changes with every write and is never used again: compare it for equality only.
    `expires` is in whole seconds since the Unix epoch; from that second on the item is absent.
    """

    pk: str
    sk: str
    rev: str
    data: dict[str, Json]
    expires: int | None


@dataclass(frozen=True, slots=True)
class Put:
    """Write the whole item. `data` is taken as it is at the time of the call; `expires` as in Item."""

    pk: str
    sk: str
    data: Mapping[str, Json]
    cond: Cond = ANY
    expires: int | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove the item. Removing what is absent succeeds, unless the condition says otherwise."""

    pk: str
    sk: str
    cond: Cond = ANY


@dataclass(frozen=True, slots=True)
class Check:
    """Change nothing, but let the transaction depend on this item."""

    pk: str
    sk: str
    cond: Literal[Existence.ABSENT, Existence.EXISTS] | Rev = EXISTS


@dataclass(frozen=True, slots=True)
class Delta:
    """Add `by` (at most MAX_DELTA either way) to a counter, which starts at zero.

    `expires` (as in Item) is when the counter ends; without one it ends when it was told to before, or never.
    What is added to a counter after its end may be added to what it had.
    """

    pk: str
    sk: str
    by: int
    expires: int | None = None


Op: TypeAlias = Put | Delete | Check | Delta


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Part of a list. The end is reached when `cursor` is None, and not before: a page with a cursor
    may be short or empty, because expired items and large ones count towards its size."""

    items: list[Item]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class RawItem:
    """An item or a counter as it is kept: for moving a store, and for nothing else.

    An item has `rev` and `text` (its data, JSON as encoded), a counter has `n`; both may have `expires`.
    """

    pk: str
    sk: str
    rev: str = ""
    text: str = ""
    expires: int | None = None
    n: int | None = None


class ItemStore(Protocol):
    """The contract of every backend; at most nine methods.

    What returned is durable and seen by every later call, from any process. Each call but `query` and
    `counters` is linearizable; these read each item so, but of a transaction that is being applied at that
    moment they may see some items before and some after (DynamoDB's documentation, "Isolation levels for
    transactions"). Who needs several items as of one moment makes a write depend on them (Check, Rev).
    Every method raises InvalidKey for keys outside the rules and StoreUnavailable when the store is
    away; a caller that is cancelled does not know whether its write happened. Data comes back equal
    to what was put, and is the reader's own copy. Backends are opened and closed outside this
    protocol: `await open()`, `await close()`, and `await ping()`, which raises StoreUnavailable.
    """

    async def get(self, pk: str, sk: str) -> Item | None:
        """The item, or None when it is absent or expired. A strong read."""
        ...

    async def get_many(self, keys: Sequence[tuple[str, str]]) -> list[Item | None]:
        """For each (pk, sk), of up to MAX_GETS, what `get` gives; each item is read strongly, but not all of
        them as of one moment. Raises ValueError for more."""
        ...

    async def put(self, op: Put) -> str:
        """Write one item; the new revision. Raises Conflict(0), InvalidWrite, TooLarge."""
        ...

    async def delete(self, op: Delete) -> None:
        """Remove one item. Raises Conflict(0)."""
        ...

    async def transact(self, ops: Sequence[Op]) -> list[str | None]:
        """All operations or none; for each, the new revision of a Put, else None.

        At most MAX_OPS operations, no key twice, MAX_TRANSACTION_BYTES of data. A Delta has no condition, so
        that it conflicts with nothing, and moves its counter exactly when the rest is written; one of zero is
        an InvalidWrite. Raises Conflict with the index of the first false condition, InvalidWrite, TooLarge.
        """
        ...

    async def query(self, pk: str, prefix: str = "", limit: int = 100, cursor: str | None = None) -> ItemPage:
        """Items of a partition whose sk begins with `prefix`, in byte order of the UTF-8 of sk.

        `limit` is 1 to MAX_PAGE_ITEMS (ValueError). A cursor stays good when its item is deleted and
        never leads out of the partition and prefix that this call names. Raises InvalidCursor.
        """
        ...

    async def incr(self, deltas: Sequence[Delta]) -> None:
        """Add to counters; never conflicts. Counters have their own key space beside the items.

        A sum of zero changes nothing and makes no counter, unless it comes with `expires`: that is set then,
        on a counter of zero where there was none. Atomic per counter only: after
        StoreUnavailable some deltas may be in. On DynamoDB an increment that is retried below may
        count twice (at least once). Totals must stay within signed 64 bits; a backend may refuse
        with InvalidWrite, but none wraps or rounds.
        """
        ...

    async def counters(self, pk: str, first: str = "", last: str | None = None) -> dict[str, int]:
        """The counters of a partition whose sk begins with `first` and, where `last` is given, all from there
        to those whose sk begins with `last`; in byte order of sk. However many there are, reading them
        keeps no other call waiting for longer than a thousand of them take."""
        ...

    async def drop_counters(self, pk: str) -> None:
        """Remove every counter of a partition. One that is incremented meanwhile may survive."""
        ...


class Backend(ItemStore, Protocol):
    """An ItemStore from its opening to its end."""

    async def open(self) -> None:
        """Raises StoreUnusable, StoreUnavailable."""
        ...

    async def close(self) -> None:
        """Take no more calls."""
        ...

    async def ping(self) -> None:
        """Raises StoreUnavailable."""
        ...

    async def sweep(self) -> int:
        """Remove what expired; how many there were."""
        ...

    async def rows(self, cursor: str | None = None) -> tuple[list[RawItem], str | None]:
        """Everything that is kept, what expired included: some rows in an order of the backend's own, and
        the cursor of the next ones, None at the end. What is written meanwhile may be missed. Raises
        InvalidCursor, StoreUnavailable."""
        ...

    async def restore(self, rows: Sequence[RawItem]) -> None:
        """Keep these rows as they are, revisions and counts too, in place of others with their keys. Doing it
        again changes nothing; after StoreUnavailable some may be in."""
        ...

    async def discard(self, rows: Sequence[RawItem]) -> None:
        """Remove the items and counters with the keys of these rows, whatever they hold by now. Doing it
        again changes nothing; after StoreUnavailable some may be gone."""
        ...


async def purge(store: ItemStore, pk: str) -> int:
    """Remove a partition, items and counters; how many items there were.

    Not atomic: what is written meanwhile may survive, and after an error it can be run again.
    Expired items are left to the backend's own removal.
    """
    removed = 0
    async for page in pages(lambda cursor: store.query(pk, limit=MAX_OPS, cursor=cursor)):
        await store.transact([Delete(pk, item.sk) for item in page.items])
        removed += len(page.items)
    await store.drop_counters(pk)
    return removed
