"""Any NATS client with some credentials: no part of the product stands between it and the server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from nats.aio.client import Client
from nats.errors import Error as NatsError

from artcafe.server.bus.nats.credentials import NatsCredentials
from tests.kit.deadlines import eventually
from tests.kit.nats import Nats


class Raw:
    """Any NATS client with some credentials, and what it was told."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.errors: list[str] = []
        self.got: list[tuple[str, str]] = []

    async def note(self, error: Exception) -> None:
        """Remember an error."""
        self.errors.append(str(error))

    async def hear(self, pattern: str) -> None:
        """Subscribe, and return when the server knows, or has refused."""

        async def take(message: Any) -> None:
            self.got.append((message.subject, message.data.decode(errors="replace")))

        await self.client.subscribe(pattern, cb=take)
        await self.settle()

    async def refuses(self, pattern: str) -> None:
        """Assert that the server refuses this subscription."""
        before = len(self.errors)
        await self.hear(pattern)
        await eventually(lambda: len(self.errors) > before, pattern)
        assert "permissions violation for subscription" in self.errors[-1]

    async def settle(self) -> None:
        """Return when the server has done everything asked for, and its errors are here."""
        await self.client.flush()
        await self.client.flush()

    async def ask(self, subject: str, seconds: float = 0.1) -> bytes | None:
        """The answer, or None when there is none."""
        try:
            return bytes((await self.client.request(subject, b"", timeout=seconds)).data)
        except NatsError:
            return None


@asynccontextmanager
async def raw(nats: Nats, credentials: NatsCredentials) -> AsyncIterator[Raw]:
    """A connection with these credentials."""
    raw = Raw(Client())
    try:
        await raw.client.connect(
            nats.url,
            inbox_prefix=credentials.inbox,
            user_jwt_cb=credentials.jwt,
            signature_cb=credentials.sign,
            error_cb=raw.note,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
        )
        yield raw
    finally:
        await raw.client.close()


async def refused(nats: Nats, credentials: NatsCredentials) -> None:
    """Assert that nobody gets in with these credentials."""
    with pytest.raises(NatsError, match="Authorization Violation"):
        async with raw(nats, credentials):
            pass
