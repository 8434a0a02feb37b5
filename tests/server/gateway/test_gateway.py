"""Who may come in, and how many."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from artcafe.server.gateway.login.pending import LOGIN_SECONDS
from artcafe.server.gateway.websocket.handshake import Upgrade
from artcafe.wire.codes import Code
from tests.kit.deadlines import eventually
from tests.kit.gateways import NOBODY, House, a_house, gone
from tests.kit.outcomes import outcome, refused
from tests.kit.scripted_peer import ScriptedPeer
from tests.kit.signing import KeyPair
from tests.kit.turns import turns
from tests.kit.unreliable_bus import AWAY


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with a_house() as house:
        yield house


# At the endpoint.


@pytest.mark.parametrize(
    ("path", "query", "headers", "protocols", "code"),
    [
        ("/api/v1/ws/elsewhere", {"tenant_id": ["acme"]}, {}, ("artcafe.v1",), Code.not_found),
        ("/api/v1/ws/agent/", {"tenant_id": ["acme"]}, {}, ("artcafe.v1",), Code.unauthorized),
        ("/api/v1/ws/agent/a/b", {"tenant_id": ["acme"]}, {}, ("artcafe.v1",), Code.unauthorized),
        ("/api/v1/ws/agent/sys", {"tenant_id": ["acme"]}, {}, ("artcafe.v1",), Code.unauthorized),
        ("/api/v1/ws/agent/a1", {}, {}, ("artcafe.v1",), Code.unauthorized),
        ("/api/v1/ws/agent/a1", {"tenant_id": ["no tenant"]}, {}, ("artcafe.v1",), Code.unauthorized),
        ("/api/v1/ws/agent/a1", {"tenant_id": ["acme"]}, {}, (), Code.unauthorized),
        ("/api/v1/ws/agent/a1", {"tenant_id": ["acme"]}, {}, ("mqtt", "artcafe.v2"), Code.unauthorized),
        (
            "/api/v1/ws/agent/a1",
            {"tenant_id": ["acme"], "challenge": ["x"], "signature": ["eA=="]},
            {},
            ("artcafe.v1",),
            Code.unauthorized,
        ),
    ],
)
async def test_who_is_refused_before_the_upgrade(
    house: House,
    path: str,
    query: dict[str, list[str]],
    headers: dict[str, str],
    protocols: tuple[str, ...],
    code: Code,
) -> None:
    with refused(code):
        await house.gateway.endpoint(Upgrade(path, query, headers, protocols, "192.0.2.1", "example.com"))
    assert house.counts() == NOBODY


async def test_the_tenant_may_come_in_a_header(house: House) -> None:
    upgrade = Upgrade(
        "/api/v1/ws/agent/a1", {}, {"x-tenant-id": "acme"}, ("artcafe.v1",), "192.0.2.1", "example.com"
    )
    accept = await house.gateway.endpoint(upgrade)
    peer = ScriptedPeer(accept.handler)  # type: ignore[union-attr]
    challenge = await peer.expect("challenge")
    assert "\ntenant=acme\nagent=a1\n" in challenge["text"]
    assert "server=wss://example.com\n" in challenge["text"]


async def test_the_three_ways_in(house: House) -> None:
    in_band = await house.enter()
    by_url = ScriptedPeer((await house.knock(proof=house.proof())).handler)
    await by_url.expect("welcome", agent="a1")
    accept = await house.knock(protocols=(), proof=house.proof())
    assert accept.protocol is None
    legacy = ScriptedPeer(accept.handler)
    await eventually(lambda: house.counts() == (0, 3, 3, 3))
    in_band.say(type="subscribe", subject="x")
    await in_band.expect("subscribed")
    legacy.say(type="publish", subject="x", data={})
    await in_band.expect("message", data={})
    for peer in (in_band, by_url, legacy):
        peer.leave()
    await gone(house)


# How many may wait.


async def test_few_may_wait_for_their_login_per_address_and_in_all() -> None:
    async with a_house(max_pending_logins=5, max_pending_logins_per_address=2) as house:
        waiting = [await house.arrive(remote=f"192.0.2.{number}") for number in (1, 1, 2, 2)]
        with refused(Code.too_many_connections) as refusal:
            await house.knock(remote="192.0.2.1")
        assert refusal.error is not None
        assert refusal.error.retry_after == 1.0
        with refused(Code.too_many_connections):
            await house.knock(remote="192.0.2.1", proof=house.proof())
        waiting.append(await house.arrive(remote="192.0.2.3"))
        with refused(Code.too_many_connections):
            await house.knock(remote="192.0.2.4")
        waiting.pop(0).leave()
        waiting.append(await house.arrive(remote="192.0.2.1"))
        for peer in waiting:
            peer.leave()
        assert house.counts() == NOBODY


async def leave_waiting(house: House) -> None:
    (await house.arrive()).leave()


async def log_in(house: House) -> None:
    (await house.enter()).leave()


async def fail(house: House) -> None:
    peer = await house.arrive()
    await house.answer(peer, KeyPair())
    await peer.ended(4500)
    peer.leave()


async def find_no_room(house: House) -> None:
    house.bus.linking.failure = AWAY
    peer = await house.arrive()
    await house.answer(peer)
    await peer.ended(1013)
    peer.leave()


async def be_refused_by_url(house: House) -> None:
    with refused(Code.unauthorized):
        await house.knock(proof=house.proof(key=KeyPair()))


async def leave_between_the_endpoint_and_the_socket(house: House) -> None:
    await house.knock()
    await house.knock(proof=house.proof())


async def leave_while_the_endpoint_asks_the_store(house: House) -> None:
    house.login_store.reading.shut()
    knocking = asyncio.create_task(house.knock(proof=house.proof()))
    await turns()
    assert house.counts() == (1, 0, 0, 0)
    knocking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await knocking


async def come_by_url(house: House) -> None:
    peer = ScriptedPeer((await house.knock(proof=house.proof())).handler)
    await peer.expect("welcome")
    peer.leave()


WAYS: list[Callable[[House], Awaitable[None]]] = [
    leave_waiting,
    log_in,
    fail,
    find_no_room,
    be_refused_by_url,
    leave_between_the_endpoint_and_the_socket,
    leave_while_the_endpoint_asks_the_store,
    come_by_url,
]


@pytest.mark.parametrize("way", WAYS)
async def test_whichever_way_it_ends_the_place_is_free_again(
    house: House, way: Callable[[House], Awaitable[None]]
) -> None:
    await way(house)
    await gone(house)


async def test_who_is_in_waits_no_more() -> None:
    async with a_house(max_pending_logins_per_address=1) as house:
        for _ in range(5):
            await house.enter()
        assert house.counts() == (0, 5, 5, 5)


async def test_logins_at_the_endpoint_are_counted_too() -> None:
    """They were not, so one address could have any number of signatures checked at once."""
    async with a_house(max_pending_logins_per_address=3) as house:
        house.login_store.reading.shut()
        proofs = [house.proof() for _ in range(5)]
        knocking = [asyncio.create_task(outcome(house.knock(proof=proof))) for proof in proofs]
        await turns()
        house.login_store.reading.open()
        answers = await asyncio.gather(*knocking)
        assert answers[3:] == [Code.too_many_connections] * 2
        assert not any(isinstance(answer, Code) for answer in answers[:3])
        await gone(house)


async def test_who_does_not_answer_in_time_is_closed(house: House) -> None:
    early = await house.arrive()
    house.installation.clock.advance(LOGIN_SECONDS - 1)
    late = await house.arrive()
    house.installation.clock.advance(2)
    await early.ended(4001)
    assert early.got[-1].startswith(b'{"type":"error","code":"login_timeout"')
    assert not late.closed
    await house.answer(late)
    await late.expect("welcome")
    early.leave()
    assert house.counts() == (0, 1, 1, 1)


# How many may be in.


async def test_an_agent_has_a_limit_of_connections_of_its_own() -> None:
    async with a_house(max_agent_connections=2) as house:
        other = KeyPair()
        await house.installation.make_agent(house.olivia, "a2", other)
        peers = [await house.enter() for _ in range(2)]
        third = await house.arrive()
        await house.answer(third)
        await third.expect("error", code="too_many_connections")
        await third.ended(4006)
        await house.enter("a2", key=other)
        peers[0].leave()
        await house.enter()


async def test_a_plan_has_a_limit_of_connections_that_no_race_goes_past(house: House) -> None:
    await house.installation.operate(plan="starter")
    keys = [KeyPair() for _ in range(3)]
    for number, key in enumerate(keys[1:], 2):
        await house.installation.make_agent(house.olivia, f"a{number}", key)
    keys[0] = house.key
    house.admission_store.reading.shut()
    peers = []
    for number in range(8):
        peer = await house.arrive(f"a{number % 3 + 1}")
        await house.answer(peer, keys[number % 3])
        peers.append(peer)
    await turns()
    assert house.counts() == (8, 0, 0, 0)
    house.admission_store.reading.open()
    await eventually(lambda: all(peer.unread for peer in peers))
    assert sorted(peer.unread[0]["type"] for peer in peers) == ["error"] * 3 + ["welcome"] * 5
    assert {peer.code for peer in peers} == {None, 4006}
    for peer in peers:
        peer.leave()
    await gone(house)
