"""What is logged of WebSockets: each login with its true reason, each coming and going, who is too much."""

import base64
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from artcafe.server.events import Event, LoginAccepted
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.frames import SUBPROTOCOL
from tests.kit.deadlines import eventually
from tests.kit.gateways import ADDRESS, House, a_house, gone, revoke
from tests.kit.outcomes import refused
from tests.kit.signing import KeyPair
from tests.kit.turns import turns


@pytest.fixture
async def house(caplog: pytest.LogCaptureFixture) -> AsyncIterator[House]:
    caplog.set_level(logging.DEBUG, "artcafe")
    async with a_house() as opened:
        yield opened


def noted(caplog: pytest.LogCaptureFixture, name: str | None = None) -> list[dict[str, Any]]:
    """The events that were logged, as their fields but for how long a login took; of one name, or all with
    their names."""
    events: list[Event] = [r.__dict__["event"] for r in caplog.records if "event" in r.__dict__]
    found = [(each.name, {k: v for k, v in each.fields().items() if k != "ms"}) for each in events]
    if name is None:
        return [{"event": named, **fields} for named, fields in found]
    return [fields for named, fields in found if named == name]


async def test_a_connection_is_three_lines_with_who_from_where_and_how_much(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    peer = await house.enter()
    peer.say(type="subscribe", subject="x", id="s")
    await peer.expect("subscribed")
    for n in range(3):
        peer.say(type="publish", subject="x", data=n)
        await peer.expect("message")
    house.installation.clock.advance(2.5)
    peer.leave(1000)
    await gone(house)

    who = {"tenant": "acme", "agent": "a1", "address": ADDRESS, "connection": "c000001"}
    connected, accepted, disconnected = noted(caplog)
    assert connected == {"event": "connected", "way": "websocket", **who}
    assert accepted == {
        "event": "login_accepted",
        "way": "websocket",
        "key": house.key.fingerprint,
        **who,
    }
    assert disconnected == {
        "event": "disconnected",
        "code": 1000,
        "seconds": 2.5,
        # auth, subscribe, three messages; challenge, welcome, subscribed, and the three messages back.
        "frames_in": 5,
        "frames_out": 6,
        **who,
    }


async def test_a_login_says_how_long_it_took_and_who_said_nothing_took_none(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    peer = await house.enter()
    stranger = await house.arrive()
    stranger.leave()
    peer.leave()
    await gone(house)
    took = [
        each.__dict__["event"].ms
        for each in caplog.records
        if isinstance(each.__dict__.get("event"), LoginAccepted)
    ]
    assert [ms >= 0.0 for ms in took] == [True]


async def test_a_refused_answer_in_band_is_logged_with_the_reason_that_the_client_is_not_told(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    peer = await house.arrive()
    await house.answer(peer, KeyPair())
    error = await peer.expect("error", code="unauthorized")
    await peer.ended(4500)
    peer.leave()
    await gone(house)

    [refusal] = noted(caplog, "login_refused")
    assert refusal == {
        "way": "websocket",
        "code": "unauthorized",
        "reason": "bad_signature",
        "tenant": "acme",
        "agent": "a1",
        "address": ADDRESS,
        "connection": "c000001",
    }
    assert error["message"] == Code.unauthorized.value.when
    [over] = noted(caplog, "disconnected")
    assert (over["code"], over["error"], over["agent"]) == (4500, "unauthorized", "a1")


async def test_an_answer_that_cannot_be_read_is_logged_without_it(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    peer = await house.arrive()
    await peer.expect("challenge")
    peer.say(type="auth", signature=["secret of an agent"])
    await peer.expect("error")

    [refusal] = noted(caplog, "login_refused")
    assert refusal["reason"] == "bad_answer"
    assert "secret of an agent" not in caplog.text


@pytest.mark.parametrize(
    ("agent", "tenant", "reason", "logged"),
    [
        ("a1", "nowhere", "unknown_tenant", ("nowhere", "a1")),
        ("ghost", "acme", "unknown_agent", ("acme", "ghost")),
        ("a1", "", "bad_name", (None, "a1")),
        ("a1", "no\nname", "bad_name", (None, "a1")),
        ("sys", "acme", "bad_name", ("acme", "sys")),
        ("a\x1b1", "acme", "bad_name", ("acme", None)),
    ],
)
async def test_a_refused_url_is_logged_and_what_is_no_identifier_is_left_out(
    house: House,
    caplog: pytest.LogCaptureFixture,
    agent: str,
    tenant: str,
    reason: str,
    logged: tuple[str | None, str | None],
) -> None:
    with refused(Code.unauthorized):
        await house.knock(agent, tenant, protocols=(), proof=house.proof())

    [refusal] = noted(caplog)
    assert (refusal["event"], refusal["way"], refusal["reason"]) == ("login_refused", "url", reason)
    assert (refusal.get("tenant"), refusal.get("agent")) == logged


async def test_without_credentials_and_without_our_subprotocol_there_is_no_login(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    with refused(Code.unauthorized):
        await house.knock(protocols=())

    [refusal] = noted(caplog)
    assert refusal["reason"] == "no_credentials"


async def test_a_path_that_nobody_serves_is_no_login(house: House, caplog: pytest.LogCaptureFixture) -> None:
    with refused(Code.not_found):
        await house.look("/api/v1/ws/nothing")

    assert noted(caplog) == [
        {"event": "handshake_refused", "status": 404, "code": "not_found", "address": ADDRESS}
    ]


async def test_a_dashboards_token_is_logged_by_what_is_wrong_and_by_whom_it_let_in(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    with refused(Code.unauthorized):
        await house.look(token="not.a.token", tenant_id="acme")
    packed = base64.b64encode(json.dumps({"tokn": "not.a.token"}).encode()).decode()
    with refused(Code.unauthorized):
        await house.look(auth=packed)
    with refused(Code.forbidden):
        await house.look(headers={"origin": "https://evil.example.com", "host": "example.com"})
    peer = await house.watch()

    first, second, third, connected, accepted = noted(caplog)
    assert (first["way"], first["code"], first["tenant"]) == ("dashboard", "unauthorized", "acme")
    assert second["reason"] == "bad_answer"
    assert third["code"] == "forbidden"
    assert (connected["event"], connected["way"]) == ("connected", "dashboard")
    assert (accepted["event"], accepted["human"], accepted["tenant"]) == ("login_accepted", "olivia", "acme")
    assert not any("not.a.token" in record.getMessage() for record in caplog.records)
    peer.leave()


async def test_a_revocation_during_the_login_is_the_reason_of_its_refusal(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.bus.linking.shut()
    peer = await house.arrive()
    await house.answer(peer)
    await turns()
    await revoke(house)
    house.bus.linking.open()
    await gone(house) if peer.closed else None
    await turns()

    reasons = [each["reason"] for each in noted(caplog, "login_refused")]
    assert reasons == ["revoked_meanwhile"]


async def test_no_room_is_a_refused_login(caplog: pytest.LogCaptureFixture) -> None:
    async with a_house(max_pending_logins_per_address=1) as house:
        caplog.set_level(logging.DEBUG, "artcafe")
        await house.arrive()
        with refused(Code.too_many_connections):
            await house.knock()

        [refusal] = noted(caplog, "login_refused")
        assert (refusal["code"], "reason" in refusal) == ("too_many_connections", False)


async def test_a_slow_consumer_is_named_once_with_what_waits_for_it(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    peer = await house.enter()
    peer.handler.slow()
    peer.handler.slow()

    [slow] = noted(caplog, "slow_consumer")
    assert (slow["tenant"], slow["agent"], slow["connection"]) == ("acme", "a1", "c000001")
    assert "queued" in slow
    peer.leave(4002)
    [over] = noted(caplog, "disconnected")
    assert (over["code"], over["error"]) == (4002, "slow_consumer")


async def test_each_frame_over_the_rate_is_counted_and_so_is_the_end_for_it(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    peer = await house.enter()
    rate = 0
    while not peer.closed:
        peer.say(type="publish", subject="x", data=1)
        rate += 1
        assert rate < 1_000_000
        if peer.paused:
            await eventually(lambda: peer.closed or not peer.paused)

    throttled = noted(caplog, "throttled")
    limited = [each for each in throttled if each["code"] == "rate_limited"]
    assert [each["code"] for each in throttled if each not in limited] == ["flooding"]
    errors = [frame for frame in peer.unread if frame.get("code") == "rate_limited"]
    assert len(limited) in {len(errors), len(errors) + 1}
    assert {each["agent"] for each in limited} == {"a1"}
    peer.leave(4005)


async def test_a_rule_of_the_socket_names_the_error_of_the_end(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    for code in (Code.flooding, Code.too_large):
        peer = await house.arrive()
        peer.handler.broke(ArtcafeError(code))
        peer.leave(code.close)

    assert [each["error"] for each in noted(caplog, "disconnected")] == ["flooding", "too_large"]
    assert [each["code"] for each in noted(caplog, "throttled")] == ["flooding"]


async def test_who_is_cut_when_the_server_ends_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "artcafe")
    async with a_house() as house:
        peer, waiting = await house.enter(), await house.arrive()
    for each in (peer, waiting):
        each.leave()

    assert len(noted(caplog, "connected")) == len(noted(caplog, "disconnected")) == 2


async def test_an_error_of_the_endpoint_stays_an_error(house: House) -> None:
    with pytest.raises(ArtcafeError):
        await house.knock("ghost", proof={"challenge": "x", "signature": "y"}, protocols=(SUBPROTOCOL,))
