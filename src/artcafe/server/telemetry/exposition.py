"""Answers Prometheus: `GET /metrics`, as an ASGI application."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

_Message = MutableMapping[str, Any]

Metrics = list[Metric]

Collect = Callable[[], Awaitable[Metrics]]
"""Gives all metrics, as they are now."""

PATH = "/metrics"


class _Collected(Collector):
    """Metrics that were collected already."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        """These."""
        return self._metrics


class Exposition:
    """In the text format, or in OpenMetrics where the request prefers that. Anything else is 404, 405."""

    def __init__(self, collect: Collect) -> None:
        self._collect = collect

    async def __call__(
        self,
        scope: _Message,
        receive: Callable[[], Awaitable[_Message]],
        send: Callable[[_Message], Awaitable[None]],
    ) -> None:
        """ASGI 3."""
        assert scope["type"] == "http"
        if scope["path"] != PATH:
            await _answer(send, 404, b"The metrics are at /metrics.\n")
        elif scope["method"] not in {"GET", "HEAD"}:
            await _answer(send, 405, b"", (b"allow", b"GET, HEAD"))
        else:
            accept = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
            encode, media_type = choose_encoder(accept)
            metrics = await self._collect()
            # Writing takes longer than collecting, and needs nothing of the event loop.
            body = await asyncio.to_thread(encode, _Collected(metrics))
            await _answer(send, 200, body, (b"content-type", media_type.encode()))


async def _answer(
    send: Callable[[_Message], Awaitable[None]], status: int, body: bytes, *headers: tuple[bytes, bytes]
) -> None:
    length = (b"content-length", f"{len(body)}".encode())
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})
