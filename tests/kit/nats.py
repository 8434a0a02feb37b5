"""A real nats-server in operator mode on a random port, and what it takes to talk to it.

For one server per module::

    @pytest_asyncio.fixture(scope="module", loop_scope="module")
    async def nats(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nats]:
        async with running_nats(tmp_path_factory.mktemp("nats")) as nats:
            yield nats

A `Nats` can be used from any event loop; connections are opened in the test's own:
`async with nats.authority() as authority`.
"""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from nats.aio.client import Client
from nats.errors import Error as NatsError

from artcafe.server.bus.accounts.authority import Authority
from artcafe.server.bus.accounts.operator import Operator
from artcafe.server.bus.nats.credentials import NatsCredentials
from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.tenant import Tenant
from artcafe.server.embedded.nats_server import NatsServer
from artcafe.wire.times import rfc3339


class WallClock:
    """The real time, moved by `offset` seconds."""

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        return time.time() + self.offset

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()


@dataclass(frozen=True, slots=True)
class Nats:
    """A running nats-server and the operator it trusts, whose secret is `seed`."""

    server: NatsServer
    seed: bytes
    operator: Operator
    clock: WallClock

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.server.url

    def authority(self) -> Authority:
        """An authority to open. It spares no orphan, however young."""
        return Authority(self.url, self.operator, spare_seconds=0)

    async def admits(self, tenant: Tenant) -> bool:
        """Whether the tenant's user may connect."""
        try:
            async with connected(self.url, self.operator.credentials(tenant)):
                return True
        except NatsError as error:
            if "Authorization Violation" in str(error) or "maximum account active" in str(error):
                return False
            raise


@asynccontextmanager
async def running_nats(
    data: Path, *, seed: bytes = b"", listen: str = "127.0.0.1:-1", clock: WallClock | None = None
) -> AsyncIterator[Nats]:
    """Run a nats-server on this data directory for an installation with this secret, else a random one."""
    clock = clock or WallClock()
    seed = seed or secrets.token_bytes(32)
    operator = Operator(seed, clock)
    config = operator.server_config(server_name="test", listen=listen, data_dir=data)
    server = NatsServer(config, data)
    await server.start()
    try:
        yield Nats(server, seed, operator, clock)
    finally:
        await server.stop()


@asynccontextmanager
async def connected(
    url: str, credentials: NatsCredentials, complaints: list[str] | None = None
) -> AsyncIterator[Client]:
    """A plain nats-py connection that does not come back. Raises NatsError when the server refuses.

    What the server says against it later is appended to `complaints`.
    """

    async def complain(error: Exception) -> None:
        if complaints is not None:
            complaints.append(str(error).lower())

    client = Client()
    try:
        await client.connect(
            url,
            inbox_prefix=credentials.inbox,
            user_jwt_cb=credentials.jwt,
            signature_cb=credentials.sign,
            error_cb=complain,
            allow_reconnect=False,
        )
        yield client
    finally:
        await client.close()


def make_tenant(name: str, account: str = "") -> Tenant:
    """A tenant of this id. Without `account`, a bus account that no other tenant has."""
    now = rfc3339(time.time())
    account = account or secrets.token_hex(8)
    return Tenant(id=TenantId(name), name=name, account=account, created_at=now, updated_at=now)
