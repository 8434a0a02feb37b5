"""Counting who is on the way in, and what happened to their rights meanwhile."""

from contextlib import nullcontext

import pytest

from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.server.domain.login_refusal import LoginRefusal
from artcafe.server.domain.principal import AgentPrincipal
from artcafe.server.domain.revocation import Revocation
from artcafe.server.gateway.dialects.native import NativeDialect
from artcafe.server.gateway.login.pending import LOGIN_SECONDS, REMEMBER_SECONDS, PendingLogins
from artcafe.server.gateway.sessions.authentication import Admission, Authenticated, Claim
from artcafe.server.gateway.sessions.connection import Connection, ConnectionHost
from artcafe.wire.codes import Code
from tests.kit.outcomes import refused

ACME = TenantId("acme")
A1 = AgentPrincipal(ACME, AgentId("a1"), "SHA256:x")


def connection(remote: str = "192.0.2.1", since: float = 0.0) -> Connection:
    """A connection that nothing happens to."""
    door: ConnectionHost = None  # type: ignore[assignment]
    admission = Admission(NativeDialect(), Authenticated(A1))
    return Connection(door, admission, Claim("websocket"), connection_id="c1", remote=remote, since=since)


def test_room_is_per_address_and_in_all() -> None:
    pending_logins = PendingLogins(3, 2)
    one, two = connection(), connection()
    pending_logins.add(one)
    with pending_logins.counted("192.0.2.1"):
        with refused(Code.too_many_connections):
            pending_logins.require_room("192.0.2.1")
        pending_logins.require_room("192.0.2.2")
    pending_logins.add(two)
    with pending_logins.counted("192.0.2.2"), refused(Code.too_many_connections):
        pending_logins.require_room("192.0.2.3")
    for _ in range(2):
        pending_logins.discard(one)
    pending_logins.require_room("192.0.2.1")
    assert list(pending_logins) == [two]
    pending_logins.discard(two)
    assert not pending_logins
    assert not pending_logins._by_address


def test_who_fails_at_the_endpoint_is_not_counted_any_more() -> None:
    pending_logins = PendingLogins(1, 1)
    with pytest.raises(ZeroDivisionError), pending_logins.counted("192.0.2.1"):
        raise ZeroDivisionError
    pending_logins.require_room("192.0.2.1")
    with refused(Code.too_many_connections), pending_logins.counted("a"), pending_logins.counted("b"):
        pass
    assert not pending_logins._by_address


def test_late_is_who_took_longer_than_allowed() -> None:
    pending_logins = PendingLogins(9, 9)
    early, later = connection(since=100.0), connection(since=101.0)
    for one in (early, later):
        pending_logins.add(one)
    assert pending_logins.late(100.0 + LOGIN_SECONDS) == []
    assert pending_logins.late(100.5 + LOGIN_SECONDS) == [early]


@pytest.mark.parametrize(
    ("revocation", "lost"),
    [
        (Revocation(ACME), True),
        (Revocation(ACME, AgentId("a1")), True),
        (Revocation(ACME, AgentId("a1"), "SHA256:x"), True),
        (Revocation(ACME, AgentId("a1"), "SHA256:y"), False),
        (Revocation(ACME, AgentId("a2")), False),
        (Revocation(TenantId("acme-2")), False),
    ],
)
def test_a_revocation_counts_for_whom_it_covers(revocation: Revocation, *, lost: bool) -> None:
    pending_logins = PendingLogins(9, 9)
    pending_logins.revoked(revocation, 50.0)
    for since in (49.0, 50.0):
        with refused(Code.unauthorized) if lost else nullcontext() as refusal:
            pending_logins.require_right(connection(since=since), A1)
        if refusal is not None and refusal.error is not None:
            assert refusal.error.reason == LoginRefusal.revoked_meanwhile
    pending_logins.require_right(connection(since=50.1), A1)  # The store knew it before.


def test_revocations_are_remembered_for_longer_than_a_login_takes_and_not_for_ever() -> None:
    assert REMEMBER_SECONDS > LOGIN_SECONDS
    pending_logins = PendingLogins(9, 9)
    for second in range(1000):
        pending_logins.revoked(Revocation(ACME, AgentId("a2")), float(second))
    assert len(pending_logins._revocations) == REMEMBER_SECONDS + 1
