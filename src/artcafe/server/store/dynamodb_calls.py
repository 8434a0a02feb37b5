"""Calls of DynamoDB on one table: bounded retries, and failures mapped to errors of the store."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NotConnected

from artcafe.server.store.item import (
    Conflict,
    InvalidWrite,
    StoreContended,
    StoreUnavailable,
    StoreUnusable,
)

ATTEMPTS: Final = 6
"""How often a call is sent, the first time included."""
FIRST_WAIT: Final = 0.05
"""At most so many seconds pass before the second attempt; before each later one, twice as many."""

LARGE_BODY: Final = 512 * 1024
"""Bytes from which on a request is sent in pieces."""

_CONTENDED: Final = frozenset({"TransactionConflict", "TransactionConflictException"})

_PASSING: Final = _CONTENDED | frozenset(
    {
        "InternalServerError",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingError",
        "ThrottlingException",
        "TransactionInProgressException",
    }
)
"""Codes, of an answer or of one operation in it, that the next attempt may not meet."""


@dataclass(frozen=True, slots=True)
class TableLocation:
    """The location of the table. Region and endpoint, when None, are found as AWS's tools find them."""

    table: str
    region: str | None = None
    endpoint: str | None = None


class DynamoDBCalls:
    """A client of the service, open between `open` and `close`.

    `jitter` gives numbers from 0 to 1 that spread the attempts of many callers. Retrying a transaction
    is safe, because it carries a ClientRequestToken: the service applies it once. Retrying an increment may
    count it twice.
    """

    def __init__(
        self,
        place: TableLocation,
        *,
        jitter: Callable[[], float],
        wait: Callable[[float], Awaitable[object]] = asyncio.sleep,
        session: AioSession | None = None,
    ) -> None:
        self.table = place.table
        self._place = place
        self._jitter = jitter
        self._wait = wait
        self._session = session or AioSession()
        self._stack = AsyncExitStack()
        self._client: Any = None

    async def open(self) -> None:
        """Connect and look at the table.

        Raises StoreUnusable when it is missing, of another shape, or not ours to use.
        """
        config = AioConfig(
            connect_timeout=1,
            read_timeout=3,
            max_pool_connections=50,
            retries={"mode": "standard", "total_max_attempts": 1},  # attempts are counted in `call`
        )
        try:
            self._client = await self._stack.enter_async_context(
                self._session.create_client(
                    "dynamodb",
                    region_name=self._place.region,
                    endpoint_url=self._place.endpoint,
                    config=config,
                )
            )
        except (BotoCoreError, ValueError) as error:
            raise StoreUnusable(f"DynamoDB cannot be used as it is configured: {error}") from error
        self._client.meta.events.register("before-send.dynamodb", _stream)
        try:
            await self._check_table(self._client)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Take no more calls and close the connections. Closing twice is allowed."""
        self._client = None
        await self._stack.aclose()

    async def call(self, name: str, **request: Any) -> dict[str, Any]:
        """The answer to a call, by its name in Python.

        Raises Conflict, InvalidWrite, StoreUnavailable; StoreContended where other transactions were in the
        way to the end and no attempt can have been applied.
        """
        known = True
        for attempt in range(ATTEMPTS):
            if self._client is None:
                raise StoreUnavailable("The store is not open.")
            if attempt:
                await self._wait(FIRST_WAIT * 2 ** (attempt - 1) * self._jitter())
            try:
                answer: dict[str, Any] = await getattr(self._client, name)(**request)
            except ClientError as error:
                last: Exception = error
                if not _passing(error):
                    raise _translated(error) from error
                known = known and not _CONTENDED.isdisjoint(_codes(error))
            except (
                HTTPClientError,
                NotConnected,
            ) as error:  # time is up, or the connection broke: the outcome is unknown
                last, known = error, False
            except BotoCoreError as error:
                raise StoreUnavailable(f"DynamoDB cannot be asked: {type(error).__name__}.") from error
            else:
                return answer
        if known:
            raise StoreContended("Other transactions are in the way.") from last
        raise StoreUnavailable("DynamoDB does not answer, or has too much to do.") from last

    async def get_all(self, keys: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The rows with up to 100 keys, each key named once; what is not there is left out. The service may
        answer in parts, of 16 MB at most. Raises as `call`."""
        rows: list[dict[str, Any]] = []
        idle = 0
        while keys:
            if idle:
                await self._wait(FIRST_WAIT * 2 ** (idle - 1) * self._jitter())
            wanted = {self.table: {"Keys": keys, "ConsistentRead": True}}
            answer = await self.call("batch_get_item", RequestItems=wanted)
            got = answer["Responses"].get(self.table, [])
            rows += got
            left = answer.get("UnprocessedKeys", {}).get(self.table, {}).get("Keys", [])
            idle = 0 if len(left) < len(keys) else idle + 1
            if idle == ATTEMPTS:
                raise StoreUnavailable("DynamoDB has too much to do.")
            keys = left
        return rows

    async def write_all(self, wanted: list[dict[str, Any]]) -> None:
        """Write or remove up to 25 rows, as many at a time as the service takes. Raises as `call`; some may
        be in."""
        for attempt in range(ATTEMPTS):
            if attempt:
                await self._wait(FIRST_WAIT * 2 ** (attempt - 1) * self._jitter())
            answer = await self.call("batch_write_item", RequestItems={self.table: wanted})
            wanted = answer.get("UnprocessedItems", {}).get(self.table, [])
            if not wanted:
                return
        raise StoreUnavailable("DynamoDB has too much to do.")

    async def _check_table(self, client: Any) -> None:
        try:
            table = (await client.describe_table(TableName=self.table))["Table"]
        except ClientError as error:
            if _passing(error):
                raise StoreUnavailable("DynamoDB has too much to do.") from error
            code = error.response["Error"]["Code"]
            raise StoreUnusable(f"The table {self.table} cannot be used: {code}.") from error
        except (HTTPClientError, NotConnected) as error:
            raise StoreUnavailable("DynamoDB does not answer.") from error
        except BotoCoreError as error:
            raise StoreUnusable(f"DynamoDB cannot be used as it is configured: {error}") from error
        keys = [(key["AttributeName"], key["KeyType"]) for key in table["KeySchema"]]
        kinds = {(kind["AttributeName"], kind["AttributeType"]) for kind in table["AttributeDefinitions"]}
        if keys != [("pk", "HASH"), ("sk", "RANGE")] or not {("pk", "S"), ("sk", "S")} <= kinds:
            raise StoreUnusable(f"The table {self.table} is not a store: its key is not pk and sk, texts.")


def _stream(request: Any, **_: object) -> None:
    """aiohttp warns of a large body in one piece: writing it could hold up the loop."""
    if len(request.body) > LARGE_BODY:
        request.body = BytesIO(request.body)


def _codes(error: ClientError) -> list[str]:
    """For each operation of a cancelled transaction its code; else the code of the answer."""
    reasons: list[dict[str, str]] = error.response.get("CancellationReasons", [])
    return [reason.get("Code", "None") for reason in reasons] or [error.response["Error"]["Code"]]


def _passing(error: ClientError) -> bool:
    """Whether to try again. A conflict beside a passing code waits too: only alone it is the first."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= 500 or not _PASSING.isdisjoint(_codes(error))


def _translated(error: ClientError) -> Exception:
    codes = _codes(error)
    if "ConditionalCheckFailed" in codes:
        return Conflict(codes.index("ConditionalCheckFailed"))
    if "ValidationError" in codes:
        return InvalidWrite("DynamoDB does not take this value: a counter out of its range, perhaps.")
    return StoreUnavailable(f"DynamoDB refuses: {error.response['Error']['Code']}.")
