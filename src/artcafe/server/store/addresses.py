"""Every key under which something is stored; tenant first.

| partition        | sort key            | what                                                  |
|------------------|---------------------|-------------------------------------------------------|
| TENANTS          | {tenant}            | that it exists                                        |
| T#{tenant}       | META                | the tenant                                            |
|                  | MEMBER#{user}       | a member                                              |
|                  | AGENT#{agent}       | an agent with its keys                                |
|                  | FP#{fingerprint}    | which agent has this key: a claim, unique             |
|                  | CHAN#{channel}      | a channel                                             |
|                  | USED#{agent}#{fp}   | when a key last logged in                             |
|                  | SEEN#{agent}        | when an agent was last seen going                     |
|                  | ONLINE#{process}#n  | who is connected to a server process; expires         |
| U#{user}         | TENANT#{tenant}     | the same membership, seen from the user               |
| CH#{tenant}      | {agent}#{digest}    | a challenge that was answered                         |
| USE#{tenant}     | {day}#{metric}      | a counter                                             |
"""

from artcafe.server.domain.ids import AgentId, ChannelId, TenantId, UserId

TENANTS = "TENANTS"
META = "META"
AGENTS = "AGENT#"
CHANNELS = "CHAN#"
MEMBERS = "MEMBER#"
MEMBERSHIPS = "TENANT#"
ONLINE = "ONLINE#"


def tenant(of: TenantId) -> str:
    """The partition of a tenant."""
    return f"T#{of}"


def user(of: UserId) -> str:
    """The partition of a user."""
    return f"U#{of}"


def challenges(of: TenantId) -> str:
    """The partition of a tenant's answered challenges."""
    return f"CH#{of}"


def usage(of: TenantId) -> str:
    """The partition of a tenant's counters."""
    return f"USE#{of}"


def member(of: UserId) -> str:
    """A member in its tenant."""
    return MEMBERS + of


def membership(of: TenantId) -> str:
    """A membership in its user's partition."""
    return MEMBERSHIPS + of


def agent(of: AgentId) -> str:
    """An agent."""
    return AGENTS + of


def key(fingerprint: str) -> str:
    """The claim of a key."""
    return f"FP#{fingerprint}"


def channel(of: ChannelId) -> str:
    """A channel."""
    return CHANNELS + of


def uses(of: AgentId) -> str:
    """What the last uses of an agent's keys begin with."""
    return f"USED#{of}#"


def seen(of: AgentId) -> str:
    """When an agent was last seen going."""
    return f"SEEN#{of}"


def online(instance: str) -> str:
    """What the rows of one server process begin with."""
    return f"{ONLINE}{instance}#"
