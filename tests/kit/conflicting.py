"""DynamoDB's own way with transactions that meet: of two that name the same item at the same moment one is
cancelled with TransactionConflict, also where both only check it, or only add to it. Engines do one after the
other, and never say so.
"""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

from aiobotocore.session import AioSession

from tests.kit import dynoxide


class Conflicts:
    """Cancels transactions of a session. `cancelled` is how many it was, `sent` how many came, those among
    them; a transaction takes `seconds` more than the engine needs."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.session: AioSession = dynoxide.new_session()
        self.sent = self.cancelled = 0
        self._seconds = seconds
        self._running: dict[int, set[str]] = {}
        events = "before-call", "after-call", "after-call-error"
        for event, handler in zip(events, (self._before, self._after, self._after), strict=True):
            self.session.register(f"{event}.dynamodb.TransactWriteItems", handler)

    async def _before(self, params: dict[str, Any], context: dict[str, Any], **_: object) -> object:
        self.sent += 1
        items = [_named(operation) for operation in json.loads(params["body"])["TransactItems"]]
        met = [any(item in others for others in self._running.values()) for item in items]
        if any(met):
            self.cancelled += 1
            return SimpleNamespace(status_code=400), {
                "Error": {"Code": "TransactionCanceledException", "Message": ""},
                "ResponseMetadata": {"HTTPStatusCode": 400},
                "CancellationReasons": [{"Code": "TransactionConflict" if it else "None"} for it in met],
            }
        self._running[id(context)] = set(items)
        await asyncio.sleep(self._seconds)
        return None

    def _after(self, context: dict[str, Any], **_: object) -> None:
        self._running.pop(id(context), None)


def _named(operation: dict[str, Any]) -> str:
    [(_, about)] = operation.items()
    return json.dumps(about.get("Key") or {key: about["Item"][key] for key in ("pk", "sk")}, sort_keys=True)
