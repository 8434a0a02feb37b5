"""Who is in, and who is not any more."""

from artcafe.server.domain.ids import AgentId, TenantId, UserId
from artcafe.server.domain.principal import AgentPrincipal, Human, Principal
from artcafe.server.domain.tenant import Role
from artcafe.server.gateway.dialects.native import NativeDialect
from artcafe.server.gateway.registry import ConnectionRegistry
from artcafe.server.gateway.sessions.authentication import Admission, Authenticated, Claim
from artcafe.server.gateway.sessions.connection import Connection, ConnectionHost

ACME, OTHER = TenantId("acme"), TenantId("acme-2")
A1 = AgentPrincipal(ACME, AgentId("a1"), "SHA256:x")
SAME_KEY = AgentPrincipal(ACME, AgentId("a1"), "SHA256:y")
ELSEWHERE = AgentPrincipal(OTHER, AgentId("a1"), "SHA256:x")
OLIVIA = Human(ACME, UserId("a1"), Role.owner)


def a_connection(principal: Principal = A1) -> Connection:
    host: ConnectionHost = None  # type: ignore[assignment]
    admission = Admission(NativeDialect(), Authenticated(principal))
    connection = Connection(host, admission, Claim("url"), connection_id="c", remote="", since=0.0)
    connection.authorization.admit(principal, None)
    return connection


def test_who_is_counted_with_whom() -> None:
    registry = ConnectionRegistry()
    connections = {principal: a_connection(principal) for principal in (A1, SAME_KEY, ELSEWHERE, OLIVIA)}
    for connection in connections.values():
        registry.add(connection)
    assert [registry.count(principal) for principal in connections] == [2, 2, 1, 1]
    assert set(registry.tenant(ACME)) == {connections[A1], connections[SAME_KEY], connections[OLIVIA]}
    assert registry.tenant(OTHER) == [connections[ELSEWHERE]]
    assert registry.tenant(TenantId("none")) == []
    assert set(registry) == set(connections.values())


def test_who_is_gone_is_gone_once_and_leaves_nothing() -> None:
    registry, stranger = ConnectionRegistry(), a_connection()
    here = [a_connection() for _ in range(2)]
    for connection in here:
        registry.add(connection)
    assert registry.remove(stranger) is None
    assert registry.remove(here[0]) is A1
    assert registry.remove(here[0]) is None
    assert list(registry) == [here[1]]
    assert registry.remove(here[1]) is A1
    assert not registry
    assert registry._tenants == {}


def test_it_may_be_changed_while_it_is_gone_through() -> None:
    registry = ConnectionRegistry()
    for _ in range(3):
        registry.add(a_connection())
    for connection in registry:
        registry.remove(connection)
    assert not registry
