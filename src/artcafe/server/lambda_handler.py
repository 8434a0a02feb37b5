"""The REST API on AWS Lambda: `artcafe.server.lambda_handler.handler`, behind API Gateway or an ALB.

Settings come from the environment, as everywhere; the store is DynamoDB and NATS one that this function
reaches. There are no WebSockets here: agents and dashboards connect to servers of their own.
"""

import asyncio
import json
import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import lru_cache
from typing import Any

from mangum import Mangum
from mangum.types import ASGI, Receive, Scope, Send

from artcafe.server.app import Platform, platform
from artcafe.server.domain.addresses import client_address
from artcafe.server.events import NotWritten, note
from artcafe.server.logs import log_to_stderr
from artcafe.server.process import Place, new_id
from artcafe.server.settings import Settings, load
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.problem import MEDIA_TYPE, document
from artcafe.wire.problem import headers as headers_of

LOG = logging.getLogger("artcafe")

WRITE_SECONDS = 2.0
"""How long an answer that is made waits until what was counted is written."""

RESERVE_SECONDS = 1.0
"""How long before the end of an invocation the answer is given at the latest."""


class Function:
    """One container of the function: its store and bus are opened at the first request, and kept.

    Between requests the container stands still, and it may end without a word. So what was counted is
    written before an answer is given, and connections that broke meanwhile are made anew. An answer that is
    made is given, whatever becomes of the counts: what could not be written is logged (event `not_written`),
    kept, and written with the next request.
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
        self._writing: asyncio.Task[None] | None = None

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Answer a request of API Gateway, payload format 1.0 or 2.0, or of an ALB."""
        if _is_websocket(event):
            return _refusal(event, ArtcafeError(Code.no_websockets))
        asyncio.set_event_loop(self._loop)  # Where Mangum looks for it.
        if self._platform is None:
            self._platform = self._loop.run_until_complete(self._open())
        try:
            self._loop.run_until_complete(self._platform.hold())
        except ArtcafeError as error:
            return _refusal(event, error)
        answer: dict[str, Any] = Mangum(_as_sent(self._platform.app, event), lifespan="off")(event, context)
        self._loop.run_until_complete(self._write(self._platform, _seconds_left(context)))
        return answer

    def close(self) -> None:
        """Let go of everything; the container is not used any more."""
        self._loop.run_until_complete(self._stack.aclose())
        self._loop.close()

    async def _write(self, opened: Platform, seconds: float) -> None:
        """Write what was counted. What takes longer than so many seconds goes on with the next request."""
        if self._writing is None or self._writing.done():
            self._writing = self._tasks.create_task(_flush(opened))
        _, late = await asyncio.wait({self._writing}, timeout=max(0.0, seconds))
        if late:
            note(NotWritten(reason="it takes too long"))

    async def _open(self) -> Platform:
        opened = await self._stack.enter_async_context(
            platform(
                self._settings,
                place=Place("127.0.0.1", 443),
                nats_url=self._nats_url,
                seed=self._seed,
                embedded=False,
                name=new_id(),
                resident=False,
            )
        )
        self._tasks = await self._stack.enter_async_context(asyncio.TaskGroup())
        return opened


async def _flush(opened: Platform) -> None:
    try:
        await opened.flush()
    except ArtcafeError as error:
        note(NotWritten(reason=f"{error}"))
    except Exception:
        LOG.exception("what was counted could not be written")
        note(NotWritten(reason="a fault"))


def _seconds_left(context: Any) -> float:
    """How long an answer may wait; `context` is what Lambda gives, or None."""
    if context is None:
        return WRITE_SECONDS
    left: float = context.get_remaining_time_in_millis() / 1000 - RESERVE_SECONDS
    return min(WRITE_SECONDS, left)


def _as_sent(app: ASGI, event: Mapping[str, Any]) -> ASGI:
    """The application, told the client's address and the path as the client meant it."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        sent = {**scope, "client": (_source(event), 0), "path": _without_stage(scope["path"], event)}
        await app(sent, receive, send)

    return answer


def _source(event: Mapping[str, Any]) -> str:
    """The client's address, as AWS knows it: API Gateway says it beside the headers; an ALB appends it to
    X-Forwarded-For, whose other addresses are whatever the client wrote."""
    context = event["requestContext"]
    if "elb" not in context:
        return str((context.get("http") or context.get("identity") or {}).get("sourceIp") or "")
    lines = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    many = {name.lower(): value for name, value in (event.get("multiValueHeaders") or {}).items()}
    appended = [*many.get("x-forwarded-for", []), lines.get("x-forwarded-for", "")]
    last = [text.strip() for line in appended for text in line.split(",") if text.strip()]
    return client_address(last[-1], (), ()) if last else ""


def _without_stage(path: str, event: Mapping[str, Any]) -> str:
    """The path without the stage that stands before it, where the API is called by the name that AWS gave it.

    Under a domain of one's own there is none. A REST API leaves it out of the event's path already, and has
    it in the one of its context.
    """
    context = event["requestContext"]
    stage = context.get("stage")
    by_id = "apiId" in context and f"{context.get('domainName')}".startswith(f"{context['apiId']}.")
    told = (context.get("http") or context).get("path")
    if not stage or stage == "$default" or not by_id or told != (event.get("rawPath") or event.get("path")):
        return path
    bare = path.removeprefix(f"/{stage}")
    return bare or "/" if bare[:1] in {"", "/"} else path


def _is_websocket(event: dict[str, Any]) -> bool:
    """Whether it comes from a WebSocket API, or from a client that wants to upgrade."""
    headers = event.get("headers") or event.get("multiValueHeaders") or {}
    upgrade = {name.lower(): value for name, value in headers.items()}.get("upgrade", "")
    return "connectionId" in event.get("requestContext", {}) or "websocket" in str(upgrade).lower()


def _refusal(event: Mapping[str, Any], error: ArtcafeError) -> dict[str, Any]:
    status = error.code.http
    named = {"content-type": MEDIA_TYPE, **headers_of(error, status)}
    many = {name: [value] for name, value in named.items()}
    return {
        "statusCode": status,
        # An ALB that sends several values of a header reads no single ones.
        **({"multiValueHeaders": many} if "multiValueHeaders" in event else {"headers": named}),
        "body": json.dumps(document(error, status, new_id())),
        "isBase64Encoded": False,
    }


@lru_cache(maxsize=1)
def _function() -> Function:
    settings = load()
    log_to_stderr(settings)
    return Function(settings)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The entry point of the function. The first call in a container opens the store and the bus for later
    ones."""
    return _function()(event, context)
