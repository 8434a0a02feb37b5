"""Every acknowledged message comes once to each subscriber and to one member of each group, whatever they do.

`FUZZ_SEED=7 FUZZ_SECONDS=60 pytest tests/fuzz/test_deliveries.py` does other things, for longer.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio

from artcafe.server.bus.nats.link import BUFFER_BYTES
from artcafe.server.ports.bus import Link
from tests.fuzz.cases import SECONDS, cases
from tests.fuzz.deliveries import Round
from tests.kit.buses import tenant_links
from tests.kit.nats import Nats, make_tenant, running_nats
from tests.kit.proxy import Proxy

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(SECONDS + 120)]

PROCESSES = 3


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def nats(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nats]:
    async with running_nats(tmp_path_factory.mktemp("nats")) as nats:
        yield nats


@dataclass(frozen=True, slots=True)
class Installation:
    """The links of several processes to one tenant, each by a proxy."""

    links: list[Link]
    proxies: list[Proxy]

    def cut(self, index: int) -> None:
        """Break the connections of one process."""
        self.proxies[index].cut()


async def installed(stack: AsyncExitStack, nats: Nats) -> Installation:
    authority = await stack.enter_async_context(nats.authority())
    tenant = make_tenant("acme")
    await authority.push(tenant)
    proxies = [await stack.enter_async_context(Proxy(nats.url)) for _ in range(PROCESSES)]
    buses = [
        await stack.enter_async_context(
            tenant_links(nats, url=proxy.url, patience=5, buffer_bytes=BUFFER_BYTES)
        )
        for proxy in proxies
    ]
    return Installation([await bus.link(tenant) for bus in buses], proxies)


@pytest.mark.parametrize("breaks", [False, True])
async def test_all_is_delivered_once(nats: Nats, breaks: bool) -> None:
    for name, choose in cases(2):
        async with AsyncExitStack() as stack:
            installation = await installed(stack, nats)
            cut: Callable[[int], None] | None = installation.cut if breaks else None
            faults = await Round(choose, installation.links, cut).run(40)
            assert not faults, "\n".join([name, *faults])
