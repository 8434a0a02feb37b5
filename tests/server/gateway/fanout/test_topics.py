"""The topics of a tenant: how many one message may match, and what is remembered of subjects."""

from artcafe.server.gateway.fanout.hub import TenantHub
from artcafe.server.gateway.fanout.topics import MAX_OVERLAP, MAX_ROUTES
from artcafe.wire.codes import Code
from tests.kit.hubs import SUBJECT, Publish, Reader, matching
from tests.kit.outcomes import refused
from tests.kit.turns import turns
from tests.kit.unreliable_bus import UnreliableLink


async def test_the_patterns_of_all_connections_of_a_tenant_overlap_to_a_bound(
    hub: TenantHub, link: UnreliableLink, publish: Publish
) -> None:
    patterns = matching(256)
    readers = [Reader(hub) for _ in range(16)]
    refusals = 0
    for number, pattern in enumerate(patterns):
        reader = readers[number % 16]
        if number < MAX_OVERLAP:
            await reader.subscribe(pattern)
        else:
            with refused(Code.too_many_subscriptions):
                await reader.subscribe(pattern)
            refusals += 1
    assert refusals == 256 - MAX_OVERLAP
    assert sum(link.open.values()) == len(hub._topics.plain) == MAX_OVERLAP
    newcomer = Reader(hub)
    await newcomer.subscribe(patterns[0])
    await newcomer.subscribe("elsewhere.*")
    publish(SUBJECT)
    await turns()
    assert [len(reader.got) for reader in (*readers, newcomer)] == [1] * 17
    await readers[0].leave()
    await newcomer.subscribe(patterns[200])


async def test_what_is_remembered_of_lines_is_bounded(hub: TenantHub, publish: Publish) -> None:
    reader = Reader(hub)
    await reader.subscribe(">")
    for number in range(MAX_ROUTES + 2):
        publish(f"jobs.{number}", "x")
        if number % 500 == 0:
            await turns()
    await turns()
    assert len(reader.got) == MAX_ROUTES + 2
    assert len(hub._topics.routes) <= MAX_ROUTES
    await reader.unsubscribe(">")
    assert len(hub._topics.routes) == 0
