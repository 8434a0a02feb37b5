"""Who is asking."""

from artcafe.server.domain.ids import AgentId, TenantId, UserId, human_sender
from artcafe.server.domain.principal import AgentPrincipal, Human
from artcafe.server.domain.tenant import Role


def test_senders() -> None:
    assert AgentPrincipal(TenantId("acme"), AgentId("a1"), "SHA256:x").sender == "a1"
    ada = UserId("ada@example.com")
    assert Human(TenantId("acme"), ada, Role.viewer).sender == human_sender(ada)


def test_an_agent_and_a_human_of_one_name_are_two_senders() -> None:
    agent = AgentPrincipal(TenantId("acme"), AgentId("ada"), "SHA256:x")
    assert agent.sender != Human(TenantId("acme"), UserId("ada"), Role.owner).sender
