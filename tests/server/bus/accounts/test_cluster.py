"""Three nats-servers with TLS as one: what one takes all know, and one may be gone."""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from artcafe.server.bus.accounts.authority import Authority
from artcafe.server.bus.accounts.cluster import Cluster as ClusterConfig
from artcafe.server.bus.accounts.cluster import Node, Tls, cluster_lines, quoted, tls_lines
from artcafe.server.bus.accounts.operator import Operator
from artcafe.server.bus.accounts.system_link import BusRefusedError
from artcafe.server.bus.control import ControlLink
from artcafe.server.bus.tenants import TenantLinks
from artcafe.server.ports.bus import Link
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.clusters import NODES, Cluster
from tests.kit.deadlines import eventually
from tests.kit.inboxes import Got, Inbox, collect, hearing, publish
from tests.kit.nats import Nats, make_tenant
from tests.kit.proxy import Proxy

SECONDS = 20.0


def links(cluster: Cluster, operator: Operator, url: str) -> TenantLinks:
    return TenantLinks(url, operator, patience=SECONDS, tls=cluster.client_tls())


async def sooner_or_later(act: Callable[[], Awaitable[object]]) -> None:
    """Do it, again and again while the bus is away: while whoever it asks looks for another node."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            await act()
        except ArtcafeError as error:
            if error.code is not Code.unavailable or time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
        else:
            return


async def everybody_hears(link: Link, text: str, *inboxes: Inbox) -> None:
    """Publish until it is in each: what is subscribed at one node takes a moment to be known at another."""
    deadline = time.monotonic() + SECONDS
    while not all(text in inbox.got for inbox in inboxes):
        assert time.monotonic() < deadline, f"{text} was not heard: {[inbox.got for inbox in inboxes]}"
        publish(link, text)
        await asyncio.sleep(0.02)


async def test_what_one_node_takes_all_nodes_know_also_one_that_was_away(
    cluster: Cluster, operator: Operator
) -> None:
    async with Authority(cluster.url, operator, tls=cluster.client_tls()) as authority:
        acme, globex = make_tenant("acme"), make_tenant("globex")
        await authority.push(acme)
        for url in cluster.urls:
            async with links(cluster, operator, url) as each:
                await (await each.link(acme)).flush()

        cluster.kill(2)
        await sooner_or_later(lambda: authority.push(globex))
        cluster.start(2)

        # Of itself, it would hear of other nodes' first; so this link knows no other.
        async def known() -> None:
            async with TenantLinks(cluster.urls[2], operator, patience=1, tls=cluster.client_tls()) as alone:
                await (await alone.link(globex)).flush()

        await sooner_or_later(known)


async def test_links_go_to_another_node_when_theirs_is_gone(cluster: Cluster, operator: Operator) -> None:
    acme = make_tenant("acme")
    told: Got = []
    async with (
        Authority(cluster.url, operator, tls=cluster.client_tls()) as authority,
        links(cluster, operator, cluster.urls[0]) as ours,
        links(cluster, operator, cluster.urls[1]) as theirs,
        ControlLink(cluster.urls[0], operator, patience=SECONDS, tls=cluster.client_tls()) as control,
        ControlLink(cluster.urls[1], operator, patience=SECONDS, tls=cluster.client_tls()) as other_control,
    ):
        await authority.push(acme)
        link, peer = await ours.link(acme), await theirs.link(acme)
        here, there = await hearing(link), await hearing(peer)
        await control.hear("news", collect(told))
        await everybody_hears(link, "1", here, there)
        await everybody_hears(peer, "2", here, there)
        await link.flush()

        cluster.kill(0)
        try:
            await eventually(lambda: not link.up or link.gaps, "it is noticed", SECONDS)
            await ours.link(acme)  # When it is back.
            await link.settle()
            await everybody_hears(link, "3", here, there)
            await everybody_hears(peer, "4", here, there)
            await sooner_or_later(lambda: authority.push(make_tenant("globex")))
            while not told:
                await sooner_or_later(lambda: other_control.tell("news", b"x"))
        finally:
            cluster.start(0)


async def test_an_answer_from_another_node_arrives_where_who_asked_subscribed_first(
    cluster: Cluster, operator: Operator
) -> None:
    """docs/protocol.md: the subscription is known at the other node before the question is."""
    acme = make_tenant("acme")
    async with (
        Authority(cluster.url, operator, tls=cluster.client_tls()) as authority,
        links(cluster, operator, cluster.urls[0]) as ours,
        links(cluster, operator, cluster.urls[1]) as theirs,
    ):
        await authority.push(acme)
        link, peer = await ours.link(acme), await theirs.link(acme)
        asked = Inbox()

        def reply(subject: str, payload: bytes) -> None:
            asked(subject, payload)
            peer.publish(f"m.a.answers.{payload.decode()}", payload)

        await peer.subscribe("m.a.questions", reply)
        while "first" not in asked.got:
            link.publish("m.a.questions", b"first")
            await asyncio.sleep(0.02)
        for question in map(str, range(50)):
            answers = await hearing(link, f"m.a.answers.{question}")
            link.publish("m.a.questions", question.encode())
            await answers.some(1)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [("authority", "self-signed"), ("name", "IP address mismatch"), ("plain", "does not speak TLS")],
)
async def test_whoever_cannot_prove_who_it_is_is_told_nothing(
    cluster: Cluster,
    operator: Operator,
    nats: Nats,
    wrong: str,
    says: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    url, tls = cluster.urls[0], cluster.client_tls()
    async with Proxy(url, "127.0.0.2") as elsewhere:
        if wrong == "authority":
            tls = ssl.create_default_context()
        elif wrong == "name":
            url = elsewhere.url
        else:
            url = nats.url.replace("nats://", "tls://")
        async with TenantLinks(url, operator, patience=1, tls=tls) as each:
            with pytest.raises(ArtcafeError) as refused:
                await each.link(make_tenant("acme"))
        assert refused.value.code is Code.unavailable
        assert says in caplog.text
        with pytest.raises(BusRefusedError, match=f"cannot prove who it is: .*{says}"):
            await Authority(url, operator, open_seconds=1, tls=tls).open()


# What is written.


def test_a_node_knows_the_others_and_not_itself() -> None:
    nodes = [Node(f"n{n}", f"10.0.0.{n}:4222", f"10.0.0.{n}:6222") for n in range(NODES)]
    text = "\n".join(cluster_lines(ClusterConfig(nodes, "hidden"), nodes[1], None))
    assert [f"@10.0.0.{n}:6222" in text for n in range(NODES)] == [True, False, True]
    assert "tls" not in text


def test_servers_prove_who_they_are_to_each_other_and_clients_need_not() -> None:
    tls = Tls(Path("/c"), Path("/k"), Path("/ca"))
    assert "  verify: true" not in tls_lines(tls)
    assert "  verify: true" in tls_lines(tls, mutual=True)


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a\nb"])
def test_what_could_end_a_string_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="quote"):
        quoted(text)


async def test_a_new_link_knows_what_other_links_were_told(cluster: Cluster, operator: Operator) -> None:
    """A process whose configured node was lost made no link for a tenant that had none at that moment."""
    acme, globex = make_tenant("acme"), make_tenant("globex")
    async with (
        Authority(cluster.url, operator, tls=cluster.client_tls()) as authority,
        links(cluster, operator, cluster.urls[1]) as ours,
    ):
        await authority.push(acme)
        await authority.push(globex)
        link = await ours.link(acme)
        await eventually(lambda: len(link.known) == NODES, "it is told of the others", SECONDS)
        cluster.kill(1)
        try:
            await (await ours.link(globex)).settle()
        finally:
            cluster.start(1)
