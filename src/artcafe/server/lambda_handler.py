"""The REST API on AWS Lambda: `artcafe.server.lambda_handler.handler`, behind API Gateway or an ALB.

Settings come from the environment, as everywhere; the store is DynamoDB and NATS one that this function
reaches. There are no WebSockets here: agents and dashboards connect to servers of their own.
"""

import asyncio
import json
from contextlib import AsyncExitStack
from functools import lru_cache
from typing import Any

from mangum import Mangum

from artcafe.server.app import Platform, platform
from artcafe.server.logs import log_to_stderr
from artcafe.server.process import Place, new_id
from artcafe.server.settings import Settings, load
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.problem import MEDIA_TYPE, document


class Function:
    """One container of the function: what it stands on is opened at the first request, and kept.

    Between requests the container stands still, and it may end without a word. So what was counted is
    written before an answer is given, and connections that broke meanwhile are made anew.
    """

    def __init__(self, settings: Settings) -> None:
        """Raises ValueError for settings that cannot serve here."""
        if settings.nats_url is None or settings.operator_seed is None:
            raise ValueError("On Lambda, NATS_URL and ARTCAFE_OPERATOR_SEED have to be set.")
        self._settings = settings
        self._nats_url = settings.nats_url
        self._seed = bytes.fromhex(settings.operator_seed.get_secret_value())
        self._loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self._platform: Platform | None = None

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Answer a request of API Gateway, version 2, or of an ALB."""
        if _is_websocket(event):
            return _refusal()
        asyncio.set_event_loop(self._loop)  # Where Mangum looks for it.
        if self._platform is None:
            self._platform = self._loop.run_until_complete(self._open())
        self._loop.run_until_complete(self._platform.hold())
        answer: dict[str, Any] = Mangum(self._platform.app, lifespan="off")(event, context)
        self._loop.run_until_complete(self._platform.flush())
        return answer

    def close(self) -> None:
        """Let go of everything; the container is not used any more."""
        self._loop.run_until_complete(self._stack.aclose())
        self._loop.close()

    async def _open(self) -> Platform:
        return await self._stack.enter_async_context(
            platform(
                self._settings,
                place=Place("127.0.0.1", 443),
                nats_url=self._nats_url,
                seed=self._seed,
                embedded=False,
                name=new_id(),
            )
        )


def _is_websocket(event: dict[str, Any]) -> bool:
    """Whether it comes from a WebSocket API, or from a client that wants to upgrade."""
    headers = event.get("headers") or event.get("multiValueHeaders") or {}
    upgrade = {name.lower(): value for name, value in headers.items()}.get("upgrade", "")
    return "connectionId" in event.get("requestContext", {}) or "websocket" in str(upgrade).lower()


def _refusal() -> dict[str, Any]:
    error = ArtcafeError(Code.no_websockets)
    status = error.code.http
    return {
        "statusCode": status,
        "headers": {"content-type": MEDIA_TYPE},
        "body": json.dumps(document(error, status, new_id())),
        "isBase64Encoded": False,
    }


@lru_cache(maxsize=1)
def _function() -> Function:
    settings = load()
    log_to_stderr(settings)
    return Function(settings)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """What Lambda calls. The first call in a container opens what the later ones use."""
    return _function()(event, context)
