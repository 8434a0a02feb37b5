"""A whole store: created, and copied to another place."""

import asyncio
import json
from contextlib import AsyncExitStack

from artcafe.server.installed import store_at
from artcafe.server.process import SystemClock
from artcafe.server.settings import Settings
from artcafe.server.store.copying import Copy, CopyError, Progress, Sum, Tell
from artcafe.server.store.item import StoreError
from artcafe.server.store.places import dynamodb_at, sqlite_file
from artcafe.server.store.schema import require_known

__all__ = ["CopyError", "Progress", "Sum", "copy", "create", "template"]

FAILURES = (StoreError, ValueError, OSError)
"""What may go wrong without a fault of ours: the message is for people."""


def create(settings: Settings) -> list[str]:
    """Make the table that the settings name; what could not be done, in sentences. Raises FAILURES."""
    place, table = dynamodb_at(settings.store, settings.aws_region)
    warnings: list[str] = asyncio.run(table.create(place))
    return warnings


def template(settings: Settings) -> str:
    """The same as a template of CloudFormation, JSON. Raises ValueError."""
    place, table = dynamodb_at(settings.store, settings.aws_region)
    return json.dumps(table.template(place.table), indent=2)


def copy(
    settings: Settings, source: str, target: str, *, over: bool, ignore_servers: bool, tell: Tell
) -> Sum:
    """Copy everything that has not expired, with revisions and expiry, until both sides hold the same.

    A place is `sqlite` (in the data directory), `sqlite:FILE` or `dynamodb:TABLE`. For what `over` and
    `ignore_servers` mean, see store.copying. Raises FAILURES; then it can be begun again.
    """
    return asyncio.run(_copy(settings, source, target, over, ignore_servers, tell))


async def _copy(
    settings: Settings, source: str, target: str, over: bool, ignore_servers: bool, tell: Tell
) -> Sum:
    if source == target:
        raise CopyError("The source and the target are the same place.")
    clock = SystemClock()
    if source.startswith("sqlite") and not (file := sqlite_file(source, settings.data_dir)).exists():
        raise CopyError(f"There is no store in {file}.")
    one, other = store_at(settings, source, clock), store_at(settings, target, clock)
    async with AsyncExitStack() as stack:
        for store in (one, other):
            await store.open()
            stack.push_async_callback(store.close)
            await require_known(store)
        return await Copy(
            source=one,
            target=other,
            name=source,
            over=over,
            ignore_servers=ignore_servers,
            now=clock.now,
            tell=tell,
        ).run()
