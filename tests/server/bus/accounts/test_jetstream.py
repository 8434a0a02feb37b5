"""What a real nats-server says that its streams hold."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from artcafe.server.bus.accounts import jetstream
from artcafe.server.bus.channel_streams import NatsChannelStreams
from artcafe.server.domain.durability import LEAST_BYTES, Durability
from artcafe.server.domain.durable_channels import DurableChannels
from artcafe.server.domain.tenant import Tenant
from artcafe.wire.codes import Code
from artcafe.wire.subjects import parse_subject, to_bus, to_stored
from tests.kit.nats import Nats, connected, make_tenant, running_nats
from tests.kit.outcomes import refused
from tests.kit.records import a_channel

TASKS = a_channel("tasks", subject="tasks.>", durability=Durability(max_bytes=LEAST_BYTES))


@pytest_asyncio.fixture
async def nats(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nats]:
    async with running_nats(tmp_path_factory.mktemp("nats")) as running:
        yield running


async def furnish(nats: Nats, tenant: Tenant, messages: int) -> None:
    """A durable channel with so many messages, and a subscription that got one of them."""
    streams = NatsChannelStreams(nats.url, nats.operator)

    async def stored() -> DurableChannels:
        return DurableChannels((TASKS,))

    await streams.keep(tenant, stored)
    consumer = {"durable_name": "workers", "ack_policy": "explicit"}
    wanted = json.dumps({"stream_name": TASKS.stream, "config": consumer}).encode()
    pull = f"$JS.API.CONSUMER.MSG.NEXT.{TASKS.stream}.workers"
    async with connected(nats.url, nats.operator.streams_credentials(tenant)) as client:
        made = await client.request(f"$JS.API.CONSUMER.CREATE.{TASKS.stream}.workers", wanted, timeout=5)
        assert "error" not in json.loads(made.data), made.data
    async with connected(nats.url, nats.operator.credentials(tenant)) as client:
        for number in range(messages):
            subject = parse_subject(f"tasks.{number}", tenant.id).subject
            await client.request(to_stored(to_bus("a1", subject)), b"x", timeout=5)
        got = await client.subscribe(client.new_inbox())
        await client.publish(pull, b"", reply=got.subject)
        assert (await got.next_msg(timeout=5)).data == b"x"


async def test_streams_of_all_tenants_and_what_waits_for_subscriptions(nats: Nats) -> None:
    async with nats.authority() as authority:
        assert (await authority.stream_usage()).streams == 0
        for name, messages in (("acme", 3), ("other", 5)):
            tenant = make_tenant(name)
            await authority.push(tenant)
            await furnish(nats, tenant, messages)
        usage = await authority.stream_usage()
    assert (usage.streams, usage.consumers, usage.messages) == (2, 2, 8)
    assert (usage.lag, usage.longest_lag, usage.unacknowledged) == (2 + 4, 4, 2)
    assert usage.storage_bytes > 0
    assert usage.reserved_bytes == 2 * LEAST_BYTES
    assert usage.limit_bytes > usage.reserved_bytes


async def test_accounts_come_page_by_page(nats: Nats, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jetstream, "ACCOUNTS_AT_ONCE", 1)
    async with nats.authority() as authority:
        for name in ("acme", "other", "third"):
            tenant = make_tenant(name)
            await authority.push(tenant)
            await furnish(nats, tenant, 2)
        assert (await authority.stream_usage()).lag == 3


async def test_a_bus_that_is_away_is_said_to_be(nats: Nats) -> None:
    async with nats.authority() as authority:
        await nats.server.stop()
        with refused(Code.unavailable):
            await authority.stream_usage()
