"""The store in one DynamoDB table: for installations of several machines.

The table has the key (pk, sk). The pk of an item begins with `I#`, that of a counter with `C#`. An
item has `rev` and `data` (JSON as text), a counter has `n`; both perhaps `expires`, by which DynamoDB removes
them some day.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, Final

from aiobotocore.session import AioSession

from artcafe.server.store import rules
from artcafe.server.store.dynamodb_calls import DynamoDBCalls, TableLocation
from artcafe.server.store.item import (
    ABSENT,
    ANY,
    MAX_KEY_BYTES,
    MAX_OPS,
    Check,
    Cond,
    Delete,
    Delta,
    InvalidCursor,
    Item,
    ItemPage,
    Op,
    Put,
    RawItem,
    Rev,
)
from artcafe.server.store.together import together

_ITEMS: Final = "I#"
_COUNTERS: Final = "C#"

TOGETHER: Final = 32
"""Changes of counters under way at once."""

_ABSENT: Final = "attribute_not_exists(pk) OR expires <= :now"
_LAST: Final = "\U0010ffff" * (MAX_KEY_BYTES // 4)
"""After a prefix: no key under it comes later."""
_LIVE: Final = "(attribute_not_exists(expires) OR expires > :now)"


class DynamoStore:
    """An ItemStore in a table of DynamoDB; what returned is in several of its data centres.

    `clock` gives seconds since the Unix epoch and must be near the true time on every machine;
    `new_rev` gives a text of 36 characters at most that no process ever gives again;
    `jitter` gives numbers from 0 to 1.

    Every write of items is a transaction with a token, also that of one item: then a retry after an answer
    that was lost neither applies it twice nor takes its own first try for somebody else's, which a
    plain conditional write would do. An increment is none: it costs half and conflicts with no other one, and
    where its answer was lost it may count twice. A query reads each item strongly, but while a transaction is
    being applied it may see some of its items before and some after.
    """

    def __init__(
        self,
        place: TableLocation,
        *,
        clock: Callable[[], float],
        new_rev: Callable[[], str],
        jitter: Callable[[], float],
        session: AioSession | None = None,
    ) -> None:
        self._clock = clock
        self._new_rev = new_rev
        self._calls = DynamoDBCalls(place, jitter=jitter, session=session)

    async def open(self) -> None:
        """Connect. Raises StoreUnavailable, or StoreUnusable when the table cannot be used."""
        await self._calls.open()

    async def close(self) -> None:
        """Take no more calls and close the connections. Closing twice is allowed."""
        await self._calls.close()

    async def ping(self) -> None:
        """Raises StoreUnavailable when the table cannot be read."""
        await self.get("ping", "ping")

    async def get(self, pk: str, sk: str) -> Item | None:
        """See ItemStore."""
        rules.check_keys(pk, sk)
        answer = await self._calls.call(
            "get_item", TableName=self._calls.table, Key=_key(_ITEMS, pk, sk), ConsistentRead=True
        )
        row = answer.get("Item")
        return _live(pk, row, int(self._clock())) if row is not None else None

    async def get_many(self, keys: Sequence[tuple[str, str]]) -> list[Item | None]:
        """See ItemStore."""
        rules.check_gets(keys)
        rows = await self._calls.get_all([_key(_ITEMS, pk, sk) for pk, sk in dict.fromkeys(keys)])
        now = int(self._clock())
        found = {(row["pk"]["S"][len(_ITEMS) :], row["sk"]["S"]): row for row in rows}
        return [_live(pk, row, now) if (row := found.get((pk, sk))) else None for pk, sk in keys]

    async def put(self, op: Put) -> str:
        """See ItemStore."""
        [step] = rules.prepare([op], self._new_rev)
        await self._apply([step])
        return step.rev

    async def delete(self, op: Delete) -> None:
        """See ItemStore."""
        await self._apply(rules.prepare([op], self._new_rev))

    async def transact(self, ops: Sequence[Op]) -> list[str | None]:
        """See ItemStore."""
        steps = rules.prepare(ops, self._new_rev)
        if steps:
            await self._apply(steps)
        return [step.rev or None for step in steps]

    async def query(self, pk: str, prefix: str = "", limit: int = 100, cursor: str | None = None) -> ItemPage:
        """See ItemStore."""
        rules.check_list(pk, prefix, limit=limit)
        after = rules.decode_cursor(cursor, prefix)
        answer = await self._query(_ITEMS, pk, prefix, _key(_ITEMS, pk, after) if after else None, limit + 1)
        rows = answer["Items"][:limit]
        now = int(self._clock())
        items = [item for row in rows if (item := _live(pk, row, now)) is not None]
        # DynamoDB ends a page after 1 MB by itself, and says so.
        more = len(answer["Items"]) > limit or "LastEvaluatedKey" in answer
        return ItemPage(items, rules.encode_cursor(rows[-1]["sk"]["S"]) if more else None)

    async def incr(self, deltas: Sequence[Delta]) -> None:
        """See ItemStore."""
        await self._each("update_item", [self._addition(delta) for delta in rules.merge(deltas)])

    async def counters(self, pk: str, first: str = "", last: str | None = None) -> dict[str, int]:
        """See ItemStore."""
        rules.check_list(pk, first, last or "")
        if last is not None and last + _LAST < first:
            return {}  # The service refuses a span that ends before it begins.
        now = int(self._clock())
        return {
            row["sk"]["S"]: int(row["n"]["N"])
            async for row in self._counters(pk, first, last)
            if rules.alive(_expiry(row), now)
        }

    async def drop_counters(self, pk: str) -> None:
        """See ItemStore."""
        rules.check_keys(pk)
        gone = [
            {"TableName": self._calls.table, "Key": {"pk": row["pk"], "sk": row["sk"]}}
            async for row in self._counters(pk, "", None)
        ]
        await self._each("delete_item", gone)

    async def sweep(self) -> int:
        """Nothing to do, so 0: DynamoDB removes expired items by itself."""
        return 0

    async def rows(self, cursor: str | None = None) -> tuple[list[RawItem], str | None]:
        """See Backend."""
        request: dict[str, Any] = {"TableName": self._calls.table, "ConsistentRead": True}
        if cursor:
            space, pk, sk = rules.decode_place(cursor)
            if space != "rows":
                raise InvalidCursor
            request["ExclusiveStartKey"] = {"pk": {"S": pk}, "sk": {"S": sk}}
        answer = await self._calls.call("scan", **request)
        last = answer.get("LastEvaluatedKey")
        place = rules.encode_place("rows", last["pk"]["S"], last["sk"]["S"]) if last else None
        return [_row(each) for each in answer["Items"]], place

    async def restore(self, rows: Sequence[RawItem]) -> None:
        """See Backend."""
        for start in range(0, len(rows), MAX_OPS):
            wanted = [{"PutRequest": {"Item": _kept(row)}} for row in rows[start : start + MAX_OPS]]
            await self._calls.write_all(wanted)

    async def discard(self, rows: Sequence[RawItem]) -> None:
        """See Backend."""
        for start in range(0, len(rows), MAX_OPS):
            keys = [
                _key(_ITEMS if row.n is None else _COUNTERS, row.pk, row.sk)
                for row in rows[start : start + MAX_OPS]
            ]
            await self._calls.write_all([{"DeleteRequest": {"Key": key}} for key in keys])

    async def _apply(self, steps: list[rules.Step]) -> None:
        # The same in every attempt, else the service would refuse the token.
        now = int(self._clock())
        operations = [self._operation(step, now) for step in steps]
        await self._calls.call(
            "transact_write_items", TransactItems=operations, ClientRequestToken=self._new_rev()
        )

    def _operation(self, step: rules.Step, now: int) -> dict[str, Any]:
        common = {"TableName": self._calls.table, **_condition(step.cond, now)}
        match step.op:
            case Put(pk, sk, expires=expires):
                return {"Put": {**common, "Item": _item(pk, sk, step.rev, step.text, expires)}}
            case Delete(pk, sk):
                return {"Delete": {**common, "Key": _key(_ITEMS, pk, sk)}}
            case Check(pk, sk):
                return {"ConditionCheck": {**common, "Key": _key(_ITEMS, pk, sk)}}
            case Delta():
                return {"Update": self._addition(step.op)}

    def _addition(self, delta: Delta) -> dict[str, Any]:
        change, values = "ADD n :by", {":by": {"N": f"{delta.by}"}}
        if delta.expires is not None:
            change = f"SET expires = :expires {change}"
            values[":expires"] = {"N": f"{delta.expires}"}
        return {
            "TableName": self._calls.table,
            "Key": _key(_COUNTERS, delta.pk, delta.sk),
            "UpdateExpression": change,
            "ExpressionAttributeValues": values,
        }

    async def _each(self, name: str, requests: Iterable[dict[str, Any]]) -> None:
        await together(lambda request: self._calls.call(name, **request), requests, TOGETHER)

    async def _counters(self, pk: str, first: str, last: str | None) -> AsyncIterator[dict[str, Any]]:
        after = None
        while True:
            answer = await self._query(_COUNTERS, pk, first, after, last=last)
            for row in answer["Items"]:
                yield row
            after = answer.get("LastEvaluatedKey")
            if after is None:
                return

    async def _query(
        self,
        space: str,
        pk: str,
        prefix: str,
        after: dict[str, Any] | None,
        limit: int | None = None,
        last: str | None = None,
    ) -> dict[str, Any]:
        request: dict[str, Any] = {
            "TableName": self._calls.table,
            "ConsistentRead": True,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": space + pk}},
        }
        if prefix or last:
            # Not begins_with, which some engines judge without regard to case.
            request["KeyConditionExpression"] += " AND sk BETWEEN :first AND :last"
            end = (prefix if last is None else last) + _LAST
            request["ExpressionAttributeValues"] |= {":first": {"S": prefix or " "}, ":last": {"S": end}}
        if after is not None:
            request["ExclusiveStartKey"] = after
        if limit is not None:
            request["Limit"] = limit
        return await self._calls.call("query", **request)


def _key(space: str, pk: str, sk: str) -> dict[str, Any]:
    return {"pk": {"S": space + pk}, "sk": {"S": sk}}


def _row(kept: dict[str, Any]) -> RawItem:
    space, pk, sk = kept["pk"]["S"][:2], kept["pk"]["S"][2:], kept["sk"]["S"]
    if space == _COUNTERS:
        return RawItem(pk, sk, n=int(kept["n"]["N"]), expires=_expiry(kept))
    return RawItem(pk, sk, rev=kept["rev"]["S"], text=kept["data"]["S"], expires=_expiry(kept))


def _expiry(kept: dict[str, Any]) -> int | None:
    return int(kept["expires"]["N"]) if "expires" in kept else None


def _kept(row: RawItem) -> dict[str, Any]:
    if row.n is not None:
        return _ending({**_key(_COUNTERS, row.pk, row.sk), "n": {"N": f"{row.n}"}}, row.expires)
    return _item(row.pk, row.sk, row.rev, row.text, row.expires)


def _item(pk: str, sk: str, rev: str, text: str, expires: int | None) -> dict[str, Any]:
    return _ending({**_key(_ITEMS, pk, sk), "rev": {"S": rev}, "data": {"S": text}}, expires)


def _ending(kept: dict[str, Any], expires: int | None) -> dict[str, Any]:
    if expires is not None:
        kept["expires"] = {"N": f"{expires}"}
    return kept


def _live(pk: str, row: dict[str, Any], now: int) -> Item | None:
    expires = _expiry(row)
    if not rules.alive(expires, now):
        return None
    return rules.item(pk, row["sk"]["S"], row["rev"]["S"], expires, row["data"]["S"])


def _condition(cond: Cond, now: int) -> dict[str, Any]:
    values = {":now": {"N": f"{now}"}}
    if cond is ANY:
        return {}
    if cond is ABSENT:
        expression = _ABSENT
    elif isinstance(cond, Rev):
        expression = f"rev = :rev AND {_LIVE}"
        values[":rev"] = {"S": cond.rev}
    else:
        expression = f"attribute_exists(pk) AND {_LIVE}"
    return {"ConditionExpression": expression, "ExpressionAttributeValues": values}
