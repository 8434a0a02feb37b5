"""What DynamoDB does badly on the way: throttling, time that is up, answers that are lost."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from artcafe.server.store.dynamodb import TOGETHER, DynamoStore
from artcafe.server.store.dynamodb_calls import ATTEMPTS, FIRST_WAIT, DynamoDBCalls, TableLocation
from artcafe.server.store.item import (
    ABSENT,
    EXISTS,
    Conflict,
    Delete,
    Delta,
    Put,
    Rev,
    StoreUnavailable,
    StoreUnusable,
)
from tests.kit import dynoxide
from tests.kit.stores import SetClock

TRANSACT = "TransactWriteItems"


class Faults:
    """Meets calls of the service: first those refused unseen, then those whose answer is lost."""

    def __init__(self) -> None:
        self.session = dynoxide.new_session()
        self.updates = self.most = self._under_way = 0
        self.session.register("before-call.dynamodb.UpdateItem", self._update)
        self.session.register("after-call.dynamodb.UpdateItem", self._updated)
        self.refused: list[dict[str, Any]] = []
        self.lost = 0
        self.sent = 0
        self.session.register(f"before-call.dynamodb.{TRANSACT}", self._before)
        self.session.register(f"after-call.dynamodb.{TRANSACT}", self._after)
        self._leaving = self._got = self.left = 0
        self.session.register("after-call.dynamodb.BatchGetItem", self._some)

    def _update(self, **_: object) -> object:
        self.updates += 1
        self._under_way += 1
        self.most = max(self.most, self._under_way)
        if self.refused:
            answer = self.refused.pop()
            return SimpleNamespace(status_code=answer["ResponseMetadata"]["HTTPStatusCode"]), answer
        return None

    def _updated(self, **_: object) -> None:
        self._under_way -= 1

    def refuse(self, times: int, code: str, status: int = 400, reasons: tuple[str, ...] = ()) -> None:
        answer: dict[str, Any] = {"Error": {"Code": code, "Message": ""}}
        answer["ResponseMetadata"] = {"HTTPStatusCode": status}
        if reasons:
            answer["CancellationReasons"] = [{"Code": reason} for reason in reasons]
        self.refused += [answer] * times

    def leave_all_but_one(self, times: int, got: int = 1) -> None:
        """Answer so many reads of many items with the first `got` alone, the rest unprocessed."""
        self._leaving, self._got, self.left = times, got, 0

    def _some(self, parsed: dict[str, Any], **_: object) -> None:
        if self.left < self._leaving:
            self.left += 1
            [(table, rows)] = parsed["Responses"].items()
            left = [{"pk": row["pk"], "sk": row["sk"]} for row in rows[self._got :]]
            parsed["Responses"][table] = rows[: self._got]
            parsed["UnprocessedKeys"] = {table: {"Keys": left, "ConsistentRead": True}} if left else {}

    def _before(self, **_: object) -> object:
        self.sent += 1
        if self.refused:
            answer = self.refused.pop()
            return SimpleNamespace(status_code=answer["ResponseMetadata"]["HTTPStatusCode"]), answer
        return None

    def _after(self, **_: object) -> None:
        if self.lost:
            self.lost -= 1
            raise ReadTimeoutError(endpoint_url="")


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
async def store(faults: Faults) -> AsyncIterator[DynamoStore]:
    store = dynoxide.store_in(await dynoxide.new_place(), SetClock(), faults.session)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@pytest.mark.parametrize(
    ("code", "status", "reasons"),
    [
        ("ThrottlingException", 400, ()),
        ("ProvisionedThroughputExceededException", 400, ()),
        ("InternalServerError", 500, ()),
        ("Unheard", 503, ()),
        ("TransactionInProgressException", 400, ()),
        ("TransactionCanceledException", 400, ("TransactionConflict", "ConditionalCheckFailed")),
        ("TransactionCanceledException", 400, ("None", "ThrottlingError")),
    ],
)
async def test_what_passes_is_tried_again_and_again_but_not_for_ever(
    store: DynamoStore, faults: Faults, code: str, status: int, reasons: tuple[str, ...]
) -> None:
    faults.refuse(ATTEMPTS - 1, code, status, reasons)
    await store.put(Put("p", "first", {}, ABSENT))
    assert faults.sent == ATTEMPTS

    faults.refuse(ATTEMPTS, code, status, reasons)
    with pytest.raises(StoreUnavailable):
        await store.transact([Put("p", "a", {}), Put("p", "b", {})])
    assert faults.sent == 2 * ATTEMPTS
    assert [item.sk for item in (await store.query("p")).items] == ["first"]


async def test_what_does_not_pass_is_not_tried_again(store: DynamoStore, faults: Faults) -> None:
    faults.refuse(1, "AccessDeniedException")
    with pytest.raises(StoreUnavailable, match="AccessDeniedException"):
        await store.put(Put("p", "s", {}))

    assert faults.sent == 1


async def test_a_write_whose_answer_was_lost_is_done_once(store: DynamoStore, faults: Faults) -> None:
    faults.lost = 2
    rev = await store.put(Put("p", "s", {"n": 1}, ABSENT))
    faults.lost = 2
    await store.transact([Put("p", "t", {}, ABSENT), Delete("p", "s", Rev(rev))])
    faults.lost = 2
    await store.delete(Delete("p", "t", EXISTS))
    faults.lost = 2
    await store.transact([Delta("p", "a", 5), Delta("p", "b", 1)])

    assert faults.sent == 4 * 3
    assert (await store.query("p")).items == []
    assert await store.counters("p") == {"a": 5, "b": 1}


async def test_increments_are_no_transactions_and_many_are_under_way_at_once(
    store: DynamoStore, faults: Faults
) -> None:
    await store.incr([Delta("p", f"{n}", n + 1) for n in range(3 * TOGETHER)])

    assert (faults.sent, faults.updates) == (0, 3 * TOGETHER)
    assert TOGETHER / 2 < faults.most <= TOGETHER
    assert sum((await store.counters("p")).values()) == sum(range(3 * TOGETHER + 1))


async def test_an_increment_that_meets_a_transaction_is_tried_again(
    store: DynamoStore, faults: Faults
) -> None:
    faults.refuse(2, "TransactionConflictException")
    await store.incr([Delta("p", "a", 5)])

    assert faults.updates == 3
    assert await store.counters("p") == {"a": 5}


async def test_when_one_increment_fails_no_more_are_begun(store: DynamoStore, faults: Faults) -> None:
    faults.refuse(1, "AccessDeniedException")
    with pytest.raises(StoreUnavailable, match="AccessDeniedException"):
        await store.incr([Delta("p", f"{n}", 1) for n in range(20 * TOGETHER)])

    assert faults.updates <= 2 * TOGETHER
    assert faults._under_way == 0


async def test_a_transaction_whose_outcome_stays_unknown_is_whole(store: DynamoStore, faults: Faults) -> None:
    faults.lost = ATTEMPTS
    with pytest.raises(StoreUnavailable):
        await store.transact([Put("p", "a", {}, ABSENT), Put("p", "b", {}, ABSENT)])

    assert faults.sent == ATTEMPTS
    assert [item.sk for item in (await store.query("p")).items] == ["a", "b"]


@pytest.mark.parametrize("answers", [1, 40])
async def test_of_many_items_the_service_may_leave_some_for_the_next_answer(
    store: DynamoStore, faults: Faults, answers: int
) -> None:
    """However often, as long as it answers with something."""
    names = [f"{n:03}" for n in range(answers + 1)]
    for name in names:
        await store.put(Put("p", name, {}))
    faults.leave_all_but_one(times=answers)
    found = await store.get_many([("p", name) for name in names])
    assert [item.sk for item in found if item] == names
    assert faults.left == answers


async def test_many_items_are_not_waited_for_without_end(store: DynamoStore, faults: Faults) -> None:
    await store.put(Put("p", "s", {}))
    faults.leave_all_but_one(times=1000, got=0)
    with pytest.raises(StoreUnavailable, match="too much to do"):
        await store.get_many([("p", "s")])
    assert faults.left == ATTEMPTS


async def test_a_lost_refusal_is_still_a_refusal(store: DynamoStore, faults: Faults) -> None:
    await store.put(Put("p", "s", {"n": 1}))
    faults.lost = 1
    with pytest.raises(Conflict) as caught:
        await store.transact([Put("p", "t", {}), Put("p", "s", {"n": 2}, ABSENT)])

    assert caught.value.index == 1
    assert [item.data for item in (await store.query("p")).items] == [{"n": 1}]


async def test_the_pauses_grow_and_are_spread() -> None:
    pauses: list[float] = []

    async def wait(seconds: float) -> None:
        pauses.append(seconds)

    faults = Faults()
    calls = DynamoDBCalls(await dynoxide.new_place(), jitter=lambda: 0.5, wait=wait, session=faults.session)
    await calls.open()
    try:
        faults.refuse(ATTEMPTS, "ThrottlingException")
        with pytest.raises(StoreUnavailable):
            await calls.call("transact_write_items", TransactItems=[{"Put": {"TableName": "t", "Item": {}}}])
    finally:
        await calls.close()

    assert pauses == [FIRST_WAIT * 2**n * 0.5 for n in range(ATTEMPTS - 1)]


async def test_a_store_without_its_table_does_not_open() -> None:
    place = TableLocation("missing", dynoxide.REGION, dynoxide.endpoint())
    store = dynoxide.store_in(place, SetClock())
    with pytest.raises(StoreUnusable, match="missing cannot be used: ResourceNotFoundException"):
        await store.open()
    with pytest.raises(StoreUnavailable):
        await store.get("p", "s")


async def test_a_service_that_is_away_is_unavailable() -> None:
    store = dynoxide.store_in(TableLocation("t", dynoxide.REGION, "http://127.0.0.1:1"), SetClock())
    with pytest.raises(StoreUnavailable):
        await store.open()
