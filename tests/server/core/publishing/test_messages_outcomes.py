"""What a publisher is told while a real nats-server is away: what is unknown is called unknown."""

import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from artcafe.server.bus.tenant_link import TenantLink
from artcafe.server.core.publishing.messages import Messages
from artcafe.server.core.publishing.publisher import MessageClock, MessageServices
from artcafe.server.domain.ids import UserId
from artcafe.server.domain.principal import Human
from artcafe.server.domain.tenant import Role, Tenant
from artcafe.server.embedded.nats_server import NatsServer, NatsServerError
from artcafe.server.gateway.fanout.hub import TenantHub
from artcafe.server.gateway.websocket.turn_scheduler import TurnScheduler
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.buses import tenant_links
from tests.kit.deadlines import eventually
from tests.kit.directories import OneTenant
from tests.kit.inboxes import Inbox, hearing
from tests.kit.installation import LARGEST_BODY, counting
from tests.kit.issuers import StoppedClock
from tests.kit.nats import Nats, make_tenant, running_nats
from tests.kit.outcomes import refused
from tests.kit.tallies import telling, unlimited


class Publishers:
    """Two ways to publish in one process: as a request does, and as a frame with an `id` does."""

    def __init__(self, messages: Messages, link: TenantLink, human: Human) -> None:
        self.link = link
        self._messages = messages
        self._human = human
        self._hub = TenantHub(human.tenant, link, TurnScheduler())

    async def request(self, text: str) -> Code | None:
        """What it is answered; None when the bus has the message."""
        try:
            await self._messages.publish(self._human, "x", json.dumps(text).encode())
        except ArtcafeError as error:
            return error.code
        return None

    async def frame(self, text: str) -> Code | None:
        """The same."""
        told: list[ArtcafeError | None] = []
        self.link.publish("m.a.x", json.dumps({"data": text}).encode())
        work = self._hub.acknowledgements.later(told.append)
        assert work is not None
        await work
        [failure] = told
        return None if failure is None else failure.code

    async def both(self, name: str) -> list[Code | None]:
        """What both are answered."""
        return [await self.request(f"request {name}"), await self.frame(f"frame {name}")]


@asynccontextmanager
async def publishers(nats: Nats, tenant: Tenant) -> AsyncIterator[Publishers]:
    human = Human(tenant.id, UserId("mia"), Role.member)
    async with tenant_links(nats) as links:
        messages = Messages(
            bus=links,
            directory=OneTenant(tenant),
            services=MessageServices(
                clock=MessageClock(StoppedClock()),
                new_message_id=counting("m"),
                tally=telling([]),
                quota=unlimited,
            ),
            max_bytes=LARGEST_BODY,
        )
        yield Publishers(messages, await links.link(tenant), human)


async def a_tenant(nats: Nats) -> Tenant:
    tenant = make_tenant("acme")
    async with nats.authority() as authority:
        await authority.push(tenant)
    return tenant


async def paused(server: NatsServer) -> None:
    """Stop it where it is; a thread of it that runs goes on for a moment after the signal."""
    os.kill(server.pid, signal.SIGSTOP)
    tasks = Path(f"/proc/{server.pid}/task")
    await eventually(
        lambda: all(
            (task / "stat").read_text().rpartition(")")[2].split()[0] == "T" for task in tasks.iterdir()
        )
    )


async def killed(server: NatsServer) -> None:
    os.kill(server.pid, signal.SIGKILL)
    with pytest.raises(NatsServerError):
        await server.wait()
    await server.stop()


@asynccontextmanager
async def again(nats: Nats, data: Path) -> AsyncIterator[None]:
    """The server that was killed, started anew where it was."""
    listen = nats.url.removeprefix("nats://")
    server = NatsServer(nats.operator.server_config(server_name="test", listen=listen, data_dir=data), data)
    await server.start()
    try:
        yield
    finally:
        await server.stop()


def said(inbox: Inbox) -> list[str]:
    return [json.loads(payload)["data"] for payload in inbox.got]


async def test_a_bus_that_stands_still_leaves_the_outcome_unknown_and_the_messages_arrive_once(
    tmp_path: Path,
) -> None:
    """It was called unavailable, "nothing was sent", and who sent it again sent it twice."""
    async with running_nats(tmp_path) as nats:
        tenant = await a_tenant(nats)
        async with publishers(nats, tenant) as ours, tenant_links(nats, patience=30) as elsewhere:
            there = await hearing(await elsewhere.link(tenant))
            assert await ours.both("before") == [None, None]
            await paused(nats.server)
            try:
                assert await ours.both("during") == [Code.outcome_unknown] * 2
            finally:
                os.kill(nats.server.pid, signal.SIGCONT)
            await eventually(lambda: len(there.got) == 4)
            assert await ours.frame("frame after") is None
            await eventually(lambda: len(there.got) == 5)
            assert said(there) == [
                "request before",
                "frame before",
                "request during",
                "frame during",
                "frame after",
            ]


async def test_a_bus_that_is_known_to_be_away_is_unavailable_and_what_the_link_keeps_is_unknown(
    tmp_path: Path,
) -> None:
    async with running_nats(tmp_path) as nats:
        tenant = await a_tenant(nats)
        async with publishers(nats, tenant) as ours:
            assert await ours.both("before") == [None, None]
            here = await hearing(ours.link)
            await killed(nats.server)
            await eventually(lambda: not ours.link.up)
            # A request is not taken; a frame is, and leaves when the bus is back.
            assert await ours.both("while away") == [Code.unavailable, Code.outcome_unknown]
            async with again(nats, tmp_path), tenant_links(nats, patience=30) as elsewhere:
                there = await hearing(await elsewhere.link(tenant))
                await eventually(lambda: ours.link.up)
                assert await ours.both("after") == [None, None]
                assert said(here) == ["frame while away", "request after", "frame after"]
                await eventually(lambda: "frame after" in said(there))
                assert "request while away" not in said(there)


async def test_a_bus_that_dies_with_a_message_leaves_the_outcome_unknown(tmp_path: Path) -> None:
    async with running_nats(tmp_path) as nats:
        tenant = await a_tenant(nats)
        async with publishers(nats, tenant) as ours:
            await paused(nats.server)
            assert await ours.frame("written") is Code.outcome_unknown
            await killed(nats.server)
            await eventually(lambda: not ours.link.up)
            # What was written is lost, and the next one is told of that, too.
            assert await ours.frame("kept") is Code.outcome_unknown


async def test_a_full_buffer_takes_nothing_and_says_so(tmp_path: Path) -> None:
    async with running_nats(tmp_path) as nats:
        tenant = await a_tenant(nats)
        async with publishers(nats, tenant) as ours:
            await killed(nats.server)
            await eventually(lambda: not ours.link.up)
            for _ in range(2):
                ours.link.publish("m.a.x", bytes(100_000))
            with refused(Code.unavailable):
                ours.link.publish("m.a.x", bytes(100_000))
