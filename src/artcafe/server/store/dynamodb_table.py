"""The schema of the DynamoDB table, and its creation."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.exceptions import BotoCoreError, ClientError

from artcafe.server.store.dynamodb_calls import TableLocation
from artcafe.server.store.item import StoreUnavailable, StoreUnusable

SHAPE: Final[dict[str, Any]] = {
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "S"},
    ],
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "DeletionProtectionEnabled": True,
}
"""As CreateTable and AWS::DynamoDB::Table take it."""

EXPIRY: Final = {"AttributeName": "expires", "Enabled": True}
RECOVERY: Final = {"PointInTimeRecoveryEnabled": True}

_STEPS, _STEP_SECONDS = 120, 1.0
_UNKNOWN: Final = frozenset({"UnknownOperationException", "UnsupportedOperationException"})
"""What engines that are not the service say to what they do not have."""


def template(table: str) -> dict[str, Any]:
    """The table as a template of CloudFormation; it outlives its stack."""
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "The store of an ArtCafe PubSub installation",
        "Resources": {
            "Store": {
                "Type": "AWS::DynamoDB::Table",
                "DeletionPolicy": "Retain",
                "UpdateReplacePolicy": "Retain",
                "Properties": {
                    "TableName": table,
                    **SHAPE,
                    "TimeToLiveSpecification": EXPIRY,
                    "PointInTimeRecoverySpecification": RECOVERY,
                },
            }
        },
        "Outputs": {"Table": {"Value": {"Ref": "Store"}}, "Arn": {"Value": {"Fn::GetAtt": ["Store", "Arn"]}}},
    }


async def create(
    place: TableLocation,
    *,
    session: AioSession | None = None,
    wait: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> list[str]:
    """Make the table, or complete it; what could not be done, in sentences.

    Doing it again changes nothing. Raises StoreUnusable for a table of another shape and for what is
    not allowed, StoreUnavailable when the service does not answer.
    """
    config = AioConfig(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "max_attempts": 4})
    try:
        async with (session or AioSession()).create_client(
            "dynamodb", region_name=place.region, endpoint_url=place.endpoint, config=config
        ) as client:
            try:
                await client.create_table(TableName=place.table, **SHAPE)
            except ClientError as error:
                if _code(error) != "ResourceInUseException":
                    raise
            await _active(client, place.table, wait)
            return [
                said
                for said in (
                    await _expiring(client, place.table),
                    await _recoverable(client, place.table),
                )
                if said
            ]
    except ClientError as error:
        raise StoreUnusable(f"DynamoDB refuses: {_code(error)}.") from error
    except (BotoCoreError, ValueError) as error:
        raise StoreUnavailable(f"DynamoDB cannot be asked: {error}") from error


async def _active(client: Any, table: str, wait: Callable[[float], Awaitable[object]]) -> None:
    for _ in range(_STEPS):
        found = (await client.describe_table(TableName=table))["Table"]
        if found["KeySchema"] != SHAPE["KeySchema"] or not all(
            kind in found["AttributeDefinitions"] for kind in SHAPE["AttributeDefinitions"]
        ):
            raise StoreUnusable(f"There is a table {table} whose key is another one than pk and sk, texts.")
        if found["TableStatus"] == "ACTIVE":
            return
        await wait(_STEP_SECONDS)
    raise StoreUnavailable(f"The table {table} is still not active.")


async def _expiring(client: Any, table: str) -> str | None:
    try:
        now = (await client.describe_time_to_live(TableName=table))["TimeToLiveDescription"]
        if now.get("TimeToLiveStatus") in {"ENABLED", "ENABLING"}:
            if now.get("AttributeName") != EXPIRY["AttributeName"]:
                raise StoreUnusable(f"Items of {table} expire by another attribute than `expires`.")
            return None
        await client.update_time_to_live(TableName=table, TimeToLiveSpecification=EXPIRY)
    except ClientError as error:
        return _not_here(error, "expired items are not removed")
    return None


async def _recoverable(client: Any, table: str) -> str | None:
    try:
        await client.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=RECOVERY)
    except ClientError as error:
        return _not_here(error, "there is no point-in-time recovery")
    return None


def _not_here(error: ClientError, consequence: str) -> str:
    if _code(error) not in _UNKNOWN:
        raise error
    return f"This engine does not know {error.operation_name}: {consequence}."


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])
