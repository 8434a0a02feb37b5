"""An agent and its keys."""

from artcafe.server.domain.agent import Agent, AgentKey
from artcafe.server.domain.ids import AgentId, TenantId

AT = "2026-11-23T03:40:00.000Z"


def key(name: str, status: str) -> AgentKey:
    return AgentKey(fingerprint=name, line="ssh-ed25519 A", type="ssh-ed25519", status=status, created_at=AT)


def agent(*keys: AgentKey) -> Agent:
    return Agent(
        id=AgentId("a"), tenant=TenantId("acme"), name="A", keys=list(keys), created_at=AT, updated_at=AT
    )


def test_only_active_keys_log_in() -> None:
    mixed = agent(key("one", "active"), key("two", "revoked"), key("three", "active"), key("four", ""))
    assert [known.fingerprint for known in mixed.active_keys()] == ["one", "three"]
    assert agent().active_keys() == []


def test_two_agents_share_no_defaults() -> None:
    one, other = agent(), agent()
    one.metadata["x"] = 1
    one.keys.append(key("k", "active"))
    assert other.metadata == {}
    assert other.keys == []
