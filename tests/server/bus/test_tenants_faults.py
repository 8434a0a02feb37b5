"""A fault in one tenant's link, and what NATS says that cannot be, end no other tenant's link."""

from collections.abc import Callable

import pytest

from artcafe.server.bus.accounts.operator import Operator
from artcafe.server.bus.nats.credentials import NatsCredentials
from artcafe.server.bus.tenants import TenantLinks
from artcafe.server.domain.tenant import TenantRules
from artcafe.wire.codes import Code
from tests.kit.deadlines import eventually
from tests.kit.nats import WallClock, make_tenant
from tests.kit.outcomes import refused
from tests.kit.scripted_nats import ScriptedNats, info

A, B = make_tenant("a"), make_tenant("b")
NO_SIZE = info(max_payload=2**63)


class Broken(NatsCredentials):
    """Credentials that cannot be made while their operator is `failing`."""

    operator: "BreakingOperator"

    def jwt(self) -> bytes:
        """See NatsCredentials."""
        if self.operator.failing:
            raise ZeroDivisionError("a fault")
        return super().jwt()


class BreakingOperator(Operator):
    """One whose credentials for the tenant `a` break."""

    failing = False

    def credentials(self, tenant: TenantRules) -> NatsCredentials:
        """See Operator."""
        if tenant.id != A.id:
            return super().credentials(tenant)
        broken = Broken(*self._tenant_keys(tenant), WallClock(), "gateway", {})
        broken.operator = self
        return broken


def hang_up(nats: ScriptedNats) -> None:
    """End every connection."""
    for client in list(nats._clients):
        client.transport.abort()


async def test_a_fault_in_one_link_is_logged_and_it_comes_back_as_after_a_break(
    caplog: pytest.LogCaptureFixture,
) -> None:
    operator = BreakingOperator(b"x" * 32, WallClock())
    async with ScriptedNats() as nats, TenantLinks(f"nats://{nats.server}", operator) as links:
        a, b = await links.link(A), await links.link(B)
        operator.failing = True
        hang_up(nats)
        await eventually(lambda: "fault in artcafe gateway a" in caplog.text)
        await eventually(lambda: b.up and b.gaps == 0)
        await b.flush()
        assert not a.up
        operator.failing = False
        await eventually(lambda: a.up)


async def test_a_fault_in_the_first_attempt_is_told_as_unavailable() -> None:
    operator = BreakingOperator(b"x" * 32, WallClock())
    operator.failing = True
    async with ScriptedNats() as nats, TenantLinks(f"nats://{nats.server}", operator) as links:
        with refused(Code.unavailable):
            await links.link(A)
        await (await links.link(B)).flush()
        operator.failing = False
        assert (await links.link(A)).up


async def test_a_size_that_cannot_be_ends_the_connection_that_it_came_on_and_no_link() -> None:
    operator = Operator(b"x" * 32, WallClock())
    async with ScriptedNats() as nats, TenantLinks(f"nats://{nats.server}", operator) as links:
        a, b = await links.link(A), await links.link(B)
        nats.first = NO_SIZE
        nats.say(NO_SIZE)
        await eventually(lambda: not a.up and not b.up)
        await eventually(lambda: nats.open == 0)
        nats.first = info()
        await eventually(lambda: a.up and b.up)
        await a.flush()
        await b.flush()


async def test_a_fault_of_one_who_listens_here_keeps_a_message_from_nobody_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(_: bytes) -> None:
        raise ZeroDivisionError("a fault")

    def fail_to_say(_: str) -> Callable[[bytes], None]:
        raise ZeroDivisionError("a fault")

    operator = Operator(b"x" * 32, WallClock())
    async with ScriptedNats() as nats, TenantLinks(f"nats://{nats.server}", operator) as links:
        link = await links.link(A)
        got: list[bytes] = []
        by_server: list[tuple[str, bytes]] = []
        await link.subscribe("m.>", lambda *_: None, own=lambda _: fail)
        await link.subscribe(
            "m.*.x", lambda subject, payload: by_server.append((subject, payload)), own=fail_to_say
        )
        await link.subscribe("m.a.>", lambda *_: None, own=lambda _: got.append)
        assert link.publish("m.a.x", b"1"), "who publishes is told that it was taken"
        link.publish("m.a.x", b"2")
        await eventually(lambda: by_server == [("m.a.x", b"1"), ("m.a.x", b"2")])
        assert got == [b"1", b"2"]
        await link.flush()
    faults = [record.getMessage() for record in caplog.records if record.exc_info]
    assert faults == ["fault of who listens to m.*.x", *["fault of who listens to m.a.x"] * 2]
