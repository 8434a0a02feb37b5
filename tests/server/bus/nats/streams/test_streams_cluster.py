"""Streams on three nodes, each message on all of them: a node may be gone, also the one that leads."""

import asyncio
from collections.abc import Callable

import msgspec

from artcafe.server.bus.accounts.authority import Authority
from artcafe.server.bus.accounts.operator import Operator
from artcafe.server.bus.channel_streams import NatsChannelStreams
from artcafe.server.bus.tenant_link import TenantLink
from artcafe.server.bus.tenants import TenantLinks
from artcafe.server.domain.channel import ChannelRule
from artcafe.server.domain.durability import Durability
from artcafe.server.domain.durable_channels import DurableChannels
from artcafe.server.domain.ids import ChannelId
from artcafe.server.domain.tenant import Tenant
from artcafe.wire.errors import ArtcafeError
from tests.kit.clusters import NODES, Cluster
from tests.kit.deadlines import PATIENCE, eventually
from tests.kit.nats import make_tenant
from tests.kit.stream_checker import Follower, Publisher, check, figures
from tests.kit.streams import PATTERN, SUBJECT, Received

MIB = 1024 * 1024
PUBLISHERS = 6


async def make_stream(cluster: Cluster, operator: Operator, tenant: Tenant) -> str:
    """The stream of a durable channel of a new tenant; its name. A cluster that has just started takes a
    while to have a leader for that."""
    rule = ChannelRule(
        id=ChannelId("tasks"), tenant=tenant.id, subject="tasks.>", durability=Durability(max_bytes=64 * MIB)
    )

    async def durable() -> DurableChannels:
        return DurableChannels([rule])

    tls = cluster.client_tls()
    async with Authority(cluster.url, operator, tls=tls) as authority:
        await authority.push(tenant)
    keeper = NatsChannelStreams(cluster.url, operator, replicas=NODES, tls=tls)
    async with asyncio.timeout(2 * PATIENCE):
        while True:
            try:
                if (await keeper.keep(tenant, durable)).made:
                    return rule.stream
            except ArtcafeError:
                await asyncio.sleep(0.1)


async def leader(link: TenantLink, stream: str) -> int:
    """The node that leads it."""
    answer = await link.request(f"$JS.API.STREAM.INFO.{stream}", seconds=PATIENCE)
    return int(msgspec.json.decode(answer.payload)["cluster"]["leader"].removeprefix("n"))


async def test_what_is_stored_at_another_node_right_after_a_tail_was_opened_is_delivered(
    cluster: Cluster, operator: Operator
) -> None:
    tenant = make_tenant("acme")
    stream = await make_stream(cluster, operator, tenant)
    tls = cluster.client_tls()
    async with (
        TenantLinks(cluster.urls[0], operator, patience=PATIENCE, tls=tls) as ours,
        TenantLinks(cluster.urls[1], operator, patience=PATIENCE, tls=tls) as theirs,
    ):
        here, there = await ours.link(tenant), await theirs.link(tenant)
        for number in range(50):
            received = Received()
            tail = await here.streams.tail(stream, PATTERN, received.deliver, received.restarted)
            await there.streams.store(stream, SUBJECT, b"%d" % number, None)
            await eventually(lambda got=received.got: got, "the first message")  # type: ignore[misc]
            assert received.got[0].payload == b"%d" % number
            await tail.close()


async def test_nothing_acknowledged_is_lost_when_the_leader_is_killed(
    cluster: Cluster, operator: Operator, record_property: Callable[[str, object], None]
) -> None:
    tenant = make_tenant("globex")
    stream = await make_stream(cluster, operator, tenant)
    tls = cluster.client_tls()
    async with (
        TenantLinks(cluster.urls[0], operator, patience=PATIENCE, tls=tls) as ours,
        TenantLinks(cluster.urls[1], operator, patience=PATIENCE, tls=tls) as theirs,
    ):
        here, there = await ours.link(tenant), await theirs.link(tenant)
        both = [here.streams, there.streams]
        publishers = [Publisher(f"p{number}", both, stream) for number in range(PUBLISHERS)]
        followers = [await Follower().open(each, stream) for each in both]
        until = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for publisher in publishers:
                tasks.create_task(publisher.run(until))
            for _ in range(2):
                goal = sum(len(each.acknowledged) for each in publishers) + 500
                await eventually(
                    lambda goal=goal: sum(len(each.acknowledged) for each in publishers) > goal,  # type: ignore[misc]
                    "progress",
                    2 * PATIENCE,
                )
                node = await leader(here if here.up else there, stream)
                cluster.kill(node)
                await asyncio.sleep(1)
                await asyncio.to_thread(cluster.start, node)
            until.set()
        last = (await here.streams.state(stream)).last
        await eventually(lambda: all(each.tail.following == last + 1 for each in followers), "the end")
    record_property(
        "figures", f"  streams on 3 nodes: 2 leaders killed; {figures(publishers, followers, last)}"
    )
    check(publishers, followers, last)
