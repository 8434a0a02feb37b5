"""The bus behind a network that the tests break: fixtures."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from artcafe.server.bus.accounts.operator import Operator
from artcafe.server.bus.tenants import TenantLinks
from artcafe.server.domain.tenant import Tenant
from artcafe.server.ports.bus import Link
from tests.kit.buses import tenant_links
from tests.kit.clusters import Cluster, running_cluster
from tests.kit.deadlines import PATIENCE
from tests.kit.nats import Nats, WallClock, make_tenant, running_nats
from tests.kit.proxy import Proxy


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nats(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nats]:
    """One nats-server for all."""
    async with running_nats(tmp_path_factory.mktemp("nats")) as nats:
        yield nats


@pytest_asyncio.fixture
async def tenant(nats: Nats) -> Tenant:
    """A tenant with an account."""
    tenant = make_tenant("acme")
    async with nats.authority() as authority:
        await authority.push(tenant)
    return tenant


@pytest_asyncio.fixture
async def proxy(nats: Nats) -> AsyncIterator[Proxy]:
    """The way to NATS, which the tests break."""
    async with Proxy(nats.url) as proxy:
        yield proxy


@pytest_asyncio.fixture
async def links(nats: Nats, proxy: Proxy) -> AsyncIterator[TenantLinks]:
    """A process whose connections go through the proxy. Calls wait for an absence longer than any
    test for what has to come at once."""
    async with tenant_links(nats, url=proxy.url, buffer_bytes=2_000_000, patience=2 * PATIENCE) as links:
        yield links


@pytest_asyncio.fixture
async def peer(nats: Nats, tenant: Tenant) -> AsyncIterator[Link]:
    """Another process, whose connection never breaks."""
    async with tenant_links(nats) as links:
        yield await links.link(tenant)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes for all."""
    folder = tmp_path_factory.mktemp("cluster")
    with running_cluster(folder, folder / "data") as cluster:
        yield cluster


@pytest.fixture
def operator(cluster: Cluster) -> Operator:
    """The keys of the cluster's installation."""
    seed = (cluster.folder / "data" / "operator.seed").read_text().strip()
    return Operator(bytes.fromhex(seed), WallClock())
