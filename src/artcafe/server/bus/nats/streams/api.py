"""Calls of the JetStream API: a request whose answer is JSON."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

import msgspec

from artcafe.server.bus.nats.requests import NoRespondersError, OutcomeUnknownError, Requests
from artcafe.server.bus.unavailable import bus_unavailable

Connected = Callable[[], AbstractAsyncContextManager[Requests]]
"""Connects the user who makes streams and consumers. Raises unavailable."""

ANSWER_SECONDS = 5.0
"""How long an answer may take, unless told; without a leader a cluster gives none."""

Answer = TypeVar("Answer")


async def ask(
    requests: Requests,
    call: str,
    said: Mapping[str, Any] | None,
    kind: type[Answer],
    *,
    seconds: float = ANSWER_SECONDS,
) -> Answer:
    """The answer to `$JS.API.{call}`. Raises unavailable where none comes in time, or none that can be
    read."""
    payload = b"" if said is None else msgspec.json.encode(said)
    try:
        answer = await requests.request(f"$JS.API.{call}", payload, seconds=seconds)
        return msgspec.json.decode(answer.payload, type=kind)
    except (NoRespondersError, OutcomeUnknownError, msgspec.MsgspecError) as error:
        raise bus_unavailable() from error
