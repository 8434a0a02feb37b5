"""Who is connected feels a change of what it may: at the next message, delivery and subscription."""

from collections.abc import AsyncIterator, Sequence

import pytest

from artcafe.server.core.agents import Agents
from artcafe.server.core.channels import Channels
from artcafe.server.domain.ids import AgentId, ChannelId, UserId
from artcafe.server.domain.policy import Grant, Policy
from artcafe.server.domain.tenant import Role
from artcafe.server.gateway.rechecks import RECHECK_SECONDS
from artcafe.server.store import addresses as at
from artcafe.server.store.item import Put
from artcafe.wire.codes import Code, may_reconnect
from tests.kit.deadlines import eventually
from tests.kit.gateways import House, a_house, gone
from tests.kit.installation import ACME
from tests.kit.scripted_peer import ScriptedPeer
from tests.kit.signing import KeyPair
from tests.kit.turns import turns
from tests.kit.usage import counted_ever

A1, A2 = AgentId("a1"), AgentId("a2")
TASKS = ChannelId("tasks")


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with a_house() as house:
        yield house


@pytest.fixture
async def a1(house: House) -> ScriptedPeer:
    """The agent whose rights change."""
    return await house.enter()


@pytest.fixture
async def a2(house: House) -> ScriptedPeer:
    """Somebody else, whose rights stay."""
    key = KeyPair()
    await house.installation.make_agent(house.olivia, "a2", key)
    return await house.enter("a2", key=key)


@pytest.fixture
def agents(house: House) -> Agents:
    return house.installation.process.agents


@pytest.fixture
def channels(house: House) -> Channels:
    return house.installation.process.channels


async def subscribed(peer: ScriptedPeer, *subjects: str, queue: str | None = None) -> None:
    for subject in subjects:
        peer.say(type="subscribe", subject=subject, queue=queue)
        await peer.expect("subscribed", subject=subject)


async def may_publish(peer: ScriptedPeer, subject: str, data: object = 1) -> bool:
    peer.say(type="publish", subject=subject, data=data, id="p")
    await eventually(lambda: peer.unread)
    [answer] = peer.unread
    await peer.expect(answer["type"], id="p")
    assert answer["type"] == "ack" or answer["code"] == "forbidden", answer
    return bool(answer["type"] == "ack")


