"""The ways in for humans, and who stays outside."""

import base64
import json
from collections.abc import AsyncIterator, Mapping

import pytest

from artcafe.server.domain.tenant import Role
from artcafe.server.gateway.login.pending import LOGIN_SECONDS
from artcafe.wire.codes import Code
from tests.kit.gateways import NOBODY, House, a_house, gone
from tests.kit.outcomes import refused
from tests.kit.turns import turns


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with a_house() as house:
        await house.join("mia", Role.member)
        yield house


def packed(*, url_safe: bool = False, padded: bool = True, **fields: str) -> str:
    """What goes into `auth`."""
    text = json.dumps({**fields, "why": "?>~~"}).encode()
    encoded = (base64.urlsafe_b64encode if url_safe else base64.b64encode)(text).decode()
    return encoded if padded else encoded.rstrip("=")


class TestTheWaysIn:
    @pytest.mark.parametrize("path", ["/api/v1/ws/dashboard", "/ws/dashboard"])
    async def test_the_first_frame(self, house: House, path: str) -> None:
        peer = await house.look(path)
        await turns()
        assert (peer.unread, house.counts()) == ([], (1, 0, 0, 0)), "the client begins"
        peer.say(type="auth", token=house.tokens.give("mia"), tenant_id="acme")
        assert await peer.expect("connected") == {
            "type": "connected",
            "tenant_id": "acme",
            "tenant": "acme",
            "user_id": "mia",
            "role": "member",
        }
        assert house.counts() == (0, 1, 0, 1), "inside, and no agent"
        peer.leave()
        await gone(house)

    async def test_the_token_in_the_url_names_its_tenant_or_has_only_one(self, house: House) -> None:
        token = house.tokens.give("mia")
        for peer in (await house.look(token=token), await house.look(token=token, tenant_id="acme")):
            await peer.expect("connected", user_id="mia")

    @pytest.mark.parametrize("url_safe", [True, False])
    @pytest.mark.parametrize("padded", [True, False])
    async def test_token_and_tenant_in_base64(self, house: House, *, url_safe: bool, padded: bool) -> None:
        await house.installation.make_tenant("acme-2", "mia")  # type: ignore[arg-type]
        text = packed(token=house.tokens.give("mia"), tenantId="acme-2", url_safe=url_safe, padded=padded)
        peer = await house.look(auth=text)
        await peer.expect("connected", tenant_id="acme-2", role="owner")

    async def test_a_plus_that_the_query_made_a_space(self, house: House) -> None:
        text = packed(token=house.tokens.give("mia"), tenantId="acme")
        assert "+" in text or "/" in text
        await (await house.look(auth=text.replace("+", " "))).expect("connected")

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
    async def test_headers(self, house: House, scheme: str) -> None:
        headers = {"authorization": f"{scheme} {house.tokens.give('mia')}", "x-tenant-id": "acme"}
        await (await house.look(headers=headers)).expect("connected")


class TestOutside:
    @pytest.mark.parametrize(
        ("query", "headers", "code", "status"),
        [
            ({"token": "x"}, {}, Code.unauthorized, 401),
            ({"token": ""}, {}, Code.unauthorized, 401),
            ({}, {"authorization": "Bearer x"}, Code.unauthorized, 401),
            ({}, {"authorization": "Bearer"}, Code.unauthorized, 401),
            ({"auth": packed(token="x")}, {}, Code.unauthorized, 401),
            ({"auth": "%%%"}, {}, Code.unauthorized, 401),
            ({"auth": ""}, {}, Code.unauthorized, 401),
            ({"auth": "a"}, {}, Code.unauthorized, 401),
            ({"auth": packed(tenantId="acme")}, {}, Code.unauthorized, 401),
            ({"auth": base64.b64encode(b"[" * 9000).decode()}, {}, Code.unauthorized, 401),
        ],
    )
    async def test_what_proves_nobody_is_refused_before_the_upgrade(
        self, house: House, query: dict[str, str], headers: Mapping[str, str], code: Code, status: int
    ) -> None:
        with refused(code):
            await house.look("/ws/dashboard", headers, **query)
        assert code.http == status
        assert house.counts() == NOBODY

    async def test_who_is_no_member_is_refused_before_the_upgrade(self, house: House) -> None:
        for tenant in ("acme-2", "nowhere", "T#x"):
            with refused(Code.forbidden):
                await house.look(token=house.tokens.give("mia"), tenant_id=tenant)
        with refused(Code.forbidden):
            await house.look(token=house.tokens.give("zoe"))
        with refused(Code.token_expired):
            await house.look(token=house.tokens.give("mia", seconds=0))

    @pytest.mark.parametrize(
        ("text", "code", "close"),
        [
            (b'{"type":"auth","token":"x","tenant_id":"acme"}', "unauthorized", 4500),
            (b'{"type":"auth"}', "unauthorized", 4500),
            (b'{"type":"auth","token":7}', "unauthorized", 4500),
            (b'{"type":"subscribe","topic":"x"}', "unauthorized", 4500),
            (b'{"type":"auth","token":"%b"}' % (b"x" * 16385), "unauthorized", 4500),
            (b'{"type":"auth","token":"x","y":' + b"[" * 5000 + b"]" * 5000 + b"}", "unauthorized", 4500),
            (b"\xff", "unauthorized", 4500),
            (b'{"type":"auth","token":"@zoe","tenant_id":"acme"}', "forbidden", 4501),
            (b'{"type":"auth","token":"@nina"}', "forbidden", 4501),
            (b'{"type":"auth","token":"@mia","tenant_id":"acme"}', "token_expired", 4004),
        ],
    )
    async def test_what_a_first_frame_is_refused_with(
        self, house: House, text: bytes, code: str, close: int
    ) -> None:
        """Nina belongs to two tenants and names none; `@mia` stands for Mia's token."""
        for tenant in ("acme-2", "acme-3"):
            await house.installation.make_tenant(tenant, "nina")  # type: ignore[arg-type]
        for user, seconds in (("zoe", 60), ("nina", 60), ("mia", 0)):
            text = text.replace(b"@" + user.encode(), house.tokens.give(user, seconds=seconds).encode())
        peer = await house.look()
        peer.handler.text(text)
        await peer.expect("error", code=code)
        await peer.ended(close)
        peer.say(type="auth", token=house.tokens.give("mia"), tenant_id="acme")
        await turns()
        assert peer.unread == [], "one try"
        peer.leave()
        assert house.counts() == NOBODY

    async def test_who_says_nothing_is_closed(self, house: House) -> None:
        peer = await house.look()
        house.installation.clock.advance(LOGIN_SECONDS + 1)
        await peer.expect("error", code="login_timeout")
        await peer.ended(4001)

    async def test_a_human_has_a_limit_of_connections(self) -> None:
        async with a_house(max_agent_connections=2) as house:
            await house.join("mia", Role.member)
            for _ in range(2):
                await house.watch()
            third = await house.look(token=house.tokens.give("olivia"))
            await third.expect("error", code="too_many_connections")
            await third.ended(4006)
            await house.watch("mia")

    async def test_few_may_wait_for_their_login(self) -> None:
        async with a_house(max_pending_logins_per_address=1) as house:
            peer = await house.look()
            with refused(Code.too_many_connections):
                await house.look()
            with refused(Code.too_many_connections):
                await house.look(token=house.tokens.give("olivia"))
            peer.leave()
            await house.watch()


