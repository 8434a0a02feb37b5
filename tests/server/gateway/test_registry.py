"""Who is in, and who is not any more."""

from artcafe.server.domain.ids import AgentId, TenantId, UserId
from artcafe.server.domain.principal import AgentPrincipal, Human, Principal
from artcafe.server.domain.tenant import Role
from artcafe.server.gateway.dialects.legacy import Plain
from artcafe.server.gateway.registry import Inside
from artcafe.server.gateway.sessions.authentication import Claim, Entry, Proven
from artcafe.server.gateway.sessions.connection import Connection, Door

ACME, OTHER = TenantId("acme"), TenantId("acme-2")
A1 = AgentPrincipal(ACME, AgentId("a1"), "SHA256:x")
SAME_KEY = AgentPrincipal(ACME, AgentId("a1"), "SHA256:y")
ELSEWHERE = AgentPrincipal(OTHER, AgentId("a1"), "SHA256:x")
OLIVIA = Human(ACME, UserId("a1"), Role.owner)


def a_connection(principal: Principal = A1) -> Connection:
    door: Door = None  # type: ignore[assignment]
    entry = Entry(Plain(), Proven(principal))
    connection = Connection(door, entry, Claim("url"), connection_id="c", remote="", since=0.0)
    connection.authorization.admit(principal, None)
    return connection


def test_who_is_counted_with_whom() -> None:
    inside = Inside()
    connections = {principal: a_connection(principal) for principal in (A1, SAME_KEY, ELSEWHERE, OLIVIA)}
    for connection in connections.values():
        inside.add(connection)
    assert [inside.count(principal) for principal in connections] == [2, 2, 1, 1]
    assert set(inside.tenant(ACME)) == {connections[A1], connections[SAME_KEY], connections[OLIVIA]}
    assert inside.tenant(OTHER) == [connections[ELSEWHERE]]
    assert inside.tenant(TenantId("none")) == []
    assert set(inside) == set(connections.values())


def test_who_is_gone_is_gone_once_and_leaves_nothing() -> None:
    inside, stranger = Inside(), a_connection()
    here = [a_connection() for _ in range(2)]
    for connection in here:
        inside.add(connection)
    assert inside.remove(stranger) is None
    assert inside.remove(here[0]) is A1
    assert inside.remove(here[0]) is None
    assert list(inside) == [here[1]]
    assert inside.remove(here[1]) is A1
    assert not inside
    assert inside._tenants == {}


def test_it_may_be_changed_while_it_is_gone_through() -> None:
    inside = Inside()
    for _ in range(3):
        inside.add(a_connection())
    for connection in inside:
        inside.remove(connection)
    assert not inside
