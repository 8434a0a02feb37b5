"""A message as a client of a dialect gets it."""

import json
from typing import Any

from msgspec import Raw

from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.dialects.dialect import Dialect
from artcafe.server.gateway.dialects.rendering import MessageBatch
from artcafe.wire import envelopes, frames
from tests.kit.scripted_peer import unframed

ACME = TenantId("acme")


def delivered(dialect: Dialect, sender: str = "planner", **more: Any) -> dict[str, Any]:
    """The frame, by a subscription with the long name of a channel."""
    said = envelopes.Envelope(id="m1", timestamp="t1", data=Raw(b'{"n": 1.50}'), **more)
    encoder = dialect.encoder(ACME, "tenant.acme.channel.tasks", sender)
    message: dict[str, Any] = json.loads(unframed(encoder.encode(MessageBatch([frames.encode(said)])).joined))
    return message