class TestAPolicy:
    async def test_is_felt_at_the_next_message_published(
        self, house: House, agents: Agents, a1: ScriptedPeer
    ) -> None:
        assert await may_publish(a1, "tasks.new"), "and it is remembered that it may"
        await agents.change(house.olivia, A1, {"policy": Policy(publish=Grant(deny=["tasks.>"]))})
        await turns()
        assert not await may_publish(a1, "tasks.new")
        assert await may_publish(a1, "other")
        await agents.change(house.olivia, A1, {"policy": Policy()})
        await turns()
        assert await may_publish(a1, "tasks.new")

    async def test_is_felt_at_the_next_message_delivered(
        self, house: House, agents: Agents, a1: ScriptedPeer, a2: ScriptedPeer
    ) -> None:
        await subscribed(a1, ">")
        a2.say(type="publish", subject="secrets.a", data=1)
        await a1.expect("message", subject="secrets.a")
        await agents.change(house.olivia, A1, {"policy": Policy(subscribe=Grant(deny=["secrets.*"]))})
        await turns()
        for subject in ("secrets.a", "secrets.a.b"):
            a2.say(type="publish", subject=subject, data=2)
        await a1.expect("message", subject="secrets.a.b")
        await turns()
        assert a1.unread == [], "the pattern is kept, and what it may not hear does not come"

    async def test_ends_the_subscriptions_that_it_denies_and_says_so_of_each(
        self, house: House, agents: Agents, a1: ScriptedPeer, a2: ScriptedPeer
    ) -> None:
        await subscribed(a1, "secrets.a", "tenant.acme.secrets.*", "open")
        await subscribed(a1, "se.*", queue="q")
        [link] = house.bus.links.values()
        link.closing.shut()  # However slow the bus is, nothing more comes.
        policy = Policy(subscribe=Grant(deny=["secrets.>", "se.crets"]))
        await agents.change(house.olivia, A1, {"policy": policy})
        for details in (
            {"subject": "secrets.a"},
            {"subject": "tenant.acme.secrets.*"},
            {"subject": "se.*", "queue": "q"},
        ):
            await a1.expect("error", code="forbidden", id=None, details=details)
        for subject in ("secrets.a", "se.crets", "se.x", "open"):
            a2.say(type="publish", subject=subject, data=2)
        await a1.expect("message", subject="open")
        await turns()
        assert a1.unread == []
        link.closing.open()
        await eventually(lambda: +link.open == {"m.*.open": 1}, f"{link.open}")
        a1.say(type="subscribe", subject="secrets.a", id="again")
        await a1.expect("error", code="forbidden", id="again")

    async def test_of_an_agent_is_not_anothers(
        self, house: House, agents: Agents, a1: ScriptedPeer, a2: ScriptedPeer
    ) -> None:
        session = a2.handler.session  # type: ignore[attr-defined]
        routes = session._publisher._destinations
        assert await may_publish(a2, "tasks")
        await agents.change(house.olivia, A1, {"policy": Policy(publish=Grant(allow=[]))})
        await turns()
        assert not await may_publish(a1, "tasks")
        assert list(routes) == ["tasks"], "what is known of the other is not even forgotten"

    async def test_that_changes_while_a_subscription_begins_ends_it(
        self, house: House, agents: Agents, a1: ScriptedPeer
    ) -> None:
        [link] = house.bus.links.values()
        link.confirming.shut()
        a1.say(type="subscribe", subject="secrets", id="s")
        await eventually(lambda: link.confirming.calls)
        await agents.change(house.olivia, A1, {"policy": Policy(subscribe=Grant(deny=["secrets"]))})
        await a1.expect("error", code="forbidden", details={"subject": "secrets"})
        link.confirming.open()
        await a1.expect("error", code="forbidden", id="s")
        await turns()
        assert (a1.unread, +link.open) == ([], {})


class TestAChannel:
    async def test_takes_messages_of_its_size(
        self, house: House, channels: Channels, a1: ScriptedPeer
    ) -> None:
        a1.say(type="publish", subject="tasks", data="x" * 20, id="p")
        await a1.expect("ack")
        await channels.create(house.olivia, "tasks", {"name": "tasks", "max_message_bytes": 10})
        await turns()
        a1.say(type="publish", subject="tasks", data="x" * 8, id="fits")
        await a1.expect("ack", id="fits")
        a1.say(type="publish", subject="tasks", data="x" * 9, id="p")
        await a1.expect("error", code="too_large", id="p")
        await channels.delete(house.olivia, TASKS)
        await turns()
        a1.say(type="publish", subject="tasks", data="x" * 20, id="p")
        await a1.expect("ack")

    @pytest.mark.parametrize("publishers", [["a2"], ["role:viewer"], []])
    async def test_says_who_publishes(
        self,
        house: House,
        channels: Channels,
        a1: ScriptedPeer,
        a2: ScriptedPeer,
        publishers: Sequence[str],
    ) -> None:
        rules = {"name": "t", "subject": "tasks.*", "publishers": publishers}
        await channels.create(house.olivia, "tasks", rules)
        await turns()
        assert not await may_publish(a1, "tasks.new")
        assert await may_publish(a1, "tasks.new.one")
        assert await may_publish(a2, "tasks.new") is ("a2" in publishers)

    async def test_says_who_subscribes(
        self, house: House, channels: Channels, a1: ScriptedPeer, a2: ScriptedPeer
    ) -> None:
        for peer in (a1, a2):
            await subscribed(peer, "tasks", ">")
        await channels.create(house.olivia, "tasks", {"name": "t", "subscribers": ["a2"]})
        await a1.expect("error", code="forbidden", details={"subject": "tasks"})
        a2.say(type="publish", subject="tasks", data=1)
        a2.say(type="publish", subject="else", data=1)
        await a2.expect("message", subject="tasks")
        await a1.expect("message", subject="else")
        assert a1.unread == []

    async def test_of_another_tenant_is_no_concern(
        self, house: House, channels: Channels, a1: ScriptedPeer
    ) -> None:
        await subscribed(a1, "tasks")
        nina = await house.installation.make_tenant("acme-2", "nina")  # type: ignore[arg-type]
        await channels.create(nina, "tasks", {"name": "t", "subscribers": [], "publishers": []})
        await turns()
        assert await may_publish(a1, "else")
        assert a1.unread == []

    async def test_counts_for_the_message_that_it_lets_pass(
        self, house: House, channels: Channels, a1: ScriptedPeer
    ) -> None:
        await channels.create(house.olivia, "tasks", {"name": "t", "subject": "tasks.>"})
        await turns()
        assert await may_publish(a1, "tasks.new")
        assert await counted_ever(house.process.meter, ACME, "channel:") == {"tasks": 1}
        assert await counted_ever(house.process.meter, ACME, "sent:") == {"a1": 1}


