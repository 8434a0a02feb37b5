"""An entry of the audit."""

from datetime import datetime

from artcafe.server.domain.audit import AuditEntry, AuditWriter
from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.domain.principal import Human
from artcafe.server.domain.tenant import Role
from tests.kit.records import AT

OLIVIA = Human(
    TenantId("acme"), UserId("olivia"), Role.owner, "o@example.com", remote="192.0.2.7", request="r1"
)

WRITER = AuditWriter(lambda: datetime.fromisoformat(AT).timestamp(), lambda: "e1")


def test_it_says_who_did_what_when_and_from_where() -> None:
    assert WRITER.entry(OLIVIA, "agent.update", "a1", {"name": "x", "metadata": {}}) == AuditEntry(
        id="e1",
        tenant=TenantId("acme"),
        at=AT,
        actor="olivia",
        email="o@example.com",
        action="agent.update",
        target="a1",
        fields=["metadata", "name"],
        remote="192.0.2.7",
        request="r1",
    )


def test_it_names_what_was_set_and_never_the_value() -> None:
    made = WRITER.entry(OLIVIA, "tenant.update", "acme", {"name": "a secret"})

    assert "a secret" not in f"{made}"


def test_what_sets_nothing_names_nothing() -> None:
    assert WRITER.entry(OLIVIA, "agent.delete", "a1").fields == []
