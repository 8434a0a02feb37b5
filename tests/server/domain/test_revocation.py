"""What a revocation ends, and what it says."""

import msgspec
import pytest

from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.server.domain.revocation import Revocation
from artcafe.wire.codes import Code

TENANT = TenantId("acme")
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
    assert {connection for connection in connections if revocation.covers(*connection)} == covered
    assert revocation.code is code


@pytest.mark.parametrize(
    "revocation", [Revocation(TENANT), Revocation(TENANT, ADA), Revocation(TENANT, ADA, "SHA256:x")]
)
def test_it_travels_to_the_other_processes(revocation: Revocation) -> None:
    assert msgspec.json.decode(msgspec.json.encode(revocation), type=Revocation) == revocation