async def test_a_queue_group_refuses_a_pattern_of_which_a_part_is_denied(
    house: House, agents: Agents, a1: ScriptedPeer
) -> None:
    """What is kept from one member would be lost to the group."""
    await agents.change(house.olivia, A1, {"policy": Policy(subscribe=Grant(deny=["tasks.secret"]))})
    await turns()
    a1.say(type="subscribe", subject="tasks.*", queue="q", id="s")
    await a1.expect("error", code="forbidden", id="s")
    await subscribed(a1, "tasks.*")
    await subscribed(a1, "tasks.open", queue="q")


async def test_a_change_that_comes_during_admission_is_not_missed(house: House, agents: Agents) -> None:
    """What admission had read was from before the change, and nobody was there yet to be told of it."""
    house.admission_store.reading.shut()
    peer = await house.arrive()
    await house.answer(peer)
    await eventually(lambda: house.admission_store.reading.calls == 1)
    tenant_read = house.admission_store.reading.shut()
    house.admission_store.reading.open()
    agent_read = house.admission_store.reading.shut()
    tenant_read.set()
    await eventually(lambda: house.admission_store.reading.calls == 2)
    await agents.change(house.olivia, A1, {"policy": Policy(publish=Grant(allow=[]))})
    await turns()
    house.admission_store.reading.let_pass()
    agent_read.set()
    await peer.expect("welcome")
    assert not await may_publish(peer, "x")


async def test_many_changes_at_once_are_one_reading(house: House, agents: Agents, a1: ScriptedPeer) -> None:
    before = house.admission_store.reading.calls
    gate = house.admission_store.reading.shut()
    for number in range(20):
        policy = Policy(publish=Grant(deny=[f"x{number}"]))
        await agents.change(house.olivia, A1, {"policy": policy})
        await turns(3)
    assert house.admission_store.reading.calls == before + 1
    house.admission_store.reading.let_pass()
    gate.set()
    await turns()
    assert await may_publish(a1, "x18")
    assert not await may_publish(a1, "x19"), "the last one counts"


async def test_a_word_that_was_missed_is_made_up_for_within_a_minute(
    house: House, agents: Agents, a1: ScriptedPeer
) -> None:
    await subscribed(a1, "secrets")
    for subscription in house.hearing:
        await subscription.close()
    await agents.change(house.olivia, A1, {"policy": Policy(subscribe=Grant(deny=["secrets"]))})
    await turns()
    assert a1.unread == []
    house.installation.clock.advance(RECHECK_SECONDS)
    await a1.expect("error", code="forbidden", details={"subject": "secrets"})