class TestOrigins:
    @pytest.mark.parametrize(
        "origin",
        ["https://app.example.com", "https://example.com", "http://example.com", "https://EXAMPLE.com"],
    )
    async def test_pages_of_the_host_and_of_the_list_come_in(self, house: House, origin: str) -> None:
        await house.look(headers={"origin": origin})

    async def test_a_page_of_the_host_may_leave_the_default_port_out(self, house: House) -> None:
        await house.look(headers={"origin": "https://example.com", "host": "example.com:443"})
        with refused(Code.forbidden):
            await house.look(headers={"origin": "https://example.com", "host": "example.com:80"})

    @pytest.mark.parametrize(
        "origin",
        [
            "https://evil.example",
            "https://example.com.evil.example",
            "https://example.com:8443",
            "https://app.example.com:8443",
            "http://app.example.com",
            "null",
            "",
            "https://",
            "example.com",
        ],
    )
    async def test_others_do_not_even_with_a_token(self, house: House, origin: str) -> None:
        with refused(Code.forbidden):
            await house.look(headers={"origin": origin}, token=house.tokens.give("mia"))
        assert house.tokens.verifying.calls == 0


class TestTheEndOfAToken:
    async def test_closes_the_connection(self, house: House) -> None:
        short, long = await house.watch("mia", seconds=60), await house.watch("mia", seconds=120)
        house.installation.clock.advance(59)
        await house.swept(long)
        assert not short.closed
        house.installation.clock.advance(1)
        await short.expect("error", code="token_expired")
        await short.ended(4004)
        assert not long.closed

    async def test_is_put_off_by_a_newer_one(self, house: House) -> None:
        peer = await house.watch("mia", seconds=60)
        house.installation.clock.advance(50)
        peer.say(type="auth", token=house.tokens.give("mia", seconds=70), id="r")
        await peer.expect("renewed", id="r", expires_at="2025-11-24T16:02:00.000Z")
        house.installation.clock.advance(69)
        await house.swept(peer)
        assert not peer.closed
        house.installation.clock.advance(1)
        await peer.ended(4004)

    async def test_is_not_hurried_by_an_older_one(self, house: House) -> None:
        peer = await house.watch("mia", seconds=60)
        peer.say(type="auth", token=house.tokens.give("mia", seconds=30))
        await peer.expect("renewed", expires_at="2025-11-24T16:01:00.000Z")

    async def test_is_not_put_off_by_anybody_elses(self, house: House) -> None:
        peer = await house.watch("mia", seconds=60)
        for token, code in (
            (house.tokens.give("olivia"), "forbidden"),
            ("no token", "unauthorized"),
            (house.tokens.give("mia", seconds=0), "token_expired"),
        ):
            peer.say(type="auth", token=token, id="r")
            await peer.expect("error", code=code, id="r")
        assert not peer.closed
        house.installation.clock.advance(60)
        await peer.ended(4004)

    async def test_of_an_agent_never_comes(self, house: House) -> None:
        agent = await house.enter()
        house.installation.clock.advance(10_000)
        await house.swept(agent)
        assert not agent.closed
