"""What a revocation ends, and what it says."""

import msgspec
import pytest

from artcafe.server.domain.ids import AgentId, TenantId, UserId
from artcafe.server.domain.principal import AgentPrincipal, Human
from artcafe.server.domain.revocation import Revocation
from artcafe.server.domain.tenant import Role
from artcafe.wire.codes import Code

TENANT, OTHER = TenantId("acme"), TenantId("acme-2")
ADA, BOB = AgentId("ada"), AgentId("bob")


@pytest.mark.parametrize(
    ("revocation", "covered", "code"),
    [
        (Revocation(TENANT), {(ADA, "k1"), (ADA, "k2"), (BOB, "k1"), (BOB, "k2")}, Code.removed),
        (Revocation(TENANT, ADA), {(ADA, "k1"), (ADA, "k2")}, Code.removed),
        (Revocation(TENANT, ADA, "k1"), {(ADA, "k1")}, Code.key_revoked),
    ],
)
def test_what_it_ends(revocation: Revocation, covered: set[tuple[AgentId, str]], code: Code) -> None:
    connections = {(agent, key) for agent in (ADA, BOB) for key in ("k1", "k2")}
    assert {who for who in connections if revocation.covers(AgentPrincipal(TENANT, *who))} == covered
    assert not any(revocation.covers(AgentPrincipal(OTHER, *who)) for who in connections)
    assert revocation.code is code


def test_humans_go_with_their_tenant_alone() -> None:
    human, other = (Human(tenant, UserId("ada"), Role.owner) for tenant in (TENANT, OTHER))
    assert Revocation(TENANT).covers(human)
    assert not Revocation(TENANT).covers(other)
    assert not Revocation(TENANT, ADA).covers(human)
    assert not Revocation(TENANT, ADA, "k1").covers(human)


@pytest.mark.parametrize(
    "revocation", [Revocation(TENANT), Revocation(TENANT, ADA), Revocation(TENANT, ADA, "SHA256:x")]
)
def test_it_travels_to_the_other_processes(revocation: Revocation) -> None:
    assert msgspec.json.decode(msgspec.json.encode(revocation), type=Revocation) == revocation