async def test_who_is_of_a_newer_release_is_sent_to_another_server_and_no_other_one_is(
    house: House, a1: ScriptedPeer, a2: ScriptedPeer
) -> None:
    store = house.installation.memory
    item = await store.get(at.tenant(await house.installation.partition()), at.agent(A1))
    assert item is not None
    await store.put(Put(item.pk, item.sk, {**item.data, "v": 2}))
    house.installation.clock.advance(RECHECK_SECONDS)
    await a1.expect("error", code="unreadable_record")
    await a1.ended(Code.unreadable_record.close)
    assert may_reconnect(Code.unreadable_record.close)
    assert await may_publish(a2, "x")


async def test_rights_that_cannot_be_read_are_read_again(
    house: House, agents: Agents, a1: ScriptedPeer, caplog: pytest.LogCaptureFixture
) -> None:
    house.admission_store.away = True
    await agents.change(house.olivia, A1, {"policy": Policy(publish=Grant(allow=[]))})
    await eventually(lambda: caplog.records)
    assert not a1.closed
    house.admission_store.heal()
    await eventually(lambda: not a1.handler.authorization.refreshing)  # type: ignore[attr-defined]
    assert not await may_publish(a1, "x")


async def test_a_warm_login_asks_nothing_of_the_store(house: House) -> None:
    (await house.enter()).leave()
    await gone(house)
    for store in (house.login_store, house.admission_store):
        assert {"META", "AGENT#a1"} <= set(store.read), "a cold one does"
        store.read.clear()
        store.written.clear()
    await house.enter()
    # Who is online is told by another task, whenever it comes to it.
    told = ("ONLINE#", "META", "AGENT#", "SEEN#")
    read = {*house.login_store.read, *house.admission_store.read}
    assert not [key for key in read if not key.startswith("ONLINE#")]
    assert not [key for key in house.login_store.written if not key.startswith(told)]
    assert not house.admission_store.written


class TestAMember:
    async def test_lives_by_a_new_role_at_once(self, house: House) -> None:
        await house.join("vera", Role.viewer)
        vera = await house.watch("vera")
        assert not await may_publish(vera, "x")
        await house.installation.process.tenants.put_member(
            house.olivia, UserId("vera"), Role.member, "vera@example.com"
        )
        await turns()
        assert await may_publish(vera, "x")
        vera.say(type="subscribe_topic_preview")
        await vera.expect("subscribed", topic="topic_preview")
        await house.installation.process.tenants.put_member(
            house.olivia, UserId("vera"), Role.viewer, "vera@example.com"
        )
        await vera.expect("error", code="forbidden", details={"subject": "agents.*.>"})
        assert not await may_publish(vera, "x")

    async def test_that_is_removed_is_closed(self, house: House) -> None:
        await house.join("mia", Role.member)
        mia, olivia = await house.watch("mia"), await house.watch()
        await house.installation.process.tenants.remove_member(house.olivia, UserId("mia"))
        await mia.expect("error", code="removed")
        await mia.ended(Code.removed.close)
        await turns()
        assert not olivia.closed

    async def test_that_is_removed_unheard_is_closed_within_a_minute(self, house: House) -> None:
        await house.join("mia", Role.member)
        mia = await house.watch("mia")
        for subscription in house.hearing:
            await subscription.close()
        await house.installation.process.tenants.remove_member(house.olivia, UserId("mia"))
        await turns()
        assert not mia.closed
        house.installation.clock.advance(RECHECK_SECONDS)
        await mia.ended(4503)

    async def test_that_is_removed_during_admission_does_not_get_in(self, house: House) -> None:
        await house.join("mia", Role.member)
        house.bus.linking.shut()
        mia = await house.look()
        mia.say(type="auth", token=house.tokens.give("mia"), tenant_id="acme")
        await eventually(lambda: house.bus.linking.calls)
        await house.installation.process.tenants.remove_member(house.olivia, UserId("mia"))
        house.bus.linking.open()
        await mia.expect("error", code="forbidden")
        await mia.ended(4501)

    async def test_goes_with_its_tenant(self, house: House) -> None:
        olivia = await house.watch()
        await house.installation.delete_tenant(house.olivia)
        await olivia.ended(4503)
        olivia.leave()
        await gone(house)
