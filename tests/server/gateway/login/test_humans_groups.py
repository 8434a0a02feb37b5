"""Dashboards of humans whom a group of their token let in: for as long as a token says so that is good."""

from collections.abc import AsyncIterator

import pytest

from artcafe.server.domain.ids import UserId
from artcafe.server.domain.tenant import Role
from artcafe.wire.codes import Code
from tests.kit.gateways import House, a_house
from tests.kit.installation import Installation
from tests.kit.outcomes import refused
from tests.kit.scripted_peer import ScriptedPeer
from tests.kit.signing import KeyPair

GROUPS = "crew=acme:member, guests=acme:viewer, crew=nowhere:owner"


@pytest.fixture
async def house() -> AsyncIterator[House]:
    installation = await Installation.open()
    await installation.make_agent(await installation.make_tenant(), "a1", KeyPair())
    installation.let_in(GROUPS)
    async with a_house(installation) as house:
        yield house


async def may_publish(peer: ScriptedPeer) -> bool:
    """Whether it may do what a member may and a viewer may not."""
    peer.say(type="publish", topic="tasks", data=1, id="p")
    frame = await peer.receive("an answer")
    assert frame["type"] == "ack" or frame["code"] == "forbidden"
    return bool(frame["type"] == "ack")


async def renew(house: House, peer: ScriptedPeer, seconds: float, *groups: str) -> str:
    """Send one more token of Ada's; the type of the answer."""
    peer.say(type="auth", token=house.tokens.give("ada", seconds=seconds, groups=groups), id="r")
    return str((await peer.receive("an answer"))["type"])


async def test_a_group_lets_in_and_nothing_else_does(house: House) -> None:
    assert await may_publish(await house.watch("ada", groups=["crew"]))
    assert not await may_publish(await house.watch("ada", groups=["guests"]))
    for groups, tenant in (([], "acme"), (["other"], "acme"), (["crew"], "nowhere"), (["crew"], "acme-2")):
        with refused(Code.forbidden):
            await house.look(token=house.tokens.give("ada", groups=groups), tenant_id=tenant)


async def test_what_is_asked_again_in_between_is_asked_with_the_groups(house: House) -> None:
    peer = await house.watch("ada", groups=["crew"])
    await house.installation.process.tenants.put_member(house.olivia, UserId("ada"), Role.viewer, "")
    await house.installation.process.tenants.remove_member(house.olivia, UserId("ada"))
    await house.gateway._reauthorization.recheck()

    assert await may_publish(peer)


async def test_a_newer_token_with_lesser_groups_takes_the_rights(house: House) -> None:
    peer = await house.watch("ada", seconds=60, groups=["crew"])
    peer.say(type="subscribe", topic="agents.a1.>")
    await peer.expect("subscribed")

    peer.say(type="auth", token=house.tokens.give("ada", seconds=120, groups=["guests"]))

    await peer.expect("error", code="forbidden", details={"subject": "agents.a1.>"})
    await peer.expect("renewed")
    assert not await may_publish(peer)


async def test_an_older_token_with_better_groups_gives_nothing_back(house: House) -> None:
    """Else what it grants would live as long as the newer one does."""
    peer = await house.watch("ada", seconds=60, groups=["crew"])
    await renew(house, peer, 120, "guests")

    assert await renew(house, peer, 119, "crew") == "renewed"

    assert not await may_publish(peer)


async def test_a_newer_token_with_better_groups_gives_the_rights(house: House) -> None:
    peer = await house.watch("ada", seconds=60, groups=["guests"])

    await renew(house, peer, 120, "crew")

    assert await may_publish(peer)


async def test_a_token_without_the_group_does_not_prolong_what_the_group_gave(house: House) -> None:
    peer = await house.watch("ada", seconds=60, groups=["crew"])

    assert await renew(house, peer, 3600) == "error"

    assert await may_publish(peer), "the older token is still good"
    house.installation.clock.advance(60)
    await peer.ended(4004)


async def test_the_tenant_that_goes_takes_everybody_along(house: House) -> None:
    peer = await house.watch("ada", groups=["crew"])

    await house.installation.delete_tenant(house.olivia)

    await peer.expect("error", code="removed")
    await peer.ended(4503)
    with refused(Code.forbidden):
        await house.look(token=house.tokens.give("ada", groups=["crew"]), tenant_id="acme")
